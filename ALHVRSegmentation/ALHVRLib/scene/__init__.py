"""Volumes, label images and frames of sequences, as the engine reads and writes them."""
