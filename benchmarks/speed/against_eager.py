"""Point 4: both networks on a batch of slices, encoder and clean decoder, against PyTorch run as it comes.

As it comes: eager, float32, eval and inference mode, contiguous, batch norm as layers of its own. Its time depends on
how the C library gives memory back, so that all is measured once more in a process whose memory is kept (Linux).
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from fp32_bound import Bound, Layers, least_time
from ready_models import SLICES, make_model, make_networks
from records import Finding, Result, Setting, from_json
from segmenting import BACKENDS, titled
from steps import spread
from turns import take_turns

from alhvr.bundle.model import Model
from alhvr.inference.backends import Backend, choose_backend
from alhvr.inference.openvino_backend import OpenVinoBackend

THREADS = (1, 2)
TARGET = 3.0
REMARK = """The most that fp32 could reach: PyTorch as it comes over the convolutions of both networks and nothing else,
by the clock, in the same rounds; by PyTorch, NNPACK (Winograd), OpenVINO or onnxruntime."""
KEPT = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1", "MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_MAX_": "0",
        "MALLOC_TRIM_THRESHOLD_": str(2**34), "MALLOC_TOP_PAD_": str(2**28)}
"""Keeps memory in the process and in large pages; read by the C library when a process starts."""


def measure(setting: Setting) -> Result:
    """Batches of 8 and, for information, 1 with the system's own way with memory; batches of 8 with memory kept."""
    own = _measure(setting, "", (8, 1))
    if not sys.platform.startswith("linux"):
        return own
    with tempfile.TemporaryDirectory() as folder:
        into = Path(folder) / "result.json"
        arguments = [str(setting.threads), str(setting.rounds), str(setting.work), str(into)]
        subprocess.run([sys.executable, __file__, *arguments], env={**os.environ, **KEPT}, check=True)
        kept = from_json(json.loads(into.read_text(encoding="utf-8")))
    return Result(own.findings + kept.findings)


def _measure(setting: Setting, suffix: str, batches: tuple[int, ...] = (8,)) -> Result:
    torch.set_num_threads(setting.threads)
    model = make_model(SLICES, setting.work)
    backends = _backends(model, setting.threads)
    networks = make_networks(SLICES, setting.work)

    def eager(images: np.ndarray) -> None:
        with torch.inference_mode():
            for network in (networks.a, networks.b):
                network.decode(network.encode(torch.from_numpy(images)))

    findings = []
    for batch in batches:
        images = np.random.default_rng(0).normal(size=(batch, 1, *SLICES.patch_size)).astype(np.float32)
        sides: dict[str, Callable[[], object]] = {"eager": lambda x=images: eager(x)}
        sides |= {name: lambda b=backend, x=images: _run(b, x) for name, backend in backends.items()}
        turns = take_turns(sides, rounds=setting.rounds, threads=setting.threads)
        for name in backends:
            target = TARGET if batch == 8 and name != "torch" else None
            ratio = turns.ratio("eager", name)
            detail = f"{1000 * turns.seconds('eager'):.0f} ms against {1000 * turns.seconds(name):.0f} ms"
            findings.append(Finding(4, f"Eager PyTorch over {name}, both 2-D U-Nets, 256x256, batch {batch}{suffix}",
                                    round(ratio.value, 3), "x", target, at_least=True, threads=setting.threads,
                                    detail=f"{detail}; {spread(ratio)}"))
        if batch == 8:
            bound = least_time(model, sides["eager"], Layers.of(networks.a, images), threads=setting.threads,
                               rounds=setting.rounds, work=setting.work)
            findings += _most(bound, f"batch {batch}{suffix}", setting.threads)
    return Result(tuple(findings), remarks=(" ".join(REMARK.split()),))


def _most(bound: Bound, suffix: str, threads: int) -> Iterator[Finding]:
    """What there would be if float32 took no more than its convolutions: by one library, and each by the fastest."""
    middle = statistics.median
    others = ", ".join(f"{name} {1000 * middle(s):.0f} ms" for name, s in bound.libraries.items() if name != bound.best)
    for who, taken, more in ((f"all by {bound.best}", bound.libraries[bound.best], f"; {others}"),
                             ("each by the library fastest at it", bound.mixed, "")):
        ratios = [eager / seconds for eager, seconds in zip(bound.eager, taken, strict=True)]
        yield Finding(4, f"The most that fp32 could reach here: eager PyTorch over the convolutions alone, {who}, "
                         f"{suffix}", round(middle(ratios), 3), "x", threads=threads,
                      detail=f"{1000 * middle(bound.eager):.0f} ms against {1000 * middle(taken):.0f} ms for "
                             f"{bound.gflop:.0f} GFLOP, {bound.gflop / middle(taken):.0f} GFLOP/s; rounds "
                             f"{min(ratios):.3f} to {max(ratios):.3f}{more}")


def _backends(model: Model, threads: int) -> dict[str, Backend]:
    """By title; OpenVINO also in float32 where it would choose bf16."""
    found = dict(titled(choose_backend(model, backend=name, device="cpu", threads=threads)) for name in BACKENDS)
    return found | dict([titled(OpenVinoBackend(model.graph_files(), threads, "f32"))])


def _run(backend: Backend, images: np.ndarray) -> None:
    for network in backend.networks:
        backend.decode(network, backend.encode(network, images))


if __name__ == "__main__":
    threads, rounds, work, into = sys.argv[1:]
    found = _measure(Setting(int(threads), int(rounds), Path(work)), ", memory kept")
    Path(into).write_text(json.dumps(asdict(found)), encoding="utf-8")
