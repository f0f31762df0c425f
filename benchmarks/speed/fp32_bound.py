"""The most that float32 can reach: the convolutions of both 2-D networks alone, each by the library fastest at it.

PyTorch runs each layer by itself, contiguous, channels last, and by NNPACK (Winograd); of onnxruntime and OpenVINO
it is each layer's own time while they run the whole network, so that nothing between the layers counts.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alhvr.bundle.model import Model
from alhvr.inference.openvino_backend import clean_model, the_core
from alhvr.networks.blocks import SegmentationNetwork


@dataclass(frozen=True)
class Bound:
    """What the convolutions of both networks take, round by round, beside PyTorch as it comes in the same round."""

    gflop: float
    eager: tuple[float, ...]
    """Seconds of both networks as they come."""
    libraries: Mapping[str, tuple[float, ...]]
    """Seconds of all convolutions by library."""
    mixed: tuple[float, ...]
    """Seconds of all convolutions, each by the library that was fastest at it in that round."""

    @property
    def best(self) -> str:
        """The library that is fastest at all of them together."""
        return min(self.libraries, key=lambda name: statistics.median(self.libraries[name]))


def least_time(model: Model, eager: Callable[[], object], layers: Layers, *, threads: int, rounds: int,
               work: Path) -> Bound:
    """Times ``layers``, those of network a of ``model``, ``rounds`` times; torch's own threads are set already."""
    files = model.graph_files()
    sides = {**_torch_sides(layers), "openvino": _openvino_side(files, layers.images, threads),
             "onnxruntime": _onnxruntime_side(files, layers.images, threads, work)}
    for side in (*sides.values(), eager):
        side()
    eagers, found = [], {name: [] for name in sides}
    for _ in range(rounds):
        eagers.append(_seconds(eager))
        for name, side in sides.items():
            found[name].append(side())
    if {len(times) for runs in found.values() for times in runs} != {len(layers.modules)}:
        raise RuntimeError("The libraries do not run the same convolutions.")
    mixed = [2 * sum(map(min, zip(*runs, strict=True))) for runs in zip(*found.values(), strict=True)]
    libraries = {name: tuple(2 * sum(times) for times in runs) for name, runs in found.items()}
    return Bound(2 * layers.flop / 1e9, tuple(eagers), libraries, tuple(mixed))


@dataclass(frozen=True)
class Layers:
    """The convolutions of one network in the order in which they run, and what goes into them."""

    images: np.ndarray
    modules: tuple[nn.Conv2d, ...]
    inputs: tuple[Tensor, ...]

    @classmethod
    def of(cls, network: SegmentationNetwork, images: np.ndarray) -> Layers:
        """Those of ``network`` on images float32 [N, 1, J, I]."""
        seen: list[tuple[nn.Conv2d, Tensor]] = []
        hooks = [module.register_forward_pre_hook(lambda layer, given: seen.append((layer, given[0].clone())))
                 for module in network.modules() if isinstance(module, nn.Conv2d)]
        with torch.inference_mode():
            network(torch.from_numpy(images))
        for hook in hooks:
            hook.remove()
        return cls(images, *map(tuple, zip(*seen, strict=True)))

    @property
    def flop(self) -> int:
        """Multiplications and additions of all of them."""
        return sum(2 * layer.weight.numel() * len(x) * x.shape[2] * x.shape[3]
                   for layer, x in zip(self.modules, self.inputs, strict=True))


Side = Callable[[], list[float]]
"""Runs all convolutions once; seconds of each."""


def _torch_sides(layers: Layers) -> dict[str, Side]:
    calls: dict[str, list[Callable[[], object]]] = {"contiguous": [], "channels last": [], "NNPACK": []}
    for layer, x in zip(layers.modules, layers.inputs, strict=True):
        given = (layer.weight.detach(), layer.bias.detach())
        last = [t.contiguous(memory_format=torch.channels_last) for t in (x, given[0])]
        calls["contiguous"].append(lambda x=x, g=given, p=layer.padding: F.conv2d(x, *g, padding=p))
        calls["channels last"].append(lambda t=last, b=given[1], p=layer.padding: F.conv2d(*t, b, padding=p))
        winograd = torch._nnpack_available() and layer.kernel_size == (3, 3)
        calls["NNPACK"].append((lambda x=x, g=given: torch._nnpack_spatial_convolution(x, *g, (1, 1), (1, 1)))
                               if winograd else calls["contiguous"][-1])
    return {f"torch {way}": lambda found=found: [_seconds(call) for call in found] for way, found in calls.items()}


def _seconds(call: Callable[[], object]) -> float:
    with torch.inference_mode():
        started = time.perf_counter()
        call()
        return time.perf_counter() - started


def _openvino_side(files: Mapping[str, Path], images: np.ndarray, threads: int) -> Side:
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1,
                "PERF_COUNT": True}
    request = the_core().compile_model(clean_model(the_core(), files, "a"), "CPU", settings).create_infer_request()

    def run() -> list[float]:
        request.infer([images])
        return [info.real_time.total_seconds() for info in request.get_profiling_info()
                if info.node_type == "Convolution"]
    return run


def _onnxruntime_side(files: Mapping[str, Path], images: np.ndarray, threads: int, work: Path) -> Side:
    def run() -> list[float]:
        found, given = [], {"image": images}
        for part in ("encoder", "decoder"):
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = threads
            options.enable_profiling, options.profile_file_prefix = True, str(work / part)
            session = onnxruntime.InferenceSession(str(files[f"a_{part}"]), options,
                                                   providers=["CPUExecutionProvider"])
            for _ in range(2):
                levels = session.run(None, given)
            found += _last_run(json.loads(Path(session.end_profiling()).read_text(encoding="utf-8")))
            given = {f"level{number}": level for number, level in enumerate(levels)}
        return found
    return run


def _last_run(events: list[dict[str, Any]]) -> list[float]:
    """Seconds of each convolution in the last run of a profiled session, in the order in which they run."""
    times = {event["name"]: event["dur"] / 1e6 for event in events
             if event.get("args", {}).get("op_name") == "Conv" and event["name"].endswith("_kernel_time")}
    return list(times.values())
