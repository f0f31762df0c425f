"""Region nodes: the engine's regions and confidences of a scan, as nodes that a saved scene keeps together."""

from __future__ import annotations

import pathlib

import numpy as np
import slicer
from slicer.i18n import tr as _

from ALHVRLib.scene.errors import SceneError
from ALHVRLib.scene.export_volume import own_ijk_to_ras
from ALHVRLib.scene.frames import place_of
from ALHVRLib.scene.label_images import read_nrrd
from ALHVRLib.scene.region_colours import add_region_colours
from ALHVRLib.scene.region_layers import SEGMENTATION
from ALHVRLib.scene.subject_hierarchy import place_beside

TABLE = "ALHVR.RegionTable"
"""Attribute: text of the engine's NAME.regions.json."""
SCAN = "ALHVR.Scan"
MAPS = {"ALHVR.ConfidenceA": "confidence-a", "ALHVR.ConfidenceB": "confidence-b", "ALHVR.Teacher": "teacher"}
"""Node reference to each uint16 map, and the ending of its file; the teacher's need not be there."""
OPTIONAL = "ALHVR.Teacher"
REGIONS = "regions"
NOT_IN_TREE = slicer.vtkMRMLSubjectHierarchyConstants.GetSubjectHierarchyExcludeFromTreeAttributeName()
OURS = "ALHVR."
LARGEST_TABLE = 1 << 20


def make_region_nodes(volumeNode: slicer.vtkMRMLVolumeNode, segmentationNode: slicer.vtkMRMLSegmentationNode | None,
                      folder: pathlib.Path | str, name: str) -> slicer.vtkMRMLLabelMapVolumeNode:
    """Make the label map of the regions with all that belongs to it, or renew that of an earlier run for this scan.

    Args:
        volumeNode: what was segmented; all nodes get its grid and its transform.
        folder: where the engine wrote NAME.regions.nrrd, NAME.regions.json, NAME.confidence-a.nrrd,
            NAME.confidence-b.nrrd and perhaps NAME.teacher.nrrd.
        name: NAME.

    Returns the label map node. Raises SceneError, in one sentence, before anything in the scene is changed.
    """
    found = _Found(volumeNode, pathlib.Path(folder), name)
    place = place_of(volumeNode)
    with slicer.util.RenderBlocker():
        node = earlier_regions(place) or _new_regions(place)
        _fill(node, found.regions, volumeNode, place)
        for role, title in _map_titles(place).items():
            _put_map(node, role, title, found.maps.get(role), (volumeNode, place))
        node.SetNodeReferenceID(SCAN, place.GetID())
        node.SetNodeReferenceID(SEGMENTATION, segmentationNode.GetID() if segmentationNode is not None else None)
        for attribute in [name for name in node.GetAttributeNames() if name.startswith(OURS)]:
            node.RemoveAttribute(attribute)  # what the panel noted of the earlier voxels
        node.SetAttribute(TABLE, found.table)
        place_beside(node, place)
    return node


def earlier_regions(volumeNode: slicer.vtkMRMLVolumeNode) -> slicer.vtkMRMLLabelMapVolumeNode | None:
    """The label map of regions that belongs to this scan, or None."""
    for node in slicer.util.getNodesByClass("vtkMRMLLabelMapVolumeNode"):
        if node.GetAttribute(TABLE) and node.GetNodeReference(SCAN) is volumeNode:
            return node
    return None


class _Found:
    """What the engine wrote, all of it read and of the volume's size."""

    def __init__(self, volumeNode: slicer.vtkMRMLVolumeNode, folder: pathlib.Path, name: str) -> None:
        self._folder, self._name = folder, name
        self._shape = volumeNode.GetImageData().GetDimensions()[::-1] if volumeNode.GetImageData() else (0, 0, 0)
        self.table = self._read_table()
        self.regions = self._read(REGIONS)
        there = {role: ending for role, ending in MAPS.items() if role != OPTIONAL or self._path(ending).is_file()}
        self.maps = {role: self._read(ending) for role, ending in there.items()}

    def _path(self, ending: str) -> pathlib.Path:
        return self._folder / f"{self._name}.{ending}.nrrd"

    def _read(self, ending: str) -> np.ndarray:
        array = read_nrrd(self._path(ending))
        if array.shape != self._shape:
            raise SceneError(_("The regions are of another size than the scan now has: segment it again."))
        return array

    def _read_table(self) -> str:
        path = self._folder / f"{self._name}.{REGIONS}.json"
        try:
            if path.stat().st_size > LARGEST_TABLE:
                raise ValueError(_("it is too large"))
            return path.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            text = _("The table of the regions cannot be read ({reason}): segment the scan again.")
            raise SceneError(text.format(reason=getattr(error, "strerror", None) or error)) from error


def _map_titles(place: slicer.vtkMRMLVolumeNode) -> dict[str, str]:
    titles = {
        "ALHVR.ConfidenceA": _("{scan} confidence of network A"),
        "ALHVR.ConfidenceB": _("{scan} confidence of network B"),
        "ALHVR.Teacher": _("{scan} certainty of the teacher"),
    }
    return {role: title.format(scan=place.GetName()) for role, title in titles.items()}


def _new_regions(place: slicer.vtkMRMLVolumeNode) -> slicer.vtkMRMLLabelMapVolumeNode:
    """An empty label map with colours of its own."""
    colours = add_region_colours(_("{scan} region colours").format(scan=place.GetName()))
    name = slicer.mrmlScene.GenerateUniqueName(_("{scan} regions").format(scan=place.GetName()))
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", name)
    node.CreateDefaultDisplayNodes()
    node.GetDisplayNode().SetAndObserveColorNodeID(colours.GetID())
    return node


def _put_map(node: slicer.vtkMRMLNode, role: str, title: str, array: np.ndarray | None,
             scan: tuple[slicer.vtkMRMLVolumeNode, slicer.vtkMRMLVolumeNode]) -> None:
    """Fill the volume in a role, or take it away where there is no array."""
    volume = node.GetNodeReference(role)
    if array is None:
        if volume is not None:
            slicer.mrmlScene.RemoveNode(volume)
        node.SetNodeReferenceID(role, None)
        return
    if volume is None:
        volume = slicer.mrmlScene.CreateNodeByClass("vtkMRMLScalarVolumeNode")
        volume.UnRegister(None)
        volume.SetName(title)
        volume.SetAttribute(NOT_IN_TREE, "1")  # hidden from editors, Slicer's Save dialog would leave it out
        slicer.mrmlScene.AddNode(volume)
        node.SetNodeReferenceID(role, volume.GetID())
    _fill(volume, array, *scan)


def _fill(node: slicer.vtkMRMLVolumeNode, array: np.ndarray, volumeNode: slicer.vtkMRMLVolumeNode,
          place: slicer.vtkMRMLVolumeNode) -> None:
    """Give the node voxels on the volume's own grid, under the same transform."""
    with slicer.util.NodeModify(node):
        slicer.util.updateVolumeFromArray(node, array)
        node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(own_ijk_to_ras(volumeNode)))
        node.SetAndObserveTransformNodeID(place.GetTransformNodeID())
