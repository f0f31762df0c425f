"""The OpenVINO backend, and what it changes in the graphs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import openvino
from openvino import opset13 as ops

from alhvr.core.errors import OutOfMemory
from alhvr.core.system import as_model_error
from alhvr.inference.backends import networks_of
from alhvr.inference.memory import NetworkMemory
from alhvr.networks.perturbation import Perturbation
from alhvr.networks.registry import N_LEVELS

LARGE_BATCH_PIXELS = 1 << 20
"""From this many pixels on, each graph gives its memory back after use: a sixth slower, at half the peak."""
MEMORY = {"bf16": NetworkMemory(slices=(350, 950), volumes=(350, 900), graphs_for_regions=True),
          "f32": NetworkMemory(slices=(650, 1350), volumes=(650, 1300), graphs_for_regions=True)}
CLEAN = "clean"
ROOM = {CLEAN: 8, "dropout": 12, "noise": 12}
"""Memory of a model at work, in arrays as large as its first level: 5 to 6.5 and 8 to 11.3 were measured."""
ROOM_FOR_CODE = 1 << 26
"""Bytes for the machine code that OpenVINO writes for each new size, and what else it takes besides arrays."""

Graphs = Mapping[str, bytes | Path]
"""Those of onnx_export.export_networks by name, or files with them."""


@dataclass(frozen=True)
class _Levels:
    """What stands for the levels: they are made of ``images`` where they are decoded, and leave OpenVINO nowhere."""

    images: np.ndarray
    """float32 [N, M, *S]."""
    perturbation: Perturbation | None = None


class OpenVinoBackend:
    """One model for each network, from image to logits; with regions one more, which decodes each encoding twice.

    Once the memory was used up, OpenVINO may crash when it is touched again: onnxruntime runs the graphs from then on.
    """

    name = "openvino"

    def __init__(self, graphs: Graphs, threads: int, precision: str) -> None:
        """``graphs`` are those of onnx_export.export_networks, or files with them; ``threads`` run each layer.

        ``precision`` is "f32" or "bf16"; images and logits are float32 in both.
        """
        self.precision = precision
        self._settings = {"INFERENCE_PRECISION_HINT": precision, "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1,
                          "PERFORMANCE_HINT": "LATENCY", "ENABLE_CPU_PINNING": False}
        self._graphs, self._threads = graphs, threads
        self._exhausted = False
        self._successor: Any = None
        self._pixels_held: dict[tuple[str, str], int] = {}
        self.networks = networks_of(graphs)
        with as_model_error("OpenVINO"):
            self._channels = {network: level_channels(the_core(), graphs, network) for network in self.networks}
            self._requests = {(network, CLEAN): self._compiled(clean_model(the_core(), graphs, network))
                              for network in self.networks}

    @property
    def memory(self) -> NetworkMemory:
        """See Backend."""
        return MEMORY[self.precision]

    @property
    def arithmetic(self) -> str:
        """See Backend."""
        own = {"f32": "fp32"}.get(self.precision, self.precision)
        return own if self._successor is None else f"{own}, then {self._successor.name} in {self._successor.arithmetic}"

    def encode(self, network: str, batch: np.ndarray) -> _Levels:
        """See Backend.encode; the work is done when the levels are decoded, and ``batch`` must stay as it is."""
        with as_model_error("OpenVINO"):
            return _Levels(np.ascontiguousarray(batch, np.float32))

    def decode(self, network: str, levels: _Levels) -> np.ndarray:
        """See Backend.decode. Raises OutOfMemory, and ModelError where OpenVINO refuses."""
        if levels.perturbation is not None:
            return self.decode_twice(network, _Levels(levels.images), levels.perturbation)[1]
        if self._exhausted:
            return self._other().decode(network, self._other().encode(network, levels.images))
        with self._never_again():
            return self._run((network, CLEAN), [levels.images])[0]

    def decode_twice(self, network: str, levels: _Levels, perturbation: Perturbation) -> list[np.ndarray]:
        """See Backend.decode_twice. Raises OutOfMemory, and ModelError where OpenVINO refuses."""
        if self._exhausted:
            other = self._other()
            found = other.encode(network, levels.images)
            return [other.decode(network, found), other.decode(network, other.perturb(found, perturbation))]
        with self._never_again():
            key = (network, perturbation.kind)
            if key not in self._requests:
                self._requests[key] = self._compiled(twofold_model(the_core(), self._graphs, *key))
            return self._run(key, [levels.images, *perturbation_arrays(perturbation)])

    def level_shapes(self, levels: _Levels) -> list[tuple[int, ...]]:
        """See Backend.level_shapes."""
        channels, size = next(iter(self._channels.values())), levels.images.shape[2:]
        return [(count, *(side >> number for side in size)) for number, count in enumerate(channels)]

    def perturb(self, levels: _Levels, perturbation: Perturbation) -> _Levels:
        """See Backend.perturb; the work is done when the levels are decoded."""
        return _Levels(levels.images, perturbation)

    def _compiled(self, model: openvino.Model) -> openvino.InferRequest:
        return the_core().compile_model(model, "CPU", self._settings).create_infer_request()

    def _run(self, key: tuple[str, str], arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The logits [N, C, *S] of one model; images and other inputs are read, and logits written, in place."""
        request = self._requests[key]
        n_images, _, *size = arrays[0].shape
        found = [np.empty((n_images, output.get_partial_shape()[1].get_length(), *size), np.float32)
                 for output in request.model_outputs]
        pixels = n_images * prod(size)
        self._require_room(key, pixels)
        for number, array in enumerate(arrays):
            request.set_input_tensor(number, openvino.Tensor(array, shared_memory=True))
        for number, logits in enumerate(found):
            request.set_output_tensor(number, openvino.Tensor(logits, shared_memory=True))
        request.infer()
        if pixels >= LARGE_BATCH_PIXELS:
            request.get_compiled_model().release_memory()
        else:
            self._pixels_held[key] = max(pixels, self._pixels_held.get(key, 0))
        return found

    def _require_room(self, key: tuple[str, str], pixels: int) -> None:
        """Raises MemoryError where the system has too little for what a model does not hold from earlier batches.

        OpenVINO does not stop where it gets none: it leaves out what it wanted it for, and crashes later.
        """
        network, kind = key
        if pixels > self._pixels_held.get(key, 0):
            of_a_pixel = self._channels[network][0] * (2 if self.precision == "bf16" else 4)
            np.empty(ROOM[kind] * of_a_pixel * pixels + ROOM_FOR_CODE, np.uint8)

    @contextmanager
    def _never_again(self) -> Iterator[None]:
        """Raises OutOfMemory where the code inside runs out of memory, and leaves OpenVINO alone from then on."""
        try:
            with as_model_error("OpenVINO"):
                yield
        except OutOfMemory:
            self._exhausted = True
            raise

    def _other(self) -> Any:
        """onnxruntime's backend with the same graphs, loaded when it is first needed; raises OutOfMemory."""
        if self._successor is None:
            room = import_module("alhvr.inference.onnx_backend")
            self._successor = room.from_graphs(self._graphs, self._threads)
        return self._successor


