"""Whether the archive helped: trainings that differ in nothing else, scored on the same held-out cases."""
