"""A few real steps on real patches, and the forecast of memory, time and disk made of them."""

from __future__ import annotations

import copy
import functools
import gc
import math
import shutil
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import psutil
import torch

from alhvr.bundle.model import InferenceSettings
from alhvr.checking.context import RunContext
from alhvr.checking.facts import CaseFacts
from alhvr.checking.result import CheckResult, Forecast
from alhvr.checking.run import with_findings
from alhvr.checking.selection import may_train
from alhvr.config import RunConfig, TrainingConfig
from alhvr.core.errors import UserError
from alhvr.core.progress import SilentReporter, in_words
from alhvr.core.system import available_bytes
from alhvr.data.augment import Augmenter
from alhvr.data.batches import Batch
from alhvr.data.geometry import Geometry
from alhvr.data.plan import Plan
from alhvr.data.preprocess import axis_transform
from alhvr.data.reading_process import ReadingProcess
from alhvr.data.store import load_case
from alhvr.inference.predictor import Predictor
from alhvr.inference.sliding_window import MULTIPLE, pad, starts
from alhvr.inference.torch_backend import TorchBackend
from alhvr.methods.base import Objective
from alhvr.methods.registry import build_method
from alhvr.networks.group import NetworkGroup
from alhvr.training.device import choose_compute, memory_as_user_error
from alhvr.training.forecast import Resources, StepTiming, Workload, forecast, what_lacks
from alhvr.training.loop import mixes
from alhvr.training.setup import PARTS, RunSetup, plan_run
from alhvr.training.step import Mixing, TrainingStep

MOST_S = 15.0
"""Longest trial, but for what is under way then."""
MOST_SHARE = 0.03
"""Of a run whose length is known, what a trial may take."""
SHORTEST_S = 2.0
"""A trial that may not take this long is not begun."""
FEWEST_ITERATIONS = 100
"""A run of fewer is over before its forecast would be of use."""

_STEPS = 3
"""How many steps are measured after a warm-up."""
SAFE_VOXELS = 200_000
"""Voxels of a step that takes some seconds on a slow computer, and enough of them for its time to grow with them."""
_PATCH_STEP = 16
_FIXED = 3
"""Of the memory of a step, what does not grow with the batch, in weights: themselves, their gradients, their momentum.
"""
_SHARE_OF_STEPS = 0.6
"""Of the time, what is for the training steps."""
_SEGMENTED_VOXELS = 1 << 17
"""Enough for the time of segmenting to grow with them."""
_EXPORT_S = 3.0
"""What making ONNX files for a validation takes; only on the processor are there any."""
_POLL_S = 0.01


def trial(setup: RunSetup, facts: Sequence[CaseFacts], out: Path, context: RunContext) -> Forecast | None:
    """The forecast of the run ``setup`` into ``out``, from a trial of MOST_S at most and MOST_SHARE of the run.

    ``facts`` tell the grids of its cases. None for a run so short that a trial is not worth its time. Raises Cancelled
    when the watch wants it, and what a training step raises where the memory is used up.
    """
    room_s = _room_seconds(setup.config.training)
    if room_s < SHORTEST_S:
        return None
    grids = _grids(setup, facts)
    context.reporter.note("Trying a few steps to tell what the training will take ...")
    pace = measure_pace(setup, grids["validation"], context, until=time.monotonic() + room_s)
    shapes = {part: tuple(axis_transform(grid, setup.plan).shape for grid in grids[part]) for part in PARTS}
    windows = tuple(_window_voxels(shape, setup.plan) for shape in shapes["validation"])
    load = Workload(setup.plan, setup.config.training, shapes, windows)
    return forecast(pace, load, Resources(available_bytes(), _free_disk(out)))


def with_forecast(found: CheckResult, setup: RunSetup, out: Path, context: RunContext, *, trainings: int = 1,
                  ) -> CheckResult:
    """``found`` with the forecast of the run ``setup`` into ``out``, and with findings where something will lack.

    ``trainings``: how many of its kind there will be, one after the other. As it is for a run so short that there is
    no forecast. Raises as ``trial``.
    """
    expected = trial(setup, found.facts, out, context)
    if expected is None:
        return found
    if trainings > 1:
        minutes, disk_gb = trainings * expected.minutes, trainings * expected.disk_gb
        together = (f"There are {trainings} trainings, one after the other: together they take about "
                    f"{in_words(60 * minutes)} and {disk_gb:.2g} GB.")
        expected = replace(expected, minutes=minutes, disk_gb=disk_gb, sentences=(*expected.sentences, together))
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


