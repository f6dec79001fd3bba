"""Model servers: one file for each kind, all behind the ports `Backend`, `Embedding` and `Forwarding`."""
