"""Attributes of Qt objects by PythonQt's rules: what exists can be read, nothing new put on a bare C++ object."""

from __future__ import annotations

import enum
import inspect
import types
from collections.abc import Callable
from typing import Any

import shiboken6
from PySide6 import QtCore
from slicer_stand_in.qt_properties import refuse_destroyed, to_python
from slicer_stand_in.qt_signals import connect_by_signature, disconnect_by_signature

cpp_classes: set[type] = set()
_enums: dict[type, list[type[enum.Enum]]] = {}
_getattribute_original = QtCore.QObject.__getattribute__
_children_original = QtCore.QObject.children
_property_original = QtCore.QObject.property
_find_child_original = QtCore.QObject.findChild
_find_children_original = QtCore.QObject.findChildren


def has_dynamic_property(instance: QtCore.QObject, name: str) -> bool:
    """Whether setProperty() made one of that name."""
    return name.encode() in [bytes(known) for known in instance.dynamicPropertyNames()]


def get_missing(instance: QtCore.QObject, name: str) -> Any:
    """What PythonQt finds beyond the members of the class: dynamic properties, values of enums, children by name."""
    if not name.startswith("_") and shiboken6.isValid(instance):
        if has_dynamic_property(instance, name):
            return instance.property(name)
        for cls in type(instance).__mro__:
            for enumeration in _enums.get(cls, ()):
                if name in enumeration.__members__:
                    return enumeration[name]
        for child in _children_original(instance):
            if _property_original(child, "objectName") == name:
                return child
    raise AttributeError(f"{type(instance).__name__} has no attribute named '{name}'")


def set_strictly(instance: QtCore.QObject, name: str, value: object) -> None:
    """Set a property; refuse new names, slots and signals on instances of C++ classes, allow them on subclasses."""
    cls = type(instance)
    if isinstance(value, QtCore.SignalInstance) or name.startswith("__"):  # PySide keeps signals there
        instance.__dict__[name] = value
        return
    member = inspect.getattr_static(cls, name, None)
    if isinstance(member, QtCore.Property) and member.fset is None:
        raise AttributeError(f"Property '{name}' of {cls.__name__} object is not writable")
    if isinstance(member, QtCore.Property):
        member.fset(instance, value)
    elif hasattr(type(member), "__set__"):
        member.__set__(instance, value)
    elif shiboken6.isValid(instance) and has_dynamic_property(instance, name):
        instance.setProperty(name, value)
    elif cls in cpp_classes and not name.startswith("_"):
        raise AttributeError(_why_not(cls, name, member))
    else:
        instance.__dict__[name] = value


def _why_not(cls: type, name: str, member: object) -> str:
    if member is None:
        return f"'{name}' does not exist on {cls.__name__} and creating new attributes on C++ objects is not allowed"
    kind = "Signal" if isinstance(member, QtCore.Signal) else "Slot"
    return f"{kind} '{name}' can not be overwritten on {cls.__name__} object"


def _look_up(original: Callable[[Any, str], Any]) -> Callable[[Any, str], Any]:
    def look_up(instance: QtCore.QObject, name: str) -> Any:
        if name == "connect":  # PySide looks these two up past the class
            return types.MethodType(_connect, instance)
        if name == "disconnect":
            return types.MethodType(_disconnect, instance)
        value = original(instance, name)
        if isinstance(value, QtCore.Property):  # PySide hands over the bare property when the C++ object is gone
            refuse_destroyed(instance, name)
        return value

    return look_up


def _connect(instance: QtCore.QObject, signature: object, *target: object) -> object:
    if not isinstance(signature, str) or signature.startswith("2"):
        return _getattribute_original(instance, "connect")(signature, *target)
    return connect_by_signature(instance, signature, *target)


def _disconnect(instance: QtCore.QObject, signature: object = None, *target: object) -> object:
    if not isinstance(signature, str) or signature.startswith("2"):
        return _getattribute_original(instance, "disconnect")(signature, *target)
    return disconnect_by_signature(instance, signature, *target)


def class_name(instance: QtCore.QObject) -> str:
    """The name of the C++ class, also of an instance of a Python subclass."""
    return next((cls.__name__ for cls in type(instance).__mro__ if cls in cpp_classes), type(instance).__name__)


def _named_class(kind: type | str) -> type:
    if isinstance(kind, str):
        return next((cls for cls in cpp_classes if cls.__name__ == kind), type(kind, (QtCore.QObject,), {}))
    return kind


def _find_child(instance: QtCore.QObject, kind: type | str = QtCore.QObject, name: str = "") -> QtCore.QObject | None:
    return _find_child_original(instance, _named_class(kind), name)


def _find_children(instance: QtCore.QObject, kind: type | str = QtCore.QObject, name: str = "") -> tuple:
    return to_python(_find_children_original(instance, _named_class(kind), name))


def register_cpp_class(cls: type) -> None:
    """From here on instances of exactly this class are C++ objects: strict."""
    cpp_classes.add(cls)
    cls.__setattr__ = set_strictly


def install_objects(classes: list[type]) -> None:
    """Give the classes, which all derive from QObject, PythonQt's attribute rules."""
    for cls in classes:
        values = [value for value in vars(cls).values() if isinstance(value, type) and issubclass(value, enum.Enum)]
        if values:
            _enums[cls] = values
        register_cpp_class(cls)
        if "__getattribute__" in vars(cls):  # QObject, and QProcess, QFile, QMenu on their own
            cls.__getattribute__ = _look_up(vars(cls)["__getattribute__"])
    base = QtCore.QObject
    base.__getattr__ = get_missing
    base.__bool__ = lambda instance: shiboken6.isValid(instance)
    base.name = property(lambda instance: instance.property("objectName"), set_name)
    base.className = class_name
    base.delete = lambda instance: shiboken6.delete(instance)
    base.findChild = _find_child
    base.findChildren = _find_children


def set_name(instance: QtCore.QObject, name: str) -> None:
    """`name` is `objectName` in PythonQt."""
    instance.setObjectName(name)
