"""OpenVinoBackend: runs the ONNX graphs of both networks with OpenVINO on the CPU."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import openvino

from alhvr.inference.exhaustion import memory_as_user_error
from alhvr.networks.perturbation import Perturbation, apply_perturbation

LEVELS = tuple(f"level{number}" for number in range(5))


class OpenVinoBackend:
    """One compiled graph each; the levels are arrays that the encoder writes and the decoder reads in place."""

    name = "openvino"

    def __init__(self, graphs: Mapping[str, bytes | Path], threads: int) -> None:
        """``graphs`` are those of onnx_export.export_networks, or files with them; ``threads`` run each layer."""
        core = openvino.Core()
        settings = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": 1,
                    "INFERENCE_NUM_THREADS": threads}
        with memory_as_user_error("cpu"):
            self._requests = {name: core.compile_model(core.read_model(graph), "CPU", settings).create_infer_request()
                              for name, graph in graphs.items()}

    def encode(self, network: str, batch: np.ndarray) -> list[np.ndarray]:
        """See Backend.encode. Raises OutOfMemory when the memory is used up."""
        request = self._requests[f"{network}_encoder"]
        with memory_as_user_error("cpu"):
            _set_tensor(request, "image", np.ascontiguousarray(batch, np.float32))
            n_images, _, *size = batch.shape
            channels = [request.model_outputs[k].partial_shape[1].get_length() for k in range(len(LEVELS))]
            levels = [np.empty((n_images, f, *(side >> k for side in size)), np.float32)
                      for k, f in enumerate(channels)]
            for name, level in zip(LEVELS, levels, strict=True):
                _set_tensor(request, name, level)
            request.infer()
        return levels

    def decode(self, network: str, levels: list[np.ndarray]) -> np.ndarray:
        """See Backend.decode. Raises OutOfMemory when the memory is used up."""
        request = self._requests[f"{network}_decoder"]
        with memory_as_user_error("cpu"):
            for name, level in zip(LEVELS, levels, strict=True):
                _set_tensor(request, name, level)
            n_classes = request.model_outputs[0].partial_shape[1].get_length()
            logits = np.empty((len(levels[0]), n_classes, *levels[0].shape[2:]), np.float32)
            _set_tensor(request, "logits", logits)
            request.infer()
        return logits

    def level_shapes(self, levels: list[np.ndarray]) -> list[tuple[int, ...]]:
        """See Backend.level_shapes."""
        return [level.shape[1:] for level in levels]

    def perturb(self, levels: list[np.ndarray], perturbation: Perturbation) -> list[np.ndarray]:
        """See Backend.perturb."""
        with memory_as_user_error("cpu"):
            return [np.ascontiguousarray(level) for level in apply_perturbation(levels, perturbation)]


def _set_tensor(request: openvino.InferRequest, name: str, array: np.ndarray) -> None:
    """Lets ``request`` read or write ``array`` where it is."""
    request.set_tensor(name, openvino.Tensor(array, shared_memory=True))


def from_graphs(graphs: Mapping[str, bytes | Path], threads: int) -> OpenVinoBackend:
    """The backend for ``graphs``; see OpenVinoBackend."""
    return OpenVinoBackend(graphs, threads)
