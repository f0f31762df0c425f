"""A small scripted module, as the one whose life was recorded in Slicer: every step is noted in LOG."""

from __future__ import annotations

import pathlib
from typing import Annotated

import slicer
from slicer import vtkMRMLScalarVolumeNode
from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin

LOG: list[str] = []


class LifeCyc(ScriptedLoadableModule):
    def __init__(self, parent) -> None:
        super().__init__(parent)
        self.parent.title = "Life"
        self.parent.categories = ["T"]
        LOG.append("module.__init__")

    def setup(self) -> None:
        LOG.append("module.setup")


@parameterNodeWrapper
class LifeCycParameterNode:
    vol: vtkMRMLScalarVolumeNode
    thr: Annotated[float, WithinRange(-100, 200)] = 100
    flag: bool = False
    path: pathlib.Path


class LifeCycWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    def __init__(self, parent=None) -> None:
        LOG.append(f"widget.__init__ parent={parent.className()}")
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self._p, self._tag = None, None

    def setup(self) -> None:
        super().setup()
        LOG.append(f"widget.setup layout={self.layout.className()} devmode={self.developerMode}")
        self.logic = LifeCycLogic()
        uiWidget = slicer.util.loadUI(self.resourcePath("UI/LifeCyc.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, lambda *_: LOG.append("StartClose"))
        self.addObserver(scene, scene.EndCloseEvent, lambda *_: LOG.append("EndClose"))
        self._p = LifeCycParameterNode(self.logic.getParameterNode())
        self._tag = self._p.connectGui(self.ui)

    def enter(self) -> None:
        LOG.append("widget.enter")

    def exit(self) -> None:
        LOG.append("widget.exit")

    def cleanup(self) -> None:
        LOG.append("widget.cleanup")
        self.removeObservers()
        if self._tag is not None:
            self._p.disconnectGui(self._tag)


class LifeCycLogic(ScriptedLoadableModuleLogic):
    pass
