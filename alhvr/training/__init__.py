"""Training: schedules, one step, the loop, validation, checkpoints and the run folder.

Loaded before PyTorch, this file shortens how long PyTorch's threads spin while they wait for each other (libgomp, that
is Linux). As it comes they spin for milliseconds; where another program takes one of the cores, they spin most of the
time, and two trainings side by side, each with two threads on two cores, took twice as long as they do now. Nothing
changes where the cores are free, and no result does anywhere. It also gives PyTorch's compiler, which is not used here,
the folder of temporary files itself: it would leave an empty folder with the user's name there.
"""

import os
import tempfile

SPINS = "10000"

if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", SPINS)
os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", tempfile.gettempdir())