def from_graphs(graphs: Graphs, threads: int, *, exact: bool = False) -> OpenVinoBackend:
    """The backend for ``graphs``: in float32 if it is to be ``exact``, else in the precision of this CPU."""
    return OpenVinoBackend(graphs, threads, "f32" if exact else precision_of_this_cpu())


@cache
def the_core() -> openvino.Core:
    """The one core of the process, never given back.

    It lends the thread that first uses it a stack for signals. Given back in another thread, that stack is gone while
    the first one still points to it, and the next signal there, such as Ctrl-C, ends the process at once.
    """
    return openvino.Core()


def precision_of_this_cpu() -> str:
    """"bf16" where OpenVINO finds instructions for it in the CPU (AVX512_BF16, AMX), else "f32".

    It depends on the CPU and on nothing else, so that the same command gives the same result again. Trained networks
    keep their answer in bf16: on real scans 1 voxel in 10,000 or fewer gets another label.
    """
    return "bf16" if "BF16" in the_core().get_property("CPU", "OPTIMIZATION_CAPABILITIES") else "f32"


def level_channels(core: openvino.Core, graphs: Graphs, network: str) -> tuple[int, ...]:
    """Channels F_k of each level of ``network``, full resolution first."""
    return tuple(_channels(output) for output in core.read_model(graphs[f"{network}_encoder"]).outputs)


