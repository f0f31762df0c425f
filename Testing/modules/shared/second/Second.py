"""A second module on the shared library: lists the installed models, and asks the engine for its version."""

from __future__ import annotations

from functools import partial
from typing import Any

from slicer.parameterNodeWrapper import parameterNodeWrapper
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleWidget,
)

from ALHVRLib import paths
from ALHVRLib.child_process import ChildProcess
from ALHVRLib.models import store
from ALHVRLib.panel import Panel
from ALHVRLib.requirements import Requirement, Wheel
from ALHVRLib.section import Section
from ALHVRLib.setup_section import SetupSection

SMALL = Wheel(("any",), "2.0", 1, 2)
TABLES = Requirement("tables_of_second", ">=2", wheels=dict.fromkeys(
    ("windows", "mac-arm", "mac-intel", "mac-intel-old", "linux", "linux-old"), SMALL))


class Second(ScriptedLoadableModule):
    """The module as Slicer lists it."""


@parameterNodeWrapper
class SecondParameterNode:
    useTorch: bool = False


class VersionSection(Section):
    """A button, and what came of it."""

    UI = "Second.ui"
    TITLE = "Version"

    def setUp(self) -> None:
        self.ui.askButton.connect("clicked()", self.onAsk)
        self.ui.modelsLabel.text = ", ".join(model.title for model in store.installed())

    def onAsk(self) -> None:
        child = ChildProcess(["--version"], onEvent=lambda event: None, onLog=self.panel.say, onEnd=self.onEnd,
                             workFolder=paths.work_folder("second"))
        child.start()

    def onEnd(self, status: Any) -> None:
        self.ui.endLabel.text = status.kind


def needs_torch(parameters: SecondParameterNode) -> bool:
    return parameters.useTorch


SETUP = partial(SetupSection, purpose="Asking", requirements=(TABLES,), needsTorch=needs_torch)


class SecondWidget(ScriptedLoadableModuleWidget):
    def setup(self) -> None:
        self.panel = Panel(self, SecondLogic(), (SETUP, VersionSection), notice="The second module.")
        self.panel.build()
        self.panel.follow(self.panel.logic.getParameterNode())

    def cleanup(self) -> None:
        self.panel.cleanUp()


class SecondLogic(ScriptedLoadableModuleLogic):
    def getParameterNode(self) -> SecondParameterNode:
        return SecondParameterNode(super().getParameterNode())
