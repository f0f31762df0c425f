"""A first study for newcomers: generated scans, the true labels of one, and a small model that segments them."""
