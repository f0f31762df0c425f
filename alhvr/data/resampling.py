"""Resampling along each axis: interpolation weights, and their application to one plane at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

SMOOTH_ABOVE = 1.5
"""Shrinking by more than this factor is preceded by a Gaussian, so that fine detail does not fold into false detail."""

_WEIGHT_STEP = 2.0**-20
"""Weights are multiples of this, so that w and 1 - w are exact in float32 and constants stay constant."""


def rescale(array: np.ndarray, shape: tuple[int, ...], *, smooth: bool = False) -> np.ndarray:
    """float32 [K, J, I] resampled linearly to ``shape``; ``smooth`` turns the Gaussian before shrinking on.

    Axes of equal size are untouched; when all are, the array itself comes back.
    """
    if array.shape == tuple(shape):
        return array
    result = np.empty(shape, dtype=np.float32)
    planes = PlaneRescaler(array.shape, shape, smooth=smooth).stream(array)
    for target, plane in zip(result, planes, strict=True):
        target[...] = plane
    return result


def rescale_label(label: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """uint8 [K, J, I] of classes resampled to ``shape``: each class linearly, then the largest share wins.

    Ties go to the lowest value, the background. Every value present counts as a class. Shrinking is smoothed.
    """
    if label.shape == tuple(shape):
        return np.array(label, dtype=np.uint8)
    values = np.unique(label)
    result = np.full(shape, values[0], dtype=np.uint8)
    best, rest = np.zeros(shape, dtype=np.float32), np.ones(shape, dtype=np.float32)
    for value in values[1:]:
        box, share = _share(label == value, shape)
        rest[box] -= share
        better = share > best[box]
        best[box][better] = share[better]
        result[box][better] = value
    result[rest >= best - 1e-6] = values[0]
    return result


def _apply(array: np.ndarray, axis: int, matrix: np.ndarray) -> np.ndarray:
    """Multiplies ``matrix`` [new, old] onto one axis of float32 [K, J, I]."""
    if axis == 0:
        return (matrix @ array.reshape(len(array), -1)).reshape(len(matrix), *array.shape[1:])
    return np.matmul(matrix, array) if axis == 1 else array @ matrix.T


def _share(mask: np.ndarray, shape: tuple[int, ...]) -> tuple[tuple[slice, ...], np.ndarray]:
    """Where on the new grid the mask [K, J, I] reaches, and its share 0..1 of each voxel there (float32)."""
    inside = [np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis))) for axis in range(3)]
    box = [slice(found[0], found[-1] + 1) for found in inside]
    share, reach = mask[tuple(box)].astype(np.float32), list(box)
    for axis, (old, new) in enumerate(zip(mask.shape, shape, strict=True)):
        if old != new:
            matrix = weights(old, new)[:, box[axis]]
            rows = np.flatnonzero(matrix.any(axis=1))
            reach[axis] = slice(rows[0], rows[-1] + 1)
            share = _apply(share, axis, matrix[reach[axis]])
    return tuple(reach), share


@dataclass(frozen=True)
class AxisInterpolation:
    """Linear interpolation along one axis with clamped edges."""

    axis: int
    """0 = K, 1 = J, 2 = I."""
    lower: np.ndarray
    """For each new voxel the old one at or below it, never falling."""
    upper: np.ndarray
    """Its upper old neighbour."""
    weight: np.ndarray
    """float32, the upper neighbour's weight, 0..1."""

    @classmethod
    def of(cls, axis: int, old: int, new: int) -> AxisInterpolation:
        """From ``old`` to ``new`` voxels."""
        centre = np.clip((np.arange(new) + 0.5) * old / new - 0.5, 0, old - 1)
        lower = np.minimum(centre.astype(np.intp), max(old - 2, 0))
        weight = np.round((centre - lower) / _WEIGHT_STEP) * _WEIGHT_STEP
        return cls(axis, lower, np.minimum(lower + 1, old - 1), weight.astype(np.float32))

    def reach(self, index: int) -> tuple[int, int]:
        """First and last old voxel that new voxel ``index`` needs."""
        return int(self.lower[index]), int(self.upper[index])

    def along_k(self, index: int, planes: Mapping[int, np.ndarray]) -> np.ndarray:
        """New plane ``index`` from old ``planes`` float32 [J, I] by their place along K."""
        return self.mix(index, planes[int(self.lower[index])], planes[int(self.upper[index])])

    def mix(self, index: int, low: np.ndarray, high: np.ndarray) -> np.ndarray:
        """New plane ``index`` from its two old neighbours float32 [J, I]."""
        result = high - low
        result *= self.weight[index]
        result += low
        return result

    def in_plane(self, plane: np.ndarray) -> np.ndarray:
        """float32 [J, I] resampled along J or I."""
        result, step = np.take(plane, self.lower, self.axis - 1), np.take(plane, self.upper, self.axis - 1)
        step -= result
        step *= self.weight[:, None] if self.axis == 1 else self.weight
        result += step
        return result

    def touched_by(self, old: slice) -> slice:
        """The new voxels that need one of the ``old`` ones."""
        first, last = np.searchsorted(self.upper, old.start), np.searchsorted(self.lower, old.stop)
        return slice(int(first), max(int(first), int(last)))

    def part(self, new: slice) -> tuple[AxisInterpolation, slice]:
        """The step for the ``new`` voxels alone, at least one, and the old voxels that it works on."""
        lower, upper = self.lower[new], self.upper[new]
        first, last = int(lower[0]), int(upper[-1])
        return AxisInterpolation(self.axis, lower - first, upper - first, self.weight[new]), slice(first, last + 1)


