"""Where code runs that nobody vouches for."""
