"""``alhvr train`` in one call: check, plan, networks, loop, and the finished model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from alhvr.bundle.model import InferenceSettings
from alhvr.checking.context import RunContext
from alhvr.checking.result import CheckResult
from alhvr.checking.run import CheckOptions, Folders, archive_folders, check
from alhvr.checking.selection import may_train, overridden
from alhvr.checking.text_report import emit, faults_as_error, write_reports
from alhvr.config import RunConfig
from alhvr.core.errors import Cancelled, UserError
from alhvr.core.progress import Reporter
from alhvr.data.augment import Augmenter
from alhvr.data.batches import TwoStreamBatches
from alhvr.data.store import ScanStore
from alhvr.methods.registry import build_method, method_type
from alhvr.training.device import choose_compute, memory_as_user_error
from alhvr.training.finish import FinishedModel, finish_model, summary
from alhvr.training.loop import TrainingLoop
from alhvr.training.pretrained import load_pretrained
from alhvr.training.run_folder import (
    COMPARE_FILE,
    RUN_FILE,
    RecordingReporter,
    RunFolder,
    require_run,
    resume_command,
    resumed_setup,
    write_setup,
)
from alhvr.training.run_life import NothingToFinish, RunLife
from alhvr.training.setup import RunSetup, plan_run
from alhvr.training.step import TrainingStep
from alhvr.training.trial import with_forecast
from alhvr.training.validation import Validator


@dataclass(frozen=True)
class TrainRequest:
    """What ``alhvr train`` was asked for."""

    labeled: Path | None
    """Folder of labelled cases; None only when resuming."""
    out: Path
    """The run folder."""
    unlabeled: tuple[Path, ...] = ()
    """Folders of the archive, one alone may be given as it is; none trains on the labels only."""
    validation: Path | None = None
    """Folder of labelled cases to choose the best model on; None sets some labelled cases aside."""
    config: RunConfig = RunConfig()
    start_from: Path | None = None
    """A model folder to fine-tune."""
    resume: bool = False
    """Continue the run in ``out``; cases and settings are those it began with."""
    force: bool = False
    """Go on despite faults in the data, where that is possible; cases that cannot be used are left out."""

    def __post_init__(self) -> None:
        """Makes a tuple of the archive."""
        object.__setattr__(self, "unlabeled", archive_folders(self.unlabeled))


@dataclass(frozen=True)
class TrainResult:
    """A finished run."""

    run: Path
    model: Path
    scores: dict[str, float]
    """Validation Dice per class, and "mean"; empty without validation cases."""
    best_iteration: int
    """After which iteration the weights of the model were taken."""
    is_done: bool = True
    """It was trained as long as its settings say; False where it was asked to finish before."""


def train(request: TrainRequest, reporter: Reporter) -> TrainResult:
    """Trains, or continues, the run in ``request.out`` and writes its model.

    Raises UserError for what the user can fix, Cancelled when it was asked to pause (the run is saved).
    """
    run = RunFolder(request.out)
    if request.resume:
        require_run(run)
    run.create()
    with run.locked():
        if not request.resume:
            _require_no_comparison(run)
            require_empty(run)
        with RunLife(run.path, resume_command(run.path)) as life:
            if request.resume:
                return go_on(run, request.config, reporter, life)
            with memory_as_user_error():
                recorder = RecordingReporter(reporter, run)
                setup = _new_setup(run, request, RunContext(recorder, life.should_leave))
                return _train(setup, run, recorder, life)


def go_on(run: RunFolder, config: RunConfig, reporter: Reporter, life: RunLife) -> TrainResult:
    """Trains the run in a folder that holds its setup, from its last checkpoint, if there is one, to its end.

    Of ``config`` only the device counts. Its lock is held by whoever calls. Raises as ``train``.
    """
    with memory_as_user_error():
        recorder = RecordingReporter(reporter, run)
        return _train(resumed_setup(run, config, recorder), run, recorder, life)


def _train(setup: RunSetup, run: RunFolder, reporter: Reporter, life: RunLife) -> TrainResult:
    setup.compute.apply()
    life.elapsed_s, loop = float, None
    try:
        loop = _build_loop(setup, run, reporter, life.should_leave)
        finished = _trained(setup, loop, run, reporter, life)
    except NothingToFinish:
        raise
    except KeyboardInterrupt as error:
        raise Cancelled("Stopped at once; what was done since the last checkpoint is lost. "
                        f"Go on with: {life.resume_command}") from error
    except Cancelled:
        raise Cancelled(f"Stopped after iteration {loop.state.iteration if loop else 0}; everything is saved. "
                        f"Go on with: {life.resume_command}") from None
    for sentence in summary(finished, loop.state):
        reporter.note(sentence)
    reporter.artifact("model", str(run.model))
    return TrainResult(run.path, run.model, finished.scores, loop.state.best_iteration,
                       loop.progress() >= 1.0)


def _trained(setup: RunSetup, loop: TrainingLoop, run: RunFolder, reporter: Reporter, life: RunLife) -> FinishedModel:
    """Trains to the end, or until it is asked to finish; raises Cancelled where it is asked to pause."""
    loop.resume()
    loop.clock = life.clock
    life.elapsed_s = lambda: loop.state.elapsed_s
    if not loop.train(life.should_leave):
        if life.should_pause() or not life.should_finish():
            raise Cancelled("It was asked to pause.")
        if not loop.state.iteration:
            raise NothingToFinish("Nothing was learnt yet, so there is no model to keep.")
        reporter.note(f"Finishing after iteration {loop.state.iteration} with the best model so far, as asked.")
    return _finish(setup, loop, run, RunContext(reporter, life.should_pause))


def _finish(setup: RunSetup, loop: TrainingLoop, run: RunFolder, listener: RunContext) -> FinishedModel:
    """The finished model; raises Cancelled when stopped before it was written."""
    validator = _validator(setup, listener.reporter, listener.should_stop)
    loop.load_best(listener.should_stop)
    return finish_model(setup, loop.predicting, validator, run, loop.state, listener.reporter)


def _new_setup(run: RunFolder, request: TrainRequest, context: RunContext) -> RunSetup:
    """Checks the data, decides everything about a new run and writes it down; raises UserError where it may not be."""
    setup = checked_setup(request, context).setup
    write_setup(run, setup)
    return setup


@dataclass(frozen=True)
class CheckedSetup:
    """The setup of a new run, and what the check of its data found."""

    setup: RunSetup
    found: CheckResult


def checked_setup(request: TrainRequest, context: RunContext, *, trainings: int = 1) -> CheckedSetup:
    """Checks the data of a new run, writes RUN/check.json and its page, and decides everything about the run.

    ``trainings``: how many of this kind there will be, for the forecast. Raises UserError where it may not begin.
    """
    if request.labeled is None:
        raise UserError("--labeled is missing.", "Give the folder of labelled cases.")
    config = request.config
    method_type(config.method.name)  # a name that there is not is refused before the data is read
    start = load_pretrained(request.start_from)
    compute = choose_compute(config.training)
    found = check(Folders(request.labeled, request.unlabeled, request.validation), context,
                  CheckOptions(config.data.not_annotated, start.override_plan(config.plan) if start else config.plan,
                               config.data.series))
    setup = None
    if may_train(found, force=request.force):
        setup = plan_run(found, config, start=start, compute=compute, reporter=context.reporter)
        found = with_forecast(found, setup, request.out, context, trainings=trainings if setup.unlabeled else 1)
        setup = replace(setup, forced=overridden(found))
    write_reports(found, request.out / "check.json", context.reporter)
    emit(found, context.reporter)
    if setup is None or not may_train(found, force=request.force):
        raise faults_as_error(found, where=request.out / "check.html", may_force=not request.force)
    return CheckedSetup(setup, found)


def _require_no_comparison(run: RunFolder) -> None:
    if (run.path / COMPARE_FILE).exists():
        raise UserError(f"{run.path} holds a comparison, and no training of its own.",
                        "Choose another --out folder, or go on with it: alhvr compare --resume.")


def require_empty(run: RunFolder) -> None:
    """Raises UserError when there is a run, or what is left of one, in the folder already."""
    if (run.path / RUN_FILE).exists():
        raise UserError(f"{run.path} already holds a run.",
                        "Add --resume to go on with it, or choose another --out folder.")
    for rest in (run.model, run.last, run.best):
        if rest.exists():
            raise UserError(f"{rest} is there already.", "Choose another --out folder.")


def _build_loop(setup: RunSetup, run: RunFolder, reporter: Reporter,
                stop: Callable[[], bool]) -> TrainingLoop:
    config = setup.config
    torch.manual_seed(int(np.random.SeedSequence(config.training.seed).generate_state(1)[0]))
    method = build_method(config.method, config.training.seed)
    networks = method.build(setup.network)
    if setup.start_from and not run.last.exists():
        load_pretrained(Path(setup.start_from)).load_into(networks, setup.labels)
    networks = networks.to(device=setup.compute.device, memory_format=networks.memory_format)
    step = TrainingStep(networks, method, config.training, setup.compute)
    return TrainingLoop(step, _batches(setup, reporter, stop), _validator(setup, reporter, stop), run=run, setup=setup,
                        reporter=reporter)


def _batches(setup: RunSetup, reporter: Reporter, stop: Callable[[], bool]) -> TwoStreamBatches:
    """Half of the memory budget goes to the labelled scans at most, the rest to the archive."""
    budget = int(setup.config.training.memory_gb * 1e9)
    labeled = ScanStore(setup.labeled, setup.plan, setup.annotation, budget_bytes=budget // 2, reporter=reporter)
    unlabeled = None
    if setup.unlabeled:
        unlabeled = ScanStore(setup.unlabeled, setup.plan, None, budget_bytes=budget - budget // 2, reporter=reporter)
        unlabeled.folders = tuple(map(Path, setup.archive_folders))
    for store in filter(None, (labeled, unlabeled)):
        store.should_stop = stop
    augmenter = Augmenter(setup.config.training.augment, setup.plan.dimensions, setup.plan.patch_size)
    return TwoStreamBatches(labeled, unlabeled, setup.plan, augmenter, setup.config.training.seed,
                            balanced=setup.config.training.balanced)


def _validator(setup: RunSetup, reporter: Reporter, stop: Callable[[], bool]) -> Validator | None:
    if not setup.validation:
        return None
    config = setup.config
    settings = InferenceSettings(fusion="mean", mirror=config.segmenting.mirror, largest_component=False,
                                 beta=config.method.beta, perturbation_seed=config.training.seed)
    return Validator(setup.validation, setup.plan, setup.annotation, settings, stop, reporter)
