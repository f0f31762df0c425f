"""Cells: a volume's uncertainty in cells of a few millimetres, each with the structure that is in it or nearest to it.

Arrays only, so that a thread may run it. A volume is gone through once, a layer of cells at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from alhvr.formats.region_tables import LEVELS, RELIABLE_UNSTABLE, UNRELIABLE_STABLE
from ALHVRLib.places.segment_images import SegmentImage, numbers_at

CELL_MM = 4.0
NEAR_MM = 15.0
"""Cells farther from every structure belong to none."""


class Stopped(Exception):
    """The answer is not wanted any more."""


@dataclass(frozen=True)
class Cells:
    """Sums over cells; every array is [K, J, I] in cells."""

    voxels_of_cell: tuple
    """Voxels of a cell along K, J, I; cells at the far edges may have fewer."""
    spacing_mm: tuple
    """Of the voxels, along K, J, I."""
    uncertainty: dict
    """By region 2 and 3: float64, the sum of `uncertainty_of` over its voxels."""
    voxels: dict
    """By region 2 and 3: int64, how many voxels it has in each cell."""
    structure: np.ndarray
    """Number of the structure, 0 where none is near."""

    @property
    def size_mm(self) -> tuple[float, ...]:
        """Edges of a cell along K, J, I."""
        return tuple(count * edge for count, edge in zip(self.voxels_of_cell, self.spacing_mm, strict=True))

    @property
    def total_uncertainty(self) -> float:
        """Of the whole volume, in voxels."""
        return float(sum(uncertainty.sum() for uncertainty in self.uncertainty.values()))


def uncertainty_of(con_a: np.ndarray, con_b: np.ndarray) -> np.ndarray:
    """uint32, 1 to 65536: the expected error of each voxel, which is 1 - confidence of the more confident network.

    65536 stands for 1; it is never 0, so that every uncertain voxel counts.
    """
    return np.subtract(LEVELS + 1, np.maximum(con_a, con_b), dtype=np.uint32)


def make_cells(con_a: np.ndarray, con_b: np.ndarray, level: int, spacing_mm: Sequence[float],
               images: Sequence[SegmentImage] = (), stopped: Callable[[], bool] = lambda: False) -> Cells:
    """The Cells of two uint16 confidences [K, J, I] at a threshold; images: SegmentImages. Raises Stopped."""
    size = tuple(max(1, round(CELL_MM / edge)) for edge in spacing_mm)
    grid = tuple(-(-length // count) for length, count in zip(con_a.shape, size, strict=True))
    uncertainty = {region: np.zeros(grid) for region in (RELIABLE_UNSTABLE, UNRELIABLE_STABLE)}
    voxels = {region: np.zeros(grid, np.int64) for region in uncertainty}
    for layer in range(grid[0]):
        if stopped():
            raise Stopped
        part = slice(layer * size[0], (layer + 1) * size[0])
        for region, planes in _planes(con_a[part], con_b[part], level).items():
            uncertainty[region][layer] = _in_cells(planes[0], size) / (LEVELS + 1)
            voxels[region][layer] = _in_cells(planes[1], size)
    structure = _structures(images, grid, size, sum(voxels.values()) > 0)
    return Cells(size, tuple(spacing_mm), uncertainty, voxels, _nearest(structure, size, spacing_mm))


def _planes(con_a: np.ndarray, con_b: np.ndarray, level: int) -> dict[int, np.ndarray]:
    """By region, [J, I] sums over a few slices: of the uncertainty, and how many voxels."""
    sums = {region: np.zeros((2, *con_a.shape[1:]), np.uint32) for region in (RELIABLE_UNSTABLE, UNRELIABLE_STABLE)}
    for some, other in zip(con_a, con_b, strict=True):
        unsure = np.minimum(some, other) < level
        if not unsure.any():
            continue
        error, none = uncertainty_of(some, other), np.maximum(some, other) < level
        error *= unsure
        sure_error = error * none
        sums[UNRELIABLE_STABLE] += (sure_error, none)
        sums[RELIABLE_UNSTABLE] += (error - sure_error, unsure ^ none)
    return sums


def _in_cells(plane: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """Sums of a [J, I] plane over cells, as whole numbers."""
    rows = np.add.reduceat(plane, np.arange(0, plane.shape[0], size[1]), axis=0, dtype=np.uint64)
    return np.add.reduceat(rows, np.arange(0, plane.shape[1], size[2]), axis=1)


def _structures(images: Sequence[SegmentImage], grid: tuple[int, ...], size: Sequence[int],
                uncertain: np.ndarray) -> np.ndarray:
    """The structure in each cell, 0 where there is none: at its centre, and at eight points where it is uncertain."""
    found = np.zeros(grid, np.int64)
    if images:
        everywhere = np.stack(np.unravel_index(np.arange(found.size), grid), axis=1)
        found = numbers_at(images, _points(everywhere, size, (0.5, 0.5, 0.5))).reshape(grid)
        looked = np.argwhere(uncertain)
        corners = [tuple(0.25 + 0.5 * side for side in sides) for sides in np.ndindex(2, 2, 2)]
        seen = np.stack([numbers_at(images, _points(looked, size, corner)) for corner in corners])
        found[uncertain] = _most_frequent(seen)
    return found


def _points(cells: np.ndarray, size: Sequence[int], where: Sequence[float]) -> np.ndarray:
    """(I, J, K) in voxels [N, 3] of a point in each cell: `where` is a share of its edges along K, J, I."""
    return ((cells + where) * size - 0.5)[:, ::-1]


def _most_frequent(numbers: np.ndarray) -> np.ndarray:
    """For each column of [8, N] the number but 0 that is there most often, 0 where there is no other."""
    best, most = np.zeros(numbers.shape[1], np.int64), np.zeros(numbers.shape[1], np.int64)
    for row in numbers:
        often = (numbers == row).sum(axis=0) * (row > 0)
        best = np.where(often > most, row, best)
        most = np.maximum(often, most)
    return best


def _nearest(structure: np.ndarray, size: Sequence[int], spacing_mm: Sequence[float]) -> np.ndarray:
    """Cells without a structure get the nearest one."""
    if not structure.any():
        return structure
    from scipy import ndimage

    edges = [count * edge for count, edge in zip(size, spacing_mm, strict=True)]
    far, place = ndimage.distance_transform_edt(structure == 0, sampling=edges, return_indices=True)
    return np.where(far <= NEAR_MM, structure[tuple(place)], 0)
