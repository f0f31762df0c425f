"""Components: where the networks are uncertain, each small enough for one view, those with most uncertainty first.

find_components works on arrays only, so that a thread may run it; segments_at names the segments near each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from alhvr.formats.region_tables import LEVELS, UNRELIABLE_STABLE, regions_at
from ALHVRLib.places.cells import Stopped, make_cells, uncertainty_of
from ALHVRLib.places.pieces import Piece, cut
from ALHVRLib.scene.label_images import BINARY_LABELMAP

LONGEST = 50
"""Places in a list; what comes after is not worth a look."""
_CANDIDATES = 2 * LONGEST
"""Places that are measured to find those."""
_SAMPLE = 4000
"""Voxels of a place whose surroundings are looked at."""


@dataclass(frozen=True)
class Component:
    """Uncertain voxels of one region at one structure that lie together."""

    region: int
    """2: one network is confident; 3: none is."""
    voxels: int
    uncertainty: float
    """Expected error, the score of the list: over all voxels the sum of 1 - the higher of the two confidences."""
    worst: tuple
    """(I, J, K) of its least certain voxel."""
    box: tuple
    """Slices [K, J, I] around it."""
    mask: np.ndarray
    """bool [K, J, I], the voxels of the box that belong to it."""
    teacher: float | None
    """Mean certainty of the sharpened teacher in it, 0 to 1; None where there is no teacher or region is not 3."""
    around: np.ndarray
    """Flat indices of its voxels and their neighbours, thinned out where it is large."""


@dataclass(frozen=True)
class Components:
    """The places of a volume."""

    parts: tuple
    """Parts, those with most uncertainty first, at most LONGEST."""
    uncertainty: float
    """Of all uncertain voxels, listed or not."""
    is_all: bool
    """Whether every uncertain voxel is in a part."""

    def share(self, n_parts: int) -> float:
        """Share of all uncertainty, 0 to 1, that is in the first so many parts."""
        inside = sum(part.uncertainty for part in self.parts[:n_parts])
        return min(1.0, inside / self.uncertainty) if self.uncertainty else 0.0


@dataclass(frozen=True)
class Volume:
    """What is searched."""

    con_a: np.ndarray
    con_b: np.ndarray
    """uint16 [K, J, I], 65535 = 1."""
    teacher: np.ndarray | None = None
    """The same, or None."""
    spacing_mm: tuple = (1.0, 1.0, 1.0)
    """Along K, J, I, in the world."""
    images: tuple = ()
    """SegmentImages of the structures by which places are kept apart."""


def find_components(volume: Volume, level: int, stopped: Callable[[], bool] = lambda: False) -> Components:
    """Found in a Volume at a threshold. Raises Stopped as soon as `stopped` says so."""
    cells = make_cells(volume.con_a, volume.con_b, level, volume.spacing_mm, volume.images, stopped)
    pieces = cut(cells, _CANDIDATES, stopped)
    parts = []
    for piece in pieces:
        if stopped():
            raise Stopped
        parts.append(_part(volume, level, piece, cells.voxels_of_cell))
    parts.sort(key=lambda part: -part.uncertainty)
    is_all = len(parts) <= LONGEST and sum(part.voxels for part in parts) == sum(
        int(count.sum()) for count in cells.voxels.values())
    return Components(tuple(parts[:LONGEST]), cells.total_uncertainty, is_all)


def _part(volume: Volume, level: int, piece: Piece, size: Sequence[int]) -> Component:
    """The voxels of a Piece."""
    corner = [at * count for at, count in zip(piece.corner, size, strict=True)]
    inside = piece.cells
    for axis, count in enumerate(size):
        inside = np.repeat(inside, count, axis=axis)
    box = tuple(slice(start, min(start + length, full))
                for start, length, full in zip(corner, inside.shape, volume.con_a.shape, strict=True))
    some, other = volume.con_a[box], volume.con_b[box]
    mask = inside[tuple(slice(0, length) for length in some.shape)] & (regions_at(some, other, level) == piece.region)
    uncertainty = uncertainty_of(some, other)
    voxels = np.argwhere(mask)
    low, high = voxels.min(axis=0), voxels.max(axis=0) + 1
    tight = tuple(slice(start, stop) for start, stop in zip(low, high, strict=True))
    voxels += corner
    certain = volume.teacher[box][mask].mean() if volume.teacher is not None and mask.any() else None
    return Component(
        region=piece.region,
        voxels=len(voxels),
        uncertainty=float(uncertainty[mask].sum(dtype=np.float64) / (LEVELS + 1)),
        worst=_worst(voxels, uncertainty[mask]),
        box=tuple(slice(int(start + at), int(stop + at)) for start, stop, at in zip(low, high, corner, strict=True)),
        mask=mask[tight],
        teacher=float(certain / LEVELS) if certain is not None and piece.region == UNRELIABLE_STABLE else None,
        around=_around(voxels.T, volume.con_a.shape),
    )


def _worst(voxels: np.ndarray, uncertainty: np.ndarray) -> tuple[int, ...]:
    """(I, J, K) of the voxel with most uncertainty; of equals that in their middle."""
    voxels = voxels[uncertainty == uncertainty.max()]
    middle = voxels[np.abs(voxels - voxels.mean(axis=0)).sum(axis=1).argmin()]
    return tuple(int(at) for at in middle[::-1])


def _around(voxels: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Flat indices of voxels [3, N] and their 6 neighbours, of every n-th voxel where there are many."""
    some = voxels[:, :: max(1, voxels.shape[1] // _SAMPLE)]
    found = [np.ravel_multi_index(some, shape)]
    for axis, step in ((axis, step) for axis in range(3) for step in (-1, 1)):
        moved = some.copy()
        moved[axis] = np.clip(moved[axis] + step, 0, shape[axis] - 1)
        found.append(np.ravel_multi_index(moved, shape))
    return np.unique(np.concatenate(found))


def segments_at(segmentation_node: slicer.vtkMRMLSegmentationNode | None, volume: slicer.vtkMRMLVolumeNode | None,
                groups: Sequence[np.ndarray]) -> list[tuple[str, ...]]:
    """For each group of flat voxel indices of the volume: names of the segments there, most voxels first."""
    if segmentation_node is None or volume is None or not groups:
        return [()] * len(groups)
    points = _in_segmentation(segmentation_node, volume, np.concatenate(groups))
    parts = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
    segmentation = segmentation_node.GetSegmentation()
    counts, names = [], []
    values = {}
    for number in range(segmentation.GetNumberOfSegments()):
        segment = segmentation.GetNthSegment(number)
        image = segment.GetRepresentation(BINARY_LABELMAP)
        if image is None:
            continue
        key = image.GetAddressAsString("vtkObject")
        if key not in values:  # segments that do not overlap share an image
            values[key] = _values_at(image, points)
        counts.append(np.bincount(parts[values[key] == segment.GetLabelValue()], minlength=len(groups)))
        names.append(segment.GetName())
    return [_ranked(names, [count[part] for count in counts]) for part in range(len(groups))]


def _ranked(names: Sequence[str], counts: Sequence[int]) -> tuple[str, ...]:
    """Names whose count is not 0, the largest first."""
    return tuple(name for count, name in sorted(zip(counts, names, strict=True), key=lambda pair: -pair[0]) if count)


def _in_segmentation(segmentation_node: slicer.vtkMRMLSegmentationNode, volume: slicer.vtkMRMLVolumeNode,
                     flat: np.ndarray) -> np.ndarray:
    """Points [N, 3] of voxels in the space of the segmentation, mm."""
    columns, rows, _slices = volume.GetImageData().GetDimensions()
    voxels = np.column_stack([flat % columns, flat // columns % rows, flat // (columns * rows), np.ones(len(flat))])
    matrix = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    points = (voxels @ slicer.util.arrayFromVTKMatrix(matrix).T)[:, :3]
    source, target = volume.GetParentTransformNode(), segmentation_node.GetParentTransformNode()
    if source is target:
        return points
    between = vtk.vtkGeneralTransform()
    slicer.vtkMRMLTransformNode.GetTransformBetweenNodes(source, target, between)
    return transformed(points, between)


def _values_at(image: slicer.vtkOrientedImageData, points: np.ndarray) -> np.ndarray:
    """The values of an oriented image at points [N, 3]; -1 outside it."""
    scalars = image.GetPointData().GetScalars()
    low, high = np.array(image.GetExtent()).reshape(3, 2).T
    values = np.full(len(points), -1, np.int64)
    if scalars is None or (high < low).any():
        return values
    matrix = vtk.vtkMatrix4x4()
    image.GetWorldToImageMatrix(matrix)
    to_index = slicer.util.arrayFromVTKMatrix(matrix)
    index = np.rint(points @ to_index[:3, :3].T + to_index[:3, 3]).astype(np.int64)
    inside = ((index >= low) & (index <= high)).all(axis=1)
    i, j, k = (index[inside] - low).T
    size = high - low + 1
    values[inside] = vtk_to_numpy(scalars)[(k * size[1] + j) * size[0] + i]
    return values


def transformed(points: np.ndarray, transform: vtk.vtkAbstractTransform) -> np.ndarray:
    """Points [N, 3] through a VTK transform."""
    given, moved = vtk.vtkPoints(), vtk.vtkPoints()
    given.SetDataTypeToDouble()
    moved.SetDataTypeToDouble()
    given.SetData(numpy_to_vtk(np.ascontiguousarray(points, dtype=np.float64), deep=True))
    transform.TransformPoints(given, moved)
    return vtk_to_numpy(moved.GetData()).copy()
