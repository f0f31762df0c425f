"""Segmentations and maps written to files that other programs read."""
