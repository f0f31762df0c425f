"""slicer.parameterNodeWrapper: typed fields over a parameter node, as far as our modules use them."""

from __future__ import annotations

import typing
from collections.abc import Iterator
from typing import Any

from slicer_stand_in.parameter_fields import (
    Choice,
    Decimals,
    Default,
    Field,
    Maximum,
    Minimum,
    SingleStep,
    WithinRange,
)
from slicer_stand_in.parameter_gui import GuiConnections

__all__ = [
    "Choice",
    "Decimals",
    "Default",
    "Maximum",
    "Minimum",
    "SingleStep",
    "WithinRange",
    "isParameterNodeWrapper",
    "isParameterPack",
    "parameterNodeWrapper",
    "parameterPack",
]
NODE_METHODS = (
    "AddObserver",
    "HasObserver",
    "RemoveObserver",
    "StartModify",
    "EndModify",
    "Modified",
    "GetID",
    "GetName",
)


def _fields(cls: type) -> dict[str, Field]:
    hints = typing.get_type_hints(cls, include_extras=True)
    return {name: Field.from_annotation(name, hint, vars(cls).get(name)) for name, hint in hints.items()}


def isParameterPack(obj: Any) -> bool:
    """Whether a class or object is a parameterPack."""
    return getattr(obj, "_is_parameter_pack", False) is True


def isParameterNodeWrapper(obj: Any) -> bool:
    """Whether a class or object is a parameterNodeWrapper."""
    return getattr(obj, "_is_parameter_node_wrapper", False) is True


def parameterPack(cls: type | None = None) -> type:
    """Class decorator: a group of typed fields, which a wrapper may hold as one field."""
    if cls is None:
        return parameterPack
    fields = _fields(cls)

    def __init__(self: Any, *arguments: Any, **keywords: Any) -> None:
        given = dict(zip(fields, arguments, strict=False)) | keywords
        unknown = set(given) - set(fields)
        if unknown or len(arguments) > len(fields):
            raise ValueError(f"{cls.__name__} has no fields {sorted(unknown)}; it has {list(fields)}")
        self.__dict__["_values"] = {name: given.get(name, field.default()) for name, field in fields.items()}
        self.__dict__["_store"] = None

    def get(name: str) -> Any:
        def read(self: Any) -> Any:
            return self._values[name] if self._store is None else self._store.getValue(f"{self._prefix}.{name}")

        def write(self: Any, value: Any) -> None:
            if self._store is None:
                self._values[name] = fields[name].check(value)
            else:
                self._store.setValue(f"{self._prefix}.{name}", value)

        return property(read, write)

    for name in fields:
        setattr(cls, name, get(name))
    cls.__init__ = __init__
    cls.__eq__ = lambda self, other: isParameterPack(other) and _values(self) == _values(other)
    cls.__hash__ = None
    cls._is_parameter_pack, cls._fields = True, fields
    cls.dataTypes = fields
    return cls


def _values(pack: Any) -> dict[str, Any]:
    return {name: getattr(pack, name) for name in pack._fields}


def parameterNodeWrapper(cls: type | None = None) -> type:
    """Class decorator: instances wrap a vtkMRMLScriptedModuleNode and give its parameters types."""
    if cls is None:
        return parameterNodeWrapper
    fields = dict(_flat(_fields(cls)))
    packs = {name: field.kind for name, field in _fields(cls).items() if isParameterPack(field.kind)}

    def __init__(self: Any, parameterNode: Any, prefix: str | None = None) -> None:
        self.__dict__.update(parameterNode=parameterNode, _prefix=f"{prefix}." if prefix else "")
        self.__dict__["_gui"] = GuiConnections(self)
        for name, field in fields.items():  # as Slicer does: what nobody has set is written at once
            if not field.is_node and not parameterNode.HasParameter(self._prefix + name):
                field.write(parameterNode, self._prefix + name, field.default())

    for name in _fields(cls):
        setattr(cls, name, _pack_property(name, packs[name]) if name in packs else _plain_property(name))
    cls.__init__ = __init__
    cls._fields, cls._is_parameter_node_wrapper = fields, True
    cls.getValue, cls.setValue = _get_value, _set_value
    cls.connectGui = lambda self, gui: self._gui.connect_named(gui)
    cls.connectParametersToGui = lambda self, mapping: self._gui.connect(mapping)
    cls.disconnectGui = lambda self, tag: self._gui.disconnect(tag)
    cls.__setattr__ = _refuse_unknown
    for method in NODE_METHODS:
        setattr(cls, method, _node_method(method))
    return cls


def _flat(fields: dict[str, Field], prefix: str = "") -> Iterator[tuple[str, Field]]:
    for name, field in fields.items():
        if isParameterPack(field.kind):
            yield from _flat(field.kind._fields, f"{prefix}{name}.")
        else:
            yield prefix + name, field


def _plain_property(name: str) -> property:
    return property(lambda self: self.getValue(name), lambda self, value: self.setValue(name, value))


def _pack_property(name: str, pack_class: type) -> property:
    def read(self: Any) -> Any:
        pack = pack_class()
        pack.__dict__.update(_store=self, _prefix=name)
        return pack

    def write(self: Any, value: Any) -> None:
        for field_name, item in _values(value).items():
            self.setValue(f"{name}.{field_name}", item)

    return property(read, write)


def _get_value(self: Any, name: str) -> Any:
    return self._fields[name].read(self.parameterNode, self._prefix + name)


def _set_value(self: Any, name: str, value: Any) -> None:
    self._fields[name].write(self.parameterNode, self._prefix + name, value)


def _refuse_unknown(self: Any, name: str, value: Any) -> None:
    if not isinstance(getattr(type(self), name, None), property):
        raise AttributeError(f"{type(self).__name__} has no parameter '{name}'")
    object.__setattr__(self, name, value)


def _node_method(method: str) -> Any:
    return lambda self, *arguments: getattr(self.parameterNode, method)(*arguments)
