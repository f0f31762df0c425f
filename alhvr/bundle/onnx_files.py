"""An ONNX file as plain values, read without the package onnx and before any runtime sees it.

Runtimes open what a graph names: data in other files, libraries of operators. So what is let through here is whole in
itself: float32 weights that lie in the file, and standard operators with plain settings. The file is one protobuf
message (onnx.proto); of that, only the fields that matter are known, by their numbers.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from alhvr.core.files import shown

MOST_FIELDS = 200_000
"""Of one file that are looked at; a graph of ours has some thousands."""
MOST_AXES = 8
_STANDARD = ("", "ai.onnx")
_FLOAT = 1
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

_MODEL = {"training": 20, "functions": 25, "opset": 8, "graph": 7}
_GRAPH = {"nodes": 1, "initializers": 5, "inputs": 11, "outputs": 12, "sparse": 15}
_NODE = {"inputs": 1, "outputs": 2, "operator": 4, "settings": 5, "domain": 7, "overload": 8}
_SETTING = {"name": 1, "kind": 20, "float": 2, "int": 3, "bytes": 4, "tensor": 5, "ints": 8}
_OF_KIND = {1: "float", 2: "int", 3: "bytes", 4: "tensor", 7: "ints"}
_OTHER_SETTINGS = {"graph": 6, "floats": 7, "strings": 9, "tensors": 10, "graphs": 11, "type": 14, "types": 15,
                   "reference": 21, "sparse": 22, "sparses": 23}
_TENSOR = {"dims": 1, "kind": 2, "segment": 3, "floats": 4, "name": 8, "raw": 9, "external": 13, "location": 14}
_VALUE = {"name": 1, "type": 2}

Shape = tuple[int | None, ...] | None
"""Sizes of an input or output; None stands for one that is open, or for a shape of which nothing is said."""


class NotAGraph(Exception):
    """Why a file is not read, in a few words."""


@dataclass(frozen=True)
class Weights:
    """Numbers of the file, all finite."""

    sizes: tuple[int, ...]
    values: np.ndarray
    """float32, flat; as many as ``sizes`` say."""


@dataclass(frozen=True)
class Operator:
    """One step of a graph; the names of its inputs and outputs are those of weights and other steps."""

    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    settings: dict[str, Any]
    """float, int, bytes, tuple of int, or Weights."""


@dataclass(frozen=True)
class Graph:
    """A whole file."""

    inputs: tuple[tuple[str, Shape], ...]
    outputs: tuple[tuple[str, Shape], ...]
    """Names and shapes, all float32."""
    weights: dict[str, Weights]
    operators: tuple[Operator, ...]


def read_graph(data: bytes) -> Graph:
    """The graph in the content of an ONNX file; raises NotAGraph for all else, whatever the bytes are."""
    return _Reader().graph(memoryview(data))


class _Reader:
    """Reads one file, and gives up on one of too many fields."""

    def __init__(self) -> None:
        self._left = MOST_FIELDS

    def graph(self, data: memoryview) -> Graph:
        if not len(data):
            raise NotAGraph("it is empty")
        model = self._fields(data, _MODEL)
        if model["functions"] or model["training"]:
            raise NotAGraph("it brings functions of its own")
        for opset in model["opset"]:
            _require_standard(_text(self._fields(opset, {"domain": 1})["domain"]))
        found = self._fields(_only(model["graph"]), _GRAPH)
        if found["sparse"]:
            raise NotAGraph("it has sparse weights")
        named = [(self._tensor_name(each), self._tensor(each)) for each in found["initializers"]]
        if len({name for name, _ in named}) < len(named):
            raise NotAGraph("two of its weights have one name")
        return Graph(tuple(self._value(each) for each in found["inputs"]),
                     tuple(self._value(each) for each in found["outputs"]), dict(named),
                     tuple(self._operator(each) for each in found["nodes"]))

    def _value(self, data: Any) -> tuple[str, Shape]:
        found = self._fields(data, _VALUE)
        name = _text(found["name"])
        tensor = self._fields(_only(found["type"]), {"tensor": 1})["tensor"]
        about = self._fields(_only(tensor), {"kind": 1, "shape": 2})
        if about["kind"] != [_FLOAT]:
            raise NotAGraph(f"{_brief(name)} is not of float32")
        if not about["shape"]:
            return name, None
        sizes = [self._fields(each, {"size": 1})["size"] for each in self._fields(_only(about["shape"]), {"d": 1})["d"]]
        return name, tuple(size[-1] if size else None for size in sizes)

    def _operator(self, data: Any) -> Operator:
        found = self._fields(data, _NODE)
        _require_standard(_text(found["domain"]))
        if found["overload"]:
            raise NotAGraph("it brings functions of its own")
        inputs, outputs = (tuple(_text([each]) for each in found[part]) for part in ("inputs", "outputs"))
        settings = dict(map(self._setting, found["settings"]))
        if len(settings) < len(found["settings"]):
            raise NotAGraph("it says something twice")
        return Operator(_text(found["operator"]), inputs, outputs, settings)

    def _setting(self, data: Any) -> tuple[str, Any]:
        found = self._fields(data, _SETTING | _OTHER_SETTINGS)
        name = _text(found["name"])
        kind = _OF_KIND.get(found["kind"][0] if len(found["kind"]) == 1 else 0, "")
        given = {part for part, values in found.items() if values} - {"name", "kind"}
        if not kind or given - {kind}:
            raise NotAGraph(f"the setting {_brief(name)} of an operator is no plain one")
        values = found[kind]
        if kind == "ints":
            return name, _integers(values)
        if kind == "tensor":
            return name, self._tensor(_only(values))
        if kind == "bytes":
            return name, bytes(_only(values)) if values else b""
        value = values[-1] if values else 0
        if not isinstance(value, int):
            raise NotAGraph("it is no ONNX file")
        return name, value if kind == "int" else struct.unpack("<f", struct.pack("<I", value & 0xFFFFFFFF))[0]

    def _tensor_name(self, data: Any) -> str:
        return _text(self._fields(data, {"name": 8})["name"])

    def _tensor(self, data: Any) -> Weights:
        """Raises NotAGraph for numbers that lie elsewhere, are not as many as the shape says, or not finite."""
        found = self._fields(data, _TENSOR)
        if found["external"] or any(found["location"]):
            raise NotAGraph("some of its weights lie in another file, which a model may not have")
        name = _brief(_text(found["name"]))
        if found["kind"] != [_FLOAT] or found["segment"]:
            raise NotAGraph(f"its weights {name} are not of float32")
        sizes = _integers(found["dims"])
        values = np.concatenate([np.zeros(0, np.float32), *map(_floats, (*found["raw"], *found["floats"]))])
        if len(values) != prod(sizes):
            raise NotAGraph(f"its weights {name} are not as many as their shape says")
        if not np.isfinite(values).all():
            raise NotAGraph(f"its weights {name} hold NaN or infinity, so it would give no numbers")
        return Weights(sizes, values)

    def _fields(self, data: Any, wanted: Mapping[str, int]) -> dict[str, list[Any]]:
        """The values of the ``wanted`` fields of a message, in order: bytes, or whole numbers.

        Numbers of a fixed size come as their bits.
        """
        data = _bytes_of(data)
        names = {number: name for name, number in wanted.items()}
        found: dict[str, list[Any]] = {name: [] for name in wanted}
        at = 0
        while at < len(data):
            self._left -= 1
            if self._left < 0:
                raise NotAGraph(f"it has more than {MOST_FIELDS} fields")
            key, at = _varint(data, at)
            value, at = _one(data, at, key & 7)
            if key >> 3 in names:
                found[names[key >> 3]].append(value)
        return found


def _one(data: memoryview, at: int, wire: int) -> tuple[Any, int]:
    """A value of the kind ``wire`` at ``at``, and where the next field begins."""
    if wire == _VARINT:
        return _varint(data, at)
    sizes = {_FIXED64: 8, _FIXED32: 4}
    if wire in sizes:
        end = at + sizes[wire]
        value: Any = int.from_bytes(data[at:end], "little")
    elif wire == _BYTES:
        size, at = _varint(data, at)
        end = at + size
        value = data[at:end]
    else:
        raise NotAGraph("it is no ONNX file")
    if end > len(data):
        raise NotAGraph("it is no ONNX file, or cut short")
    return value, end


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    number = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            raise NotAGraph("it is no ONNX file, or cut short")
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
    raise NotAGraph("it is no ONNX file")


def _floats(part: Any) -> np.ndarray:
    """float32 numbers one after the other, or the bits of one."""
    data = part.to_bytes(10, "little")[:4] if isinstance(part, int) else part
    if len(data) % 4:
        raise NotAGraph("some of its weights are cut short")
    return np.frombuffer(data, "<f4") if len(data) else np.zeros(0, np.float32)


def _integers(parts: Iterable[Any]) -> tuple[int, ...]:
    """A few whole numbers, which stand packed or one by one."""
    found: list[int] = []
    for part in parts:
        at = 0
        if isinstance(part, int):
            found.append(part)
            continue
        while at < len(part) and len(found) <= 2 * MOST_AXES:
            number, at = _varint(part, at)
            found.append(number)
    if len(found) > 2 * MOST_AXES:
        raise NotAGraph("some of its shapes have too many axes")
    return tuple(found)


def _require_standard(domain: str) -> None:
    if domain not in _STANDARD:
        raise NotAGraph(f"it wants operators of {_brief(domain)!r}, which are no standard ones")


def _bytes_of(value: Any) -> memoryview:
    if not isinstance(value, memoryview):
        raise NotAGraph("it is no ONNX file")
    return value


def _only(values: list[Any]) -> memoryview:
    """A part that must be there once: a runtime would join several."""
    if len(values) != 1:
        raise NotAGraph("it is no ONNX file" if not values else "it says something twice")
    return _bytes_of(values[0])


def _text(values: list[Any]) -> str:
    """A text, which may be left out."""
    try:
        return bytes(_only(values)).decode("utf-8") if values else ""
    except UnicodeDecodeError:
        raise NotAGraph("its names are no text") from None


def _brief(text: str) -> str:
    return shown(text)[:50]
