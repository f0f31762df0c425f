"""The graphs of a model are those of its networks: each step is known, and the sizes add up, before a runtime runs one.

Runtimes crash on graphs that nobody would write. So a graph is followed from its inputs to its outputs with the
channels and the resolution of each array; what ``networks.onnx_export`` writes for a network gets through.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from alhvr.bundle.onnx_files import Graph, NotAGraph, Operator, Shape, Weights, read_graph
from alhvr.core.errors import ModelError, UserError
from alhvr.core.files import read_bytes, shown
from alhvr.formats.model_description import NetworkSpec
from alhvr.networks.registry import N_LEVELS

LEVELS = tuple(f"level{number}" for number in range(N_LEVELS))
LARGEST_BYTES = 2**31
"""Of a file: protobuf knows none larger."""


class _Array(NamedTuple):
    """What is known of an array of a graph."""

    channels: int
    halvings: int
    """How often its sides were halved; 0 is full resolution."""


def require_graphs(graphs: Mapping[str, bytes | Path], spec: NetworkSpec) -> None:
    """Raises ModelError unless each of ``graphs`` (by bundle.graph_names, content or file) is a graph of ``spec``."""
    for name, graph in graphs.items():
        where = shown(graph if isinstance(graph, Path) else f"{name}.onnx")
        try:
            data = graph if isinstance(graph, bytes) else read_bytes(graph, at_most=LARGEST_BYTES)
            _Walk(read_graph(data), spec, is_encoder=name.endswith("_encoder")).follow()
        except NotAGraph as error:
            raise ModelError(f"{where} is no network of this model: {error}.",
                             "Copy the model again, or use --backend torch.") from None
        except OSError as error:
            raise ModelError(f"{where} cannot be read: {error.strerror or error}.", "Copy the model again.") from error
        except UserError as error:
            raise ModelError(error.message, error.hint) from error


class _Walk:
    """One graph, followed from its inputs to its outputs."""

    def __init__(self, graph: Graph, spec: NetworkSpec, *, is_encoder: bool) -> None:
        self._graph, self._axes = graph, spec.dimensions
        levels = {name: _Array(spec.width << number, number) for number, name in enumerate(LEVELS)}
        image, logits = {"image": _Array(spec.in_channels, 0)}, {"logits": _Array(spec.n_classes, 0)}
        self._inputs, self._outputs = (image, levels) if is_encoder else (levels, logits)
        self._arrays = dict(self._inputs)
        self._constants: dict[str, Weights] = {}
        self._renamed: dict[str, Weights] = {}

    def follow(self) -> None:
        """Raises NotAGraph unless all steps are known and the outputs are as they should be."""
        _require_ends("inputs", self._graph.inputs, self._inputs, self._axes)
        _require_ends("outputs", self._graph.outputs, self._outputs, self._axes)
        known = {*self._arrays, *self._graph.weights}
        if len(known) < len(self._arrays) + len(self._graph.weights):
            raise NotAGraph("a name stands for two things")
        for step in self._graph.operators:
            _require(len(step.outputs) == 1 and step.outputs[0] and step.outputs[0] not in known, step, "outputs")
            _require(all(type(value) is _TYPES.get(name) for name, value in step.settings.items()), step, "settings")
            known.add(step.outputs[0])
            if step.kind == "Constant":
                self._constants[step.outputs[0]] = _constant(step)
            elif step.kind == "Identity" and len(step.inputs) == 1 and step.inputs[0] in self._graph.weights:
                self._renamed[step.outputs[0]] = self._graph.weights[step.inputs[0]]
            else:
                _require(step.kind in _STEPS, step, "kind")
                self._arrays[step.outputs[0]] = _STEPS[step.kind](self, step)
        for name, wanted in self._outputs.items():
            if self._arrays.get(name) != wanted:
                raise NotAGraph(f"{name} is not what the networks of this model give")

    def conv(self, step: Operator) -> _Array:
        """Of size 3 or 1 at one resolution, or of size 3, 2 or 1 from one to the next coarser one."""
        array, weights = self._array(step), self._weights(step)
        kernel, stride = self._window(step, weights)
        same = (kernel, stride) in ((1, 1), (3, 1)) and _pads(step, self._axes) == kernel // 2
        halves = stride == 2 and _pads(step, self._axes) == {1: 0, 2: 0, 3: 1}.get(kernel)
        _require((same or halves) and weights.sizes[1] == array.channels, step, "sizes")
        return _Array(weights.sizes[0], array.halvings + halves)

    def conv_transpose(self, step: Operator) -> _Array:
        """Of size 2, from one resolution to the next finer one."""
        array, weights = self._array(step), self._weights(step, out_axis=1)
        good = self._window(step, weights) == (2, 2) and _pads(step, self._axes) == 0
        _require(good and weights.sizes[0] == array.channels and array.halvings > 0, step, "sizes")
        return _Array(weights.sizes[1], array.halvings - 1)

    def max_pool(self, step: Operator) -> _Array:
        """From one resolution to the next coarser one."""
        array, settings = self._array(step, 1), step.settings
        good = (settings.get("kernel_shape"), settings.get("strides")) == ((2,) * self._axes,) * 2
        _require(good and _pads(step, self._axes) == 0 and settings.get("ceil_mode", 0) == 0, step, "sizes")
        _require(_are_ones(settings.get("dilations"), self._axes), step, "sizes")
        _require(settings.keys() <= {"kernel_shape", "strides", "pads", "dilations", "ceil_mode"}, step, "settings")
        return _Array(array.channels, array.halvings + 1)

    def resize(self, step: Operator) -> _Array:
        """Linear, from one resolution to the next finer one."""
        array = self._array(step, 3)
        factors = self._constants.get(step.inputs[2]) or self._graph.weights.get(step.inputs[2])
        doubles = factors is not None and list(factors.values) == [1, 1, *[2] * self._axes]
        _require(doubles and step.inputs[1] == "" and array.halvings > 0, step, "sizes")
        wanted = {"coordinate_transformation_mode": b"align_corners", "mode": b"linear"}
        _require(all(step.settings.get(name) == value for name, value in wanted.items()), step, "settings")
        _require(step.settings.keys() <= {*wanted, "cubic_coeff_a", "nearest_mode"}, step, "settings")
        return _Array(array.channels, array.halvings - 1)

    def concat(self, step: Operator) -> _Array:
        """Of two arrays of one resolution, along the channels."""
        first, second = self._pair(step)
        _require(first.halvings == second.halvings and step.settings == {"axis": 1}, step, "sizes")
        return _Array(first.channels + second.channels, first.halvings)

    def add(self, step: Operator) -> _Array:
        """Of two arrays that are alike."""
        first, second = self._pair(step)
        _require(first == second and not step.settings, step, "sizes")
        return first

    def instance_norm(self, step: Operator) -> _Array:
        """Every channel of every image by itself, with a factor and a summand for each channel."""
        array, weights = self._array(step, 3), [self._weight(name) for name in step.inputs[1:]]
        _require(all(w is not None and w.sizes == (array.channels,) for w in weights), step, "sizes")
        _require(step.settings.keys() <= {"epsilon"}, step, "settings")
        return array

    def pointwise(self, step: Operator) -> _Array:
        """A function of each number."""
        _require(step.settings.keys() <= ({"alpha"} if step.kind == "LeakyRelu" else set()), step, "settings")
        return self._array(step, 1)

    def _array(self, step: Operator, *n_inputs: int) -> _Array:
        """The first input; ``n_inputs``: how many there must be."""
        found = self._arrays.get(step.inputs[0]) if step.inputs else None
        _require(found is not None and len(step.inputs) in (n_inputs or (2, 3)), step, "inputs")
        return found

    def _pair(self, step: Operator) -> list[_Array]:
        found = [self._arrays.get(name) for name in step.inputs]
        _require(len(found) == 2 and None not in found, step, "inputs")
        return found

    def _weights(self, step: Operator, *, out_axis: int = 0) -> Weights:
        """Those of a convolution, whose bias fits them."""
        found = [self._weight(name) for name in step.inputs[1:]]
        _require(None not in found and len(found[0].sizes) == 2 + self._axes, step, "inputs")
        _require(all(bias.sizes == (found[0].sizes[out_axis],) for bias in found[1:]), step, "inputs")
        return found[0]

    def _weight(self, name: str) -> Weights | None:
        return self._graph.weights.get(name) or self._renamed.get(name)

    def _window(self, step: Operator, weights: Weights) -> tuple[int, int]:
        """Side and stride of a convolution, alike along all axes: (kernel, stride) as in (3, 1)."""
        kernel, strides = weights.sizes[2:], step.settings.get("strides", (1,) * self._axes)
        _require(step.settings.get("kernel_shape", kernel) == kernel, step, "sizes")
        _require(len(set(kernel)) == len(set(strides)) == 1 and len(strides) == self._axes, step, "sizes")
        _require(step.settings.get("group", 1) == 1 and _are_ones(step.settings.get("dilations"), self._axes), step,
                 "settings")
        _require(step.settings.keys() <= {"kernel_shape", "strides", "pads", "dilations", "group"}, step, "settings")
        return kernel[0], strides[0]


_STEPS: dict[str, Callable[[_Walk, Operator], _Array]] = {
    "Conv": _Walk.conv, "ConvTranspose": _Walk.conv_transpose, "MaxPool": _Walk.max_pool, "Resize": _Walk.resize,
    "Concat": _Walk.concat, "Add": _Walk.add, "LeakyRelu": _Walk.pointwise, "Relu": _Walk.pointwise,
    "Identity": _Walk.pointwise, "InstanceNormalization": _Walk.instance_norm,
}
_TYPES: dict[str, type] = {
    **dict.fromkeys(("kernel_shape", "strides", "pads", "dilations"), tuple), "alpha": float, "cubic_coeff_a": float,
    "epsilon": float,
    **dict.fromkeys(("group", "ceil_mode", "axis"), int), "value": Weights,
    **dict.fromkeys(("mode", "coordinate_transformation_mode", "nearest_mode"), bytes),
}
"""What a setting is where an operator has it; no others are accepted."""


def _require_ends(kind: str, found: Iterable[tuple[str, Shape]], wanted: Mapping[str, _Array], axes: int) -> None:
    """Raises NotAGraph unless the inputs or outputs have the names and the channels that are ``wanted``."""
    names = [name for name, _ in found]
    if sorted(names) != sorted(wanted):
        raise NotAGraph(f"its {kind} are {_listed(names)} instead of {_listed(wanted)}")
    for name, shape in found:
        channels = wanted[name].channels
        if shape is not None and (len(shape) != 2 + axes or shape[1] not in (None, channels)):
            raise NotAGraph(f"{name} has the shape {str(shape):.50} instead of {channels} channels in {axes}-D")


def _constant(step: Operator) -> Weights:
    value = step.settings.get("value")
    _require(value is not None and len(step.settings) == 1 and not step.inputs, step, "settings")
    return value


def _pads(step: Operator, axes: int) -> int:
    """Pixels added at each end of each axis; -1 where they are not alike."""
    pads = step.settings.get("pads", (0,) * 2 * axes)
    return pads[0] if len(pads) == 2 * axes and len(set(pads)) == 1 else -1


def _are_ones(values: tuple[int, ...] | None, axes: int) -> bool:
    return values in (None, (1,) * axes)


def _require(good: Any, step: Operator, what: str) -> None:
    if not good:
        raise NotAGraph(f"the {what} of its operator {shown(step.kind)[:50]} are none that these networks have")


def _listed(names: Iterable[str]) -> str:
    return shown(", ".join(names) or "none")[:100]
