"""Places in the tree: a result stands where its scan stands in the subject hierarchy."""

from __future__ import annotations

import slicer


def place_beside(node: slicer.vtkMRMLNode, volumeNode: slicer.vtkMRMLVolumeNode) -> bool:
    """Move a node that nobody placed yet to the patient, study or folder of the volume; True if it moved."""
    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    if tree is None:
        return False
    item, beside = tree.GetItemByDataNode(node), tree.GetItemByDataNode(volumeNode)
    if not item or not beside or tree.GetItemParent(item) != tree.GetSceneItemID():
        return False
    parent = tree.GetItemParent(beside)
    if parent == tree.GetSceneItemID():
        return False
    tree.SetItemParent(item, parent)
    return True
