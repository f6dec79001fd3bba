"""Speaking and listening: one file for each kind of engine, and what they share."""
