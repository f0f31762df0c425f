"""Graphs: what an ONNX file of a model may hold, looked at before ONNX Runtime or OpenVINO opens it.

They open what a graph names (data in other files, libraries of operators), so a graph must be whole in itself, of
standard operators, with the inputs and outputs that ``networks.onnx_export`` writes, and of finite weights. The file is
one protobuf message (onnx.proto); of that, only the fields that matter here are known, by their numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from alhvr.bundle_description import NetworkSpec
from alhvr.errors import ModelError, UserError
from alhvr.files import read_bytes, shown

LEVELS = tuple(f"level{number}" for number in range(5))
LARGEST_BYTES = 2**31
"""Of a file: protobuf knows none larger."""
MOST_FIELDS = 200_000
"""That are looked at in one file; a graph of ours has some thousands."""
_STANDARD = ("", "ai.onnx")
_FLOAT = 1
_DTYPES = {1: "<f4", 10: "<f2", 11: "<f8"}
"""numpy's name of the floating types of ONNX that numpy has."""
_MOST_DIMS = 8
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

_MODEL = {"graph": 7, "opset": 8, "functions": 25, "training": 20}
_GRAPH = {"nodes": 1, "initializers": 5, "inputs": 11, "outputs": 12, "sparse": 15}
_NODE = {"operator": 4, "attributes": 5, "domain": 7}
_ATTRIBUTE = {"tensor": 5, "graph": 6, "tensors": 10, "graphs": 11, "sparse": 22, "sparse_tensors": 23}
_TENSOR = {"dims": 1, "kind": 2, "floats": 4, "name": 8, "raw": 9, "doubles": 10, "external": 13, "location": 14}
_VALUE = {"name": 1, "type": 2}


class _Bad(Exception):
    """Why a file is none of our graphs, in a few words."""


@dataclass
class _Budget:
    """How many fields may still be looked at."""

    left: int = field(default=MOST_FIELDS)

    def spend(self) -> None:
        """Counts one field."""
        self.left -= 1
        if self.left < 0:
            raise _Bad(f"it has more than {MOST_FIELDS} fields")


def require_graphs(graphs: Mapping[str, bytes | Path], spec: NetworkSpec) -> None:
    """Raises ModelError unless every one of ``graphs`` (by bundle.GRAPHS, content or file) is a graph of ``spec``."""
    for name, graph in graphs.items():
        where = graph if isinstance(graph, Path) else f"{name}.onnx"
        try:
            data = graph if isinstance(graph, bytes) else read_bytes(graph, at_most=LARGEST_BYTES)
            _check_model(memoryview(data), is_encoder=name.endswith("_encoder"), spec=spec)
        except _Bad as error:
            raise ModelError(f"{shown(where)} is no network of this model: {error}.",
                             "Copy the model again, or use --backend torch.") from None
        except OSError as error:
            raise ModelError(f"{shown(where)} cannot be read: {error.strerror or error}.",
                             "Copy the model again.") from error
        except UserError as error:
            raise ModelError(error.message, error.hint) from error


def _check_model(data: memoryview, *, is_encoder: bool, spec: NetworkSpec) -> None:
    if not len(data):
        raise _Bad("it is empty")
    budget = _Budget()
    found = _fields(data, budget, _MODEL)
    if found["functions"] or found["training"]:
        raise _Bad("it brings functions of its own")
    for opset in found["opset"]:
        _require_standard(_last_text(_fields(opset, budget, {"domain": 1})["domain"]))
    if len(found["graph"]) != 1:
        raise _Bad("it is no ONNX file" if not found["graph"] else "it holds several graphs")
    graph = _fields(found["graph"][0], budget, _GRAPH)
    if graph["sparse"]:
        raise _Bad("it has sparse weights")
    _check_ends(graph, budget, is_encoder=is_encoder, spec=spec)
    for tensor in graph["initializers"]:
        _check_tensor(tensor, budget)
    for node in graph["nodes"]:
        _check_node(node, budget)


def _check_ends(graph: dict[str, list[Any]], budget: _Budget, *, is_encoder: bool, spec: NetworkSpec) -> None:
    """Raises _Bad unless inputs and outputs have the names, the types and the sizes of an encoder or a decoder."""
    inputs, outputs = (dict(_value(each, budget) for each in graph[part]) for part in ("inputs", "outputs"))
    levels = {name: spec.width << number for number, name in enumerate(LEVELS)}
    wanted = ({"image": spec.in_channels}, levels) if is_encoder else (levels, {"logits": spec.n_classes})
    for kind, found, channels in (("inputs", inputs, wanted[0]), ("outputs", outputs, wanted[1])):
        if set(found) != set(channels) or len(graph[kind]) != len(channels):
            raise _Bad(f"its {kind} are {_listed(found)} instead of {_listed(channels)}")
        for name, count in channels.items():
            shape = found[name]
            if shape is not None and (len(shape) != 2 + spec.dimensions or shape[1] not in (None, count)):
                raise _Bad(f"{name} has the shape {shape} instead of {count} channels in {spec.dimensions}-D")


