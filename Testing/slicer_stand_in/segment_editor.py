"""The module Segment Editor, as far as others notice it: what it does to its node, and to the slice views."""

from __future__ import annotations

from typing import Any

import slicer
import vtk
from slicer_stand_in.module_widgets import qSlicerAbstractModuleWidget
from slicer_stand_in.stand_in import slot, stand_in

TAG, KIND = "SegmentEditor", "vtkMRMLSegmentEditorNode"


@stand_in
class qSlicerSegmentEditorModuleWidget(qSlicerAbstractModuleWidget):
    """From its first opening on it follows its node, on the screen or not.

    Whenever another segmentation than before is in the node, its first segment is selected, whichever the node names,
    and the label layers of all slice views are emptied.
    """

    _node = None
    _segmentation = None
    _tag = 0

    @slot()
    def enter(self) -> None:
        self._entered = True
        self._follow_node()
        self._take_segmentation()

    def _follow_node(self) -> None:
        scene = slicer.mrmlScene
        node = scene.GetSingletonNode(TAG, KIND)
        if node is None:
            node = scene.CreateNodeByClass(KIND)
            node.UnRegister(None)
            node.SetSingletonTag(TAG)
            node = scene.AddNode(node)
        if node is not self._node:
            self._forget()
            self._node, self._tag = node, node.AddObserver(vtk.vtkCommand.ModifiedEvent, self._take_segmentation)

    def _take_segmentation(self, *_event: Any) -> None:
        segmentation = self._node.GetSegmentationNode()
        if segmentation is self._segmentation:
            return
        self._segmentation = segmentation
        if segmentation is None:
            return
        if segmentation.GetSegmentation().GetNumberOfSegments():
            self._node.SetSelectedSegmentID(segmentation.GetSegmentation().GetNthSegmentID(0))
        for composite in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
            composite.SetLabelVolumeID(None)

    def _forget(self) -> None:
        """Follow no node any more, at the end of the application."""
        if self._node is not None:
            self._node.RemoveObserver(self._tag)
        self._node = self._segmentation = None
