"""Hostile requests: each has a name, and its expected outcome."""
