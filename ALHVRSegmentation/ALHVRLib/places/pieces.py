"""Pieces: cuts uncertain cells into pieces that can be looked at in one view, those with most uncertainty first.

Arrays only, so that a thread may run it. A piece grows from the cell around which most uncertainty is, among
neighbouring cells of one region and one structure, until it is as large as a place may be.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ALHVRLib.places.cells import Cells

EXTENT_MM = 40.0
LARGEST_ML = 5.0
_AROUND_MM = 12.0
"""Doubt is added up this far around a cell, along each axis, to find where to begin."""


@dataclass(frozen=True)
class Piece:
    """Cells of one region and structure that touch each other."""

    region: int
    corner: tuple
    """First cell of the box around it, [K, J, I]."""
    cells: np.ndarray
    """bool [K, J, I]: those of the box that belong to it."""


@dataclass(order=True)
class _Group:
    """What of one region and structure is in no piece yet; the one with most uncertainty around a cell comes first."""

    least: float
    """Minus that uncertainty."""
    region: int
    structure: int
    corner: tuple = field(compare=False)
    uncertainty: np.ndarray = field(compare=False)
    around: np.ndarray = field(compare=False)
    """The uncertainty that is added up around each cell."""


def cut(cells: Cells, most: int, stopped: Callable[[], bool] = lambda: False) -> list[Piece]:
    """Up to `most` Pieces of Cells, roughly those with most uncertainty first; fewer hold all of it."""
    groups = _groups(cells)
    heapq.heapify(groups)
    found = []
    while groups and len(found) < most and not stopped():
        group = groups[0]
        found.append(_take(group, cells))
        if group.uncertainty.any():
            group.least = -float(group.around.max())
            heapq.heapreplace(groups, group)
        else:
            heapq.heappop(groups)
    return found


def _groups(cells: Cells) -> list[_Group]:
    from scipy import ndimage

    groups = []
    for region, uncertainty in cells.uncertainty.items():
        structures = np.where(uncertainty > 0, cells.structure + 1, 0)
        for number, box in enumerate(ndimage.find_objects(structures)):
            if box is not None:
                own = np.where(structures[box] == number + 1, uncertainty[box], 0)
                around = _added_up(own, cells)
                corner = tuple(axis.start for axis in box)
                groups.append(_Group(-float(around.max()), region, number, corner, own, around))
    return groups


def _reach(cells: Cells) -> list[int]:
    """Cells to each side that count as around, along K, J, I."""
    return [int(_AROUND_MM / 2 // edge) for edge in cells.size_mm]


def _added_up(uncertainty: np.ndarray, cells: Cells) -> np.ndarray:
    """Mean uncertainty around each cell that has some, 0 elsewhere."""
    from scipy import ndimage

    around = ndimage.uniform_filter(uncertainty, [2 * reach + 1 for reach in _reach(cells)], mode="constant")
    return np.where(uncertainty > 0, np.maximum(around, 1e-12), 0)  # whatever rounding leaves


def _take(group: _Group, cells: Cells) -> Piece:
    """Cut the next piece out of a group."""
    seed = _seed(group, cells)
    radius_mm = max(0.0, (EXTENT_MM - max(cells.size_mm)) / 2)
    box = _box(seed, [int(radius_mm // edge) for edge in cells.size_mm], group.uncertainty.shape)
    inner = tuple(at - axis.start for at, axis in zip(seed, box, strict=True))
    steps = np.ogrid[tuple(slice(-at, axis.stop - axis.start - at) for at, axis in zip(inner, box, strict=True))]
    far = np.sqrt(sum((step * edge) ** 2 for step, edge in zip(steps, cells.size_mm, strict=True)))
    taken = _touching((group.uncertainty[box] > 0) & (far <= radius_mm), inner)
    whole = tuple(slice(axis.start + at, axis.stop + at) for axis, at in zip(box, group.corner, strict=True))
    ml = cells.voxels[group.region][whole] * np.prod(cells.spacing_mm) / 1000
    taken = _touching(_nearest_first(taken, far, ml), inner)
    group.uncertainty[box][taken] = 0
    _update(group, cells, box)
    return Piece(group.region, tuple(axis.start for axis in whole), taken)


def _seed(group: _Group, cells: Cells) -> tuple[int, ...]:
    """The cell to begin with: that with most uncertainty near the cell around which most is."""
    middle = np.unravel_index(int(group.around.argmax()), group.around.shape)
    box = _box(middle, _reach(cells), group.uncertainty.shape)
    best = np.unravel_index(int(group.uncertainty[box].argmax()), group.uncertainty[box].shape)
    return tuple(int(at) + axis.start for at, axis in zip(best, box, strict=True))


def _box(middle: Sequence[int], reach: Sequence[int], shape: tuple[int, ...]) -> tuple[slice, ...]:
    """Slices around a cell, cut at the edges."""
    return tuple(slice(max(0, int(at) - far), min(length, int(at) + far + 1))
                 for at, far, length in zip(middle, reach, shape, strict=True))


def _touching(mask: np.ndarray, at: tuple[int, ...]) -> np.ndarray:
    """The part of a mask that is connected with a cell; cells at a corner touch."""
    from scipy import ndimage

    labels, _count = ndimage.label(mask, np.ones((3, 3, 3)))
    return labels == labels[at]


def _nearest_first(taken: np.ndarray, far: np.ndarray, ml: np.ndarray) -> np.ndarray:
    """As many cells of a mask as a piece may have, the nearest; one at least."""
    places = np.flatnonzero(taken)
    places = places[np.argsort(far.reshape(-1)[places], kind="stable")]
    many = np.searchsorted(np.cumsum(ml.reshape(-1)[places]), LARGEST_ML, side="right")
    kept = np.zeros(taken.size, bool)
    kept[places[: max(1, int(many))]] = True
    return kept.reshape(taken.shape)


def _update(group: _Group, cells: Cells, box: tuple[slice, ...]) -> None:
    """Add up anew what is around the cells of a box."""
    near = [slice(max(0, axis.start - reach), axis.stop + reach)
            for axis, reach in zip(box, _reach(cells), strict=True)]
    wide = [slice(max(0, axis.start - 2 * reach), axis.stop + 2 * reach)
            for axis, reach in zip(box, _reach(cells), strict=True)]
    added = _added_up(group.uncertainty[tuple(wide)], cells)
    length = [min(axis.stop, full) - axis.start for axis, full in zip(near, group.around.shape, strict=True)]
    inner = tuple(slice(axis.start - outer.start, axis.start - outer.start + size)
                  for axis, outer, size in zip(near, wide, length, strict=True))
    group.around[tuple(near)] = added[inner]
