"""Anthropic's Messages API: a converter to plain model calls and back."""
