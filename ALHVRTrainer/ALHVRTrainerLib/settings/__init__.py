"""The choices of a training: how long, from where, and what is folded away."""
