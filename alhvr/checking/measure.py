"""Structures: how much of each label value a case shows, where, in how many parts, and with how many holes."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk

from alhvr.checking.facts import LabelFacts, StructureFacts
from alhvr.data.axes import slice_axis
from alhvr.data.geometry import Geometry
from alhvr.data.reading import LabelVolume, content_hash, distinct_values

MOST_STRUCTURES = 64
"""Label values whose shape is looked at; a file with more of them is hardly a label, and its voxels are counted only.
"""


def label_facts(label: LabelVolume, scan: Geometry | None, not_annotated: int) -> LabelFacts:
    """What the label of a case shows; ``scan`` is the grid of its scan, None where that cannot be read."""
    axis = slice_axis(label.geometry)
    return LabelFacts(
        content=content_hash(label),
        geometry=label.geometry,
        other_grid="" if scan is None else scan.difference(label.geometry),
        structures=_structures(label, not_annotated),
        n_voxels=label.array.size,
        n_not_annotated=sum(int(np.count_nonzero(plane == not_annotated)) for plane in label.array),
        annotated_slices=_slices(label.array != not_annotated, axis),
        slices=label.array.shape[axis],
    )


def _structures(label: LabelVolume, not_annotated: int) -> dict[int, StructureFacts]:
    """By value in rising order, without background and ``not_annotated``."""
    values = [value for value in distinct_values(label.array) if value not in (0, not_annotated)]
    shape_matters = len(values) <= MOST_STRUCTURES
    return {value: _structure(label, value, shape_matters=shape_matters) for value in values}


def _structure(label: LabelVolume, value: int, *, shape_matters: bool) -> StructureFacts:
    mask = label.array == value
    box = bounding_box(mask)
    inside = mask[box]
    voxels = int(np.count_nonzero(inside))
    parts = _part_sizes(inside) if shape_matters else np.array([voxels])
    return StructureFacts(
        voxels=voxels,
        volume_ml=voxels * label.geometry.voxel_volume_ml,
        slices=_slices(inside, slice_axis(label.geometry)),
        centroid_lps_mm=_centroid(inside, box, label.geometry),
        n_parts=len(parts),
        largest_part=float(parts.max() / voxels),
        hole_voxels=_hole_voxels(inside, label.array[box]) if shape_matters else 0,
    )


def bounding_box(mask: np.ndarray) -> tuple[slice, ...]:
    """Smallest box around the true voxels of [K, J, I], of which there is one at least."""
    planes = np.flatnonzero(mask.any(axis=(1, 2)))
    flat = mask[planes[0]:planes[-1] + 1].any(axis=0)
    rows, columns = np.flatnonzero(flat.any(axis=1)), np.flatnonzero(flat.any(axis=0))
    return tuple(slice(int(found[0]), int(found[-1]) + 1) for found in (planes, rows, columns))


def _slices(mask: np.ndarray, axis: int) -> int:
    """Along ``axis``, how many slices of [K, J, I] hold a true voxel."""
    return int(np.count_nonzero(mask.any(axis=tuple(other for other in range(3) if other != axis))))


def _centroid(inside: np.ndarray, box: tuple[slice, ...], geometry: Geometry) -> tuple[float, float, float]:
    """Mean place in LPS mm of the true voxels of ``inside``, the ``box`` of the grid."""
    index_kji = []
    for axis, part in enumerate(box):
        counts = np.count_nonzero(inside, axis=tuple(other for other in range(3) if other != axis))
        index_kji.append(part.start + float(counts @ np.arange(len(counts))) / counts.sum())
    x, y, z = geometry.index_to_lps(np.array([index_kji[::-1]]))[0]
    return float(x), float(y), float(z)


def _part_sizes(inside: np.ndarray) -> np.ndarray:
    """Voxels of each connected part of [K, J, I]; a face, an edge or a corner connects."""
    return np.bincount(_components(inside, corners=True).ravel())[1:]


def _hole_voxels(inside: np.ndarray, values: np.ndarray) -> int:
    """Background among ``values`` [K, J, I] that the true voxels of ``inside`` close off from the edge of the box.

    Within its slice where a structure has but one; else in space, where what lies above and below must close it too.
    """
    flat = tuple(np.array(inside.shape) == 1)
    around = inside.squeeze(flat.index(True)) if sum(flat) == 1 else inside
    if min(around.shape) < 3:
        return 0
    gaps = _components(~around, corners=False)
    n_gaps = int(gaps.max())
    outside = np.zeros(n_gaps + 1, dtype=bool)
    outside[0] = True
    for axis in range(gaps.ndim):
        for end in (0, -1):
            outside[np.take(gaps, end, axis=axis).ravel()] = True
    if outside.all():
        return 0
    return int(np.count_nonzero(~outside[gaps].reshape(inside.shape) & (values == 0)))


def _components(mask: np.ndarray, *, corners: bool) -> np.ndarray:
    """Number of the connected part of each true voxel from 1 on, 0 elsewhere."""
    image = sitk.GetImageFromArray(np.ascontiguousarray(mask).view(np.uint8))
    return sitk.GetArrayFromImage(sitk.ConnectedComponent(image, corners))
