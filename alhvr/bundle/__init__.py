"""The model folder: written in one piece, verified on reading."""