def clean_model(core: openvino.Core, graphs: Graphs, network: str) -> openvino.Model:
    """image float32 [N, M, *S] -> logits float32 [N, C, *S] of ``network``."""
    encoder, decoder = (core.read_model(graphs[f"{network}_{part}"]) for part in ("encoder", "decoder"))
    _feed(decoder, _levels(encoder))
    return openvino.Model(decoder.get_results(), encoder.get_parameters())


def twofold_model(core: openvino.Core, graphs: Graphs, network: str, kind: str) -> openvino.Model:
    """image and the arrays of ``perturbation_arrays`` -> logits and logits of the perturbed levels, both [N, C, *S].

    One encoding serves both. ``kind`` is that of the perturbations which the model is to be given.
    """
    encoder, decoder = (core.read_model(graphs[f"{network}_{part}"]) for part in ("encoder", "decoder"))
    again = decoder.clone()
    levels = _levels(encoder)
    perturbed, inputs = {"dropout": _without_most_active, "noise": _with_noise}[kind](levels)
    _feed(decoder, levels)
    _feed(again, perturbed)
    return openvino.Model([*decoder.get_results(), *again.get_results()], [*encoder.get_parameters(), *inputs])


def perturbation_arrays(perturbation: Perturbation) -> list[np.ndarray]:
    """What a twofold model of its kind wants besides the image: thresholds [5], or noise [1, F_k, *S_k] by level."""
    if perturbation.kind == "dropout":
        return [np.array(perturbation.thresholds, np.float32)]
    return [np.ascontiguousarray(noise)[np.newaxis] for noise in perturbation.noises]


def _levels(encoder: openvino.Model) -> list[openvino.Output]:
    return [encoder.output(f"level{number}").get_node().input_value(0) for number in range(N_LEVELS)]


def _feed(decoder: openvino.Model, levels: Sequence[openvino.Output]) -> None:
    """Puts ``levels`` in the place of the inputs of ``decoder``."""
    for number, level in enumerate(levels):
        decoder.input(f"level{number}").get_node().output(0).replace(level)


def _without_most_active(levels: Sequence[openvino.Output]) -> tuple[list[openvino.Output], list[openvino.Node]]:
    """As perturbation.apply_perturbation does for "dropout"; and the input with the thresholds."""
    thresholds = ops.parameter([N_LEVELS], np.float32)
    found = []
    for number, level in enumerate(levels):
        activity = ops.reduce_mean(level, _whole([1]), keep_dims=True)
        largest = ops.reduce_max(activity, _whole(range(2, _rank(level))), keep_dims=True)
        limit = ops.multiply(largest, ops.gather(thresholds, _whole([number]), _whole(0)))
        found.append(ops.multiply(level, ops.convert(ops.less(activity, limit), np.float32)).output(0))
    return found, [thresholds]


def _with_noise(levels: Sequence[openvino.Output]) -> tuple[list[openvino.Output], list[openvino.Node]]:
    """As perturbation.apply_perturbation does for "noise"; and the inputs with the noise of each level."""
    noises = [ops.parameter(openvino.PartialShape([1, _channels(level), *[-1] * (_rank(level) - 2)]), np.float32)
              for level in levels]
    one = ops.constant(np.float32(1))
    found = [ops.multiply(level, ops.add(noise, one)).output(0) for level, noise in zip(levels, noises, strict=True)]
    return found, noises


def _whole(values: Sequence[int] | int) -> openvino.Node:
    return ops.constant(np.array(values, np.int64))


def _rank(output: openvino.Output) -> int:
    return output.get_partial_shape().rank.get_length()


def _channels(output: openvino.Output) -> int:
    return output.get_partial_shape()[1].get_length()
