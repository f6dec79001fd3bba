"""Channels: chat platforms as doors of Portal. Everything that they share."""
