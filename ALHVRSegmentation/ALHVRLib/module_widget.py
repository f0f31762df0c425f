"""ModuleWidget: the life of a module's panel in Slicer; scenes and parameter nodes come and go, the sections stay."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import slicer
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleLogic, ScriptedLoadableModuleWidget
from slicer.util import VTKObservationMixin

if TYPE_CHECKING:
    from ALHVRLib.panel import Panel

LIBRARIES = ("ALHVR", "Lib")
"""How the packages of the modules' parts, and of what they share, begin and end."""


class ModuleWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """Base class of a module's widget, which says what its logic and its panel are by makeLogic() and makePanel()."""

    def __init__(self, parent: object | None = None) -> None:
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = None
        self.panel = None

    def makeLogic(self) -> ScriptedLoadableModuleLogic:
        """The module's logic, whose getParameterNode() gives the typed parameter node of the scene."""
        raise NotImplementedError

    def makePanel(self) -> Panel:
        """The panel, not built yet; its files are imported here and not when Slicer starts."""
        raise NotImplementedError

    def setup(self) -> None:
        """Build the sections; what they need besides Slicer is looked for when they need it."""
        super().setup()
        self.logic = self.makeLogic()
        self.panel = self.makePanel()
        self.panel.build()
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(scene, scene.EndCloseEvent, self.onSceneReady)
        self.addObserver(scene, scene.EndImportEvent, self.onSceneReady)
        self.enter()

    def enter(self) -> None:
        """The panel is shown."""
        if self.panel is not None:
            self.panel.follow(self.logic.getParameterNode())

    def exit(self) -> None:
        """Another panel is shown: what the user does there is not ours to react to; what runs goes on."""
        if self.panel is not None:
            self.panel.follow(None)

    def onSceneStartClose(self, *_arguments: object) -> None:
        """Hold nothing of a scene that goes."""
        self.panel.dropScene()

    def onSceneReady(self, *_arguments: object) -> None:
        """Begin anew, with what a loaded scene remembers, where the panel is on the screen."""
        if self.parent.isEntered:
            self.enter()

    def cleanup(self) -> None:
        """End what the panel has running and forget all nodes; Slicer may call it again after a reload."""
        self.removeObservers()
        if self.panel is not None:
            self.panel.cleanUp()
            self.panel = None

    def onReload(self) -> None:
        """Load the files of all libraries again too, not only the module's own: they stand on one another.

        A panel of another module that is open goes on with the files as they were, until it is reloaded too.
        """
        begin, end = LIBRARIES
        for name in list(sys.modules):
            package = name.partition(".")[0]
            if package.startswith(begin) and package.endswith(end):
                del sys.modules[name]
        super().onReload()
