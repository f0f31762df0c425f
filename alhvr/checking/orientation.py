"""Orientation as three letters: which way in the patient each index axis of a scan runs."""

from __future__ import annotations

from itertools import permutations

import numpy as np

from alhvr.data.geometry import Geometry

_LETTERS = ("RL", "AP", "IS")
"""For L, P, S: the letter of the negative and of the positive direction."""


def orientation_code(geometry: Geometry) -> str:
    """Where I, J and K lead, such as "LPS" for left, posterior, superior; oblique axes count as the closest ones."""
    cosines = np.reshape(geometry.direction, (3, 3))
    closest = max(permutations(range(3)), key=lambda order: sum(abs(cosines[order[a], a]) for a in range(3)))
    return "".join(_LETTERS[row][int(cosines[row, axis] > 0)] for axis, row in enumerate(closest))
