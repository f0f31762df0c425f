"""Neighbours: which segments are at some voxels of a volume, whatever grids and transforms lie between."""

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy

from ALHVRSegmentationLib.regions.live import transformed

_BINARY = "Binary labelmap"


def segments_at(segmentation_node, volume, groups):
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
        image = segment.GetRepresentation(_BINARY)
        if image is None:
            continue
        key = image.GetAddressAsString("vtkObject")
        if key not in values:  # segments that do not overlap share an image
            values[key] = _values_at(image, points)
        counts.append(np.bincount(parts[values[key] == segment.GetLabelValue()], minlength=len(groups)))
        names.append(segment.GetName())
    return [_ranked(names, [count[part] for count in counts]) for part in range(len(groups))]


def _ranked(names, counts):
    """Names whose count is not 0, the largest first."""
    return tuple(name for count, name in sorted(zip(counts, names, strict=True), key=lambda pair: -pair[0]) if count)


def _in_segmentation(segmentation_node, volume, flat):
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


def _values_at(image, points):
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
