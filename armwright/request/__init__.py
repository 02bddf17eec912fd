"""A request for a combination: read, decided, and answered."""
