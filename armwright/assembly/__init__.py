"""Assembly: BuildKit turns a plan's context into an image."""
