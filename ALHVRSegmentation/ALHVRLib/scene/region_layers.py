"""Layers: puts a region label map into the label layer of the slice views and gives back what was there."""

from __future__ import annotations

import slicer

from ALHVRLib.scene.region_colours import REGION_COLOURS, add_region_colours

SEGMENTATION = "ALHVR.Segmentation"
"""Reference of a label map of regions to the segmentation that belongs to it."""
FILL_HIDDEN = "ALHVR.FillHidden"
"""Attribute of the display of a segmentation whose fill was switched off here."""


class RegionLayers:
    """What the slice views show in their label layers."""

    def __init__(self) -> None:
        self.forget()

    def show(self, node: slicer.vtkMRMLLabelMapVolumeNode, opacity: float, again: bool = False) -> None:
        """Show a label map in every slice view that was not asked before; what its label layer held is remembered.

        With `again`, also in views that were asked, but whose label layers are empty now: the Segment Editor empties
        them. The segmentation that belongs to it is drawn as outlines meanwhile.
        """
        if self._shown_id != node.GetID():
            self.hide()
            self._shown_id, self._outlined_id = node.GetID(), node.GetNodeReferenceID(SEGMENTATION)
            outline_only(node.GetNodeReference(SEGMENTATION), True)
        for composite in _composites():
            if composite.GetID() not in self._former:
                label_id = composite.GetLabelVolumeID()
                former_id = label_id if label_id != self._shown_id else None
                self._former[composite.GetID()] = (former_id, composite.GetLabelOpacity())
                composite.SetLabelVolumeID(self._shown_id)
            elif again and not composite.GetLabelVolumeID():
                composite.SetLabelVolumeID(self._shown_id)
        self._set_opacity(opacity)

    def _set_opacity(self, opacity: float) -> None:
        """0 to 1, in the views that still show the regions."""
        for composite in _composites():
            if composite.GetLabelVolumeID() == self._shown_id:
                composite.SetLabelOpacity(opacity)

    def hide(self) -> None:
        """Give back the former label layers, but not where another one was chosen meanwhile."""
        for composite in _composites():
            former_id, opacity = self._former.get(composite.GetID(), (None, 1.0))
            if self._shown_id and composite.GetLabelVolumeID() in (self._shown_id, None, ""):
                there = former_id if former_id and slicer.mrmlScene.GetNodeByID(former_id) else None
                composite.SetLabelVolumeID(there)
                composite.SetLabelOpacity(opacity)
        if self._outlined_id:
            outline_only(slicer.mrmlScene.GetNodeByID(self._outlined_id), False)
        self.forget()

    def forget(self) -> None:
        """The scene goes: nothing is shown, nothing to give back."""
        self._shown_id, self._outlined_id, self._former = "", None, {}

    @property
    def shown_id(self) -> str:
        """ID of the label map that was put there, "" without."""
        return self._shown_id


def colour_regions(node: slicer.vtkMRMLLabelMapVolumeNode, ticked: dict[int, bool]) -> None:
    """Colour the regions; those not ticked become clear. ticked: {region: bool}."""
    colours = _own_colours(node)
    with slicer.util.NodeModify(colours):
        for region, colour in REGION_COLOURS.items():
            wanted = (*colour, 1.0 if ticked[region] else 0.0)
            seen = [0.0] * 4
            colours.GetColor(region, seen)
            if max(abs(one - other) for one, other in zip(seen, wanted, strict=True)) > 1e-3:
                colours.SetColor(region, *wanted)


def outline_only(segmentation: slicer.vtkMRMLSegmentationNode | None, on: bool) -> None:
    """Draw segments as outlines in the slices, so that the regions are not hidden below; off: as it was before."""
    display = segmentation.GetDisplayNode() if segmentation is not None else None
    if display is None:
        return
    if on and display.GetVisibility2DFill():
        display.SetAttribute(FILL_HIDDEN, "1")
        display.SetVisibility2DFill(False)
    elif not on and display.GetAttribute(FILL_HIDDEN):
        display.RemoveAttribute(FILL_HIDDEN)
        display.SetVisibility2DFill(True)


def _own_colours(node: slicer.vtkMRMLLabelMapVolumeNode) -> slicer.vtkMRMLColorTableNode:
    """The colour table of a label map, if it may be changed; otherwise one that is made for it."""
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    colours = display.GetColorNode()
    if colours is None or not colours.IsA("vtkMRMLColorTableNode") or colours.GetType() != colours.User:
        colours = add_region_colours(f"{node.GetName()} colours", hidden=True)
        display.SetAndObserveColorNodeID(colours.GetID())
    return colours


def _composites() -> list[slicer.vtkMRMLSliceCompositeNode]:
    """The nodes that say what slice views show."""
    return slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")
