"""Assembly: a plan's context, built by BuildKit into an image."""
