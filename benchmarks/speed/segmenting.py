"""Point 4: segmenting a whole volume, by the predictor that users and training run, against its networks alone.

The backend is the real one; a clock is wrapped around its encode and decodes, and what passes outside them is the
engine's own: preparing, cutting windows, perturbing, softmax, blending, restoring, classes, the largest component.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ready_models import SLICES, VOLUMES, make_model
from records import Finding, Result, Setting
from scans import write_scan
from steps import spread
from turns import Turn, Turns

from alhvr.bundle.model import Model
from alhvr.data.plan import Plan
from alhvr.data.reading import read_scan
from alhvr.data.scan import Scan
from alhvr.inference.backends import Backend, choose_backend
from alhvr.inference.predictor import Predictor

THREADS = (1, 2)
TARGET = 1.10
BACKENDS = ("onnxruntime", "openvino", "torch")
"""torch is measured with one thread and on slices only, to save minutes."""
VOLUME = "16 slices of 240x240, each scaled to 256x256 for a 2-D U-Net"
CUBE = "66x88x44 voxels, resampled to 72x96x48 for a 3-D U-Net in 4 windows"
SCANS: dict[str, tuple[Plan, tuple[int, int, int]]] = {VOLUME: (SLICES, (16, 240, 240)), CUBE: (VOLUMES, (66, 88, 44))}
REMARK = """Segmenting a volume: time of the whole call over the time inside the backend's encode and decode during the
same call, four classes, without and with region maps (`--regions`)."""


@dataclass(frozen=True)
class Run:
    """One call of ``segment``."""

    whole: Turn
    networks: Turn
    """Inside encode, decode and decode_twice."""
    perturbing: Turn
    """Inside perturb; decode_twice perturbs within the network."""


class TimedBackend:
    """A backend with a clock around each of its steps."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self.seconds = {step: [0.0, 0.0] for step in ("encode", "decode", "decode_twice", "perturb")}
        """Clock and processor seconds."""

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._backend, name)
        return self._timed(name, found) if name in self.seconds else found

    def turn(self, *steps: str) -> Turn:
        """What these steps took so far."""
        return Turn(*(sum(self.seconds[step][clock] for step in steps) for clock in (0, 1)))

    def _timed(self, name: str, step: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any) -> Any:
            wall, cpu = time.perf_counter(), time.process_time()
            try:
                return step(*arguments)
            finally:
                self.seconds[name][0] += time.perf_counter() - wall
                self.seconds[name][1] += time.process_time() - cpu
        return timed


def measure(setting: Setting) -> Result:
    """Every backend on a stack of slices and on a volume, without and with region maps."""
    findings: list[Finding] = []
    for title, (plan, shape) in SCANS.items():
        model = make_model(plan, setting.work)
        scan = read_scan(write_scan(setting.work, "measured", shape).image)
        wanted = [name for name in BACKENDS if name != "torch" or (setting.threads == 1 and plan.dimensions == 2)]
        backends = dict(titled(choose_backend(model, backend=name, device="cpu", threads=setting.threads))
                        for name in wanted)
        sides = {(name, regions): [] for name in backends for regions in (False, True)}
        for backend in backends.values():
            _run(backend, model, scan, regions=True)
        for number in range(setting.rounds):
            for name, regions in list(sides)[:: -1 if number % 2 else 1]:
                sides[name, regions].append(_run(backends[name], model, scan, regions=regions))
        findings += [_finding(f"{title}, {name}{', with regions' * regions}", runs, setting.threads)
                     for (name, regions), runs in sides.items()]
    return Result(tuple(findings), remarks=(" ".join(REMARK.split()),))


def titled(backend: Backend) -> tuple[str, Backend]:
    """``backend`` with its name, and its precision where it has a choice."""
    precision = getattr(backend, "precision", "")
    return f"{backend.name} in {precision}" if precision else backend.name, backend


def _run(backend: Backend, model: Model, scan: Scan, *, regions: bool) -> Run:
    about, timed = model.description, TimedBackend(backend)
    predictor = Predictor(timed, about.plan, about.labels, about.inference)
    with _no_collector():
        wall, cpu = time.perf_counter(), time.process_time()
        predictor.segment(scan, regions=regions)
        whole = Turn(time.perf_counter() - wall, time.process_time() - cpu)
    return Run(whole, timed.turn("encode", "decode", "decode_twice"), timed.turn("perturb"))


@contextmanager
def _no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _finding(what: str, runs: list[Run], threads: int) -> Finding:
    sides = {side: tuple(getattr(run, side) for run in runs) for side in ("whole", "networks", "perturbing")}
    turns = Turns(sides, "cpu" if threads == 1 else "wall")
    ratio = turns.ratio("whole", "networks")
    perturbing = statistics.median(run.perturbing.cpu / run.networks.cpu for run in runs)
    detail = f"{turns.seconds('whole'):.2f} s, of it networks {turns.seconds('networks'):.2f} s; {spread(ratio)}"
    detail += f"; perturbing alone {100 * perturbing:.1f} % of the networks" if perturbing else ""
    return Finding(4, f"Segmenting {what}", round(ratio.value, 4), "x", TARGET, threads=threads, detail=detail)
