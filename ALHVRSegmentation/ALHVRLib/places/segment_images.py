"""Segment images: copies of the voxels of a segmentation's segments, for a thread that may not touch the scene."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import slicer
import vtk

from ALHVRLib.scene.label_images import BINARY_LABELMAP, values_of

SEGMENT_ID = "ALHVR_unsure"
"""What the IDs of segments made of uncertain voxels begin with."""


@dataclass(frozen=True)
class SegmentImage:
    """The labels of segments that share an image."""

    labels: np.ndarray
    """[K, J, I]."""
    to_index: np.ndarray
    """[4, 4], from (I, J, K) of the volume to (I, J, K) of `labels`."""
    numbers: dict
    """Number of the structure, from 1 on, by label."""


def images_of(segmentation_node: slicer.vtkMRMLSegmentationNode | None,
              volume: slicer.vtkMRMLVolumeNode | None) -> tuple[SegmentImage, ...]:
    """The SegmentImages of all segments but those that were made of uncertain places.

    () without a segmentation, and where a transform that bends lies between it and the volume.
    """
    if segmentation_node is None or volume is None:
        return ()
    between, to_ras = vtk.vtkMatrix4x4(), vtk.vtkMatrix4x4()
    source, target = volume.GetParentTransformNode(), segmentation_node.GetParentTransformNode()
    if not slicer.vtkMRMLTransformNode.GetMatrixTransformBetweenNodes(source, target, between):
        return ()
    volume.GetIJKToRASMatrix(to_ras)
    to_segmentation = slicer.util.arrayFromVTKMatrix(between) @ slicer.util.arrayFromVTKMatrix(to_ras)
    found, segmentation = {}, segmentation_node.GetSegmentation()
    for number in range(segmentation.GetNumberOfSegments()):
        segment = segmentation.GetNthSegment(number)
        image = segment.GetRepresentation(BINARY_LABELMAP)
        if image is None or image.IsEmpty() or segmentation.GetNthSegmentID(number).startswith(SEGMENT_ID):
            continue
        key = image.GetAddressAsString("vtkObject")
        if key not in found:
            found[key] = _image(image, to_segmentation)
        found[key].numbers[segment.GetLabelValue()] = number + 1
    return tuple(found.values())


def numbers_at(images: Sequence[SegmentImage], points: np.ndarray) -> np.ndarray:
    """Numbers of the structures at points [N, 3], (I, J, K) of the volume; 0 where there is none."""
    numbers = np.zeros(len(points), np.int64)
    for image in images:
        index = np.rint(points @ image.to_index[:3, :3].T + image.to_index[:3, 3]).astype(np.intp)
        inside = ((index >= 0) & (index < image.labels.shape[::-1])).all(axis=1)
        i, j, k = index[inside].T
        known = np.zeros(max(image.labels.max(initial=0), *image.numbers) + 1, np.int64)
        for label, number in image.numbers.items():
            known[label] = number
        seen = known[image.labels[k, j, i]]
        numbers[inside] = np.where(seen > 0, seen, numbers[inside])
    return numbers


def _image(image: slicer.vtkOrientedImageData, to_segmentation: np.ndarray) -> SegmentImage:
    """Its voxels, and the way to them."""
    matrix = vtk.vtkMatrix4x4()
    image.GetWorldToImageMatrix(matrix)
    extent = image.GetExtent()
    to_index = slicer.util.arrayFromVTKMatrix(matrix) @ to_segmentation
    to_index[:3, 3] -= extent[::2]
    return SegmentImage(values_of(image).copy(), to_index, {})
