"""slicer.ScriptedLoadableModule: the base classes of scripted modules, which the wheel does not bring."""

from __future__ import annotations

import inspect
import logging
import pathlib
import unittest
from typing import Any

import qt
import slicer


def _folder_of(instance: object) -> pathlib.Path:
    return pathlib.Path(inspect.getfile(type(instance))).parent


class ScriptedLoadableModule:
    """Describes a module to Slicer: fills the properties of its C++ side."""

    def __init__(self, parent: Any) -> None:
        self.parent = parent
        self.moduleName = type(self).__name__
        parent.title = self.moduleName
        parent.helpText = ""
        parent.acknowledgementText = ""
        for ending in ("svg", "png"):
            icon = _folder_of(self) / "Resources" / "Icons" / f"{self.moduleName}.{ending}"
            if icon.is_file():
                parent.icon = qt.QIcon(str(icon))
                break
        slicer.selfTests[self.moduleName] = self.runTest

    def setup(self) -> None:
        """Called once when the module has been loaded."""

    def resourcePath(self, filename: str) -> str:
        """The path of a file below the module's Resources folder."""
        return str(_folder_of(self) / "Resources" / filename)

    def getDefaultModuleDocumentationLink(self, docPage: str | None = None) -> str:
        """A sentence with a link, for the help text."""
        url = slicer.app.moduleDocumentationUrl(docPage or self.moduleName)
        return f'<p>For more information see the <a href="{url}">online documentation</a>.</p>'

    def runTest(self, msec: int = 100, **kwargs: Any) -> None:
        """Run the module's self test."""
        module = __import__(self.moduleName)
        test = getattr(module, self.moduleName + "Test", None)
        if test is not None:
            case = test()
            case.messageDelay = msec
            case.runTest(**kwargs)


class ScriptedLoadableModuleWidget:
    """A module's panel inside the widget that Slicer gives it."""

    def __init__(self, parent: Any = None) -> None:
        self.moduleName = type(self).__name__.removesuffix("Widget")
        self.developerMode = slicer.util.settingsValue("Developer/DeveloperMode", False, converter=slicer.util.toBool)
        if parent is None:
            self.parent = slicer.qMRMLWidget()
            self.parent.setLayout(qt.QVBoxLayout())
            self.parent.setMRMLScene(slicer.mrmlScene)
        else:
            self.parent = parent
        self.layout = self.parent.layout()
        manager = slicer.app.moduleManager()
        manager.connect("moduleAboutToBeUnloaded(QString)", self._onModuleAboutToBeUnloaded)
        if parent is None:
            self.setup()
            self.parent.show()

    def resourcePath(self, filename: str) -> str:
        """The path of a file below the module's Resources folder."""
        return str(_folder_of(self) / "Resources" / filename)

    def setup(self) -> None:
        """Fill the panel."""

    def cleanup(self) -> None:
        """Called before the panel goes."""

    def onReload(self) -> None:
        """Load the module's file again and build the panel anew."""
        slicer.util.reloadScriptedModule(self.moduleName)

    def _onModuleAboutToBeUnloaded(self, moduleName: str) -> None:
        if moduleName == self.moduleName:
            self.cleanup()
            manager = slicer.app.moduleManager()
            manager.disconnect("moduleAboutToBeUnloaded(QString)", self._onModuleAboutToBeUnloaded)


class ScriptedLoadableModuleLogic:
    """A module's work, with a parameter node that belongs to the module."""

    def __init__(self, parent: Any = None) -> None:
        self.parent = parent
        self.moduleName = type(self).__name__.removesuffix("Logic")
        self.isSingletonParameterNode = True

    def resourcePath(self, filename: str) -> str:
        """The path of a file below the module's Resources folder."""
        return str(_folder_of(self) / "Resources" / filename)

    def getParameterNode(self) -> Any:
        """The module's parameter node in the scene, made when there is none."""
        nodes = self.getAllParameterNodes()
        return nodes[0] if nodes else slicer.mrmlScene.AddNode(self.createParameterNode())

    def getAllParameterNodes(self) -> list[Any]:
        """All parameter nodes of the module in the scene."""
        nodes = slicer.util.getNodesByClass("vtkMRMLScriptedModuleNode")
        return [node for node in nodes if node.GetModuleName() == self.moduleName]

    def createParameterNode(self) -> Any:
        """A parameter node that is not in the scene yet."""
        node = slicer.mrmlScene.CreateNodeByClass("vtkMRMLScriptedModuleNode")
        node.UnRegister(None)
        if self.isSingletonParameterNode:
            node.SetSingletonTag(self.moduleName)
        node.SetModuleName(self.moduleName)
        node.SetName(slicer.mrmlScene.GenerateUniqueName(self.moduleName))
        return node


class ScriptedLoadableModuleTest(unittest.TestCase):
    """A module's self test, which also runs inside Slicer."""

    def __init__(self, methodName: str = "runTest") -> None:
        super().__init__(methodName)
        self.messageDelay = 100

    def runTest(self, **kwargs: Any) -> None:
        """Run everything whose name contains "test" in lower case, each after setUp()."""
        cases = [getattr(self, name) for name in dir(self) if "test" in name and callable(getattr(self, name))]
        for case in cases:
            self.setUp()
            case(**kwargs)
            self.tearDown()

    def delayDisplay(self, message: str, requestedDelay: int | None = None, msec: int | None = None) -> None:
        """Say what the test does."""
        logging.info(message)
