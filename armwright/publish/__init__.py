"""Publishing: images in registries, and the local registry that serves as staging."""
