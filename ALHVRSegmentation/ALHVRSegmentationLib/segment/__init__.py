"""Segmenting: the job, its progress and what becomes of the result."""
