"""What a measurement finds, and the file that gathers it all: each measurement replaces its own entry only."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).resolve().parent.parent / "results"
FILE = RESULTS / "speed.json"


@dataclass(frozen=True)
class Finding:
    """One figure, and what it should be."""

    point: int
    """Number of the table it belongs to, a key of ``report.POINTS``."""
    what: str
    """What was measured, in plain words, with sizes."""
    measured: float
    unit: str
    """"x" for ratios, else "%", "ms", "s", "GB" ..."""
    target: float | None = None
    """What is wanted; None: for information only."""
    bound: float | None = None
    """What is just acceptable; None: the target itself."""
    at_least: bool = False
    """The target is a least value, not a largest one."""
    threads: int | None = None
    detail: str = ""
    """Seconds behind a ratio, its spread, and whatever a reader should know."""

    @property
    def verdict(self) -> str:
        """"met", "within the bound" or "missed"; empty without a target."""
        if self.target is None:
            return ""
        sign = -1 if self.at_least else 1
        if sign * self.measured <= sign * self.target:
            return "met"
        return "within the bound" if self.bound is not None and sign * self.measured <= sign * self.bound else "missed"


@dataclass(frozen=True)
class Series:
    """One line of a picture of growth; all lines with the same title share a panel."""

    title: str
    label: str
    x_name: str
    y_name: str
    x: tuple[float, ...]
    y: tuple[float, ...]


@dataclass(frozen=True)
class Result:
    """All that one child process of a measurement found."""

    findings: tuple[Finding, ...]
    series: tuple[Series, ...] = ()
    remarks: tuple[str, ...] = ()
    """Sentences for below the table."""


@dataclass(frozen=True)
class Setting:
    """How a measurement is run."""

    threads: int
    """The child process has this many; OMP_NUM_THREADS is set to it."""
    rounds: int
    """Rounds of turns."""
    work: Path
    """Folder for scratch files, empty; it is deleted afterwards."""


def from_json(values: Mapping[str, Any]) -> Result:
    """What ``asdict`` and JSON made of a result."""
    return Result(tuple(Finding(**f) for f in values["findings"]),
                  tuple(Series(**{**s, "x": tuple(s["x"]), "y": tuple(s["y"])}) for s in values["series"]),
                  tuple(values["remarks"]))


def read_all(file: Path = FILE) -> dict[str, Any]:
    """Measurement to its entry: result, machine, command, seconds; empty where nothing was measured yet."""
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}


def store(name: str, result: Result, about: Mapping[str, Any], file: Path = FILE) -> dict[str, Any]:
    """Replaces the entry of ``name``, leaves the others, and returns all."""
    entries = read_all(file)
    entries[name] = {**about, "machine": machine(), **asdict(result)}
    file.parent.mkdir(exist_ok=True)
    beside = file.with_name(f".{file.name}.new")
    beside.write_text(json.dumps(entries, indent=1) + "\n", encoding="utf-8")
    os.replace(beside, file)
    return entries


def concat_upsampled(results: list[Result]) -> Result:
    """The results of several child processes as one; a remark that repeats is kept once."""
    return Result(tuple(f for r in results for f in r.findings), tuple(s for r in results for s in r.series),
                  tuple(dict.fromkeys(remark for r in results for remark in r.remarks)))


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.is_file() else []
    model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())
    flags = next((line.split(":")[1].split() for line in lines if line.startswith("flags")), [])
    return {"processor": model, "cores": os.cpu_count(),
            "bf16": " and ".join(f for f in ("avx512_bf16", "amx_bf16") if f in flags) or "not in hardware",
            "system": platform.platform(), "python": platform.python_version(), "date": time.strftime("%Y-%m-%d")}
