"""Point 5: peak memory of segmenting 1024x1024x1000 voxels, by ``python benchmarks/speed memory_of_huge_scans`` only.

As memory_of_segmenting.py does it for a smaller scan. It takes up to 11 GB, and half an hour on a free core.
"""

from __future__ import annotations

from memory_of_segmenting import Case, result
from records import Result, Setting

BY_NAME_ONLY = True
THREADS = (1,)
SIZE = "1024x1024x1000"
TARGET_GB = 12.0
EVERY = 100
"""The networks see the first batch and then one in so many."""


def measure(setting: Setting) -> Result:
    """2-D and 3-D, with regions first, which takes most."""
    return result([Case(SIZE, plan, regions, "auto", setting.threads, EVERY)
                   for plan in ("2-D", "3-D") for regions in (True, False)], TARGET_GB, setting)
