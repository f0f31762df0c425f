"""ScanScore: how unsure a model is of each structure of one scan, and how much of it there is.

Unsure voxels (regions 2 and 3) in and next to a structure are counted against the voxels that were found of it, not
against all voxels there: of a small structure most voxels are unsure in every scan, good or bad. What was found too
small, which is how a young model fails most often, has many unsure voxels next to it for each of its own.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from alhvr.core.errors import UserError
from alhvr.data.geometry import Geometry
from alhvr.data.scan import Segmentation
from alhvr.formats.labels import LabelSet
from alhvr.formats.region_tables import RELIABLE_STABLE

FORMAT = "alhvr scan score 1"
NEAR_MM = 5.0
"""How far around a structure voxels count as nearly belonging to it."""
MOST_NEAR = 5
"""The same in voxels at the most, where they are small."""


@dataclass(frozen=True)
class StructureScore:
    """One structure in one scan."""

    unsure: float
    """Unsure voxels labelled as the structure or next to it, for each voxel that was found of it: n / (n + found), 0 to
    1. 0.5 are as many as were found; 0 where nothing was found."""
    voxels: int
    """Labelled as the structure."""
    volume_ml: float


@dataclass(frozen=True)
class ScanScore:
    """One scan."""

    structures: dict[str, StructureScore]
    """By name, all structures of the model."""
    nominal: bool
    """Whether its voxels of 1 mm may not be true, so that volumes mean nothing."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"format": FORMAT, **asdict(self)}


def parse_score(values: Any, labels: LabelSet) -> ScanScore:
    """What ``to_dict`` gave, for these structures; raises UserError for anything else."""
    try:
        if values["format"] != FORMAT:
            raise ValueError("another format")
        seen = {name: values["structures"][name] for name in labels.names}
        structures = {name: StructureScore(float(entry["unsure"]), int(entry["voxels"]), float(entry["volume_ml"]))
                      for name, entry in seen.items()}
        good = all(0 <= s.unsure <= 1 and s.voxels >= 0 and 0 <= s.volume_ml < math.inf for s in structures.values())
        if not good:
            raise ValueError("numbers out of range")
        return ScanScore(structures, values["nominal"] is True)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise UserError(f"The score of a scan is damaged ({error}).", "Delete it, and rank again.") from error


def score_of(segmentation: Segmentation, region: np.ndarray) -> ScanScore:
    """The score of a segmentation whose region map uint8 [K, J, I] (1 to 3) is given."""
    geometry = segmentation.geometry
    structures = {label.name: _score(segmentation.array, region, label.value, geometry)
                  for label in segmentation.labels.labels}
    return ScanScore(structures, geometry.nominal)


def _score(labels: np.ndarray, region: np.ndarray, value: int, geometry: Geometry) -> StructureScore:
    margin = tuple(min(MOST_NEAR, int(NEAR_MM / spacing)) for spacing in reversed(geometry.spacing_mm))
    box = _box(labels, value, margin)
    if box is None:
        return StructureScore(0.0, 0, 0.0)
    around, inside = labels[box], labels[box] == value
    near = _grown(inside, margin) & ((around == 0) | inside)
    n_unsure, voxels = int(np.count_nonzero(near & (region[box] != RELIABLE_STABLE))), int(np.count_nonzero(inside))
    return StructureScore(round(n_unsure / (n_unsure + voxels), 4), voxels,
                          round(voxels * geometry.voxel_volume_ml, 4))


def _box(labels: np.ndarray, value: int, margin: Sequence[int]) -> tuple[slice, ...] | None:
    """The smallest box around a value with ``margin`` voxels [K, J, I] around it; None where it is not there.

    One plane is looked at after the other, so that no array of the scan's size is needed.
    """
    planes, rows, columns = [], np.zeros(labels.shape[1], bool), np.zeros(labels.shape[2], bool)
    for k, plane in enumerate(labels):
        found = plane == value
        if found.any():
            planes.append(k)
            rows |= found.any(axis=1)
            columns |= found.any(axis=0)
    if not planes:
        return None
    places = (np.array(planes), np.flatnonzero(rows), np.flatnonzero(columns))
    return tuple(slice(max(0, int(where[0]) - wide), int(where[-1]) + 1 + wide)
                 for where, wide in zip(places, margin, strict=True))


def _grown(mask: np.ndarray, margin: Sequence[int]) -> np.ndarray:
    """``mask`` [K, J, I] with all voxels within a box of ``margin`` voxels around those that are set."""
    grown = mask
    for axis, wide in enumerate(margin):
        grown = _grown_along(grown, axis, wide)
    return grown


def _grown_along(mask: np.ndarray, axis: int, wide: int) -> np.ndarray:
    found = mask.copy()
    for ahead, behind in _shifts(mask.ndim, axis, min(wide, mask.shape[axis] - 1)):
        found[ahead] |= mask[behind]
        found[behind] |= mask[ahead]
    return found


def _shifts(dimensions: int, axis: int, wide: int) -> Iterator[tuple[tuple[slice, ...], tuple[slice, ...]]]:
    """The parts of an array that lie 1 to ``wide`` voxels apart along an axis."""
    whole = [slice(None)] * dimensions
    for step in range(1, wide + 1):
        ahead, behind = list(whole), list(whole)
        ahead[axis], behind[axis] = slice(step, None), slice(None, -step)
        yield tuple(ahead), tuple(behind)
