"""keep_freed_memory: what one training step has done with, the next uses, instead of asking the system for it anew."""

from __future__ import annotations

import ctypes
import sys

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
_NEVER = 2**31 - 1


def keep_freed_memory() -> bool:
    """From now on this process gives freed memory back only where 2 GB lie free at the end of its heap.

    glibc returns large blocks to the system as soon as they are freed, and every step then takes 20,000 to 80,000
    page faults to get the same memory back: 5 to 10 percent of its time. Returns False, and changes nothing, where
    the C library is another one.
    """
    if not sys.platform.startswith("linux"):
        return False
    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version"):
        return False
    return bool(library.mallopt(_M_MMAP_MAX, 0)) and bool(library.mallopt(_M_TRIM_THRESHOLD, _NEVER))
