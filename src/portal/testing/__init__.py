"""Public test doubles: strict stand-ins of outside servers, for Portal's own tests and for those of its extensions."""
