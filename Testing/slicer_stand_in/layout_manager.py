"""slicer.app.layoutManager(): the names that modules use, in front of the real views."""

from __future__ import annotations

from typing import Any

from PySide6 import QtCore
from slicer import vtkMRMLLayoutNode, vtkMRMLPlotViewNode
from slicer_stand_in.mrml_core import MrmlCore
from slicer_stand_in.stand_in import computed, slot
from slicer_stand_in.views import FOUR_UP, SliceView, ThreeDView

WITH_PLOT = tuple(getattr(vtkMRMLLayoutNode, f"SlicerLayout{name}") for name in
                  ("ConventionalPlotView", "FourUpPlotView", "FourUpPlotTableView", "OneUpPlotView",
                   "ThreeOverThreePlotView"))
"""Layouts with a plot view, which here is a node and draws nothing."""


def plot_view_node() -> Any:
    """The node of the plot view; a singleton, so that closing the scene keeps it and empties it."""
    node = vtkMRMLPlotViewNode()
    node.SetSingletonTag("PlotView1")
    node.SetName("PlotView1")
    return node


class SliceViewFront:
    """qMRMLSliceView of a view."""

    def __init__(self, view: SliceView) -> None:
        self._view = view

    def mrmlSliceNode(self) -> Any:
        return self._view.node

    def renderWindow(self) -> Any:
        return self._view.window

    def displayableManagerByClassName(self, class_name: str) -> Any:
        return self._view.group.GetDisplayableManagerByClassName(class_name)

    def forceRender(self) -> None:
        self._view.render()

    def scheduleRender(self) -> None:
        """Views are drawn when a picture is asked for."""


class SliceControllerFront:
    """qMRMLSliceControllerWidget of a view."""

    def __init__(self, view: SliceView) -> None:
        self._view = view

    def mrmlSliceNode(self) -> Any:
        return self._view.node

    def fitSliceToBackground(self) -> None:
        self._view.fit()

    def setSliceVisible(self, visible: bool) -> None:
        self._view.node.SetSliceVisible(visible)

    def setSliceOffsetValue(self, offset_mm: float) -> None:
        self._view.logic.SetSliceOffset(offset_mm)


class SliceWidgetFront:
    """qMRMLSliceWidget of a view."""

    def __init__(self, view: SliceView) -> None:
        self._view = view

    def sliceView(self) -> SliceViewFront:
        return SliceViewFront(self._view)

    def sliceController(self) -> SliceControllerFront:
        return SliceControllerFront(self._view)

    def sliceLogic(self) -> Any:
        return self._view.logic

    def mrmlSliceNode(self) -> Any:
        return self._view.node

    def mrmlSliceCompositeNode(self) -> Any:
        return self._view.logic.GetSliceCompositeNode()

    def fitSliceToBackground(self) -> None:
        self._view.fit()


class ThreeDViewFront:
    """qMRMLThreeDView of a view."""

    def __init__(self, view: ThreeDView) -> None:
        self._view = view

    def mrmlViewNode(self) -> Any:
        return self._view.node

    def cameraNode(self) -> Any:
        return self._view.camera_node()

    def renderWindow(self) -> Any:
        return self._view.window

    def resetFocalPoint(self) -> None:
        self._view.reset()

    def resetCamera(self) -> None:
        self._view.renderer.ResetCamera()

    def forceRender(self) -> None:
        self._view.render()

    def scheduleRender(self) -> None:
        """Views are drawn when a picture is asked for."""


class ThreeDWidgetFront:
    """qMRMLThreeDWidget of a view."""

    def __init__(self, view: ThreeDView) -> None:
        self._view = view

    def threeDView(self) -> ThreeDViewFront:
        return ThreeDViewFront(self._view)

    def mrmlViewNode(self) -> Any:
        return self._view.node


class qSlicerLayoutManager(QtCore.QObject):
    """Four views in a fixed arrangement: three slices and one in 3-D."""

    layoutChanged = QtCore.Signal(int)

    layout = computed("layout", int, lambda manager: manager._layout, lambda manager, to: manager.setLayout(to))
    threeDViewCount = computed("threeDViewCount", int, lambda manager: 1)
    tableViewCount = computed("tableViewCount", int, lambda manager: 0)
    plotViewCount = computed("plotViewCount", int, lambda manager: manager._plot_views())

    def __init__(self, core: MrmlCore) -> None:
        super().__init__()
        self._core, self._layout = core, 3
        self._slices = {spec.name: SliceView(core, spec) for spec in FOUR_UP}
        self._three_d = ThreeDView(core)

    def _views(self) -> dict[str, SliceView | ThreeDView]:
        """The four views themselves, for tests and pictures; no name of Slicer's."""
        return {**self._slices, "3D": self._three_d}

    def sliceViewNames(self) -> tuple[str, ...]:
        return tuple(spec.name for spec in FOUR_UP)

    def sliceWidget(self, name: str) -> SliceWidgetFront | None:
        return SliceWidgetFront(self._slices[name]) if name in self._slices else None

    def threeDWidget(self, index: int | str) -> ThreeDWidgetFront | None:
        return ThreeDWidgetFront(self._three_d) if index in (0, "1") else None

    def resetSliceViews(self) -> None:
        for view in self._slices.values():
            view.fit()

    def resetThreeDViews(self) -> None:
        self._three_d.reset()

    @slot(int)
    def setLayout(self, layout: int) -> None:
        if layout != self._layout:
            self._layout = layout
            if layout in WITH_PLOT and not self._plot_views():
                self._core.scene.AddNode(plot_view_node())
            self.layoutChanged.emit(layout)

    def _plot_views(self) -> int:
        """Once made they stay, whether the layout shows them or not."""
        return self._core.scene.GetNumberOfNodesByClass("vtkMRMLPlotViewNode")

    def mrmlScene(self) -> Any:
        return self._core.scene

    def mrmlSliceLogics(self) -> Any:
        return self._core.app_logic.GetSliceLogics()

    def pauseRender(self) -> None:
        """Nothing is drawn by itself."""

    def resumeRender(self) -> None:
        """Nothing is drawn by itself."""
