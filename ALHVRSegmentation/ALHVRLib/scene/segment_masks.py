"""Segment masks: the segments of a segmentation as voxels on the grid of a scan, and which segmentations are seen."""

from __future__ import annotations

from collections.abc import Collection, Iterable
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


def hide_segmentations(but: Collection[str] = ()) -> tuple[str, ...]:
    """Hide what lies over the views of another scan; IDs of the segmentations that were visible.

    but: IDs of those that stay as they are.
    """
    hidden = []
    for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode"):
        display = node.GetDisplayNode()
        if display is not None and display.GetVisibility() and node.GetID() not in but:
            display.SetVisibility(False)
            hidden.append(node.GetID())
    return tuple(hidden)


def show_segmentations(node_ids: Iterable[str]) -> None:
    """Show those again that are still there."""
    for node_id in node_ids:
        node = slicer.mrmlScene.GetNodeByID(node_id)
        if node is not None and node.GetDisplayNode() is not None:
            node.GetDisplayNode().SetVisibility(True)
