"""Postprocessing: the largest component of each class, slab by slab, so that no second volume is needed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

SLAB_VOXELS = 1 << 23
"""Voxels whose components are looked for at once; about 15 bytes are needed for each."""


def keep_largest_component(array: np.ndarray, classes: Iterable[int]) -> np.ndarray:
    """Class indices [K, J, I] in which each of ``classes`` keeps its largest component; the rest becomes 0.

    Voxels that share a face, an edge or a corner belong together. Among equally large components the one met first
    in memory order stays. The input is not changed.
    """
    result = array.copy()
    clear_small_components(result, classes)
    return result


def clear_small_components(array: np.ndarray, classes: Iterable[int], check: Callable[[], None] = lambda: None) -> None:
    """The same in place; ``check`` is called often, and may raise."""
    for index in classes:
        _keep_largest(array, index, check)


@dataclass(frozen=True)
class _Slab:
    """The components of one class in some planes of an array; the last plane is the first of the next slab too."""

    planes: slice
    """Along the first axis."""
    box: tuple[slice, ...]
    """Where in these planes the class lies."""
    labels: np.ndarray
    """uint32 [k, j, i] of the box: 1, 2, ... in the order in which the components are met, 0 elsewhere."""
    first_id: int
    """Number of component 1 among those of all slabs."""

    @classmethod
    def of(cls, array: np.ndarray, planes: slice, index: int, first_id: int) -> _Slab | None:
        """None where the class ``index`` has no voxel in these ``planes`` of ``array`` [K, J, I]."""
        mask = array[planes] == index
        box = _bounding_box(mask)
        if box is None:
            return None
        components = sitk.ConnectedComponent(sitk.GetImageFromArray(mask[box].view(np.uint8)), True)
        return cls(planes, box, sitk.GetArrayFromImage(components), first_id)

    @property
    def ids(self) -> slice:
        """Numbers of the slab's components among those of all slabs."""
        return slice(self.first_id, self.first_id + int(self.labels.max()))

    def own(self, n_planes: int) -> np.ndarray:
        """``labels`` without the plane that the next slab has too; ``n_planes``: of the whole array."""
        shared = self.planes.stop < n_planes and self.box[0].stop == self.planes.stop - self.planes.start
        return self.labels[:-1] if shared else self.labels

    def seam(self, shape: tuple[int, ...], place: int) -> np.ndarray:
        """int64 [J, I]: numbers of the components in plane ``place`` of the slab, -1 elsewhere."""
        plane = np.full(shape[1:], -1, dtype=np.int64)
        if self.box[0].start <= place < self.box[0].stop:
            labels = self.labels[place - self.box[0].start]
            plane[self.box[1:]] = np.where(labels > 0, labels.astype(np.int64) + self.first_id - 1, -1)
        return plane


def _keep_largest(array: np.ndarray, index: int, check: Callable[[], None]) -> None:
    """Sets to 0 the voxels of ``array`` [K, J, I] of class ``index`` outside its largest component."""
    found, sizes, links, before, n_found = [], [], [], None, 0
    for planes in _slabs(array.shape):
        check()
        slab = _Slab.of(array, planes, index, n_found)
        if slab is not None:
            n_found = slab.ids.stop
            found.append((planes, slab.ids))
            sizes.append(np.bincount(slab.own(len(array)).ravel(), minlength=int(slab.labels.max()) + 1)[1:])
            if before is not None:
                links.append(_links(before, slab, array.shape))
        before = slab
    if n_found < 2:
        return
    roots = _roots(n_found, np.concatenate(links, axis=1) if links else np.zeros((2, 0), np.int64))
    largest = np.bincount(roots, weights=np.concatenate(sizes)).argmax()
    for planes, ids in found:
        check()
        if (roots[ids] != largest).any():
            _clear(array, _Slab.of(array, planes, index, ids.start), roots[ids] != largest)


def _clear(array: np.ndarray, slab: _Slab, lost: np.ndarray) -> None:
    """Sets to 0 the voxels of the components that are ``lost`` (bool by label - 1), but for the plane shared after."""
    labels = slab.own(len(array))
    part = array[slab.planes][slab.box][:len(labels)]
    part[np.concatenate([[False], lost])[labels]] = 0


def _slabs(shape: tuple[int, ...]) -> Iterator[slice]:
    """Ranges of planes of about SLAB_VOXELS; neighbours share one plane, so that a component is the same in both."""
    height = max(2, SLAB_VOXELS // max(1, shape[1] * shape[2]))
    for start in range(0, max(1, shape[0] - 1), height - 1):
        yield slice(start, min(start + height, shape[0]))


def _links(before: _Slab, after: _Slab, shape: tuple[int, ...]) -> np.ndarray:
    """int64 [2, n]: numbers of the components of two neighbouring slabs that are one in the plane they share."""
    one, other = before.seam(shape, before.planes.stop - before.planes.start - 1), after.seam(shape, 0)
    both = other >= 0
    return np.array(np.divmod(np.unique(one[both] << 32 | other[both]), 1 << 32))


def _roots(n: int, links: np.ndarray) -> np.ndarray:
    """int64 [n]: the smallest of all numbers 0 to n - 1 that ``links`` [2, m] connect to each."""
    roots = np.arange(n)
    while True:
        ends = roots[links]
        if (ends[0] == ends[1]).all():
            return roots
        np.minimum.at(roots, ends.max(axis=0), ends.min(axis=0))
        while (roots != roots[roots]).any():
            roots = roots[roots]


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
