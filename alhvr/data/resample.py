"""Resampling along array axes: linear, half-voxel convention, clamped edges; an axis that keeps its size is skipped.

Both grids cover the same physical extent: centre i of m new voxels lies at (i + 0.5) * n / m - 0.5 on n old ones.
"""

from __future__ import annotations

import numpy as np

SMOOTH_ABOVE = 1.5
"""Shrinking by more than this factor is preceded by a Gaussian, so that fine detail does not fold into false detail."""

_WEIGHT_STEP = 2.0**-20
"""Weights are multiples of this, so that w and 1 - w are exact in float32 and constants stay constant."""


def rescale(array: np.ndarray, shape: tuple[int, ...], *, smooth: bool = False) -> np.ndarray:
    """float32 [K, J, I] resampled linearly to ``shape``; ``smooth`` turns the Gaussian before shrinking on.

    Axes of equal size are untouched; when all are, the array itself comes back.
    """
    axes = [axis for axis in range(array.ndim) if array.shape[axis] != shape[axis]]
    for axis in sorted(axes, key=lambda a: shape[a] / array.shape[a]):
        old, new = array.shape[axis], shape[axis]
        if smooth and old > SMOOTH_ABOVE * new:
            array = _apply(array, axis, _weights(old, new))
        else:
            array = _interpolate(array, axis, new)
    return array


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


def _positions(old: int, new: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each new voxel: its lower and upper old neighbour and the upper one's weight (float32, 0..1)."""
    centre = np.clip((np.arange(new) + 0.5) * old / new - 0.5, 0, old - 1)
    lower = np.minimum(centre.astype(np.intp), max(old - 2, 0))
    weight = np.round((centre - lower) / _WEIGHT_STEP) * _WEIGHT_STEP
    return lower, np.minimum(lower + 1, old - 1), weight.astype(np.float32)


def _interpolate(array: np.ndarray, axis: int, new: int) -> np.ndarray:
    """Linear interpolation of float32 [K, J, I] along one axis to ``new`` voxels, plane by plane to stay in cache."""
    lower, upper, weight = _positions(array.shape[axis], new)
    result = np.empty((*array.shape[:axis], new, *array.shape[axis + 1 :]), dtype=np.float32)
    if axis == 0:
        for k, (low, high) in enumerate(zip(lower, upper, strict=True)):
            np.subtract(array[high], array[low], out=result[k])
            result[k] *= weight[k]
            result[k] += array[low]
        return result
    column = weight[:, None] if axis == 1 else weight
    for plane, target in zip(array, result, strict=True):
        start, step = np.take(plane, lower, axis=axis - 1), np.take(plane, upper, axis=axis - 1)
        step -= start
        step *= column
        np.add(start, step, out=target)
    return result


def _weights(old: int, new: int) -> np.ndarray:
    """float32 [new, old] matrix of linear interpolation, after a Gaussian when it shrinks by more than SMOOTH_ABOVE."""
    lower, upper, weight = _positions(old, new)
    matrix, rows = np.zeros((new, old), dtype=np.float32), np.arange(new)
    np.add.at(matrix, (rows, lower), 1 - weight)
    np.add.at(matrix, (rows, upper), weight)
    return matrix @ _gaussian(old, (old / new - 1) / 2) if old > SMOOTH_ABOVE * new else matrix


def _gaussian(size: int, sigma: float) -> np.ndarray:
    """float32 [size, size] matrix of a Gaussian filter with clamped edges; sigma in voxels."""
    reach = int(np.ceil(4 * sigma))
    offsets = np.arange(-reach, reach + 1)
    kernel = np.exp(-0.5 * (offsets / sigma) ** 2)
    matrix, rows = np.zeros((size, size)), np.arange(size)
    for offset, value in zip(offsets, kernel / kernel.sum(), strict=True):
        np.add.at(matrix, (rows, np.clip(rows + offset, 0, size - 1)), value)
    return matrix.astype(np.float32)


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
            matrix = _weights(old, new)[:, box[axis]]
            rows = np.flatnonzero(matrix.any(axis=1))
            reach[axis] = slice(rows[0], rows[-1] + 1)
            share = _apply(share, axis, matrix[reach[axis]])
    return tuple(reach), share
