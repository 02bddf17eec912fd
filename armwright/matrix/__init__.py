"""The matrix: the published combos, their rules, and selectors over them."""
