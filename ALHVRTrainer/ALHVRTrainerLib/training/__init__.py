"""A training as it goes on: curves, preview, health in words, and the buttons that end it."""
