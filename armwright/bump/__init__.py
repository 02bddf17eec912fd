"""Newer upstream versions: found on the package index, checked, and proposed as a data change."""