def measure_pace(setup: RunSetup, validation: Sequence[Geometry], context: RunContext, *, until: float) -> StepTiming:
    """Measures until ``until`` (time.monotonic), a little longer where a single step takes longer.

    ``validation``: the grids of the validation scans. Torch's random streams are left as they were. Raises Cancelled
    when the watch wants it.
    """
    setup.compute.apply()
    steps_until = until - (1 - _SHARE_OF_STEPS) * max(0.0, until - time.monotonic())
    program_bytes = psutil.Process().memory_info().rss
    with torch.random.fork_rng():
        method = build_method(setup.config.method, setup.config.training.seed)
        networks = method.build(setup.network)
        networks = networks.to(device=setup.compute.device, memory_format=networks.memory_format)
        step = TrainingStep(networks, method, setup.config.training, setup.compute)
        steps = _measure_steps(setup, step, context, steps_until, program_bytes)
        context.raise_if_cancelled()
        seconds, n_bytes = _segmenting(setup, networks, validation) if validation else (0.0, 0)
    pace = StepTiming(
        step_s=steps.seconds, steps=steps.count, scaled=steps.scaled, step_bytes=steps.n_bytes,
        batch_s=_timed(context, lambda: _batch_seconds(setup)),
        reading_s=_timed(context, lambda: _reading_seconds(setup)),
        segmenting_s=seconds, segmenting_bytes=n_bytes, export_s=_EXPORT_S if setup.compute.device == "cpu" else 0.0,
        program_bytes=program_bytes, weight_bytes=_weight_bytes(networks),
        threads=setup.compute.threads if setup.compute.device == "cpu" else 0)
    del networks, step
    gc.collect()
    return pace


def _timed(context: RunContext, measure: Callable[[], float]) -> float:
    context.raise_if_cancelled()
    return measure()


@dataclass(frozen=True)
class _Steps:
    """What training steps took."""

    seconds: float
    n_bytes: int
    """Most memory, both networks included."""
    count: int
    scaled: bool

    def without(self, n_bytes: int) -> _Steps:
        """The same without what there was before."""
        return replace(self, n_bytes=max(0, self.n_bytes - n_bytes))


def _measure_steps(setup: RunSetup, step: TrainingStep, context: RunContext, until: float,
                   program_bytes: int) -> _Steps:
    """Whole steps where there is time for them; else steps on less, scaled up."""
    run = functools.partial(step.run, weight=1.0, learning_rate=0.0, mixing=_mixing(setup, step.networks))
    whole = _batch(setup, setup.plan.patch_size, setup.plan.batch_size)
    less = _batch(setup, *_size_of_less(setup.plan))
    factor = whole.images.numel() / less.images.numel()
    if factor > 1:
        first = _repeat(run, less, context, until, most=1)
    if factor == 1 or time.monotonic() + 2 * factor * first.seconds <= until:
        return _repeat(run, whole, context, until, most=_STEPS).without(program_bytes)
    late = time.monotonic() + first.seconds > until
    more = (first if late else _repeat(run, less, context, until, most=_STEPS)).without(program_bytes)
    fixed = _FIXED * _weight_bytes(step.networks)
    return replace(more, seconds=factor * more.seconds, scaled=True,
                   n_bytes=fixed + int(factor * max(0, more.n_bytes - fixed)))


def _size_of_less(plan: Plan) -> tuple[tuple[int, ...], int]:
    """Patch and number of patches of a first look: fewer patches, then smaller ones, of SAFE_VOXELS at most."""
    patch, n_patches = list(plan.patch_size), plan.batch_size
    while n_patches > 2 and n_patches * math.prod(patch) > SAFE_VOXELS:
        n_patches //= 2
    while n_patches * math.prod(patch) > SAFE_VOXELS:
        longest = patch.index(max(patch))
        patch[longest] -= _PATCH_STEP
    return tuple(patch), n_patches


def _mixing(setup: RunSetup, networks: NetworkGroup) -> Mixing | None:
    """The dearer part of a run that mixes images, with a teacher of the networks' size."""
    return Mixing(copy.deepcopy(networks.only(setup.network.names)).eval()) if mixes(setup) else None


def _repeat(run: Callable[[Batch, int], Objective], batch: Batch, context: RunContext, until: float, *, most: int,
            ) -> _Steps:
    """One step to warm up, then up to ``most`` that are timed; where even one takes too long, the first one counts."""
    seconds: list[float] = []
    with _Peak() as peak:
        for number in range(1 + most):
            context.raise_if_cancelled()
            if seconds and time.monotonic() + seconds[-1] > until:
                break
            began = time.monotonic()
            done = run(batch, number)
            float(done.total.detach())  # waits for the graphics card
            seconds.append(time.monotonic() - began)
    timed = seconds[1:] or seconds
    return _Steps(statistics.median(timed), peak.n_bytes, len(timed), scaled=False)


