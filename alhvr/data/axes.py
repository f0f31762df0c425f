"""Axes: how a scan's own index axes are permuted, flipped and rescaled to the prepared grid, and back; never rotated.

The prepared grid is aligned with the scan's own axes, so oblique and sheared scans need no interpolation for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations

import numpy as np

from alhvr.core.errors import UserError
from alhvr.data.geometry import Geometry
from alhvr.data.resampling import rescale_label

_ALIKE = 1.2
"""Spacings within this factor of the largest count as equally large when the slice axis is looked for."""

_BLOCK = 16
"""Planes that are fetched together."""


@dataclass(frozen=True)
class Arrangement:
    """Which array axis of the scan becomes which prepared axis, and whether it is read backwards."""

    order: tuple[int, int, int]
    """For the prepared axes K, J, I: the array axis of the scan (0 = K, 1 = J, 2 = I)."""
    flipped: tuple[bool, bool, bool]
    """For the prepared axes K, J, I: whether the scan's axis runs backwards."""

    def pick(self, values_kji: tuple[float, ...]) -> tuple[float, ...]:
        """Values of the scan's axes (K, J, I) in the order of the prepared axes."""
        return tuple(values_kji[axis] for axis in self.order)


@dataclass(frozen=True)
class AxisTransform:
    """The whole way between a scan's own grid and its prepared grid, in index space."""

    source_shape: tuple[int, int, int]
    """Shape [K, J, I] of the scan's own grid."""
    arrangement: Arrangement
    """Permutation and flips."""
    shape: tuple[int, int, int]
    """Shape [K, J, I] of the prepared grid, which covers the same physical extent."""

    def arrange(self, array: np.ndarray) -> np.ndarray:
        """View of [K, J, I] on the scan's own grid with axes permuted and flipped; nothing is resampled."""
        moved = np.transpose(array, self.arrangement.order)
        return moved[tuple(slice(None, None, -1 if flip else 1) for flip in self.arrangement.flipped)]

    @property
    def arranged_shape(self) -> tuple[int, int, int]:
        """Shape [K, J, I] of the scan's own grid after permutation, before any axis is resampled."""
        return self.arrangement.pick(self.source_shape)

    def arranged_blocks(self, array: np.ndarray) -> Iterator[np.ndarray]:
        """``arrange(array)`` in order, a few planes [k, J, I] at a time.

        The planes of a block are copied together where they lie across the scan's memory: one by one, each would
        fetch nearly all of it.
        """
        arranged = self.arrange(array)
        across = self.arrangement.order[0] == 2
        for first in range(0, len(arranged), _BLOCK):
            block = arranged[first:first + _BLOCK]
            yield np.ascontiguousarray(block) if across else block

    def forward_label(self, label: np.ndarray) -> np.ndarray:
        """uint8 [K, J, I] of classes to the prepared grid: each class linearly, then the largest share wins."""
        arranged = self.arrange(self._checked(label, self.source_shape))
        return np.ascontiguousarray(rescale_label(arranged, self.shape))

    def to_source(self, points: np.ndarray) -> np.ndarray:
        """Continuous prepared indices [N, 3] in order (K, J, I) to the scan's own indices [N, 3] in order (K, J, I)."""
        matrix = self._matrix_kji()
        return np.asarray(points, dtype=float) @ matrix[:3, :3].T + matrix[:3, 3]

    def to_prepared(self, points: np.ndarray) -> np.ndarray:
        """The scan's own continuous indices [N, 3] in order (K, J, I) to prepared indices [N, 3], the same order."""
        inverse = np.linalg.inv(self._matrix_kji())
        return np.asarray(points, dtype=float) @ inverse[:3, :3].T + inverse[:3, 3]

    def prepared_geometry(self, source: Geometry) -> Geometry:
        """Where the prepared grid lies in the patient, given the scan's own geometry."""
        reverse = np.eye(4)[[2, 1, 0, 3]]
        return Geometry.from_affine(self.shape[::-1], source.affine_lps @ reverse @ self._matrix_kji() @ reverse)

    def _matrix_kji(self) -> np.ndarray:
        """(4, 4) homogeneous: prepared index (K, J, I, 1) to the scan's own index (K, J, I, 1)."""
        matrix = np.zeros((4, 4))
        matrix[3, 3] = 1.0
        for axis, (own, flip) in enumerate(zip(self.arrangement.order, self.arrangement.flipped, strict=True)):
            step = self.source_shape[own] / self.shape[axis]
            matrix[own, axis] = -step if flip else step
            matrix[own, 3] = self.source_shape[own] - 0.5 - 0.5 * step if flip else 0.5 * step - 0.5
        return matrix

    @staticmethod
    def _checked(array: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
        if array.shape != tuple(shape):
            raise UserError(f"The array has shape {array.shape} (K, J, I), its grid {tuple(shape)}.",
                            "Image and label must lie on the same grid.")
        return array


def slice_axis(geometry: Geometry) -> int:
    """Array axis (0 = K, 1 = J, 2 = I) along which slices are stacked: the thickest, and of several the shortest.

    Spacings within 20 % of the largest count as equally thick; ties go to K, then J.
    """
    spacing, shape = geometry.spacing_mm[::-1], geometry.shape_kji
    thick = [axis for axis in range(3) if spacing[axis] * _ALIKE >= max(spacing)]
    return min(thick, key=lambda axis: (shape[axis], axis))


def arrangement(geometry: Geometry, dimensions: int) -> Arrangement:
    """The permutation and flips that bring a grid closest to K = superior, J = posterior, I = left.

    In 2-D the slice axis becomes K, and of the two others the one that lies closer to left, posterior, superior
    (in this order) becomes I.
    """
    toward = _closest_directions(geometry)
    order = sorted(range(3), key=lambda axis: -toward[axis])
    if dimensions == 2:
        slices = slice_axis(geometry)
        order = [slices, *(axis for axis in order if axis != slices)]
    cosines = np.reshape(geometry.direction, (3, 3))
    flipped = tuple(bool(cosines[toward[axis], 2 - axis] < 0) for axis in order)
    return Arrangement(tuple(order), flipped)


def _closest_directions(geometry: Geometry) -> list[int]:
    """For each array axis K, J, I the patient direction (0 = L, 1 = P, 2 = S) it lies along, each taken once."""
    cosines = np.abs(np.reshape(geometry.direction, (3, 3)))
    best, best_sum = (2, 1, 0), -1.0
    for candidate in [(2, 1, 0), *permutations(range(3))]:
        total = sum(cosines[candidate[axis], 2 - axis] for axis in range(3))
        if total > best_sum + 1e-6:
            best, best_sum = candidate, total
    return list(best)
