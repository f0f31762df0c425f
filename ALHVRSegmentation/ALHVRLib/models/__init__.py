"""Installed models: what they are, and how new ones come in."""
