"""Import and export: what other programs hand out and what Portal does, read and written a piece at a time."""