class _Peak:
    """The most memory that the program holds while this context lasts."""

    def __init__(self) -> None:
        self.n_bytes = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, name="alhvr-peak", daemon=True)

    def _look(self) -> None:
        process = psutil.Process()
        while True:
            self.n_bytes = max(self.n_bytes, process.memory_info().rss)
            if self._over.wait(_POLL_S):
                return

    def __enter__(self) -> _Peak:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


def _batch(setup: RunSetup, patch: tuple[int, ...], n_patches: int) -> Batch:
    """Noise with random labels; half of it labelled where there is an archive."""
    rng, n_labeled = np.random.default_rng(0), setup.plan.labeled_batch_size * n_patches // setup.plan.batch_size
    n_labeled = max(1, n_labeled)
    n_images = n_patches if setup.unlabeled else n_labeled
    images = rng.standard_normal((n_images, setup.plan.n_channels, *patch), np.float32)
    labels = rng.integers(setup.labels.n_classes, size=(n_labeled, *patch))
    return Batch(torch.from_numpy(images), torch.from_numpy(labels), n_labeled, n_labeled)


def _weight_bytes(networks: NetworkGroup) -> int:
    return sum(tensor.nbytes for tensor in networks.state_dict().values())


def _batch_seconds(setup: RunSetup) -> float:
    """Changing the patches of one batch at random."""
    plan = setup.plan
    augment, rng = Augmenter(setup.config.training.augment, plan.dimensions, plan.patch_size), np.random.default_rng(0)
    image = rng.standard_normal((plan.n_channels, *augment.field_size), np.float32)
    label = np.zeros(augment.field_size, np.uint8)
    augment(image, label, rng)
    began, count = time.monotonic(), 0
    while count < plan.batch_size and time.monotonic() - began < 1.0:
        augment(image, label, rng)
        count += 1
    n_patches = plan.batch_size if setup.unlabeled else plan.labeled_batch_size
    return (time.monotonic() - began) / count * n_patches


def _reading_seconds(setup: RunSetup) -> float:
    """Reading and preparing one voxel, from one scan of the archive, or of the labelled ones without its label."""
    case = (*setup.unlabeled, *setup.labeled)[0]
    with closing(ReadingProcess()) as reading:
        reading.start_for(case.image)
        began = time.monotonic()
        prepared = load_case(replace(case, label=None), setup.plan, None, read=reading.read_scan)
    return (time.monotonic() - began) / math.prod(prepared.image.shape[1:])


def _segmenting(setup: RunSetup, networks: NetworkGroup, validation: Sequence[Geometry]) -> tuple[float, int]:
    """Seconds of both networks for one voxel of a window, and bytes for the largest scan."""
    compute, plan, config = setup.compute, setup.plan, setup.config
    predicting = networks.only(setup.network.names)
    backend = TorchBackend(predicting, compute.device, "fp32" if compute.device == "cpu" else compute.precision)
    settings = InferenceSettings(fusion="mean", mirror=config.segmenting.mirror, largest_component=False,
                                 beta=config.method.beta, perturbation_seed=0)
    predictor = Predictor(backend, plan, setup.labels, settings)
    n_windows = max(1, _SEGMENTED_VOXELS // math.prod(plan.patch_size))
    images = np.random.default_rng(0).standard_normal((n_windows, plan.n_channels, *plan.patch_size), np.float32)
    _run(backend, images[:1])
    began = time.monotonic()
    _run(backend, images)
    seconds = (time.monotonic() - began) / (n_windows * math.prod(plan.patch_size))
    copies = 2**plan.dimensions if settings.mirror else 1
    return copies * seconds, max(predictor.forecast(grid).total for grid in validation)


def _run(backend: TorchBackend, images: np.ndarray) -> None:
    for name in backend.networks:
        backend.decode(name, backend.encode(name, images))


def forecast_of_check(found: CheckResult, out: Path, context: RunContext, *, config: RunConfig = RunConfig(),  # noqa: B008
                      ) -> CheckResult:
    """``found`` with the forecast of a training into a folder like ``out``; as it is where the data allow none.

    Where no step can be made here, a warning says why. Raises Cancelled when the watch wants it.
    """
    if "labeled" not in found.sets or not may_train(found, force=False):
        return found
    try:
        with memory_as_user_error():
            compute = choose_compute(config.training)
            setup = plan_run(found, config, start=None, compute=compute, reporter=SilentReporter())
            return with_forecast(found, setup, out, context)
    except UserError as error:
        context.reporter.warning(f"The training cannot be forecast: {error}")
        return found
