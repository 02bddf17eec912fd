"""Recipes: the YAML files under recipes/, checked on loading; every mistake is reported with its place."""
