"""Segment masks: the segments of a segmentation as voxels on the grid of a scan."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import slicer

from ALHVRLib.scene.label_images import BINARY_LABELMAP, EMPTY, fingerprint


@dataclass(frozen=True)
class Mask:
    """One segment."""

    segment_id: str
    segment: object
    """The vtkSegment: name, colour and tags."""
    voxels: np.ndarray
    """bool [K, J, I] on the scan's grid."""


def reference_of(segmentationNode: slicer.vtkMRMLSegmentationNode) -> slicer.vtkMRMLVolumeNode | None:
    """The scan that a segmentation belongs to, or None."""
    return segmentationNode.GetNodeReference(segmentationNode.GetReferenceImageGeometryReferenceRole())


def segment_ids(segmentationNode: slicer.vtkMRMLSegmentationNode) -> list[str]:
    """IDs of the segments in their order."""
    segmentation = segmentationNode.GetSegmentation()
    return [segmentation.GetNthSegmentID(index) for index in range(segmentation.GetNumberOfSegments())]


def masks_of(segmentationNode: slicer.vtkMRMLSegmentationNode, volumeNode: slicer.vtkMRMLVolumeNode) -> list[Mask]:
    """The mask of every segment on the volume's grid, whatever grid and transform the segmentation has."""
    return [mask_of(segmentationNode, segment_id, volumeNode) for segment_id in segment_ids(segmentationNode)]


def mask_of(segmentationNode: slicer.vtkMRMLSegmentationNode, segment_id: str,
            volumeNode: slicer.vtkMRMLVolumeNode) -> Mask:
    """The same of one segment."""
    segment = segmentationNode.GetSegmentation().GetSegment(segment_id)
    if fingerprint(segment) == EMPTY and segment.GetRepresentation(BINARY_LABELMAP) is not None:
        voxels = np.zeros(volumeNode.GetImageData().GetDimensions()[::-1], bool)
    else:
        voxels = slicer.util.arrayFromSegmentBinaryLabelmap(segmentationNode, segment_id, volumeNode) != 0
    return Mask(segment_id, segment, voxels)
