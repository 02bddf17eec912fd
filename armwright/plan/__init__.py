"""The plan of an image: everything it is made of, as data, and one digest over it."""
