"""OpenVinoBackend: runs the ONNX graphs of both networks with OpenVINO on the CPU, in bf16 where that has it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from math import prod
from typing import Any

import numpy as np
import openvino

from alhvr.core.errors import OutOfMemory
from alhvr.core.exhaustion import as_model_error
from alhvr.inference.backends import networks_of
from alhvr.inference.openvino_graphs import Graphs, clean_model, level_channels, perturbation_arrays, twofold_model
from alhvr.networks.perturbation import Perturbation

LARGE_BATCH_PIXELS = 1 << 20
"""From this many pixels on, each graph gives its memory back after use: a sixth slower, at half the peak."""
CLEAN = "clean"
ROOM = {CLEAN: 8, "dropout": 12, "noise": 12}
"""Memory of a model at work, in arrays as large as its first level: 5 to 6.5 and 8 to 11.3 were measured."""
ROOM_FOR_CODE = 1 << 26
"""Bytes for the machine code that OpenVINO writes for each new size, and what else it takes besides arrays."""


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
