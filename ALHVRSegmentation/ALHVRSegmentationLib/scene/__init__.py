"""Volumes out of the scene, segmentations and regions into it."""
