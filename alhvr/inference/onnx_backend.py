"""OnnxBackend: runs the ONNX graphs of both networks with onnxruntime on the CPU, in float32."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # read when onnxruntime is loaded: nothing is sent or kept

import onnxruntime
from onnxruntime import InferenceSession, OrtValue, SessionOptions

from alhvr.core.system import as_model_error
from alhvr.inference.backends import networks_of
from alhvr.inference.memory import NetworkMemory
from alhvr.networks.perturbation import Perturbation, apply_perturbation

onnxruntime.disable_telemetry_events()  # where ORT_DISABLE_TELEMETRY is not known, which is on Windows
_ONLY_WHAT_IS_ASKED = 1
"""How onnxruntime's pool of memory grows; its default doubles, which keeps up to twice the memory of the networks."""


class OnnxBackend:
    """One session per graph; the levels stay in onnxruntime's memory between encoder and decoder."""

    name = "onnxruntime"
    memory = NetworkMemory(slices=(800, 1200), volumes=(500, 800))
    arithmetic = "fp32"

    def __init__(self, graphs: Mapping[str, bytes | Path], threads: int) -> None:
        """``graphs`` are those of onnx_export.export_networks, or files with them; ``threads`` run each layer."""
        self.networks = networks_of(graphs)
        with as_model_error("onnxruntime"):
            _share_memory()
            self._sessions = {name: _session(graph, threads) for name, graph in graphs.items()}

    def encode(self, network: str, batch: np.ndarray) -> list[OrtValue]:
        """See Backend.encode. Raises OutOfMemory, and ModelError where onnxruntime refuses."""
        with as_model_error("onnxruntime"):
            image = OrtValue.ortvalue_from_numpy(np.ascontiguousarray(batch, np.float32))
            return self._sessions[f"{network}_encoder"].run_with_ort_values(None, {"image": image})

    def decode(self, network: str, levels: list[OrtValue]) -> np.ndarray:
        """See Backend.decode. Raises OutOfMemory, and ModelError where onnxruntime refuses."""
        named = {f"level{number}": level for number, level in enumerate(levels)}
        with as_model_error("onnxruntime"):
            return self._sessions[f"{network}_decoder"].run_with_ort_values(None, named)[0].numpy()

    def level_shapes(self, levels: list[OrtValue]) -> list[tuple[int, ...]]:
        """See Backend.level_shapes."""
        return [tuple(level.shape()[1:]) for level in levels]

    def perturb(self, levels: list[OrtValue], perturbation: Perturbation) -> list[OrtValue]:
        """See Backend.perturb. Raises OutOfMemory, and ModelError where onnxruntime refuses."""
        with as_model_error("onnxruntime"):
            changed = apply_perturbation([level.numpy() for level in levels], perturbation)
            return [OrtValue.ortvalue_from_numpy(np.ascontiguousarray(level)) for level in changed]


def from_graphs(graphs: Mapping[str, bytes | Path], threads: int, *, exact: bool = True) -> OnnxBackend:
    """The backend for ``graphs``; it is always ``exact``, that is in float32."""
    return OnnxBackend(graphs, threads)


def _session(graph: bytes | Path, threads: int, *, exact: bool = False) -> InferenceSession:
    options = SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4  # what it raises is told; what else it says is for its developers
    options.enable_mem_pattern = False  # plans for one size only, and would hold that memory for each graph
    options.add_session_config_entry("session.load_model_format", "ONNX")  # never by what the content looks like
    options.add_session_config_entry("session.use_env_allocators", "1")
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # waiting threads leave the core to others
    return InferenceSession(graph if isinstance(graph, bytes) else str(graph), options,
                            providers=["CPUExecutionProvider"], enable_fallback=0)  # which would print on stdout


@cache
def _share_memory() -> None:
    """One pool of memory for all graphs of this process: what one has done with, the next uses."""
    pool = onnxruntime.OrtMemoryInfo("Cpu", onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0,
                                     onnxruntime.OrtMemType.DEFAULT)
    growth = onnxruntime.OrtArenaCfg({"arena_extend_strategy": _ONLY_WHAT_IS_ASKED})
    onnxruntime.create_and_register_allocator(pool, growth)
