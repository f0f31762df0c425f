"""Postprocessing: from class probabilities to one class per voxel, and the largest component of each class."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import SimpleITK as sitk


def keep_largest_component(array: np.ndarray, classes: Iterable[int]) -> np.ndarray:
    """Class indices [K, J, I] in which each of ``classes`` keeps its largest component; the rest becomes 0.

    Voxels that share a face, an edge or a corner belong together. Among equally large components the one met first
    in memory order stays. The input is not changed.
    """
    result = array.copy()
    clear_small_components(result, classes)
    return result


def clear_small_components(array: np.ndarray, classes: Iterable[int]) -> None:
    """The same in place."""
    for index in classes:
        box = _bounding_box(array == index)
        if box is not None:
            _clear_small_components(array[box], index)


def _clear_small_components(part: np.ndarray, index: int) -> None:
    """Sets to 0, in place, the voxels of ``part`` [k, j, i] of class ``index`` outside its largest component."""
    mask = sitk.GetImageFromArray((part == index).astype(np.uint8))
    components = sitk.GetArrayFromImage(sitk.ConnectedComponent(mask, True))
    sizes = np.bincount(components.ravel())
    if len(sizes) > 2:
        sizes[0] = 0
        part[(components != 0) & (components != sizes.argmax())] = 0


def _bounding_box(mask: np.ndarray) -> tuple[slice, ...] | None:
    """Smallest box around the true voxels of ``mask`` [K, J, I]; None when there are none."""
    box = []
    for axis in range(mask.ndim):
        others = tuple(other for other in range(mask.ndim) if other != axis)
        inside = np.flatnonzero(mask.any(axis=others))
        if len(inside) == 0:
            return None
        box.append(slice(int(inside[0]), int(inside[-1]) + 1))
    return tuple(box)
