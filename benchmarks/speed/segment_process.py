"""One ``alhvr segment`` in a process of its own, through stamped_segment.py: when it was ready, time, and memory."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from alhvr.bundle.model import Model

ROOT = Path(__file__).resolve().parents[2]
STAMPED = Path(__file__).with_name("stamped_segment.py")


@dataclass(frozen=True)
class Stamps:
    """What one process took; seconds on the clock since before it was started."""

    verified_s: float
    """Until the model is read and verified, and a backend about to be chosen."""
    library_s: float
    """Until the library that runs the networks is imported."""
    loaded_s: float
    """Until the networks are loaded."""
    ready_s: float
    """Until the first window goes into the networks."""
    ready_cpu_s: float
    """The same in processor time."""
    networks_s: float
    """Inside the networks' encoders and decoders."""
    total_s: float
    """Until the process has ended, its results written."""
    cpu_s: float
    """Processor time of all of it."""
    peak_gb: float
    libraries: tuple[str, ...]
    """Top-level modules loaded that are not Python's own."""

    @property
    def loading_s(self) -> float:
        """Reading and compiling the networks."""
        return self.loaded_s - self.library_s

    @property
    def besides_s(self) -> float:
        """All but the networks' own work."""
        return self.total_s - self.networks_s


def segment_in_process(model: Model, scan: Path, *options: str, threads: int = 0) -> Stamps:
    """Segments ``scan`` into a folder that is deleted again; 0 threads: the engine chooses. Raises where it fails."""
    with tempfile.TemporaryDirectory(dir=scan.parent) as folder:
        into, out = Path(folder) / "stamps.json", Path(folder) / "out"
        arguments = ["segment", scan, "--model", model.folder, "--out", out, *options]
        started = time.monotonic()
        done = subprocess.run([sys.executable, STAMPED, into, str(threads), *arguments], cwd=ROOT, check=False,
                              capture_output=True, text=True)
        total = time.monotonic() - started
        stamps = json.loads(into.read_text(encoding="utf-8")) if into.is_file() else {}
        if done.returncode or stamps.get("code"):
            raise RuntimeError(f"alhvr segment failed: {done.stderr[-2000:]}")
        shutil.rmtree(out)
    moments = [stamps[name] - started for name in ("verified", "library", "loaded", "ready")]
    return Stamps(*moments, stamps["ready_cpu"], stamps["networks"], total, stamps["cpu"],
                  stamps["peak_gb"], tuple(stamps["libraries"]))
