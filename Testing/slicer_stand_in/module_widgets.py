"""What holds a scripted module in Slicer: the module, the widget around its panel, the module manager, the loader."""

from __future__ import annotations

import importlib.util
import pathlib
import sys
from typing import Any

import slicer
from PySide6 import QtCore, QtGui, QtWidgets
from slicer_stand_in.qmrml_widgets import qSlicerWidget
from slicer_stand_in.qt_signals import note_slot_error
from slicer_stand_in.stand_in import computed, slot, stand_in, stored


@stand_in
class qSlicerAbstractModuleWidget(qSlicerWidget):
    _entered = False
    isEntered = computed("isEntered", bool, lambda w: w._entered)

    @slot()
    def enter(self) -> None:
        self._entered = True

    @slot()
    def exit(self) -> None:
        self._entered = False


@stand_in
class qSlicerScriptedLoadableModuleWidget(qSlicerAbstractModuleWidget):
    """The C++ side of a panel; `self()` is the Python side."""

    _module_name = ""
    _panel = None
    moduleName = computed("moduleName", str, lambda w: w._module_name)

    @slot()
    def self(self) -> Any:
        return self._panel

    @slot()
    def reload(self) -> None:
        self._build()

    @slot()
    def enter(self) -> None:
        self._entered = True
        self._tell("enter")

    @slot()
    def exit(self) -> None:
        self._entered = False
        self._tell("exit")

    def _tell(self, method: str) -> None:
        """Call a method of the panel if it has it; as with a slot, an exception is printed and noted."""
        try:
            getattr(self._panel, method, lambda: None)()
        except Exception as exception:  # noqa: BLE001 as in Slicer, what a panel raises ends here
            note_slot_error(exception)

    def _build(self) -> None:
        """Make the panel; one whose setup fails stays as far as it came, which the exception noted tells."""
        cls = getattr(sys.modules[self._module_name], self._module_name + "Widget")
        try:
            self._panel = cls(self)
        except Exception as exception:  # noqa: BLE001
            note_slot_error(exception)
            return
        setattr(slicer.modules, self._module_name + "Widget", self._panel)
        self._tell("setup")


@stand_in
class qSlicerLoadableModule(QtCore.QObject):
    """The C++ side of a module; of those written in C++ most have only the logic here, no panel."""

    _path = ""
    _name = ""
    _logic = None
    _representation = None
    _action = None

    name = computed("name", str, lambda m: m._name)
    path = computed("path", str, lambda m: m._path)
    title = stored("title", str, "")
    categories = stored("categories", "QStringList", [])
    contributors = stored("contributors", "QStringList", [])
    dependencies = stored("dependencies", "QStringList", [])
    associatedNodeTypes = stored("associatedNodeTypes", "QStringList", [])
    helpText = stored("helpText", str, "")
    acknowledgementText = stored("acknowledgementText", str, "")
    icon = stored("icon", QtGui.QIcon, QtGui.QIcon())
    hidden = stored("hidden", bool, False)
    index = stored("index", int, -1)
    isBuiltIn = computed("isBuiltIn", bool, lambda m: False)
    widgetRepresentationCreationEnabled = stored("widgetRepresentationCreationEnabled", bool, True)

    @slot()
    def logic(self) -> Any:
        return self._logic

    @slot()
    def mrmlScene(self) -> Any:
        return slicer.mrmlScene

    @slot()
    def widgetRepresentation(self) -> Any:
        return self._representation

    @slot()
    def action(self) -> Any:
        """What the list of modules and the toolbar show; made once, with the icon of that moment."""
        if self._action is None:
            self._action = QtGui.QAction(self.icon, self.title, self)
        return self._action


@stand_in
class qSlicerScriptedLoadableModule(qSlicerLoadableModule):
    @slot()
    def widgetRepresentation(self) -> Any:
        if self._representation is None:
            self._representation = self.createNewWidgetRepresentation()
        return self._representation

    @slot()
    def createNewWidgetRepresentation(self) -> Any:
        widget = qSlicerScriptedLoadableModuleWidget()
        widget.setObjectName(self._name + "ModuleWidget")
        widget.setLayout(QtWidgets.QVBoxLayout())
        widget._module_name = self._name
        widget._build()
        widget.setMRMLScene(slicer.mrmlScene)
        return widget


class qSlicerModuleManager(QtCore.QObject):
    """slicer.app.moduleManager(), which is its own factory manager."""

    moduleAboutToBeUnloaded = QtCore.Signal(str)
    moduleLoaded = QtCore.Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self._known: dict[str, qSlicerLoadableModule] = {}

    def module(self, name: str) -> qSlicerLoadableModule | None:
        return self._known.get(name)

    def modulesNames(self) -> tuple[str, ...]:
        return tuple(self._known)

    def factoryManager(self) -> qSlicerModuleManager:
        return self

    def loadedModuleNames(self) -> tuple[str, ...]:
        return tuple(self._known)

    def isLoaded(self, name: str) -> bool:
        return name in self._known

    def loadedModule(self, name: str) -> qSlicerLoadableModule | None:
        return self._known.get(name)

    def _add(self, name: str, logic: Any = None, path: str = "") -> qSlicerLoadableModule:
        module = qSlicerScriptedLoadableModule() if path else qSlicerLoadableModule()
        module._name, module._logic, module._path = name, logic, path
        self._known[name] = module
        setattr(slicer.modules, name.lower(), module)
        setattr(slicer.moduleNames, name, name)
        return module

    def _remove(self, name: str) -> None:
        """Unload: the panel is told, cleaned up and destroyed."""
        module = self._known.pop(name)
        self.moduleAboutToBeUnloaded.emit(name)
        if module._representation is not None:
            module._representation.delete()
        for attribute in (name.lower(), name + "Instance", name + "Widget"):
            vars(slicer.modules).pop(attribute, None)
        vars(slicer.moduleNames).pop(name, None)
        sys.modules.pop(name, None)


def load_module(path: pathlib.Path) -> qSlicerScriptedLoadableModule:
    """Load a scripted module as Slicer does at its start: import the file, make the module, no panel yet."""
    name = path.stem
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))
    spec = importlib.util.spec_from_file_location(name, path)
    code = importlib.util.module_from_spec(spec)
    sys.modules[name] = code
    spec.loader.exec_module(code)
    module = slicer.app.moduleManager()._add(name, path=str(path))
    instance = getattr(code, name)(module)
    setattr(slicer.modules, name + "Instance", instance)
    if hasattr(instance, "setup"):
        instance.setup()
    slicer.app.moduleManager().moduleLoaded.emit(name)
    return module


def unload_module(name: str) -> None:
    """Unload a module, as at the end of the application."""
    module = slicer.app.moduleManager().module(name)
    if module is not None and module._representation is not None and module._representation.isEntered:
        module._representation.exit()
    slicer.app.moduleManager()._remove(name)
