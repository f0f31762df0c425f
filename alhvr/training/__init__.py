"""Training: schedules, one step, the loop, validation, checkpoints and the run folder.

Loaded before PyTorch, this file shortens how long PyTorch's threads spin while they wait for each other (libgomp, that
is Linux). As it comes they spin for milliseconds; where another program takes one of the cores, they spin most of the
time, and two trainings side by side, each with two threads on two cores, took twice as long as they do now. Nothing
changes where the cores are free, and no result does anywhere.
"""

import os

SPINS = "10000"

if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", SPINS)
