"""Segmentations as files."""
