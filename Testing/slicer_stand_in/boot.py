"""Start what stands for Slicer in a process: the modules qt, ctk and slicer complete, the scene, slicer.app."""

from __future__ import annotations

import importlib
import importlib.metadata
import logging
import pathlib
import sys
import types
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from slicer_stand_in.slicer_app import qSlicerApplication

WIDGET_FILES = (
    "ctk_buttons",
    "ctk_numbers",
    "ctk_paths",
    "ctk_ranges",
    "ctk_slider",
    "ctk_texts",
    "qmrml_widgets",
    "qmrml_node_combo",
    "qmrml_checkable_combo",
    "module_widgets",
)
SLICER_MODULES = {
    "slicer.ScriptedLoadableModule": "scripted_module",
    "slicer.i18n": "translation",
    "slicer.parameterNodeWrapper": "parameter_node",
    "slicer.packaging": "packaging_guard",
}


def check_path() -> None:
    """The wheel's slicer package imports every file of every folder 'slicer' on sys.path: refuse one of the tests'."""
    for folder in sys.path:
        inner = pathlib.Path(folder or ".") / "slicer"
        if inner.is_dir() and not (inner / "__init__.py").exists() and any(inner.glob("*.py")):
            raise RuntimeError(f"{inner} would be imported as a part of slicer: call the folder otherwise")


_started: list[qSlicerApplication] = []


def boot(folder: pathlib.Path, share: pathlib.Path | None = None) -> qSlicerApplication:
    """Start once in a process, and return slicer.app; who asks again gets the same, whatever the folder.

    Args:
        folder: where settings and temporary files go.
        share: folder with terminologies, see MrmlCore.
    """
    if not _started:
        _started.append(_start(folder, share))
    return _started[0]


def _start(folder: pathlib.Path, share: pathlib.Path | None) -> qSlicerApplication:
    check_path()
    from slicer_stand_in.qt_facade import install_qt  # before anything else touches Qt

    qt = install_qt()
    import slicer

    _complete_qt_and_ctk(qt)
    from slicer_stand_in.dialogs import install_dialog_guard
    from slicer_stand_in.mrml_core import MrmlCore, alias_python_modules
    from slicer_stand_in.slicer_app import qSlicerApplication

    alias_python_modules()
    core = MrmlCore(share)
    slicer.mrmlScene = core.scene
    slicer.selfTests = {}
    for name in ("modules", "moduleNames"):
        module = types.ModuleType(f"slicer.{name}")
        setattr(slicer, name, module)
        sys.modules[f"slicer.{name}"] = module
    major, minor = importlib.metadata.version("slicer-core").split(".")[:2]
    slicer.app = qSlicerApplication(core, folder, (int(major), int(minor)))
    for name, logic in core.logics.items():
        slicer.app.moduleManager()._add(name, logic)
    install_dialog_guard()
    _complete_slicer(slicer)
    return slicer.app


def _complete_qt_and_ctk(qt: types.ModuleType) -> None:
    import slicer
    from slicer_stand_in.stand_in import registry

    for name in WIDGET_FILES:
        importlib.import_module(f"slicer_stand_in.{name}")
    ctk = types.ModuleType("ctk", "CTK's widgets as far as the modules use them; others are missing with an error.")
    for name, cls in registry.items():
        setattr(ctk if name.startswith("ctk") else slicer, name, cls)
    sys.modules["ctk"] = ctk
    from slicer_stand_in.ui_files import QUiLoader

    qt.QUiLoader = QUiLoader


def _complete_slicer(slicer: types.ModuleType) -> None:
    for full_name, file_name in SLICER_MODULES.items():
        module = importlib.import_module(f"slicer_stand_in.{file_name}")
        sys.modules[full_name] = module
        setattr(slicer, full_name.partition(".")[2], module)
    _guard_messages(slicer)


def _guard_messages(slicer: types.ModuleType) -> None:
    """Messages that Slicer shows only beside a main window count as dialogs here, so that none goes unseen."""
    from slicer_stand_in.dialogs import dialogs

    util = slicer.util
    original = util._messageDisplay

    def display(level: int, text: str, answer: object, mainWindowNeeded: bool = False, **options: object) -> object:
        if mainWindowNeeded and util.mainWindow() is None and not slicer.app.testingEnabled():
            logging.log(level, text)
            return dialogs.meet(f"{logging.getLevelName(level)}: {text}", None)
        return original(level, text, answer, mainWindowNeeded=mainWindowNeeded, **options)

    util._messageDisplay = display
