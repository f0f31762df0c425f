"""The module `qt` of Slicer: PySide6 dressed up as PythonQt, strict where PythonQt is strict.

The measure is oracle_pythonqt.json: what a real PythonQt answered to the idioms of oracle_idioms.json. What cannot be
caught here (isinstance on a base class, keyword arguments to methods) is the business of lint.py.
"""

from __future__ import annotations

import enum
import functools
import os
import sys
import types
from collections.abc import Callable

sys.pyside6_option_python_enum = 3  # enums are IntEnum and IntFlag; has to be said before the first import
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6 import QtCore, QtGui, QtNetwork, QtUiTools, QtWidgets  # noqa: E402
from slicer_stand_in.qt_objects import install_objects  # noqa: E402
from slicer_stand_in.qt_properties import install_properties  # noqa: E402
from slicer_stand_in.qt_signals import install_signals  # noqa: E402
from slicer_stand_in.qt_values import install_values  # noqa: E402

QT_MODULES = (QtCore, QtGui, QtNetwork, QtUiTools, QtWidgets)
NOT_IN_PYTHONQT = ("Slot", "SIGNAL", "SLOT")


def members(module: types.ModuleType) -> dict[str, object]:
    """All public names of a module of PySide, whose classes come into being when they are asked for."""
    return {name: getattr(module, name) for name in dir(module) if not name.startswith("_")}


def qobject_classes() -> list[type]:
    """QObject and all that derives from it, subclasses after their bases."""
    found = {}
    for module in QT_MODULES:
        for member in members(module).values():
            if isinstance(member, type) and issubclass(member, QtCore.QObject):
                found.update(dict.fromkeys(cls for cls in member.__mro__ if issubclass(cls, QtCore.QObject)))
    return sorted(found, key=lambda cls: len(cls.__mro__))


def show_enums_as_numbers() -> None:
    """The values of all enums print as PythonQt's do."""
    for module in QT_MODULES:
        for cls in members(module).values():
            for member in vars(cls).values() if isinstance(cls, type) else ():
                if isinstance(member, type) and issubclass(member, enum.IntEnum | enum.IntFlag):
                    member.__repr__ = int.__repr__


def _positional_only(cls: type) -> Callable:
    original = cls.__init__

    def construct(instance: QtCore.QObject, *arguments: object, **keywords: object) -> None:
        if keywords:
            message = f"Called {cls.__name__}(...) with keyword arguments, but called slot does not support kwargs."
            raise ValueError(message)
        original(instance, *arguments)

    return construct


@functools.cache
def install_qt() -> types.ModuleType:
    """Make the module `qt`, once in a process, and let `import qt` find it."""
    qt = types.ModuleType("qt", "PythonQt's view of Qt, played by PySide6.")
    for module in QT_MODULES:
        for name, member in members(module).items():
            setattr(qt, name, member)
    classes = qobject_classes()
    install_properties(classes)
    install_objects(classes)
    install_values(classes)
    install_signals()
    show_enums_as_numbers()
    for cls in classes:
        if "__init__" in vars(cls):
            cls.__init__ = _positional_only(cls)
    sys.modules["qt"] = qt
    return qt
