"""What came of a run: scores before, with labels only and with the archive; keeping a model."""
