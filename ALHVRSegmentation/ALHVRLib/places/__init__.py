"""Places where a model is unsure: searched in arrays, by structure."""
