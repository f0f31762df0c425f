"""Postprocessing: from class probabilities to one class per voxel, and the largest component of each class."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import SimpleITK as sitk


def winning_class(probabilities: np.ndarray, restore: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Index of the most probable class, uint8 [K, J, I], after ``restore`` has brought each class to that grid.

    ``probabilities`` float32 [C, *grid] sum to 1 over C. Classes are restored one after the other, so that no array
    of C classes is made on the new grid; the lower index wins a tie. ``restore`` must interpolate: a class that is
    nowhere above 1/C can then win nowhere, and is not restored.
    """
    best = np.array(restore(probabilities[0]))
    winner = np.zeros(best.shape, dtype=np.uint8)
    for index in range(1, len(probabilities)):
        if probabilities[index].max() * len(probabilities) < 0.999:
            continue
        value = restore(probabilities[index])
        better = (value > best).view(np.uint8)
        better *= index
        np.maximum(winner, better, out=winner)
        np.maximum(best, value, out=best)
    return winner


def keep_largest_component(array: np.ndarray, classes: Iterable[int]) -> np.ndarray:
    """Class indices [K, J, I] in which each of ``classes`` keeps its largest component; the rest becomes 0.

    Voxels that share a face, an edge or a corner belong together. Among equally large components the one met first
    in memory order stays. The input is not changed.
    """
    result = array.copy()
    for index in classes:
        box = _bounding_box(array == index)
        if box is not None:
            _clear_small_components(result[box], index)
    return result


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
