"""Importing a segmentation: a result becomes segments, voxel by voxel, and the user's own segments stay."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _

from alhvr.formats.labels import Label
from ALHVRLib.scene.errors import SceneError
from ALHVRLib.scene.export_volume import own_ijk_to_ras
from ALHVRLib.scene.frames import place_of
from ALHVRLib.scene.label_images import BINARY_LABELMAP, empty_image, label_image, same_grid, unused_segment_name
from ALHVRLib.scene.subject_hierarchy import place_beside
from ALHVRSegmentationLib.results.result_segments import replaceable, result_segment


class SegmentationSnapshot:
    """How a segmentation node was; None stands for one that is yet to be made."""

    def __init__(self, node: slicer.vtkMRMLSegmentationNode | None) -> None:
        self._node_id = None if node is None else node.GetID()
        self._made_id = None
        if node is None:
            return
        segmentation = node.GetSegmentation()
        ids = [segmentation.GetNthSegmentID(index) for index in range(segmentation.GetNumberOfSegments())]
        self._segments = [(segment_id, segmentation.GetSegment(segment_id)) for segment_id in ids]
        self._source = segmentation.GetSourceRepresentationName()
        self._grid = segmentation.SerializeAllConversionParameters()
        self._transform_id = node.GetTransformNodeID()
        self._role = node.GetReferenceImageGeometryReferenceRole()
        self._reference_id = node.GetNodeReferenceID(self._role)
        self._had_display = node.GetDisplayNode() is not None

    def made(self, node: slicer.vtkMRMLSegmentationNode) -> slicer.vtkMRMLSegmentationNode:
        """Note the node that was made; it goes again with `restore`."""
        self._made_id = node.GetID()
        return node

    def restore(self) -> None:
        """Have the node as it was; nothing where it was removed from the scene meanwhile."""
        scene = slicer.mrmlScene
        if self._made_id is not None:
            made = scene.GetNodeByID(self._made_id)
            if made is not None:
                scene.RemoveNode(made)
            return
        node = scene.GetNodeByID(self._node_id or "")
        if node is not None:
            with slicer.util.NodeModify(node):
                self._restore_segments(node.GetSegmentation())
                self._restore_place(node)

    def _restore_segments(self, segmentation: slicer.vtkSegmentation) -> None:
        kept = dict(self._segments)
        count = segmentation.GetNumberOfSegments()
        for segment_id in [segmentation.GetNthSegmentID(index) for index in range(count)]:
            if segmentation.GetSegment(segment_id) is not kept.get(segment_id):
                segmentation.RemoveSegment(segment_id)
        segmentation.SetSourceRepresentationName(self._source)
        for segment_id, segment in self._segments:
            if segmentation.GetSegment(segment_id) is None:
                segmentation.AddSegment(segment, segment_id)
        segmentation.ReorderSegments([segment_id for segment_id, _segment in self._segments])

    def _restore_place(self, node: slicer.vtkMRMLSegmentationNode) -> None:
        node.GetSegmentation().DeserializeConversionParameters(self._grid)
        node.SetAndObserveTransformNodeID(self._transform_id)
        node.SetNodeReferenceID(self._role, self._reference_id)
        if not self._had_display and node.GetDisplayNode() is not None:
            slicer.mrmlScene.RemoveNode(node.GetDisplayNode())


@dataclass(frozen=True)
class Placed:
    """What became of a result."""

    segmentation_id: str
    """ID of the segmentation node."""
    segment_ids: tuple
    """One for each label, in their order."""
    not_found: tuple
    """Names of the labels without a voxel: their segments are there, and empty."""
    note: str
    """A sentence for the user, or ""."""


def put_segments(array: np.ndarray, labels: Sequence[Label], volumeNode: slicer.vtkMRMLVolumeNode,
                 segmentationNode: slicer.vtkMRMLSegmentationNode | None, algorithm_name: str) -> Placed:
    """Show label values as segments on the very voxels of the volume; all of it, or nothing where it fails.

    Segments of the same names that an earlier run made, and nobody changed since, are replaced; all others stay.
    A segmentation that keeps none takes the volume's transform and grid; one that keeps some stays where it is.

    Args:
        array: whole numbers [K, J, I], label values on the grid of the volume; 0 is background.
        labels: Label of each value; structures without a voxel become empty segments.
        volumeNode: what was segmented; the result is placed by voxel index, wherever the volume has moved meanwhile.
            A frame of a sequence stands where the sequence's proxy stands.
        segmentationNode: where the segments go; None makes a new node.
        algorithm_name: what DICOM is to name as their maker.

    Raises SceneError, in one sentence, where the result does not fit.
    """
    filling = Filling(array, labels, volumeNode, algorithm_name)
    complaint = "" if segmentationNode is None else problem_with(segmentationNode)
    if complaint:
        raise SceneError(complaint)
    slicer.mrmlScene.SaveStateForUndo()
    before = SegmentationSnapshot(segmentationNode)
    try:
        with slicer.util.RenderBlocker():
            node = segmentationNode or before.made(new_segmentation(volumeNode))
            ids = filling.into(node)
            show_segments(node, ids)
            place_beside(node, filling.place)
    except BaseException:
        before.restore()
        raise
    return Placed(node.GetID(), ids, filling.not_found(), filling.note)


def new_segmentation(volumeNode: slicer.vtkMRMLVolumeNode) -> slicer.vtkMRMLSegmentationNode:
    """An empty segmentation named after the volume and in its place in the tree."""
    place = place_of(volumeNode)
    name = slicer.mrmlScene.GenerateUniqueName(_("{scan} segmentation").format(scan=place.GetName()))
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    place_beside(node, place)
    return node


def show_segments(node: slicer.vtkMRMLSegmentationNode, ids: Iterable[str]) -> None:
    """Have the segments drawn in the slice views; their surfaces only where the user shows surfaces already."""
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    if display is None:
        return
    with slicer.util.NodeModify(display):
        display.SetVisibility(True)
        for segment_id in ids:
            display.SetSegmentVisibility(segment_id, True)


def problem_with(segmentationNode: slicer.vtkMRMLSegmentationNode) -> str:
    """Why a result cannot go into this segmentation, in one sentence; "" where it can."""
    segmentation = segmentationNode.GetSegmentation()
    surfaces = segmentation.GetNumberOfSegments() and segmentation.GetSourceRepresentationName() != BINARY_LABELMAP
    if surfaces:
        text = _("The segmentation {name} is made of surfaces, not of voxels: choose another one, or a new one.")
        return text.format(name=segmentationNode.GetName())
    return ""


def _fitting(array: np.ndarray, labels: Sequence[Label],
             volumeNode: slicer.vtkMRMLVolumeNode) -> tuple[np.ndarray, np.ndarray]:
    """The values in 8 or 16 bits, and which there are; SceneError where they are not of this volume or these labels."""
    image = volumeNode.GetImageData()
    size = (0, 0, 0) if image is None else image.GetDimensions()
    if array.shape != size[::-1]:
        text = _("The result has {result} voxels and the volume {name} now has {volume}: segment it again.")
        counts = {"result": " x ".join(map(str, array.shape[::-1])), "volume": " x ".join(map(str, size))}
        raise SceneError(text.format(name=volumeNode.GetName(), **counts))
    low, high = int(array.min()), int(array.max())
    found = np.zeros(65536, bool)
    if array.dtype.kind in "iu" and low >= 0 and high <= 65535:
        found[array] = True
    else:
        found[:] = True
    if set(np.flatnonzero(found)) - {0, *(label.value for label in labels)}:
        raise SceneError(_("The result holds values that the model has no name for: import the model again."))
    return array.astype(np.uint8 if high <= 255 else np.uint16, copy=False), found


class Filling:
    """One result on its way into a segmentation; SceneError where it is not of this volume or of these labels."""

    def __init__(self, array: np.ndarray, labels: Sequence[Label], volumeNode: slicer.vtkMRMLVolumeNode,
                 algorithm_name: str) -> None:
        self.values, self._found = _fitting(array, labels, volumeNode)
        self.labels, self.algorithm_name = labels, algorithm_name
        self.place = place_of(volumeNode)
        self.own_matrix = own_ijk_to_ras(volumeNode)
        self.note = ""

    def into(self, node: slicer.vtkMRMLSegmentationNode, alone: bool | None = None,
             placed: slicer.vtkMRMLSegmentationNode | None = None) -> tuple[str, ...]:
        """Put the segments into the node, without showing them; their IDs in the order of the labels.

        `alone` tells whether it takes the volume's transform and grid; without it, it does where nothing else stays.
        `placed` is the node under whose transform the segments will be seen, where that is not this one.
        """
        segmentation = node.GetSegmentation()
        old = {label.value: replaceable(segmentation, label) for label in self.labels}
        if alone is None:
            alone = segmentation.GetNumberOfSegments() == sum(found is not None for found in old.values())
        with slicer.util.NodeModify(node):
            image = self._image_alone(node) if alone else self._image_beside_others(node, placed or node)
            return tuple(self._put(segmentation, label, old[label.value], image) for label in self.labels)

    def not_found(self) -> tuple[str, ...]:
        """Names of the labels without a voxel."""
        return tuple(label.name for label in self.labels if not self._found[label.value])

    def _image_alone(self, node: slicer.vtkMRMLSegmentationNode) -> slicer.vtkOrientedImageData:
        """The result where the segmentation holds nothing else: it takes the volume's transform and grid."""
        segmentation = node.GetSegmentation()
        if segmentation.GetSourceRepresentationName() != BINARY_LABELMAP:
            segmentation.SetSourceRepresentationName(BINARY_LABELMAP)
        node.SetAndObserveTransformNodeID(self.place.GetTransformNodeID())
        self._refer(node, self.own_matrix)
        return label_image(self.values, self.own_matrix)

    def _image_beside_others(self, node: slicer.vtkMRMLSegmentationNode,
                             placed: slicer.vtkMRMLSegmentationNode) -> slicer.vtkOrientedImageData:
        """The result where others stay: the segmentation keeps its transform, and its grid where it has one."""
        above, under = self.place.GetParentTransformNode(), placed.GetParentTransformNode()
        transform = vtk.vtkGeneralTransform()
        slicer.vtkMRMLTransformNode.GetTransformBetweenNodes(above, under, transform)
        if not slicer.vtkMRMLTransformNode.IsGeneralTransformLinear(transform):
            self.note = _("The segmentation is under another transform than the scan, which bends space: the result "
                          "was resampled and is less exact than in a new segmentation.")  # fmt: skip
            return label_image(self.values, self.own_matrix, transform=transform)
        between = vtk.vtkMatrix4x4()
        slicer.vtkMRMLTransformNode.GetMatrixTransformBetweenNodes(above, under, between)
        matrix = slicer.util.arrayFromVTKMatrix(between) @ self.own_matrix
        if not has_reference_grid(node):
            self._refer(node, matrix)
        elif not same_grid(reference_grid(node), empty_image(self.values.shape, matrix)):
            self.note = _("The segmentation has another grid than the scan: as soon as it is saved, the result is "
                          "resampled and small parts may be lost; a new segmentation keeps it exact.")  # fmt: skip
        return label_image(self.values, matrix)

    def _refer(self, node: slicer.vtkMRMLSegmentationNode, matrix: np.ndarray) -> None:
        """Name the volume's grid, in the segmentation's space, as the one to draw on, save and export."""
        convert = slicer.vtkSegmentationConverter
        text = convert.SerializeImageGeometry(empty_image(self.values.shape, matrix))
        node.GetSegmentation().SetConversionParameter(convert.GetReferenceImageGeometryParameterName(), text)
        node.SetNodeReferenceID(node.GetReferenceImageGeometryReferenceRole(), self.place.GetID())

    def _put(self, segmentation: slicer.vtkSegmentation, label: Label, old: str | None,
             image: slicer.vtkOrientedImageData) -> str:
        """Add one segment, in the place of the old one; return its ID."""
        following = ""
        if old is not None:
            index = segmentation.GetSegmentIndex(old) + 1
            following = segmentation.GetNthSegmentID(index) if index < segmentation.GetNumberOfSegments() else ""
            segmentation.RemoveSegment(old)
        wanted = old or f"ALHVR_{label.value}"
        chosen = wanted if segmentation.GetSegment(wanted) is None else segmentation.GenerateUniqueSegmentID(wanted)
        name = unused_segment_name(segmentation, label.name, _("{name} (model {number})"))
        segment = result_segment(label, name, image, self.algorithm_name)
        if not segmentation.AddSegment(segment, chosen, following):
            text = _("Slicer did not take the segment {name} into the segmentation.")
            raise SceneError(text.format(name=segment.GetName()))
        return chosen


def holds_others(segmentation: slicer.vtkSegmentation, labels: Sequence[Label]) -> bool:
    """Whether segments are there that a result with these labels does not replace."""
    replaced = sum(replaceable(segmentation, label) is not None for label in labels)
    return segmentation.GetNumberOfSegments() > replaced


def has_reference_grid(node: slicer.vtkMRMLSegmentationNode) -> bool:
    """Whether a segmentation says on which grid it is drawn, saved and exported."""
    name = slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName()
    return f"{name}|" in node.GetSegmentation().SerializeAllConversionParameters() and bool(_grid_text(node))


def reference_grid(node: slicer.vtkMRMLSegmentationNode) -> slicer.vtkOrientedImageData:
    """The grid on which a segmentation is drawn, saved and exported, as an oriented image without values."""
    image = slicer.vtkOrientedImageData()
    slicer.vtkSegmentationConverter.DeserializeImageGeometry(_grid_text(node), image, False)
    return image


def _grid_text(node: slicer.vtkMRMLSegmentationNode) -> str:
    name = slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName()
    return node.GetSegmentation().GetConversionParameter(name)
