"""Preview: one scan in the slice views as the training segments it now, or did some minutes ago.

What the views showed comes back when the preview is hidden; no node of the user's is touched.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _

from alhvr.formats.region_tables import RELIABLE_STABLE
from ALHVRLib.scene.label_images import BINARY_LABELMAP, label_image
from ALHVRLib.scene.region_colours import add_region_colours
from ALHVRLib.scene.segment_masks import hide_segmentations, show_segmentations
from ALHVRTrainerLib.training.charts import PALETTE
from ALHVRTrainerLib.training.preview_files import PreviewData, Scan

OPACITY = 0.4
"""Of the regions over the scan."""
MOST_SEGMENTS = 50


@dataclass
class _Look:
    """What one slice view showed, and where it looked."""

    layers: tuple[str | None, str | None, str | None]
    """IDs of background, foreground and label."""
    opacity: float
    """Of the label layer."""
    to_ras: vtk.vtkMatrix4x4
    field_of_view: tuple[float, ...]


@dataclass
class PreviewNodes:
    """The nodes of the preview, by ID, and what the slice views showed before."""

    _ids: dict[str, str] = field(default_factory=dict)
    _former: dict[str, _Look] = field(default_factory=dict)
    _name: str = ""
    _shown: Path | None = None
    """File of the scan."""
    _hidden: tuple[str, ...] = ()
    """IDs of segmentations of other scans, which would lie over this one."""

    @property
    def isShown(self) -> bool:
        """Whether there is anything to hide."""
        return bool(self._ids)

    def show(self, data: PreviewData) -> None:
        """Show a case in all slice views, in place of the one before."""
        same = self._shown == data.case.image and self._node("image") is not None
        self._shown, self._name = data.case.image, data.case.name
        with slicer.util.RenderBlocker():
            if not same:
                self._putImage(data)
            self._putRegions(data)
            self._putSegments(data)
            if not same:
                self._hidden += hide_segmentations(but=(self._ids["segmentation"],))
            self._layer()
        if not same:
            _fit()

    def hide(self) -> None:
        """Take the nodes away; each view shows what it did before, unless something else was chosen in it since."""
        label_id, image_id = self._ids.get("regions"), self._ids.get("image")
        for logic in _slice_logics():
            composite, former = logic.GetSliceCompositeNode(), self._former.get(logic.GetSliceNode().GetID())
            if former is None:
                continue
            if composite.GetLabelVolumeID() in (label_id, None):
                composite.SetLabelVolumeID(_still_there(former.layers[2]))
                composite.SetLabelOpacity(former.opacity)
            if composite.GetBackgroundVolumeID() in (image_id, None):
                composite.SetBackgroundVolumeID(_still_there(former.layers[0]))
                composite.SetForegroundVolumeID(_still_there(former.layers[1]))
                _look_at(logic.GetSliceNode(), former)
        for role in list(self._ids):
            self._remove(role)
        show_segmentations(self._hidden)
        self.forget()

    def forget(self) -> None:
        """The scene goes: no node is there any more, nothing to give back."""
        self._ids, self._former, self._shown, self._hidden = {}, {}, None, ()

    def _putImage(self, data: PreviewData) -> None:
        scan = data.image or Scan(np.zeros(data.segmentation.shape, np.uint8), data.grid)
        self._put("image", "vtkMRMLScalarVolumeNode", _("ALHVR preview: {name}"), scan)

    def _putRegions(self, data: PreviewData) -> None:
        regions = data.regions if data.regions is not None else np.zeros(data.segmentation.shape, np.uint8)
        node = self._put("regions", "vtkMRMLLabelMapVolumeNode", _("ALHVR preview: {name}, regions"),
                         Scan(regions, data.grid))
        if self._node("colours") is None:
            colours = add_region_colours(_("ALHVR preview: region colours"), hidden=True)
            colours.SetSaveWithScene(False)
            colours.SetOpacity(RELIABLE_STABLE, 0.0)  # nearly everywhere: it would hide the scan
            self._ids["colours"] = colours.GetID()
        node.GetDisplayNode().SetAndObserveColorNodeID(self._ids["colours"])

    def _putSegments(self, data: PreviewData) -> None:
        node = self._node("segmentation")
        if node is None:
            node = self._added("segmentation", "vtkMRMLSegmentationNode")
            node.CreateDefaultDisplayNodes()
            node.GetDisplayNode().SetSaveWithScene(False)
            node.GetDisplayNode().SetVisibility2DFill(False)
            node.GetDisplayNode().SetVisibility3D(False)
        node.SetName(_("ALHVR preview: {name}, segmentation").format(name=data.case.name))
        image = label_image(data.segmentation, data.grid)
        present = [int(value) for value in np.unique(data.segmentation) if value][:MOST_SEGMENTS]
        with slicer.util.NodeModify(node):
            node.GetSegmentation().RemoveAllSegments()
            for value in present:
                segment = slicer.vtkSegment()
                segment.SetName(data.names.get(value, str(value)))
                segment.SetColor(*PALETTE[(value - 1) % len(PALETTE)])
                segment.SetLabelValue(value)
                segment.AddRepresentation(BINARY_LABELMAP, image)
                node.GetSegmentation().AddSegment(segment, f"preview_{value}")

    def _put(self, role: str, kind: str, title: str, scan: Scan) -> slicer.vtkMRMLVolumeNode:
        node = self._node(role)
        if node is None:
            node = self._added(role, kind)
            node.CreateDefaultDisplayNodes()
            node.GetDisplayNode().SetSaveWithScene(False)
        with slicer.util.NodeModify(node):
            node.SetName(title.format(name=self._name))
            node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(scan.ijk_to_ras))
            slicer.util.updateVolumeFromArray(node, np.ascontiguousarray(scan.voxels))
        return node

    def _layer(self) -> None:
        """Our nodes in the layers of the views; what was there is noted once."""
        for logic in _slice_logics():
            view, composite = logic.GetSliceNode(), logic.GetSliceCompositeNode()
            if view.GetID() not in self._former:
                self._former[view.GetID()] = _look_of(view, composite)
            composite.SetBackgroundVolumeID(self._ids["image"])
            composite.SetForegroundVolumeID(None)
            composite.SetLabelVolumeID(self._ids["regions"])
            composite.SetLabelOpacity(OPACITY)

    def _added(self, role: str, kind: str) -> slicer.vtkMRMLNode:
        node = slicer.mrmlScene.CreateNodeByClass(kind)
        node.UnRegister(None)
        node.SetSaveWithScene(False)
        slicer.mrmlScene.AddNode(node)
        self._ids[role] = node.GetID()
        return node

    def _node(self, role: str) -> slicer.vtkMRMLNode | None:
        return slicer.mrmlScene.GetNodeByID(self._ids[role]) if role in self._ids else None

    def _remove(self, role: str) -> None:
        node = self._node(role)
        if node is None:
            return
        display = node.GetDisplayNode() if node.IsA("vtkMRMLDisplayableNode") else None
        for one in (display, node):
            if one is not None:
                slicer.mrmlScene.RemoveNode(one)


def _look_of(view: slicer.vtkMRMLSliceNode, composite: slicer.vtkMRMLSliceCompositeNode) -> _Look:
    to_ras = vtk.vtkMatrix4x4()
    to_ras.DeepCopy(view.GetSliceToRAS())
    layers = (composite.GetBackgroundVolumeID(), composite.GetForegroundVolumeID(), composite.GetLabelVolumeID())
    return _Look(layers, composite.GetLabelOpacity(), to_ras, tuple(view.GetFieldOfView()))


def _look_at(view: slicer.vtkMRMLSliceNode, former: _Look) -> None:
    view.GetSliceToRAS().DeepCopy(former.to_ras)
    view.SetFieldOfView(*former.field_of_view)
    view.UpdateMatrices()


def _fit() -> None:
    manager = slicer.app.layoutManager()
    if manager is not None:
        manager.resetSliceViews()


def _slice_logics() -> list[slicer.vtkMRMLSliceLogic]:
    logics = slicer.app.applicationLogic().GetSliceLogics()
    return [logics.GetItemAsObject(number) for number in range(logics.GetNumberOfItems())]


def _still_there(node_id: str | None) -> str | None:
    return node_id if node_id and slicer.mrmlScene.GetNodeByID(node_id) is not None else None
