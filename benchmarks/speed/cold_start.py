"""Point 4: a process that knows nothing yet: how long ``alhvr segment`` takes until the networks run, and in all.

Compared with a process that does nothing but import the three libraries that it cannot do without.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable

from ready_models import SLICES, make_model
from records import Finding, Result, Setting
from scans import write_scan
from segment_process import Stamps, segment_in_process

THREADS = (2,)
TARGET_S = 0.5
BACKENDS = ("onnxruntime", "openvino", "torch")
SHAPE = (4, 256, 256)
REMARK = """A cold process segments one scan of 4 slices of 256x256 with two 2-D U-Nets, files in the system's cache,
threads chosen by the engine. Ready: until the first slice goes into the networks. Besides the networks: the whole
command, results written and process ended, less the time inside encoders and decoders. Medians of {count} processes
that took turns; clock time, which busy neighbours lengthen."""


def measure(setting: Setting) -> Result:
    """Every backend, and a bare import for each."""
    model, scan = make_model(SLICES, setting.work), write_scan(setting.work, "small", SHAPE).image
    runs: dict[str, list[Stamps]] = {name: [] for name in BACKENDS}
    bare: dict[str, list[float]] = {name: [] for name in BACKENDS}
    count = max(5, setting.rounds)
    for number in range(count + 1):
        for name in BACKENDS:
            stamps, seconds = segment_in_process(model, scan, "--backend", name), _bare_import(name)
            if number:
                runs[name].append(stamps)
                bare[name].append(seconds)
    findings = [finding for name in BACKENDS for finding in _findings(name, runs[name], bare[name])]
    return Result(tuple(findings), remarks=(" ".join(REMARK.format(count=count).split()),))


def _bare_import(backend: str) -> float:
    """Seconds of a process that imports numpy, SimpleITK and ``backend``."""
    started = time.monotonic()
    subprocess.run([sys.executable, "-c", f"import numpy, SimpleITK, {backend}"], check=True)
    return time.monotonic() - started


def _findings(name: str, runs: list[Stamps], bare: list[float]) -> Iterable[Finding]:
    def middle(value: Callable[[Stamps], float]) -> float:
        return statistics.median(map(value, runs))

    def finding(what: str, measured: float, unit: str, detail: str, target: float | None = None) -> Finding:
        return Finding(4, f"Cold process with {name}: {what}", round(measured, 3), unit, target, detail=detail)

    readies = sorted(s.ready_s - s.loading_s for s in runs)
    yield finding("ready, loading the networks aside", statistics.median(readies), "s",
                  f"{readies[0]:.2f} to {readies[-1]:.2f} s; model verified at {middle(lambda s: s.verified_s):.2f}, "
                  f"library imported at {middle(lambda s: s.library_s):.2f}; a process that only imports numpy, "
                  f"SimpleITK and {name}: {statistics.median(bare):.2f}", TARGET_S if name != "torch" else None)
    yield finding("ready", middle(lambda s: s.ready_s), "s",
                  f"loading the networks {middle(lambda s: s.loading_s):.2f} s; processor time until ready "
                  f"{middle(lambda s: s.ready_cpu_s):.2f} s")
    yield finding("besides the networks", middle(lambda s: s.besides_s), "s",
                  f"whole command {middle(lambda s: s.total_s):.2f} s, inside the networks "
                  f"{middle(lambda s: s.networks_s):.2f} s")
    yield finding("peak memory", middle(lambda s: 1000 * s.peak_gb), "MB",
                  "libraries loaded: " + ", ".join(_own_names(runs[0].libraries)))


def _own_names(libraries: Iterable[str]) -> list[str]:
    """Without what the interpreter and compiled modules add."""
    return [name for name in libraries if not name.startswith("_") and "runtime_data" not in name
            and name not in ("alhvr", "cython_runtime")]
