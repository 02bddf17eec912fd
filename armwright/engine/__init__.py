"""The Docker engine: images and containers."""
