"""The pipeline: builds the images of combos and proves them."""
