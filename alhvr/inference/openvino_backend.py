"""OpenVinoBackend: runs the ONNX graphs of both networks with OpenVINO on the CPU, in bf16 where a probe is faster."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import openvino
from openvino import opset13 as ops  # there since 2025.0; what is older counts as not installed

from alhvr.errors import OutOfMemory
from alhvr.inference.exhaustion import memory_as_user_error
from alhvr.networks.perturbation import Perturbation, apply_perturbation

LEVELS = tuple(f"level{number}" for number in range(5))
LARGE_BATCH_PIXELS = 1 << 20
"""From this many pixels on, each graph gives its memory back after use: a sixth slower, at half the peak."""
PROBE_CHANNELS, PROBE_SIDE, PROBE_LAYERS, PROBE_ROUNDS = 64, 16, 3, 20
FASTER = 0.8
"""Share of the float32 time below which bf16 is worth its rounding."""


class OpenVinoBackend:
    """One compiled graph each; the levels are arrays that the encoder writes and the decoder reads in place.

    Once the memory was used up, OpenVINO may crash when it is touched again: onnxruntime runs the graphs from then on.
    """

    name = "openvino"

    def __init__(self, graphs: Mapping[str, bytes | Path], threads: int, precision: str) -> None:
        """``graphs`` are those of onnx_export.export_networks, or files with them; ``threads`` run each layer.

        ``precision`` is "f32" or "bf16"; images, levels and logits are float32 in both.
        """
        core = the_core()
        settings = {"INFERENCE_PRECISION_HINT": precision, "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1,
                    "PERFORMANCE_HINT": "LATENCY", "ENABLE_CPU_PINNING": False}
        self.precision = precision
        self._graphs, self._threads = graphs, threads
        self._exhausted = False
        self._successor: Any = None
        with memory_as_user_error("cpu"):
            self._requests = {name: core.compile_model(core.read_model(graph), "CPU", settings).create_infer_request()
                              for name, graph in graphs.items()}

    def encode(self, network: str, batch: np.ndarray) -> list[np.ndarray]:
        """See Backend.encode. Raises OutOfMemory when the memory is used up."""
        if self._exhausted:
            return self._other().encode(network, batch)
        request = self._requests[f"{network}_encoder"]
        n_images, _, *size = batch.shape
        with self._never_again():
            levels = [np.empty((n_images, _channels(output), *(side >> number for side in size)), np.float32)
                      for number, output in enumerate(request.model_outputs)]
            _run(request, {"image": np.ascontiguousarray(batch, np.float32), **dict(zip(LEVELS, levels, strict=True))})
        return levels

    def decode(self, network: str, levels: list[np.ndarray]) -> np.ndarray:
        """See Backend.decode. Raises OutOfMemory when the memory is used up."""
        if self._exhausted:
            return self._other().decode(network, levels)
        request = self._requests[f"{network}_decoder"]
        n_images, _, *size = levels[0].shape
        with self._never_again():
            logits = np.empty((n_images, _channels(request.model_outputs[0]), *size), np.float32)
            _run(request, {**dict(zip(LEVELS, levels, strict=True)), "logits": logits})
        return logits

    def level_shapes(self, levels: list[np.ndarray]) -> list[tuple[int, ...]]:
        """See Backend.level_shapes."""
        return self._other().level_shapes(levels) if self._exhausted else [level.shape[1:] for level in levels]

    def perturb(self, levels: list[np.ndarray], perturbation: Perturbation) -> list[np.ndarray]:
        """See Backend.perturb. Raises OutOfMemory when the memory is used up."""
        if self._exhausted:
            return self._other().perturb(levels, perturbation)
        with self._never_again():
            return [np.ascontiguousarray(level) for level in apply_perturbation(levels, perturbation)]

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


def from_graphs(graphs: Mapping[str, bytes | Path], threads: int, *, exact: bool = False) -> OpenVinoBackend:
    """The backend for ``graphs``: in float32 if it is to be ``exact``, else in the precision that is fastest here."""
    return OpenVinoBackend(graphs, threads, "f32" if exact else fastest_precision())


def _channels(output: openvino.ConstOutput) -> int:
    return output.get_partial_shape()[1].get_length()


def _run(request: openvino.InferRequest, arrays: Mapping[str, np.ndarray]) -> None:
    """Runs one graph on its inputs and outputs by name, read and written where they are."""
    for name, array in arrays.items():
        request.set_tensor(name, openvino.Tensor(array, shared_memory=True))
    request.infer()
    n_images, _, *size = next(iter(arrays.values())).shape
    if n_images * np.prod(size) >= LARGE_BATCH_PIXELS:
        request.get_compiled_model().release_memory()


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

    Ten trained pairs of networks keep their answer in bf16: 1 voxel in 16,000 or fewer gets another label.
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
