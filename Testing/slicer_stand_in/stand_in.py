"""What stand-ins for C++ widgets are made of: properties, slots and constructors that refuse what PythonQt refuses."""

from __future__ import annotations

import enum
import functools
import inspect
from collections.abc import Callable
from typing import Any

from PySide6 import QtCore
from slicer_stand_in.qt_facade import install_qt
from slicer_stand_in.qt_objects import register_cpp_class
from slicer_stand_in.qt_properties import WrongTypeError, refusal, refuse_destroyed, to_cpp, to_python

install_qt()
CPP_NAMES = {float: "double", int: "int", bool: "bool", str: "QString"}
registry: dict[str, type] = {}


class Flags(enum.IntFlag):
    """An enum of a stand-in, which shows itself as its number."""

    __repr__ = int.__repr__
    __str__ = int.__repr__


def _cpp_name(kind: type | str) -> str:
    return kind if isinstance(kind, str) else CPP_NAMES.get(kind, kind.__name__)


def convert(kind: type | str, value: object) -> Any:
    """The value as PythonQt hands it to C++ code that wants `kind`; WrongTypeError where it would refuse."""
    name = _cpp_name(kind)
    if name.startswith("vtk"):
        return _vtk_object(name, value)
    if isinstance(kind, type) and issubclass(kind, Flags):
        return kind[value] if isinstance(value, str) else kind(to_cpp("int", value))
    if isinstance(kind, type) and kind not in CPP_NAMES and not isinstance(value, kind):
        raise WrongTypeError(name)
    return to_cpp(name, value)


def _vtk_object(class_name: str, value: Any) -> Any:
    if value is None:
        return None
    if not hasattr(value, "IsA"):
        raise TypeError("method requires a VTK object")
    if not value.IsA(class_name):
        raise TypeError(f"method requires a {class_name}, a {value.GetClassName()} was provided.")
    return value


def computed(name: str, kind: type | str, read: Callable, write: Callable | None = None) -> QtCore.Property:
    """A Q_PROPERTY over two functions: read(widget) and, unless it is read-only, write(widget, converted value)."""
    type_name = _cpp_name(kind)

    def get(widget: QtCore.QObject) -> Any:
        refuse_destroyed(widget, name)
        value = read(widget)
        return int(value) if isinstance(value, Flags) else to_python(value)

    def put(widget: QtCore.QObject, value: object) -> None:
        refuse_destroyed(widget, name)
        try:
            converted = convert(kind, value)
        except (WrongTypeError, KeyError):
            raise AttributeError(refusal(name, type_name, value)) from None
        write(widget, converted)

    declared = int if isinstance(kind, type) and issubclass(kind, Flags) else kind
    return QtCore.Property(declared, get, put if write else None)


def stored(name: str, kind: type | str, default: object, after: str = "") -> QtCore.Property:
    """A Q_PROPERTY that keeps its value; `after` names a method to call when it has changed."""
    key = "_" + name

    def read(widget: QtCore.QObject) -> Any:
        return widget.__dict__.get(key, default)

    def write(widget: QtCore.QObject, value: object) -> None:
        if value != read(widget):
            widget.__dict__[key] = value
            if after:
                getattr(widget, after)()

    return computed(name, kind, read, write)


def slot(*kinds: type | str) -> Callable:
    """A public slot or Q_INVOKABLE with arguments of these kinds: converts, refuses keywords and wrong numbers."""

    def decorate(function: Callable) -> Callable:
        parameters = list(inspect.signature(function).parameters.values())[1:]
        least = sum(parameter.default is parameter.empty for parameter in parameters)

        @functools.wraps(function)
        def call(widget: QtCore.QObject, *arguments: object, **keywords: object) -> Any:
            called = f"Called {function.__name__}({', '.join(_cpp_name(kind) for kind in kinds)}) with"
            if keywords:
                raise ValueError(f"{called} keyword arguments, but called slot does not support kwargs.")
            if not least <= len(arguments) <= len(kinds):
                raise ValueError(f"{called} wrong number of arguments: {arguments}")
            try:
                converted = [convert(kind, value) for kind, value in zip(kinds, arguments, strict=False)]
            except WrongTypeError:
                raise ValueError(f"{called} wrong arguments: {arguments}") from None
            return to_python(function(widget, *converted))

        return call

    return decorate


def _only_parent(cls: type) -> Callable:
    original = cls.__init__

    def construct(widget: QtCore.QObject, *arguments: object, **keywords: object) -> None:
        if keywords:
            message = f"Called {cls.__name__}(QWidget parent) with keyword arguments, but it does not support kwargs."
            raise ValueError(message)
        parent = arguments[0] if arguments else None
        if len(arguments) > 1 or not (parent is None or isinstance(parent, QtCore.QObject)):
            message = f"Could not find matching overload for given arguments:\n{arguments}\n{cls.__name__}(QWidget)"
            raise ValueError(message)
        original(widget, parent)

    return construct


def stand_in(cls: type) -> type:
    """Class decorator: strict as a C++ class, made with nothing but a parent, known to .ui files by its name."""
    cls.__init__ = _only_parent(cls)
    register_cpp_class(cls)
    registry[cls.__name__] = cls
    return cls
