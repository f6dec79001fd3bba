"""What runs by itself: when, what, and to whom the answer goes."""
