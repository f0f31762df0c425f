"""Backend: what the predictor asks of the two networks, whatever library runs them; and the choice of one."""

from __future__ import annotations

import platform
import shutil
import sys
from collections.abc import Iterable, Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from alhvr.bundle.graphs import require_graphs
from alhvr.bundle.model import Model
from alhvr.core.errors import ModelError, UserError
from alhvr.core.system import free_cores
from alhvr.networks.perturbation import Perturbation

if TYPE_CHECKING:
    from alhvr.inference.memory import NetworkMemory

GRAPH_BACKENDS = {"openvino": "openvino_backend", "onnxruntime": "onnx_backend"}
"""The backends that run ONNX graphs on the CPU, the faster first, and their files."""
BACKENDS = ("auto", *GRAPH_BACKENDS, "torch")
_NVIDIA_DRIVER = ("/dev/nvidiactl", "/dev/dxg", r"C:\Windows\System32\nvcuda.dll")
"""Files that are there where a driver of NVIDIA is: on Linux, in Windows' Linux, on Windows."""


class Backend(Protocol):
    """Runs the one or two networks of a model.

    Levels are the encoder's output in the backend's own form, full resolution first.

    A backend whose levels lie channels last in memory says so with ``channels_last = True``. One that is faster when
    it knows at once that levels are decoded clean and perturbed has ``decode_twice(network, levels, perturbation)``,
    which gives the logits of both.
    """

    name: str
    networks: tuple[str, ...]
    """Names of the networks, in the order of the model."""
    memory: NetworkMemory
    """What the networks take while they run."""
    arithmetic: str
    """What it computes in: "fp32", "bf16" or "fp16"; images and logits are float32 always."""

    def encode(self, network: str, batch: np.ndarray) -> Any:
        """Images float32 [N, M, *S], M channels, sides multiples of 16, to levels [N, F_k, *S / 2^k]."""

    def decode(self, network: str, levels: Any) -> np.ndarray:
        """Levels to logits float32 [N, C, *S], contiguous and owned by the caller."""

    def level_shapes(self, levels: Any) -> list[tuple[int, ...]]:
        """[F_k, *S_k] of each level, without the batch axis."""

    def perturb(self, levels: Any, perturbation: Perturbation) -> Any:
        """Levels changed by ``perturbation``, which was drawn for their shapes; the input is not changed."""


def choose_backend(model: Model, *, backend: str = "auto", device: str = "auto", threads: int | None = None,
                   precision: str = "auto") -> Backend:
    """The ``backend`` (one of BACKENDS) that runs ``model`` on ``device`` (auto, cpu, cuda, mps).

    auto: torch where a GPU is asked for or, for device auto, there; else openvino, onnxruntime, torch, whichever is
    installed first. ``threads`` on the CPU; None: as many as there are free cores. ``precision`` (auto, fp32,
    bf16, fp16): auto is the fastest; 16 bits count on a GPU only. Raises UserError when the wish cannot be met,
    ModelError when the networks cannot be run.
    """
    _require_known(backend)
    graphs = model.graph_files()
    wants_gpu = device not in ("auto", "cpu")
    if backend in GRAPH_BACKENDS and wants_gpu:
        raise UserError(f"backend {backend} runs on the CPU only, and device is {device!r}.",
                        "Leave out --backend, or use --device cpu.")
    if backend in GRAPH_BACKENDS and not graphs:
        raise UserError(f"The model {model.folder} carries no ONNX networks, which backend {backend} runs.",
                        "Use --backend torch, or train the model anew with the package onnx installed.")
    if backend == "torch" or (backend == "auto" and (wants_gpu or not graphs)):
        return _torch_backend(model, device, threads, precision)
    if backend == "auto" and device == "auto" and _gpu_is_there():
        return _torch_backend(model, device, threads, precision)
    require_graphs(graphs, model.description.network)
    try:
        return backend_of_graphs(graphs, backend=backend, threads=threads, exact=precision == "fp32")
    except ModelError:
        raise
    except UserError:
        if backend != "auto" or not _is_installed("torch"):
            raise
    return _torch_backend(model, "cpu", threads, precision)


def backend_of_graphs(graphs: Mapping[str, bytes | Path], *, backend: str = "auto",
                      threads: int | None = None, exact: bool = False) -> Backend:
    """A backend that runs the ONNX ``graphs`` (onnx_export.export_networks, or files with them) on the CPU.

    ``backend`` is "openvino", "onnxruntime" or "auto", the first of them that is installed. ``exact``: float32 also
    where bf16 is faster. Raises UserError when none is installed.
    """
    _require_known(backend)
    names = GRAPH_BACKENDS if backend == "auto" else (backend,)
    for name in names:
        if name == "openvino":
            sys.modules.setdefault("openvino_telemetry", None)  # reports to its makers
        try:
            return import_module(f"alhvr.inference.{GRAPH_BACKENDS[name]}").from_graphs(
                graphs, threads or free_cores(), exact=exact)
        except ImportError:
            continue
    raise UserError(f"The package {' or '.join(names)} is not installed, or too old; {_installed()}.",
                    f"Install it: pip install --upgrade {'onnxruntime' if backend == 'auto' else backend}.")


def networks_of(graphs: Iterable[str]) -> tuple[str, ...]:
    """The networks that ``graphs`` (by bundle.graph_names) are of, in their order."""
    return tuple(dict.fromkeys(name.rpartition("_")[0] for name in graphs))


def _torch_backend(model: Model, device: str, threads: int | None, precision: str) -> Backend:
    if not _is_installed("torch"):
        what = f"device {device}" if device in ("cuda", "mps") else f"running {model.folder}"
        raise UserError(f"PyTorch is not installed, and {what} needs it; {_installed()}.",
                        "Install it: pip install 'alhvr[train]'.")
    return import_module("alhvr.inference.torch_backend").from_model(model, device, threads, precision)


def _require_known(backend: str) -> None:
    if backend not in BACKENDS:
        raise UserError(f"backend is {backend!r}; {_installed()}.", f"Accepted: {', '.join(BACKENDS)}.")


def _installed() -> str:
    found = [name for name in BACKENDS[1:] if _is_installed(name)]
    return f"installed: {', '.join(found)}" if found else "no other is installed either"


def _is_installed(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except (ImportError, ValueError):
        return False


def _gpu_is_there() -> bool:
    """True where torch can use a GPU; torch is imported only where a driver makes that likely."""
    if not _driver_is_there() or not _is_installed("torch"):
        return False
    return import_module("alhvr.inference.torch_backend").choose_device("auto") != "cpu"


def _driver_is_there() -> bool:
    apple = sys.platform == "darwin" and platform.machine() == "arm64"
    return apple or shutil.which("nvidia-smi") is not None or any(Path(file).exists() for file in _NVIDIA_DRIVER)
