"""The installed models."""
