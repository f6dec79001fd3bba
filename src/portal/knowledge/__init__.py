"""Documents of the user's: read, cut into passages, embedded, found and cited."""
