"""The high-value regions over the scan."""
