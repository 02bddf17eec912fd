"""Fetching: root file systems from the distribution's archive, wheels and files from their servers, and the locks."""