@dataclass(frozen=True)
class SmoothStep:
    """A Gaussian and linear interpolation along one axis, for shrinking."""

    axis: int
    """0 = K, 1 = J, 2 = I."""
    matrix: np.ndarray
    """float32 [new, old]."""

    def reach(self, index: int) -> tuple[int, int]:
        """First and last old voxel that new voxel ``index`` needs."""
        used = np.flatnonzero(self.matrix[index])
        return int(used[0]), int(used[-1])

    def along_k(self, index: int, planes: Mapping[int, np.ndarray]) -> np.ndarray:
        """New plane ``index`` from old ``planes`` float32 [J, I] by their place along K."""
        first, last = self.reach(index)
        result = planes[first] * self.matrix[index, first]
        for old in range(first + 1, last + 1):
            result += planes[old] * self.matrix[index, old]
        return result

    def in_plane(self, plane: np.ndarray) -> np.ndarray:
        """float32 [J, I] resampled along J or I."""
        return self.matrix @ plane if self.axis == 1 else plane @ self.matrix.T


class PlaneRescaler:
    """From planes [J, I] of one grid, in the order of K, to those of another one; holds only planes still needed."""

    def __init__(self, old: tuple[int, ...], new: tuple[int, ...], *, smooth: bool = False) -> None:
        """``old`` and ``new``: shapes [K, J, I]; ``smooth`` turns the Gaussian before shrinking on.

        The axis that shrinks most comes first; an axis of equal size is left out.
        """
        axes = sorted((axis for axis in range(3) if old[axis] != new[axis]), key=lambda axis: new[axis] / old[axis])
        steps = [_step(axis, old[axis], new[axis], smooth) for axis in axes]
        at_k = axes.index(0) if 0 in axes else len(axes)
        self.before, self.after = tuple(steps[:at_k]), tuple(steps[at_k + 1:])
        self.along_k = steps[at_k] if 0 in axes else None
        self._new_planes = new[0]
        self._held: dict[int, np.ndarray] = {}
        self._arrived = self._done = 0

    def stream(self, planes: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Every new plane from all old ones."""
        for plane in planes:
            yield from self.add(plane)

    def add(self, plane: np.ndarray) -> Iterator[np.ndarray]:
        """Takes the next old plane float32 [J, I], which must stay as it is; yields the new planes it completes."""
        if self.along_k is None:
            yield apply_axes(self.after, apply_axes(self.before, plane))
            return
        if self._done < self._new_planes and self._arrived >= self.along_k.reach(self._done)[0]:
            self._held[self._arrived] = apply_axes(self.before, plane)
        self._arrived += 1
        while self._done < self._new_planes and self.along_k.reach(self._done)[1] < self._arrived:
            yield apply_axes(self.after, self.along_k.along_k(self._done, self._held))
            self._done += 1
            self._forget()

    def _forget(self) -> None:
        """Drops the old planes that no further new plane needs."""
        first = self.along_k.reach(self._done)[0] if self._done < self._new_planes else self._arrived
        for index in [index for index in self._held if index < first]:
            del self._held[index]


def apply_axes(steps: Sequence[AxisInterpolation | SmoothStep], plane: np.ndarray) -> np.ndarray:
    """float32 [J, I] after these steps along J or I; ``plane`` itself where there are none."""
    for step in steps:
        plane = step.in_plane(plane)
    return plane


def weights(old: int, new: int) -> np.ndarray:
    """float32 [new, old] matrix of linear interpolation, after a Gaussian when it shrinks by more than SMOOTH_ABOVE."""
    linear = AxisInterpolation.of(0, old, new)
    matrix, rows = np.zeros((new, old), dtype=np.float32), np.arange(new)
    np.add.at(matrix, (rows, linear.lower), 1 - linear.weight)
    np.add.at(matrix, (rows, linear.upper), linear.weight)
    return matrix @ _gaussian(old, (old / new - 1) / 2) if old > SMOOTH_ABOVE * new else matrix


def _step(axis: int, old: int, new: int, smooth: bool) -> AxisInterpolation | SmoothStep:
    if smooth and old > SMOOTH_ABOVE * new:
        return SmoothStep(axis, weights(old, new))
    return AxisInterpolation.of(axis, old, new)


def _gaussian(size: int, sigma: float) -> np.ndarray:
    """float32 [size, size] matrix of a Gaussian filter with clamped edges; sigma in voxels."""
    reach = int(np.ceil(4 * sigma))
    offsets = np.arange(-reach, reach + 1)
    kernel = np.exp(-0.5 * (offsets / sigma) ** 2)
    matrix, rows = np.zeros((size, size)), np.arange(size)
    for offset, value in zip(offsets, kernel / kernel.sum(), strict=True):
        np.add.at(matrix, (rows, np.clip(rows + offset, 0, size - 1)), value)
    return matrix.astype(np.float32)
