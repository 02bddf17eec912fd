"""Upstream's newer versions: found on the package index, judged, and proposed as a change of data."""
