"""Masks: the segments of a segmentation on the grid of the scan they belong to, in the scan's own space."""

from dataclasses import dataclass

import numpy as np
import slicer

from ALHVRSegmentationLib.scene.label_image import BINARY_LABELMAP, EMPTY, fingerprint
from ALHVRSegmentationLib.scene.own_segments import LABEL_TAG, tag_of


@dataclass(frozen=True)
class Mask:
    """One segment."""

    segment_id: str
    segment: object
    """The vtkSegment: name, colour and tags."""
    voxels: np.ndarray
    """bool [K, J, I] on the scan's grid."""


@dataclass(frozen=True)
class LabelMap:
    """Segments as the values of one volume."""

    values: np.ndarray
    """uint8 or uint16 [K, J, I]."""
    masks: dict
    """Value to Mask."""
    n_overlapping: int
    """Voxels of more than one segment; they have the value of the last of them."""


def reference_of(segmentationNode):
    """The scan that a segmentation belongs to, or None."""
    return segmentationNode.GetNodeReference(segmentationNode.GetReferenceImageGeometryReferenceRole())


def segment_ids(segmentationNode):
    """IDs of the segments in their order."""
    segmentation = segmentationNode.GetSegmentation()
    return [segmentation.GetNthSegmentID(index) for index in range(segmentation.GetNumberOfSegments())]


def masks_of(segmentationNode, volumeNode):
    """The mask of every segment on the volume's grid, whatever grid and transform the segmentation has."""
    segmentation = segmentationNode.GetSegmentation()
    shape = volumeNode.GetImageData().GetDimensions()[::-1]
    found = []
    for segment_id in segment_ids(segmentationNode):
        segment = segmentation.GetSegment(segment_id)
        if fingerprint(segment) == EMPTY and segment.GetRepresentation(BINARY_LABELMAP) is not None:
            mask = np.zeros(shape, bool)
        else:
            mask = slicer.util.arrayFromSegmentBinaryLabelmap(segmentationNode, segment_id, volumeNode) != 0
        found.append(Mask(segment_id, segment, mask))
    return found


def label_map(masks):
    """One volume of all masks; segments of a model keep the value that the model gives them."""
    numbers = _values(masks)
    values = np.zeros(masks[0].voxels.shape, np.uint8 if max(numbers) <= 255 else np.uint16)
    overlapping = np.zeros(values.shape, bool)
    for value, mask in zip(numbers, masks, strict=True):
        overlapping |= mask.voxels & (values != 0)
        values[mask.voxels] = value
    by_value = dict(zip(numbers, masks, strict=True))
    return LabelMap(values, by_value, int(np.count_nonzero(overlapping)))


def _values(masks):
    """A value for each mask: that of the model's label where there is one and it is free, else the next free one."""
    wanted = [mask.segment.GetLabelValue() if tag_of(mask.segment, LABEL_TAG) else 0 for mask in masks]
    taken, numbers = set(wanted), []
    free = iter(number for number in range(1, 65536) if number not in taken)
    for value in wanted:
        numbers.append(value if 0 < value <= 65535 and value not in numbers else next(free))
    return numbers
