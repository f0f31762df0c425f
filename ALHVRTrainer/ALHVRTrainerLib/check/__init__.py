"""The section Check: the engine's check of the project, which starts by itself, and what mends its findings."""
