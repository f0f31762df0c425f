"""The typed fields of a parameter node: how a value is checked, written to a vtkMRMLScriptedModuleNode and read."""

from __future__ import annotations

import enum
import json
import pathlib
import types
import typing
from dataclasses import dataclass
from typing import Annotated, Any


@dataclass(frozen=True)
class WithinRange:
    """The value lies between two bounds, which a slider takes over."""

    minimum: float
    maximum: float

    def validate(self, value: Any) -> None:
        if value is not None and not self.minimum <= value <= self.maximum:
            raise ValueError(f"Value must be within range [{self.minimum}, {self.maximum}], is {value}")


@dataclass(frozen=True)
class Minimum:
    """The value is not below."""

    minimum: float

    def validate(self, value: Any) -> None:
        if value is not None and value < self.minimum:
            raise ValueError(f"Value must be >= {self.minimum}, is {value}")


@dataclass(frozen=True)
class Maximum:
    """The value is not above."""

    maximum: float

    def validate(self, value: Any) -> None:
        if value is not None and value > self.maximum:
            raise ValueError(f"Value must be <= {self.maximum}, is {value}")


@dataclass(frozen=True)
class Choice:
    """The value is one of a few, which a combo box offers."""

    choices: list

    def validate(self, value: Any) -> None:
        if value not in self.choices:
            raise ValueError(f"Value must be one of {self.choices}, is {value!r}")


@dataclass(frozen=True)
class Default:
    """The value of a field that nobody has set."""

    value: Any = None
    generator: Any = None


@dataclass(frozen=True)
class Decimals:
    """How many decimals a widget shows."""

    value: int


@dataclass(frozen=True)
class SingleStep:
    """The step of a widget."""

    value: float


PLAIN_DEFAULTS = {bool: False, int: 0, float: 0.0, str: "", pathlib.Path: pathlib.Path(), list: []}


@dataclass(frozen=True)
class Field:
    """One field: `kind` is the bare type, `notes` what Annotated says about it."""

    name: str
    kind: Any
    notes: tuple
    initial: Any

    @classmethod
    def from_annotation(cls, name: str, annotation: Any, initial: Any) -> Field:
        notes: tuple = ()
        if typing.get_origin(annotation) is Annotated:
            annotation, *rest = typing.get_args(annotation)
            notes = tuple(rest)
        if typing.get_origin(annotation) in (typing.Union, types.UnionType):
            annotation = next(kind for kind in typing.get_args(annotation) if kind is not type(None))
        if initial is None:
            default = next((note for note in notes if isinstance(note, Default)), None)
            if default is not None:
                initial = default.generator() if default.generator else default.value
        return cls(name, annotation, notes, initial)

    @property
    def is_node(self) -> bool:
        return hasattr(self.kind, "IsTypeOf")

    @property
    def plain_kind(self) -> Any:
        """list for list[str], the kind itself otherwise."""
        return typing.get_origin(self.kind) or self.kind

    def note(self, kind: type) -> Any:
        """What Annotated says of one kind, or None."""
        return next((note for note in self.notes if isinstance(note, kind)), None)

    def default(self) -> Any:
        """The value while nothing is set."""
        if self.initial is not None:
            return list(self.initial) if isinstance(self.initial, list) else self.check(self.initial)
        if isinstance(self.kind, type) and issubclass(self.kind, enum.Enum):
            return next(iter(self.kind))
        if getattr(self.kind, "_is_parameter_pack", False):
            return self.kind()
        choice, bounds = self.note(Choice), self.note(WithinRange)
        if choice is not None:
            return choice.choices[0]
        value = PLAIN_DEFAULTS.get(self.plain_kind)
        if bounds is not None and not bounds.minimum <= value <= bounds.maximum:
            return self.kind(bounds.minimum)
        return [] if value == [] else value

    def check(self, value: Any) -> Any:
        """The value in the field's type; ValueError if it is of another or breaks a rule."""
        if self.is_node:
            if value is not None and not isinstance(value, self.kind):
                raise ValueError(f"{self.name} must be a {self.kind.__name__}, is {value!r}")
            return value
        wanted = pathlib.PurePath if self.kind is pathlib.Path else self.plain_kind
        fits = isinstance(value, wanted) or (self.kind is float and isinstance(value, int))
        if not fits or (self.kind in (int, float) and isinstance(value, bool)):
            raise ValueError(f"{self.name} must be a {wanted.__name__}, is {value!r}")
        for note in self.notes:
            if hasattr(note, "validate"):
                note.validate(value)
        return float(value) if self.kind is float else value

    def write(self, node: Any, key: str, value: Any) -> None:
        """Keep the value in the node; node fields as references."""
        value = self.check(value)
        if self.is_node:
            node.SetNodeReferenceID(key, value.GetID() if value is not None else None)
        else:
            node.SetParameter(key, self._to_text(value))

    def read(self, node: Any, key: str) -> Any:
        """The value that the node keeps, or the default."""
        if self.is_node:
            return node.GetNodeReference(key)
        if not node.HasParameter(key):
            return self.default()
        return self._from_text(node.GetParameter(key))

    def _to_text(self, value: Any) -> str:
        if isinstance(value, enum.Enum):
            return value.name
        return json.dumps([str(item) for item in value]) if isinstance(value, list) else str(value)

    def _from_text(self, text: str) -> Any:
        if isinstance(self.kind, type) and issubclass(self.kind, enum.Enum):
            return self.kind[text]
        if self.plain_kind is bool:
            return text == "True"
        if self.plain_kind is list:
            (item_kind,) = typing.get_args(self.kind) or (str,)
            return [item_kind(item) for item in json.loads(text)]
        return self.kind(text)
