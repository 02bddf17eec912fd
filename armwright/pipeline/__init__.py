"""The pipeline: from combos to proven images."""
