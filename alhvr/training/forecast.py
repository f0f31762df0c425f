"""Forecast: what a training will take in memory, time and disk, worked out from what a few steps of it took."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from alhvr.checking.findings import Finding, Severity
from alhvr.checking.result import Forecast
from alhvr.config import TrainingConfig
from alhvr.core.progress import in_words
from alhvr.data.plan import Plan
from alhvr.data.sampling import VISITS

Shape = tuple[int, ...]
"""Of a prepared scan, [K, J, I]."""

_BATCHES_HELD = 4
"""Batches that exist at a time: one in use, those ready, one being made."""
_BYTES_PER_VOXEL_READ = 12
"""Memory of a scan while it is read and prepared, for each voxel."""
_LATER_LIBRARIES = 150_000_000
"""What the libraries take that are loaded later, to make ONNX files and to run them."""
_LAST_VALIDATION = 2.0
"""How much longer than the others the last validation takes: it compares every way to segment."""
_WRITING_S = 5.0
"""What checking and writing the model takes at the end."""
_WEIGHTS_IN_CHECKPOINT = {"sgd": 3, "adamw": 4}
"""By optimiser: both networks, the momentum of each of their weights, AdamW's second one, and their mean over time."""
_WEIGHTS_IN_MODEL = 2
"""The weights, and the networks as ONNX."""
_SMALL_FILES = 5_000_000
"""Logs, metrics, the report of the check."""


@dataclass(frozen=True)
class StepTiming:
    """What a few real steps took on this computer; times in seconds."""

    step_s: float
    """One training step of both networks, its batch at hand."""
    steps: int
    """How many steps were measured."""
    scaled: bool
    """They were steps on less, whose figures were scaled up, because whole ones take too long."""
    batch_s: float
    """Cutting and changing the patches of one batch, in a thread beside."""
    reading_s: float
    """Reading and preparing one voxel of a scan, in a thread beside."""
    segmenting_s: float
    """Both networks on one voxel of a window of a scan that is segmented."""
    export_s: float
    """What each validation takes before its first scan."""
    program_bytes: int
    """What the program had before."""
    step_bytes: int
    """What both networks and a step take beyond that."""
    segmenting_bytes: int
    """What segmenting the largest validation scan takes beyond that."""
    weight_bytes: int
    """Weights of both networks."""
    threads: int
    """What prepares batches shares these with the networks; 0 on a graphics card, where it has the processor alone."""


@dataclass(frozen=True)
class Workload:
    """What the run has to do."""

    plan: Plan
    training: TrainingConfig
    shapes: Mapping[str, tuple[Shape, ...]]
    """Prepared shapes of all scans by part: labeled, unlabeled, validation."""
    windows: tuple[int, ...]
    """Voxels of all windows of each validation scan."""


@dataclass(frozen=True)
class Resources:
    """What there is; None where nobody can tell."""

    memory: int | None
    """Bytes that the program may take beyond what it has."""
    disk: int | None
    """Bytes where the run will lie."""


def forecast(pace: StepTiming, load: Workload, free: Resources) -> Forecast:
    """What the run will take, as numbers and as sentences."""
    validation_s = pace.export_s + pace.segmenting_s * sum(load.windows) if load.windows else 0.0
    iteration_s = _iteration_seconds(pace, load)
    training_s = _training_seconds(load, iteration_s, validation_s)
    total_s = training_s + _LAST_VALIDATION * validation_s + _WRITING_S
    memory, model = _memory_bytes(pace, load), _WEIGHTS_IN_MODEL * pace.weight_bytes
    disk = model + (2 * _WEIGHTS_IN_CHECKPOINT[load.training.optimizer] + 1) * pace.weight_bytes + _SMALL_FILES
    sentences = (
        _tell_time(pace, load, total_s, iteration_s, validation_s),
        f"It will hold about {_gb(memory)} of memory at most{_tell_free_memory(pace, free)}.",
        f"The run folder grows to about {_gb(disk)}, {_gb(model)} of which are the model"
        + ("." if free.disk is None else f"; {_gb(free.disk)} are free there."),
    )
    return Forecast(
        memory_gb=memory / 1e9, minutes=total_s / 60.0, disk_gb=disk / 1e9, sentences=sentences,
        free_memory_gb=None if free.memory is None else (free.memory + pace.program_bytes) / 1e9,
        free_disk_gb=None if free.disk is None else free.disk / 1e9, model_gb=model / 1e9)


