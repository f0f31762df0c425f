"""A generated scan and a small model to begin with."""
