"""``alhvr train`` in one call: check, plan, networks, loop, and the finished model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from alhvr.bundle.model import InferenceSettings
from alhvr.checking.context import RunContext
from alhvr.checking.run import CheckOptions, Folders, archive_folders, check
from alhvr.checking.selection import may_train, overridden
from alhvr.checking.text_report import emit, faults_as_error, write_reports
from alhvr.config import RunConfig, to_dict
from alhvr.core.errors import Cancelled, UserError
from alhvr.core.progress import Reporter
from alhvr.core.signals import StopRequest
from alhvr.data.augment import Augmenter
from alhvr.data.batches import TwoStreamBatches
from alhvr.data.store import ScanStore
from alhvr.methods.registry import build_method, method_type
from alhvr.networks.group import NetworkGroup
from alhvr.training.device import choose_compute, memory_as_user_error
from alhvr.training.finish import FinishedModel, finish_model, summary
from alhvr.training.loop import TrainingLoop
from alhvr.training.pretrained import load_pretrained
from alhvr.training.run_folder import RUN_FILE, RecordingReporter, RunFolder, require_run, resume_command, resumed_setup
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


def train(request: TrainRequest, reporter: Reporter) -> TrainResult:
    """Trains, or continues, the run in ``request.out`` and writes its model.

    Raises UserError for what the user can fix, Cancelled when stopped by a signal (the run is saved).
    """
    run = RunFolder(request.out)
    if request.resume:
        require_run(run)
    run.create()
    with run.locked(), StopRequest() as stop, memory_as_user_error():
        recorder = RecordingReporter(reporter, run)
        if request.resume:
            setup = resumed_setup(run, request.config, recorder)
        else:
            setup = _new_setup(run, request, RunContext(recorder, stop))
        try:
            return _train(setup, run, recorder, stop)
        except KeyboardInterrupt as error:
            raise Cancelled("Stopped at once; what was done since the last checkpoint is lost. "
                            f"Go on with: {resume_command(run.path)}") from error


def _train(setup: RunSetup, run: RunFolder, reporter: Reporter, stop: StopRequest) -> TrainResult:
    setup.compute.apply()
    loop = _build_loop(setup, run, reporter, stop)
    loop.resume()
    finished = None
    if loop.train(stop):
        finished = _finish(setup, loop, run, RunContext(reporter, stop))
    if finished is None:
        raise Cancelled(f"Stopped after iteration {loop.state.iteration}; everything is saved. "
                        f"Go on with: {resume_command(run.path)}")
    for sentence in summary(finished, loop.state):
        reporter.note(sentence)
    reporter.artifact("model", str(run.model))
    return TrainResult(run.path, run.model, finished.scores, loop.state.best_iteration)


def _finish(setup: RunSetup, loop: TrainingLoop, run: RunFolder, listener: RunContext) -> FinishedModel | None:
    """The finished model; None when stopped before it was written."""
    validator = _validator(setup, listener.reporter, listener.should_stop)
    try:
        loop.load_best()
        return finish_model(setup, loop.predicting, validator, run, loop.state, listener.reporter)
    except Cancelled:
        return None


def _new_setup(run: RunFolder, request: TrainRequest, context: RunContext) -> RunSetup:
    """Checks the data, decides everything about a new run and writes it down; raises UserError where it may not be."""
    _require_empty(run)
    if request.labeled is None:
        raise UserError("--labeled is missing.", "Give the folder of labelled cases.")
    config = request.config
    method_type(config.method.name)  # a name that there is not is refused before the data is read
    start = load_pretrained(request.start_from)
    compute = choose_compute(config.training)
    found = check(Folders(request.labeled, request.unlabeled, request.validation), context,
                  CheckOptions(config.data.not_annotated, start.override_plan(config.plan) if start else config.plan))
    setup = None
    if may_train(found, force=request.force):
        setup = plan_run(found, config, start=start, compute=compute, reporter=context.reporter)
        found = with_forecast(found, setup, run.path, context)
        setup = replace(setup, forced=overridden(found))
    write_reports(found, run.path / "check.json", context.reporter)
    emit(found, context.reporter)
    if setup is None or not may_train(found, force=request.force):
        raise faults_as_error(found, where=run.path / "check.html", may_force=not request.force)
    run.write_json("config.json", to_dict(setup.config))
    run.write_json(RUN_FILE, setup.to_dict())
    return setup


def _require_empty(run: RunFolder) -> None:
    """Raises UserError when there is a run, or what is left of one, in the folder already."""
    if (run.path / RUN_FILE).exists():
        raise UserError(f"{run.path} already holds a run.",
                        "Add --resume to go on with it, or choose another --out folder.")
    for rest in (run.model, run.last, run.best):
        if rest.exists():
            raise UserError(f"{rest} is there already.", "Choose another --out folder.")


def _build_loop(setup: RunSetup, run: RunFolder, reporter: Reporter, stop: StopRequest) -> TrainingLoop:
    config = setup.config
    torch.manual_seed(int(np.random.SeedSequence(config.training.seed).generate_state(1)[0]))
    networks = NetworkGroup.build(setup.network, setup.method.networks)
    if setup.start_from and not run.last.exists():
        load_pretrained(Path(setup.start_from)).load_into(networks, setup.labels)
    networks = networks.to(device=setup.compute.device, memory_format=networks.memory_format)
    step = TrainingStep(networks, build_method(config.method, config.training.seed), config.training, setup.compute)
    return TrainingLoop(step, _batches(setup, reporter), _validator(setup, reporter, stop), run=run, setup=setup,
                        reporter=reporter)


def _batches(setup: RunSetup, reporter: Reporter) -> TwoStreamBatches:
    """Half of the memory budget goes to the labelled scans at most, the rest to the archive."""
    budget = int(setup.config.training.memory_gb * 1e9)
    labeled = ScanStore(setup.labeled, setup.plan, setup.annotation, budget_bytes=budget // 2, reporter=reporter)
    unlabeled = None
    if setup.unlabeled:
        unlabeled = ScanStore(setup.unlabeled, setup.plan, None, budget_bytes=budget - budget // 2, reporter=reporter,
                              folders=tuple(map(Path, setup.archive_folders)))
    augmenter = Augmenter(setup.config.training.augment, setup.plan.dimensions, setup.plan.patch_size)
    return TwoStreamBatches(labeled, unlabeled, setup.plan, augmenter, setup.config.training.seed,
                            balanced=setup.config.training.balanced)


def _validator(setup: RunSetup, reporter: Reporter, stop: StopRequest) -> Validator | None:
    if not setup.validation:
        return None
    config = setup.config
    settings = InferenceSettings(fusion="mean", mirror=config.segmenting.mirror, largest_component=False,
                                 beta=config.method.beta, perturbation_seed=config.training.seed)
    return Validator(setup.validation, setup.plan, setup.annotation, settings, stop, reporter)
