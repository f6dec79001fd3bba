"""Which models are there, and which of them answers. No I/O but what it is handed."""
