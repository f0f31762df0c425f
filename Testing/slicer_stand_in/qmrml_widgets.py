"""Stand-ins for the small qMRML and qSlicer widgets, on the real MRML scene."""

from __future__ import annotations

from typing import Any

import slicer
from PySide6 import QtCore, QtGui, QtWidgets
from slicer_stand_in.ctk_buttons import ctkMenuButton
from slicer_stand_in.ctk_numbers import ctkDoubleSpinBox
from slicer_stand_in.ctk_slider import ctkSliderWidget
from slicer_stand_in.mrml_observers import Observers
from slicer_stand_in.stand_in import slot, stand_in, stored

SURFACE = "Closed surface"


class TakesScene:
    """setMRMLScene() of the classes below."""

    _scene = None

    @slot("vtkMRMLScene")
    def setMRMLScene(self, scene: Any) -> None:
        if scene is not self._scene:
            self._scene = scene
            self._scene_changed()

    def _scene_changed(self) -> None:
        """For those with a signal for it."""


class WithScene(TakesScene):
    """And mrmlScene(), which PythonQt shows of some."""

    @slot()
    def mrmlScene(self) -> Any:
        return self._scene


@stand_in
class qMRMLWidget(WithScene, QtWidgets.QWidget):
    _vtk_signals = ("mrmlSceneChanged(vtkMRMLScene*)",)
    mrmlSceneChanged = QtCore.Signal(object)

    def _scene_changed(self) -> None:
        self.mrmlSceneChanged.emit(self._scene)

    @slot(QtGui.QIcon)
    def pixmapFromIcon(self, icon: QtGui.QIcon) -> QtGui.QPixmap:
        return icon.pixmap(16, 16)


@stand_in
class qSlicerWidget(TakesScene, QtWidgets.QWidget):
    _vtk_signals = ("mrmlSceneChanged(vtkMRMLScene*)",)
    mrmlSceneChanged = QtCore.Signal(object)

    def _scene_changed(self) -> None:
        self.mrmlSceneChanged.emit(self._scene)


@stand_in
class qMRMLSliderWidget(WithScene, ctkSliderWidget):
    quantity = stored("quantity", str, "")
    unitAwareProperties = stored("unitAwareProperties", int, 39)
    orientation = stored("orientation", int, 1)

    @slot(str)
    def setQuantity(self, quantity: str) -> None:
        self.quantity = quantity

    @slot(int)
    def setUnitAwareProperties(self, flags: int) -> None:
        self.unitAwareProperties = flags

    @slot(int)
    def setOrientation(self, orientation: int) -> None:
        self.orientation = orientation


@stand_in
class qMRMLSpinBox(WithScene, ctkDoubleSpinBox):
    quantity = stored("quantity", str, "")
    unitAwareProperties = stored("unitAwareProperties", int, 31)

    @slot(str)
    def setQuantity(self, quantity: str) -> None:
        self.quantity = quantity

    @slot(int)
    def setUnitAwareProperties(self, flags: int) -> None:
        self.unitAwareProperties = flags


@stand_in
class qMRMLSegmentationShow3DButton(ctkMenuButton):
    """Checked while the segmentation has surfaces; disabled while it has no segments."""

    locked = stored("locked", bool, False)

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._node = None
        self._observers = Observers(self)
        self.setText("Show 3D")
        self.setCheckable(True)
        self.setMenu(QtWidgets.QMenu(self))
        self.setEnabled(False)
        self.toggled.connect(self._show_surfaces)

    @slot()
    def segmentationNode(self) -> Any:
        return self._node

    @slot("vtkMRMLSegmentationNode")
    def setSegmentationNode(self, node: Any) -> None:
        self._observers.clear()
        self._node = node
        if node is not None:
            segmentation = slicer.vtkSegmentation
            for event in (
                segmentation.SegmentAdded,
                segmentation.SegmentRemoved,
                segmentation.ContainedRepresentationNamesModified,
            ):
                self._observers.add(node, event, self._follow_node)
        self._follow_node()

    @slot(bool)
    def setLocked(self, locked: bool) -> None:
        self.locked = locked

    def click(self) -> None:
        """In Slicer this waits for ever in the menu that it opens, where nobody is there to choose."""
        raise RuntimeError("qMRMLSegmentationShow3DButton.click() blocks in Slicer: set .checked in tests")

    def _follow_node(self) -> None:
        segmentation = self._node.GetSegmentation() if self._node is not None else None
        has_segments = segmentation is not None and segmentation.GetNumberOfSegments() > 0
        self.setEnabled(has_segments)
        self.setChecked(has_segments and segmentation.ContainsRepresentation(SURFACE))

    def _show_surfaces(self, on: bool) -> None:
        if self._node is None or self._node.GetSegmentation().ContainsRepresentation(SURFACE) == on:
            return
        if on:
            self._node.CreateClosedSurfaceRepresentation()
        else:
            self._node.RemoveClosedSurfaceRepresentation()
