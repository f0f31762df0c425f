"""Generated scans, and the sample study that ships with a small model."""
