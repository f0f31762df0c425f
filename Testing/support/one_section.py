"""A panel of one section only, on a real parameter node: for tests of a section by itself."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


class OneSectionPanel:
    """What a section knows of its panel."""

    def __init__(self, module_folder: Any, kind: Callable) -> None:
        import slicer

        self._folder = module_folder
        self.parameters = None
        self.said: list[tuple[str, str]] = []
        self._undo: Callable[[], None] = lambda: None
        self.shown = kind(self)
        self.shown.widget.setMRMLScene(slicer.mrmlScene)
        self.shown.frame.show()
        self.shown.setUp()

    def resourcePath(self, name: str) -> str:
        return str(self._folder / "Resources" / name)

    def say(self, text: str, kind: str = "note") -> None:
        self.said.append((kind, text))

    def follow_new(self) -> Any:
        """Connect to a new parameter node in the scene, and return it."""
        import slicer

        from ALHVRSegmentationLib.parameters import ALHVRSegmentationParameterNode

        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScriptedModuleNode")
        self.follow(ALHVRSegmentationParameterNode(node))
        return self.parameters

    def follow(self, parameters: Any) -> None:
        """Connect to a parameter node, or with None to none."""
        import vtk

        self._undo()
        self._undo, self.parameters = lambda: None, parameters
        if parameters is not None:
            gui = parameters.connectGui(self.shown.ui)
            tag = parameters.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: self.shown.refresh())
            self._undo = lambda: (parameters.disconnectGui(gui), parameters.RemoveObserver(tag))
        self.shown.follow(parameters)
        self.shown.refresh()

    def close(self) -> None:
        """As when the panel is destroyed; once."""
        if self.shown is not None:
            self._undo()
            self.parameters = None
            self.shown.cleanUp()
            self.shown.frame.delete()
            self.shown = None


def wait_until(condition: Callable[[], object], seconds: float = 10.0) -> None:
    """Let events happen until the condition holds; fails when it does not in time."""
    import slicer

    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        slicer.app.processEvents()
        time.sleep(0.005)
