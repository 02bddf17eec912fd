"""Publishing: images in registries."""
