"""Settings as plain values: dataclasses to and from what JSON can hold, with the checks that all of them share."""

from __future__ import annotations

import dataclasses
import types
import typing
from dataclasses import fields
from typing import Any, Literal

from alhvr.core import errors
from alhvr.core.errors import UserError

LARGEST_NUMBER = 1e18
"""A setting beyond is refused, and so is NaN: arithmetic in whole numbers or in float32 has no room for it."""


def to_dict(config: Any) -> dict[str, Any]:
    """A settings dataclass as plain values that JSON can hold."""
    return dataclasses.asdict(config)


def from_dict(kind: type, values: dict[str, Any], where: str = "settings", *, base: Any = None) -> Any:
    """Builds the settings dataclass ``kind``; what ``values`` leaves out is that of ``base``, else the default.

    Raises UserError for an unknown name (listing the known ones) and for a value of another type.
    """
    if not isinstance(values, dict):
        raise UserError(f"{where}: expected named values, got {values!r}.", "Write them as a JSON object.")
    known = {f.name: f for f in fields(kind)}
    hints = typing.get_type_hints(kind)
    built = {}
    for name, value in values.items():
        if name not in known:
            raise UserError(f"{where}: unknown setting {name!r:.100}.", f"Known settings: {', '.join(known)}.")
        built[name] = _cast(hints[name], value, f"{where}.{name}", getattr(base, name, None))
    return kind(**built) if base is None else dataclasses.replace(base, **built)


def _cast(hint: Any, value: Any, where: str, base: Any = None) -> Any:
    """``value`` from JSON as the type ``hint``; raises UserError where it is of another type."""
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        if value is None:
            return None
        (hint,) = (part for part in typing.get_args(hint) if part is not type(None))
    if dataclasses.is_dataclass(hint):
        return from_dict(hint, value, where, base=base)
    if typing.get_origin(hint) is tuple:
        if not isinstance(value, (list, tuple)):
            raise UserError(f"{where} is {value!r:.100}.", "Give a list of numbers.")
        return tuple(_cast(typing.get_args(hint)[0], entry, where) for entry in value)
    if hint is bool and not isinstance(value, bool):
        raise UserError(f"{where} is {value!r:.100}.", "Give true or false.")
    if hint is str and not isinstance(value, str):
        raise UserError(f"{where} is {value!r:.100}.", "Give a text.")
    return _cast_number(hint, value, where) if hint in (int, float) else value


def _cast_number(hint: type, value: Any, where: str) -> Any:
    number = isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= LARGEST_NUMBER
    if not number or (hint is int and value != int(value)):
        raise UserError(f"{where} is {value!r:.100}.", f"Give a {'whole number' if hint is int else 'number'}.")
    return hint(value)


def require(good: bool, name: str, seen: Any, accepted: str) -> None:
    """As errors.require, for a setting, which is named as on the command line."""
    errors.require(good, name.replace("_", "-"), seen, accepted)


def check_choices(config: Any) -> None:
    """Raises UserError unless every Literal field of the dataclass ``config`` holds one of its choices."""
    hints = typing.get_type_hints(type(config))
    for name, hint in hints.items():
        choices = _choices(hint)
        value = getattr(config, name)
        if choices:
            require(value in choices, name, value, ", ".join(str(c) for c in choices if c is not None))


def _choices(hint: Any) -> tuple[Any, ...]:
    if typing.get_origin(hint) is Literal:
        return typing.get_args(hint)
    parts = typing.get_args(hint)
    literal = [p for p in parts if typing.get_origin(p) is Literal]
    return (*typing.get_args(literal[0]), None) if literal else ()