def what_lacks(expected: Forecast, out: Path) -> list[Finding]:
    """Findings for a forecast beyond the free memory or disk; ``out``: the run folder."""
    found = []
    if expected.free_memory_gb is not None and expected.memory_gb > expected.free_memory_gb:
        found.append(Finding(
            "too_little_memory", Severity.WARNING, (),
            f"Training will hold about {expected.memory_gb:.1f} GB of memory; {expected.free_memory_gb:.1f} GB can be "
            "had now.", "Close other programs, or lower --batch-size, --patch-size or training.memory_gb."))
    if expected.free_disk_gb is not None and expected.disk_gb > expected.free_disk_gb:
        found.append(Finding(
            "too_little_disk", Severity.FAULT, (out,),
            f"The run will write about {expected.disk_gb:.2f} GB; {expected.free_disk_gb:.2f} GB are free in {out}.",
            "Free some disk space, or choose another --out folder."))
    return found


def _iteration_seconds(pace: StepTiming, load: Workload) -> float:
    """One iteration: the step, and what the threads that prepare batches take away from it."""
    beside = pace.batch_s + pace.reading_s * _voxels_read_each_time(load)
    if pace.threads == 0:
        return max(pace.step_s, beside)
    return pace.step_s + beside / pace.threads


def _training_seconds(load: Workload, iteration_s: float, validation_s: float) -> float:
    if load.training.minutes is not None:
        return 60.0 * load.training.minutes
    return load.training.iterations * iteration_s + load.training.validations * validation_s


def _voxels_read_each_time(load: Workload) -> float:
    """Voxels of scans that are read for an iteration on average; scans that fit the memory are read once."""
    total = 0.0
    rest = load.plan.batch_size - load.plan.labeled_batch_size
    for part, n_patches in (("labeled", load.plan.labeled_batch_size), ("unlabeled", rest)):
        shapes = load.shapes.get(part, ())
        if not shapes:
            continue
        voxels = sum(math.prod(shape) for shape in shapes)
        if _bytes(load, part) <= load.training.memory_gb * 5e8:
            total += voxels / load.training.iterations if load.training.minutes is None else 0.0
        elif load.plan.dimensions == 2:
            total += n_patches * voxels / sum(shape[0] for shape in shapes)
        else:
            total += n_patches / VISITS * voxels / len(shapes)
    return total


def _bytes(load: Workload, part: str) -> int:
    """All prepared scans of a part."""
    each = 4 * load.plan.n_channels + (part == "labeled")
    return each * sum(math.prod(shape) for shape in load.shapes.get(part, ()))


def _memory_bytes(pace: StepTiming, load: Workload) -> int:
    """Most that is held at a time: the scans, those being read, the batches, and a step or a validation."""
    half = int(load.training.memory_gb * 5e8)
    stores = sum(min(half, _bytes(load, part)) for part in ("labeled", "unlabeled"))
    largest = max((math.prod(shape) for shapes in load.shapes.values() for shape in shapes), default=0)
    reading = (_BYTES_PER_VOXEL_READ + 4 * load.plan.n_channels) * largest
    batch = load.plan.batch_size * math.prod(load.plan.patch_size) * (4 * load.plan.n_channels + 8)
    networks = (_WEIGHTS_IN_CHECKPOINT[load.training.optimizer] + 1) * pace.weight_bytes
    work = max(pace.step_bytes + pace.weight_bytes, networks + pace.segmenting_bytes)
    return pace.program_bytes + _LATER_LIBRARIES + stores + reading + _BATCHES_HELD * batch + work


def _tell_time(pace: StepTiming, load: Workload, total_s: float, iteration_s: float, validation_s: float) -> str:
    training = load.training
    if training.minutes is not None:
        steps = max(0.0, 60.0 * training.minutes - training.validations * validation_s) / iteration_s
        what = f"room for about {_round(steps)} steps of {_short(iteration_s)}"
    else:
        what = f"{training.iterations} steps of {_short(iteration_s)}"
    if load.windows:
        what += f", {training.validations + 1} validations of {_short(validation_s)} or more"
    how = ("one step" if pace.steps == 1 else f"{pace.steps} steps") + (" on less, scaled up" if pace.scaled else "")
    return f"Training will take about {in_words(total_s)} on this computer: {what}, going by {how}."


def _tell_free_memory(pace: StepTiming, free: Resources) -> str:
    if free.memory is None:
        return ""
    return f"; {_gb(free.memory + pace.program_bytes)} can be had now"


def _gb(n_bytes: float) -> str:
    return f"{n_bytes / 1e9:.1f} GB" if n_bytes >= 1e9 else f"{max(1, round(n_bytes / 1e6))} MB"


def _short(seconds: float) -> str:
    """Such as "0.25 s"; in_words beyond a few seconds."""
    return in_words(seconds) if seconds >= 10 else f"{seconds:.2g} s"


def _round(number: float) -> int:
    """To two digits."""
    return int(float(f"{number:.2g}"))
