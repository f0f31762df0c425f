"""Slicer's Segment Editor: the node that it works with, showing it, and giving it a segmentation to edit."""

from __future__ import annotations

import slicer

EDITOR_TAG = "SegmentEditor"
"""Singleton tag of the node that the module Segment Editor works with."""


def edit_segmentation(segmentation_node: slicer.vtkMRMLSegmentationNode,
                      scan: slicer.vtkMRMLVolumeNode) -> bool:
    """Show the Segment Editor with a segmentation and its scan chosen; False where this Slicer shows none.

    The nodes are chosen twice, as the editor changes its node when it comes up with a segmentation that is new to it.
    """
    _choose(segmentation_node, scan)
    is_open = open_editor()
    _choose(segmentation_node, scan)
    return is_open


def _choose(segmentation_node: slicer.vtkMRMLSegmentationNode, scan: slicer.vtkMRMLVolumeNode) -> None:
    node = editor_node()
    with slicer.util.NodeModify(node):
        node.SetAndObserveSegmentationNode(segmentation_node)
        node.SetAndObserveSourceVolumeNode(scan)


def open_editor() -> bool:
    """Show the Segment Editor; False where this Slicer shows none."""
    if slicer.util.mainWindow() is None or not hasattr(slicer.modules, "segmenteditor"):
        return False
    try:
        slicer.util.selectModule("SegmentEditor")
    except RuntimeError:
        return False
    return True


def editor_node() -> slicer.vtkMRMLSegmentEditorNode:
    """The node that the Segment Editor uses; made as the module itself makes it where there is none yet."""
    scene, kind = slicer.mrmlScene, "vtkMRMLSegmentEditorNode"
    node = scene.GetSingletonNode(EDITOR_TAG, kind)
    if node is None:
        node = scene.CreateNodeByClass(kind)
        node.UnRegister(None)
        node.SetSingletonTag(EDITOR_TAG)
        node = scene.AddNode(node)
    return node
