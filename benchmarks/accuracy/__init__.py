"""What every benchmark of training shares: where the data lies, and what the figures were measured on.

The accuracy benchmark itself is in the files beside this one: ``python -m benchmarks accuracy --help``.
"""

from __future__ import annotations

import os
import platform
import statistics
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("ALHVR_TEST_DATA", HERE.parent.parent / "shared" / "data"))
NAMES = {
    "acdc": {"1": "right ventricle", "2": "myocardium", "3": "left ventricle"},
    "hippocampus": {"1": "anterior hippocampus", "2": "posterior hippocampus"},
}


def machine() -> dict:
    """What the figures were measured on."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")),
                 platform.processor())
    return {"processor": model, "cores": os.cpu_count(), "python": platform.python_version(),
            "system": platform.platform(), "date": time.strftime("%Y-%m-%d")}


def spread(values: list[float]) -> str:
    """Mean and, of several seeds, standard deviation, as text."""
    mean = f"{statistics.mean(values):.3f}"
    return mean if len(values) == 1 else f"{mean} ± {statistics.stdev(values):.3f}"
