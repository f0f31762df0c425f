"""Values: the region of a voxel from two confidences and a threshold, and the table the engine wrote for every beta."""

import json
from dataclasses import dataclass

import numpy as np

RELIABLE_STABLE, RELIABLE_UNSTABLE, UNRELIABLE_STABLE = 1, 2, 3
"""Both networks confident, one of them, none: the values of a region map."""

STEPS = 100
"""Steps of beta from 0 to 1 in a table."""

_LEVELS = 65536
_CHUNK = 1 << 20
"""Voxels looked at at once, so that they stay in the processor's cache."""


@dataclass(frozen=True)
class RegionTable:
    """What the engine tells of a result; every tuple has an entry for beta 0.00, 0.01, ... 1.00."""

    beta: float
    """Of the region map as it was written."""
    gamma: tuple
    """Threshold of Eq. 11, 0 to 1."""
    level: tuple
    """Smallest uint16 confidence (65535 = 1) that is at least gamma."""
    voxels: tuple | None
    """Voxels of regions 1, 2 and 3, where the engine counted them."""
    fusion: str
    """How the networks were joined, "" where the result does not tell."""
    temperature: float | None
    """T of Eq. 22, None where the result does not tell."""
    nominal: bool
    """True where voxels of 1 mm may stand for an unknown size, so that ml are not to be relied on."""


def parse_table(text):
    """The RegionTable in the text of a NAME.regions.json; ValueError with a sentence where it is none."""
    try:
        record = json.loads(text)
        keys = [f"{step / STEPS:.2f}" for step in range(STEPS + 1)]
        counts = record.get("voxels_by_beta")
        table = RegionTable(
            beta=float(record["beta"]),
            gamma=tuple(float(record["gamma_by_beta"][key]) for key in keys),
            level=tuple(int(record["threshold_by_beta"][key]) for key in keys),
            voxels=tuple(tuple(int(count) for count in counts[key]) for key in keys) if counts else None,
            fusion=str(record.get("fusion") or ""),
            temperature=float(record["temperature"]) if record.get("temperature") is not None else None,
            nominal=record.get("spacing_may_be_nominal") is True,
        )
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
        raise ValueError(f"The table of the regions is damaged ({error}).") from error
    if not 0 <= table.beta <= 1 or any(len(counts) != 3 for counts in table.voxels or ()):
        raise ValueError("The table of the regions is damaged (numbers out of range).")
    return table


def step_of(beta):
    """The entry of a table for a beta of 0 to 1: the nearest hundredth."""
    return min(max(round(beta * STEPS), 0), STEPS)


def region_of(con_a, con_b, level):
    """uint8 regions 1, 2, 3 (Eqs. 12 to 14) of two equal arrays of uint16 confidences; a tie counts as confident."""
    region = np.less(con_a, level).view(np.uint8)
    region += np.less(con_b, level).view(np.uint8)
    region += RELIABLE_STABLE
    return region


def write_regions(target, con_a, con_b, level):
    """Put the regions into `target`, an array of equal shape and any integer type, without a second one of its size."""
    flat = [array.reshape(-1) for array in (target, con_a, con_b)]
    for start in range(0, target.size, _CHUNK):
        part, part_a, part_b = (array[start : start + _CHUNK] for array in flat)
        part[:] = region_of(part_a, part_b, level)


def is_at(target, con_a, con_b, level):
    """Whether `target` holds the regions of a threshold."""
    flat = [array.reshape(-1) for array in (target, con_a, con_b)]
    for start in range(0, target.size, _CHUNK):
        part, part_a, part_b = (array[start : start + _CHUNK] for array in flat)
        if not np.array_equal(part, region_of(part_a, part_b, level)):
            return False
    return True


class RegionCounts:
    """Voxels of each region for any threshold, from one pass over two arrays of uint16 confidences."""

    def __init__(self, con_a, con_b):
        lower, higher = np.zeros(_LEVELS, np.int64), np.zeros(_LEVELS, np.int64)
        flat_a, flat_b = con_a.reshape(-1), con_b.reshape(-1)
        for start in range(0, flat_a.size, _CHUNK):
            part_a, part_b = flat_a[start : start + _CHUNK], flat_b[start : start + _CHUNK]
            lower += np.bincount(np.minimum(part_a, part_b), minlength=_LEVELS)
            higher += np.bincount(np.maximum(part_a, part_b), minlength=_LEVELS)
        self._lower_below = np.concatenate([[0], np.cumsum(lower)])
        self._higher_below = np.concatenate([[0], np.cumsum(higher)])

    def at(self, level):
        """(voxels of region 1, of region 2, of region 3) for a threshold of 0 to 65536."""
        level = min(max(level, 0), _LEVELS)
        none, some_not = int(self._higher_below[level]), int(self._lower_below[level])
        return int(self._lower_below[-1]) - some_not, some_not - none, none