def _value(data: Any, budget: _Budget) -> tuple[str, tuple[int | None, ...] | None]:
    """Name and shape of an input or output of float32; None stands for a size, or a shape, that is open."""
    found = _fields(data, budget, _VALUE)
    name = _last_text(found["name"])
    tensor = _only(_fields(_only(found["type"], name), budget, {"tensor": 1})["tensor"], name)
    about = _fields(tensor, budget, {"kind": 1, "shape": 2})
    if about["kind"][-1:] != [_FLOAT]:
        raise _Bad(f"{shown(name)[:50]} is not of float32")
    if not about["shape"]:
        return name, None
    dims = _fields(_only(about["shape"], name), budget, {"dims": 1})["dims"]
    sizes = [_fields(dim, budget, {"size": 1})["size"] for dim in dims]
    return name, tuple(size[-1] if size else None for size in sizes)


def _check_node(data: Any, budget: _Budget) -> None:
    node = _fields(data, budget, _NODE)
    _require_standard(_last_text(node["domain"]))
    for part in node["attributes"]:
        attribute = _fields(part, budget, _ATTRIBUTE)
        if attribute["graph"] or attribute["graphs"]:
            raise _Bad(f"its operator {shown(_last_text(node['operator']))[:50]} holds graphs of its own")
        if attribute["sparse"] or attribute["sparse_tensors"]:
            raise _Bad("it has sparse weights")
        for tensor in (*attribute["tensor"], *attribute["tensors"]):
            _check_tensor(tensor, budget)


def _check_tensor(data: Any, budget: _Budget) -> None:
    """Raises _Bad for numbers that lie in another file, are fewer than the shape says, or are not finite."""
    tensor = _fields(data, budget, _TENSOR)
    if tensor["external"] or any(tensor["location"]):
        raise _Bad("some of its weights lie in another file, which a model may not have")
    name, kind = shown(_last_text(tensor["name"]))[:50], tensor["kind"][-1] if tensor["kind"] else 0
    if not isinstance(kind, int):
        raise _Bad("it is no ONNX file")
    dtype = _DTYPES.get(kind)
    if dtype is None:
        return
    found = [_numbers(part, dtype) for part in tensor["raw"]]
    found += [_numbers(part, "<f4") for part in tensor["floats"]]
    found += [_numbers(part, "<f8") for part in tensor["doubles"]]
    expected = prod(_dims(tensor["dims"]))
    if dtype != "<f2" and sum(len(part) for part in found) != expected:
        raise _Bad(f"its weights {name} are not as many as their shape says")
    if not all(np.isfinite(part).all() for part in found):
        raise _Bad(f"its weights {name} hold NaN or infinity, so it would give no numbers")


def _numbers(part: Any, dtype: str) -> np.ndarray:
    """Numbers one after the other, or the bits of one."""
    size = np.dtype(dtype).itemsize
    data = part.to_bytes(10, "little")[:size] if isinstance(part, int) else part
    return np.frombuffer(data, dtype, len(data) // size) if len(data) >= size else np.zeros(0, dtype)


def _dims(parts: Iterable[Any]) -> list[int]:
    """The sizes of a tensor, which stand packed or one by one."""
    found: list[int] = []
    for part in parts:
        at = 0
        if isinstance(part, int):
            found.append(part)
            continue
        while at < len(part) and len(found) <= _MOST_DIMS:
            number, at = _varint(part, at)
            found.append(number)
    if len(found) > _MOST_DIMS:
        raise _Bad(f"some of its weights have more than {_MOST_DIMS} axes")
    return found


def _fields(data: Any, budget: _Budget, wanted: Mapping[str, int]) -> dict[str, list[Any]]:
    """The values of the ``wanted`` fields of a message, in order: bytes, or whole numbers; raises _Bad for no message.

    Numbers of a fixed size come as their bits.
    """
    data = _bytes_of(data)
    names = {number: name for name, number in wanted.items()}
    found: dict[str, list[Any]] = {name: [] for name in wanted}
    at = 0
    while at < len(data):
        budget.spend()
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
        raise _Bad("it is no ONNX file")
    if end > len(data):
        raise _Bad("it is no ONNX file, or cut short")
    return value, end


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    number = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            raise _Bad("it is no ONNX file, or cut short")
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
    raise _Bad("it is no ONNX file")


def _require_standard(domain: str) -> None:
    if domain not in _STANDARD:
        raise _Bad(f"it wants operators of {shown(domain)[:50]!r}, which are no standard ones")


def _bytes_of(value: Any) -> memoryview:
    if not isinstance(value, memoryview):
        raise _Bad("it is no ONNX file")
    return value


def _only(values: list[Any], name: str) -> memoryview:
    if len(values) != 1:
        raise _Bad(f"{shown(name)[:50]!r} has no type")
    return _bytes_of(values[0])


def _last_text(values: list[Any]) -> str:
    """A text field; protobuf takes the last where there are several."""
    return bytes(_bytes_of(values[-1])).decode("utf-8", errors="replace") if values else ""


def _listed(names: Iterable[str]) -> str:
    return shown(", ".join(names) or "none")[:100]
