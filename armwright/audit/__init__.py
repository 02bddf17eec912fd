"""Audit: which CPU instructions the files of an image contain."""
