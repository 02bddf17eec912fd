"""Hostile requests: each has a name, and says what must become of it."""
