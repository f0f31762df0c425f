"""Scores of segmentations against a reference."""
