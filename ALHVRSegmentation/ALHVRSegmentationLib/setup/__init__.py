"""What the engine needs besides Slicer, and how it gets there."""
