"""slicer.app: the part of qSlicerApplication that modules and slicer.util use."""

from __future__ import annotations

import os
import pathlib
import types
from typing import Any

from PySide6 import QtCore, QtWidgets
from slicer_stand_in.io_manager import qSlicerIOManager
from slicer_stand_in.layout_manager import qSlicerLayoutManager
from slicer_stand_in.module_widgets import qSlicerModuleManager
from slicer_stand_in.mrml_core import MrmlCore
from slicer_stand_in.qt_properties import QtProperty
from slicer_stand_in.stand_in import computed, slot

DOCUMENTATION = "https://slicer.readthedocs.io/en/latest/"


class qSlicerApplication(QtWidgets.QApplication):
    """The application without a main window, its settings and temporary files in a folder of the tests.

    Args:
        core: the scene and its logics.
        folder: where settings and temporary files go.
        version: (major, minor) of the Slicer that is played.
    """

    _vtk_signals = ("mrmlSceneChanged(vtkMRMLScene*)",)
    startupCompleted = QtCore.Signal()
    mrmlSceneChanged = QtCore.Signal(object)

    slicerHome = computed("slicerHome", str, lambda app: app._folder)
    slicerUserSettingsFilePath = computed("slicerUserSettingsFilePath", str, lambda app: app._folder + "/Slicer.ini")
    temporaryPath = computed("temporaryPath", str, lambda app: app._temporary, lambda app, to: app._set_temporary(to))
    extensionsInstallPath = computed("extensionsInstallPath", str, lambda app: app._folder)
    majorVersion = computed("majorVersion", int, lambda app: app._version[0])
    minorVersion = computed("minorVersion", int, lambda app: app._version[1])
    revision = computed("revision", str, lambda app: "0")
    os = computed("os", str, lambda app: "linux")
    arch = computed("arch", str, lambda app: "amd64")
    platform = computed("platform", str, lambda app: "linux-amd64")
    documentationBaseUrl = computed("documentationBaseUrl", str, lambda app: DOCUMENTATION)
    mainApplicationName = computed("mainApplicationName", str, lambda app: "Slicer")

    def __init__(self, core: MrmlCore, folder: pathlib.Path, version: tuple[int, int]) -> None:
        settings = QtCore.QSettings
        settings.setDefaultFormat(settings.IniFormat)
        settings.setPath(settings.IniFormat, settings.UserScope, str(folder))
        super().__init__(["Slicer"])
        self.setOrganizationName("NA-MIC")
        self.setApplicationName("Slicer")
        self._core, self._folder, self._version = core, str(folder), version
        self._temporary, self._testing, self._pauses = str(folder), False, 0
        _wrap_tool_tips()
        self._layouts, self._io = qSlicerLayoutManager(core), qSlicerIOManager(core)
        self._modules = qSlicerModuleManager()

    def mrmlScene(self) -> Any:
        return self._core.scene

    def applicationLogic(self) -> Any:
        return self._core.app_logic

    def moduleLogic(self, name: str) -> Any:
        return self._core.logics.get(name)

    def layoutManager(self) -> qSlicerLayoutManager:
        return self._layouts

    def ioManager(self) -> qSlicerIOManager:
        return self._io

    def coreIOManager(self) -> qSlicerIOManager:
        return self._io

    def moduleManager(self) -> qSlicerModuleManager:
        return self._modules

    def testingEnabled(self) -> bool:
        return self._testing

    def commandOptions(self) -> types.SimpleNamespace:
        return types.SimpleNamespace(testingEnabled=self._testing, noMainWindow=False, runPythonAndExit=False)

    def settings(self) -> QtCore.QSettings:
        return QtCore.QSettings()

    def userSettings(self) -> QtCore.QSettings:
        return QtCore.QSettings()

    def revisionUserSettings(self) -> QtCore.QSettings:
        return QtCore.QSettings()

    def startupEnvironment(self) -> QtCore.QProcessEnvironment:
        environment = QtCore.QProcessEnvironment()
        for name, value in os.environ.items():
            environment.insert(name, value)
        return environment

    environment = startupEnvironment

    def moduleDocumentationUrl(self, name: str) -> str:
        return DOCUMENTATION + name

    def extensionsManagerModel(self) -> None:
        return None

    def pythonConsole(self) -> None:
        return None

    def setRenderPaused(self, pause: bool) -> None:
        self._pauses += 1 if pause else -1

    def pauseRender(self) -> None:
        self._pauses += 1

    def resumeRender(self) -> None:
        self._pauses -= 1

    @slot()
    def restart(self) -> None:
        raise RuntimeError("slicer.app.restart() was called: a test has to replace it")

    def _set_temporary(self, path: str) -> None:
        self._temporary = path


def _wrap_tool_tips() -> None:
    """Tool tips set in the application read back as a paragraph."""
    tool_tip, set_tool_tip = vars(QtWidgets.QWidget)["toolTip"], QtWidgets.QWidget.setToolTip

    def wrap(widget: QtWidgets.QWidget, text: object) -> None:
        text = str(text)
        set_tool_tip(widget, f"<p>{text}</p>" if text and not text.startswith("<") else text)

    wrapped = QtProperty(tool_tip.meta, tool_tip.getter)
    wrapped.write_instead = wrap
    QtWidgets.QWidget.toolTip = wrapped
    QtWidgets.QWidget.setToolTip = wrap
