"""Who may come in, and what stays secret."""
