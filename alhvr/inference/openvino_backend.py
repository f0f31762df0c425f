"""OpenVinoBackend: runs the ONNX graphs of both networks with OpenVINO on the CPU, in bf16 where a probe is faster."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from math import prod
from typing import Any

import numpy as np
import openvino
from openvino import opset13 as ops

from alhvr.errors import OutOfMemory
from alhvr.inference.exhaustion import memory_as_user_error
from alhvr.inference.openvino_graphs import Graphs, clean_model, level_channels, perturbation_arrays, twofold_model
from alhvr.networks.perturbation import Perturbation

LARGE_BATCH_PIXELS = 1 << 20
"""From this many pixels on, each graph gives its memory back after use: a sixth slower, at half the peak."""
CLEAN = "clean"
ROOM = {CLEAN: 8, "dropout": 12, "noise": 12}
"""Memory of a model at work, in arrays as large as its first level: 5 to 6.5 and 8 to 11.3 were measured."""
ROOM_FOR_CODE = 1 << 26
"""Bytes for the machine code that OpenVINO writes for each new size, and what else it takes besides arrays."""
PROBE_CHANNELS, PROBE_SIDE, PROBE_LAYERS, PROBE_ROUNDS = 64, 16, 3, 20
FASTER = 0.8
"""Share of the float32 time below which bf16 is worth its rounding."""


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
        networks = sorted({name.partition("_")[0] for name in graphs})
        with memory_as_user_error("cpu"):
            self._channels = {network: level_channels(the_core(), graphs, network) for network in networks}
            self._requests = {(network, CLEAN): self._compiled(clean_model(the_core(), graphs, network))
                              for network in networks}

    def encode(self, network: str, batch: np.ndarray) -> _Levels:
        """See Backend.encode; the work is done when the levels are decoded, and ``batch`` must stay as it is."""
        with memory_as_user_error("cpu"):
            return _Levels(np.ascontiguousarray(batch, np.float32))

    def decode(self, network: str, levels: _Levels) -> np.ndarray:
        """See Backend.decode. Raises OutOfMemory when the memory is used up."""
        if levels.perturbation is not None:
            return self.decode_twice(network, _Levels(levels.images), levels.perturbation)[1]
        if self._exhausted:
            return self._other().decode(network, self._other().encode(network, levels.images))
        with self._never_again():
            return self._run((network, CLEAN), [levels.images])[0]

    def decode_twice(self, network: str, levels: _Levels, perturbation: Perturbation) -> list[np.ndarray]:
        """See Backend.decode_twice. Raises OutOfMemory when the memory is used up."""
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
            with memory_as_user_error("cpu"):
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
    """The backend for ``graphs``: in float32 if it is to be ``exact``, else in the precision that is fastest here."""
    return OpenVinoBackend(graphs, threads, "f32" if exact else fastest_precision())


@cache
def the_core() -> openvino.Core:
    """The one core of the process, never given back.

    It lends the thread that first uses it a stack for signals. Given back in another thread, that stack is gone while
    the first one still points to it, and the next signal there, such as Ctrl-C, ends the process at once.
    """
    return openvino.Core()


@cache
def fastest_precision() -> str:
    """"bf16" where the CPU has it and a few convolutions show that it is faster, else "f32"; found once.

    Trained networks keep their answer in bf16: on real scans 1 voxel in 10,000 or fewer gets another label.
    """
    core = the_core()
    if "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        return "f32"
    runs = {precision: _convolutions(core, precision) for precision in ("f32", "bf16")}
    rounds = [{precision: _seconds(run) for precision, run in runs.items()} for _ in range(PROBE_ROUNDS)]
    seconds = {precision: min(found[precision] for found in rounds) for precision in runs}
    return "bf16" if seconds["bf16"] < FASTER * seconds["f32"] else "f32"


def _convolutions(core: openvino.Core, precision: str) -> openvino.InferRequest:
    """Convolutions of size 3 one after the other, ready to run on two images."""
    image = ops.parameter([2, PROBE_CHANNELS, PROBE_SIDE, PROBE_SIDE], np.float32)
    weights = ops.constant(np.full((PROBE_CHANNELS, PROBE_CHANNELS, 3, 3), 1e-3, np.float32))
    found = image
    for _ in range(PROBE_LAYERS):
        found = ops.relu(ops.convolution(found, weights, [1, 1], [1, 1], [1, 1], [1, 1]))
    settings = {"INFERENCE_PRECISION_HINT": precision, "INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1}
    request = core.compile_model(openvino.Model([found], [image]), "CPU", settings).create_infer_request()
    request.infer()
    return request


def _seconds(request: openvino.InferRequest) -> float:
    started_at = time.perf_counter()
    request.infer()
    return time.perf_counter() - started_at
