"""Trial: a few real steps before a run, to tell what memory, time and disk it will take."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from alhvr.bundle.model import InferenceSettings
from alhvr.checking.context import Watch
from alhvr.checking.facts import CaseFacts
from alhvr.checking.result import CheckResult, Forecast
from alhvr.checking.run import with_findings
from alhvr.config import TrainingConfig
from alhvr.core.system import available_bytes
from alhvr.data.geometry import Geometry
from alhvr.data.plan import Plan
from alhvr.data.preprocess import axis_transform
from alhvr.inference.windows import MULTIPLE, pad, starts
from alhvr.training.forecast import Free, Load, forecast, what_lacks
from alhvr.training.setup import PARTS, RunSetup
from alhvr.training.trial_steps import measure_pace

MOST_S = 15.0
"""Longest trial, but for what is under way then."""
MOST_SHARE = 0.03
"""Of a run whose length is known, what a trial may take."""
SHORTEST_S = 2.0
"""A trial that may not take this long is not begun."""
FEWEST_ITERATIONS = 100
"""A run of fewer is over before its forecast would be of use."""


def trial(setup: RunSetup, facts: Sequence[CaseFacts], out: Path, watch: Watch) -> Forecast | None:
    """The forecast of the run ``setup`` into ``out``, from a trial of MOST_S at most and MOST_SHARE of the run.

    ``facts`` tell the grids of its cases. None for a run so short that a trial is not worth its time. Raises Cancelled
    when the watch wants it, and what a training step raises where the memory is used up.
    """
    room_s = _room_seconds(setup.config.training)
    if room_s < SHORTEST_S:
        return None
    grids = _grids(setup, facts)
    watch.reporter.note("Trying a few steps to tell what the training will take ...")
    pace = measure_pace(setup, grids["validation"], watch, until=time.monotonic() + room_s)
    shapes = {part: tuple(axis_transform(grid, setup.plan).shape for grid in grids[part]) for part in PARTS}
    windows = tuple(_window_voxels(shape, setup.plan) for shape in shapes["validation"])
    load = Load(setup.plan, setup.config.training, shapes, windows)
    return forecast(pace, load, Free(available_bytes(), _free_disk(out)))


def with_forecast(found: CheckResult, setup: RunSetup, out: Path, watch: Watch) -> CheckResult:
    """``found`` with the forecast of the run ``setup`` into ``out``, and with findings where something will lack.

    As it is for a run so short that there is no forecast. Raises as ``trial``.
    """
    expected = trial(setup, found.facts, out, watch)
    if expected is None:
        return found
    return with_findings(replace(found, forecast=expected), what_lacks(expected, out))


def _room_seconds(training: TrainingConfig) -> float:
    """How long the trial may take; 0 where there should be none."""
    if training.minutes is not None:
        return min(MOST_S, MOST_SHARE * 60.0 * training.minutes)
    return MOST_S if training.iterations >= FEWEST_ITERATIONS else 0.0


def _grids(setup: RunSetup, facts: Sequence[CaseFacts]) -> dict[str, list[Geometry]]:
    """By part, the grids of the cases of the run; one whose facts are not there is left out."""
    known = {entry.case.image: entry.images[0].geometry for entry in facts if entry.images}
    return {part: [known[case.image] for case in getattr(setup, part) if case.image in known] for part in PARTS}


def _window_voxels(shape: tuple[int, ...], plan: Plan) -> int:
    """Voxels that the networks see of a prepared scan [K, J, I], overlaps included."""
    if plan.dimensions == 2:
        return shape[0] * math.prod(-(-side // MULTIPLE) * MULTIPLE for side in shape[1:])
    grid, overlap = pad(shape, plan.patch_size).shape, InferenceSettings.window_overlap
    counts = [len(starts(size, side, overlap)) for size, side in zip(grid, plan.patch_size, strict=True)]
    return math.prod(counts) * math.prod(plan.patch_size)


def _free_disk(out: Path) -> int | None:
    """Bytes free where ``out`` is or will be."""
    for folder in (out.absolute(), *out.absolute().parents):
        try:
            return shutil.disk_usage(folder).free
        except OSError:
            continue
    return None
