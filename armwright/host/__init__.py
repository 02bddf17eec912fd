"""The machine that builds: what it has, what it lacks, and how setup adds that."""
