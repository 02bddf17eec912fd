"""The Docker Engine: what it is, its images, and containers."""
