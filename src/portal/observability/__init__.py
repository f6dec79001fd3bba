"""What Portal says of itself: logging."""
