"""Resampling whole arrays: images linearly, labels class by class; an axis that keeps its size is skipped."""

from __future__ import annotations

import numpy as np

from alhvr.data.axis_steps import PlaneRescaler, weights


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
