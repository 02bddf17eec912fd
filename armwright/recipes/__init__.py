"""The facts: recipes and matrix.yaml, read from YAML and checked, with the place of every mistake."""
