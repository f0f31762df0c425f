"""Training: schedules, one step, the loop, validation, checkpoints and the run folder."""
