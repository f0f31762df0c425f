"""Draft: a copy of a segmentation for one export, in the space of its scan, gone when the export is done."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import slicer
import vtk

from ALHVRLib.scene.export_volume import own_ijk_to_ras
from ALHVRLib.scene.label_images import BINARY_LABELMAP, empty_image, label_image, same_grid
from ALHVRLib.scene.segment_masks import Mask, masks_of, reference_of, segment_ids
from ALHVRLib.scene.subject_hierarchy import place_beside


@contextmanager
def draft_segmentation(segmentationNode: slicer.vtkMRMLSegmentationNode,
                       volumeNode: slicer.vtkMRMLVolumeNode | None) -> Iterator[slicer.vtkMRMLSegmentationNode]:
    """The same segments in the own space of the volume; voxel by voxel where both are under the same transform."""
    scene = slicer.vtkMRMLScene()  # its nodes do not keep it
    node = put_in_scene(slicer.vtkMRMLSegmentationNode(), segmentationNode.GetName(), scene)
    same_place = volumeNode is None or segmentationNode.GetTransformNodeID() == volumeNode.GetTransformNodeID()
    if same_place and not segments_off_grid(segmentationNode):
        node.GetSegmentation().DeepCopy(segmentationNode.GetSegmentation())
    else:
        _put(node, masks_of(segmentationNode, volumeNode), volumeNode)
    yield node


def segments_off_grid(segmentationNode: slicer.vtkMRMLSegmentationNode) -> list[str]:
    """Names of the segments whose voxels are not those of the scan; none where the segmentation names no scan."""
    volume = reference_of(segmentationNode)
    if volume is None or volume.GetImageData() is None:
        return []
    above, under = volume.GetParentTransformNode(), segmentationNode.GetParentTransformNode()
    between = vtk.vtkMatrix4x4()
    slicer.vtkMRMLTransformNode.GetMatrixTransformBetweenNodes(above, under, between)
    matrix = slicer.util.arrayFromVTKMatrix(between) @ own_ijk_to_ras(volume)
    grid = empty_image(volume.GetImageData().GetDimensions()[::-1], matrix)
    segmentation, names = segmentationNode.GetSegmentation(), []
    for segment_id in segment_ids(segmentationNode):
        segment = segmentation.GetSegment(segment_id)
        image = segment.GetRepresentation(BINARY_LABELMAP)
        if image is not None and not image.IsEmpty() and not same_grid(image, grid):
            names.append(segment.GetName())
    return names


@contextmanager
def draft_on_scan(segmentationNode: slicer.vtkMRMLSegmentationNode, volumeNode: slicer.vtkMRMLVolumeNode,
                  masks: Sequence[Mask]) -> Iterator[slicer.vtkMRMLSegmentationNode]:
    """Segments of these masks, each with an image of its own on the volume's grid, in the volume's study."""
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", segmentationNode.GetName())
    try:
        node.SetNodeReferenceID(node.GetReferenceImageGeometryReferenceRole(), volumeNode.GetID())
        _put(node, masks, volumeNode)
        place_beside(node, volumeNode)
        yield node
    finally:
        slicer.mrmlScene.RemoveNode(node)


def put_in_scene(node: slicer.vtkMRMLNode, name: str, scene: slicer.vtkMRMLScene) -> slicer.vtkMRMLNode:
    """Put a new node into a scene of its own, or another's: whatever follows the user's scene does not hear of it."""
    node.SetName(name)
    return scene.AddNode(node)


def _put(node: slicer.vtkMRMLSegmentationNode, masks: Sequence[Mask],
         volumeNode: slicer.vtkMRMLVolumeNode | None) -> None:
    """Fill the node; names, colours and tags are those of the segments."""
    matrix = own_ijk_to_ras(volumeNode)
    for mask in masks:
        segment = slicer.vtkSegment()
        segment.DeepCopyMetadata(mask.segment)
        segment.SetLabelValue(1)
        segment.AddRepresentation(BINARY_LABELMAP, label_image(mask.voxels.astype(np.uint8), matrix))
        node.GetSegmentation().AddSegment(segment, mask.segment_id)
    if masks:
        convert = slicer.vtkSegmentationConverter
        text = convert.SerializeImageGeometry(empty_image(masks[0].voxels.shape, matrix))
        node.GetSegmentation().SetConversionParameter(convert.GetReferenceImageGeometryParameterName(), text)
