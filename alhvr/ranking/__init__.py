"""Ranking: which scans of an archive to label next, by where the model is unsure of each structure; ``alhvr rank``."""
