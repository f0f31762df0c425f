"""Q_PROPERTYs as PythonQt shows them: plain attributes, refused when read-only or given a wrong type."""

from __future__ import annotations

import enum
import inspect
from collections.abc import Callable
from typing import Any

import shiboken6
from PySide6 import QtCore, QtGui, QtWidgets

QT_MODULES = (QtCore, QtGui, QtWidgets)
FLAGS = {"Alignment": "AlignmentFlag", "TextInteractionFlags": "TextInteractionFlag", "WindowFlags": "WindowType"}
METHODS_DESPITE_PROPERTY = {("QTimer", "singleShot"), ("QTimer", "remainingTime")}


class WrongTypeError(TypeError):
    """A value that PythonQt would not convert to the C++ type; callers turn it into the error of their place."""


def to_cpp(type_name: str, value: object) -> Any:
    """The value as PythonQt converts it for a C++ type: lenient for QString and bool, strict for numbers."""
    if type_name == "QString":
        return value if isinstance(value, str) else str(value)
    if type_name == "bool":
        return bool(value)
    if type_name in ("int", "double", "float"):
        if isinstance(value, str) or not hasattr(value, "__float__"):
            raise WrongTypeError(type_name)
        return int(value) if type_name == "int" else float(value)
    if type_name == "QStringList":
        try:
            return [str(item) for item in value]
        except TypeError:
            raise WrongTypeError(type_name) from None
    return value


def to_python(value: object) -> object:
    """What Python code gets to see: lists from Qt are tuples."""
    return tuple(value) if type(value) is list else value


def _enumeration(meta: QtCore.QMetaProperty) -> type[enum.Enum] | None:
    """The Python class of an enum or flag property, where PySide has it."""
    if not meta.isEnumType():
        return None
    scope, _, name = meta.typeName().replace("QFlags<", "").rstrip(">").rpartition("::")
    owner = next((getattr(module, scope) for module in QT_MODULES if hasattr(module, scope)), None)
    found = getattr(owner, name, None) or getattr(owner, FLAGS.get(name, ""), None)
    return found if isinstance(found, type) and issubclass(found, enum.Enum) else None


def refuse_destroyed(instance: QtCore.QObject, name: str) -> None:
    """Raise ValueError, as PythonQt does, when the C++ object is gone."""
    if not shiboken6.isValid(instance):
        message = f"Trying to read property '{name}' from a destroyed {type(instance).__name__} object"
        raise ValueError(message)


class QtProperty:
    """Data descriptor that takes the place of a Q_PROPERTY's getter on a Qt class."""

    def __init__(self, meta: QtCore.QMetaProperty, getter: Callable | None) -> None:
        self.meta, self.getter = meta, getter
        self.write_instead: Callable | None = None
        self.name = meta.name()
        self.type_name = meta.typeName()
        self.writable = meta.isWritable()
        self.enumeration = _enumeration(meta)
        self._is_static = getter is not None and type(getter).__name__ != "method_descriptor"

    def __get__(self, instance: QtCore.QObject | None, owner: type | None = None) -> Any:
        if instance is None:
            return self
        refuse_destroyed(instance, self.name)
        if self.getter is None:
            return to_python(instance.property(self.name))
        return to_python(self.getter() if self._is_static else self.getter(instance))

    def __set__(self, instance: QtCore.QObject, value: object) -> None:
        if not self.writable:
            raise AttributeError(f"Property '{self.name}' of {type(instance).__name__} object is not writable")
        try:
            converted = to_cpp(self.type_name, value)
        except WrongTypeError:
            raise AttributeError(refusal(self.name, self.type_name, value)) from None
        if not self._write(instance, converted):
            raise AttributeError(refusal(self.name, self.type_name, value))

    def _write(self, instance: QtCore.QObject, value: object) -> bool:
        if self.write_instead is not None:
            self.write_instead(instance, value)
            return True
        meta_object = instance.metaObject()
        meta = meta_object.property(meta_object.indexOfProperty(self.name))
        if meta.write(instance, int(value) if isinstance(value, enum.Enum) else value):
            return True
        setter = getattr(instance, "set" + self.name[0].upper() + self.name[1:], None)
        try:
            setter(value)
        except TypeError:
            return False
        return True


def refusal(name: str, type_name: str, value: object) -> str:
    """PythonQt's sentence for a value of a wrong type."""
    return (
        f"Property '{name}' of type '{type_name}' does not accept an object of type {type(value).__name__} ({value!r})"
    )


def install_properties(classes: list[type]) -> None:
    """Put a descriptor in the place of every Q_PROPERTY getter of the classes, also where a subclass repeats it."""
    found = {}
    for cls in classes:
        meta_object = cls.staticMetaObject
        for index in range(meta_object.propertyOffset(), meta_object.propertyCount()):
            meta = meta_object.property(index)
            raw = inspect.getattr_static(cls, meta.name(), None)
            if (cls.__name__, meta.name()) in METHODS_DESPITE_PROPERTY or isinstance(raw, QtCore.Signal):
                continue
            found[cls, meta.name()] = (meta, getattr(cls, meta.name()) if callable(raw) or raw is not None else None)
    for cls in classes:
        for name, raw in list(vars(cls).items()):
            if type(raw).__name__ == "method_descriptor" and (cls, name) not in found:
                base = next((base for base in cls.__mro__[1:] if (base, name) in found), None)
                if base is not None:  # QBoxLayout.spacing() hides the property of QLayout
                    found[cls, name] = (found[base, name][0], raw)
    for (cls, name), (meta, getter) in found.items():
        setattr(cls, name, QtProperty(meta, getter))
