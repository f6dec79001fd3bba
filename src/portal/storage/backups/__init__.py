"""Backups: made while Portal runs, checked, listed, and put back."""
