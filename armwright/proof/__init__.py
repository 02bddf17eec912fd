"""Proofs: running an image on its CPU, and checking what it reports."""
