"""``alhvr train`` in one call: survey, plan, networks, loop, and the finished model."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from alhvr.bundle import InferenceSettings
from alhvr.config import PlanConfig, RunConfig, to_dict
from alhvr.data.augment import Augmenter
from alhvr.data.batches import TwoStreamBatches
from alhvr.data.plan import Plan, make_plan
from alhvr.data.store import ScanStore
from alhvr.errors import Cancelled, UserError
from alhvr.networks.dual import DualNetwork
from alhvr.progress import Reporter
from alhvr.stopping import StopRequest
from alhvr.training.device import choose_compute, memory_as_user_error
from alhvr.training.finish import FinishedModel, finish_model, summary
from alhvr.training.loop import TrainingLoop
from alhvr.training.resume import RUN_FILE, require_run, resume_command, resumed_setup
from alhvr.training.run_folder import RecordingReporter, RunFolder
from alhvr.training.setup import RunSetup
from alhvr.training.start_from import load_start
from alhvr.training.step import TrainingStep
from alhvr.training.survey import Folders, Listener, Survey, survey
from alhvr.training.validation import Validator


@dataclass(frozen=True)
class TrainRequest:
    """What ``alhvr train`` was asked for."""

    labeled: Path | None
    """Folder of labelled cases; None only when resuming."""
    out: Path
    """The run folder."""
    unlabeled: Path | None = None
    """Folder of the archive; None trains on the labels only."""
    validation: Path | None = None
    """Folder of labelled cases to choose the best model on; None sets some labelled cases aside."""
    config: RunConfig = RunConfig()
    start_from: Path | None = None
    """A model folder to fine-tune."""
    resume: bool = False
    """Continue the run in ``out``; cases and settings are those it began with."""


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

    Raises UserError for what the user can mend, Cancelled when stopped by a signal (the run is saved).
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
            setup = _new_setup(run, request, Listener(recorder, stop))
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
        finished = _finish(setup, loop, run, Listener(reporter, stop))
    if finished is None:
        raise Cancelled(f"Stopped after iteration {loop.state.iteration}; everything is saved. "
                        f"Go on with: {resume_command(run.path)}")
    for sentence in summary(finished, loop.state):
        reporter.note(sentence)
    reporter.artifact("model", str(run.model))
    return TrainResult(run.path, run.model, finished.scores, loop.state.best_iteration)


def _finish(setup: RunSetup, loop: TrainingLoop, run: RunFolder, listener: Listener) -> FinishedModel | None:
    """The finished model; None when stopped before it was written."""
    loop.load_best()
    validator = _validator(setup, listener.reporter, listener.should_stop)
    try:
        return finish_model(setup, loop.average.model, validator, run, loop.state, listener.reporter)
    except Cancelled:
        return None


def _new_setup(run: RunFolder, request: TrainRequest, listener: Listener) -> RunSetup:
    """Decides everything about a new run and writes it down."""
    _require_empty(run)
    if request.labeled is None:
        raise UserError("--labeled is missing.", "Give the folder of labelled cases.")
    config, reporter = request.config, listener.reporter
    start = load_start(request.start_from)
    compute = choose_compute(config.training)
    found = survey(Folders(request.labeled, request.unlabeled, request.validation), config.plan,
                   seed=config.training.seed, listener=listener, not_annotated=config.data.not_annotated)
    plan = start.plan_for(config.plan, found.channels) if start else _plan(found, config.plan, compute.memory_gb())
    for sentence in plan.describe():
        reporter.note(sentence)
    if start:
        for sentence in start.say_what_is_kept(found.labels, found.modality):
            reporter.note(sentence)
    setup = RunSetup(config=_settled(config, plan), plan=plan, labels=found.labels, compute=compute,
                     labeled=found.labeled, unlabeled=found.unlabeled, validation=found.validation, hashes=found.hashes,
                     held_out=found.held_out, start_from=os.path.abspath(request.start_from) if start else None)
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


def _plan(found: Survey, config: PlanConfig, memory_gb: float) -> Plan:
    config = replace(config, modality=found.modality)
    return make_plan(list(found.labeled_prints), list(found.unlabeled_prints), config, memory_gb=memory_gb,
                     channels=found.channels)


def _settled(config: RunConfig, plan: Plan) -> RunConfig:
    """Decides what the settings leave open: mirrored anatomy is learnt only where orientation means nothing anyway."""
    unknown = plan.in_plane_matrix is not None
    augment = config.training.augment
    augment = replace(augment, mirror=unknown if augment.mirror is None else augment.mirror,
                      quarter_turns=unknown if augment.quarter_turns is None else augment.quarter_turns)
    return replace(config, training=replace(config.training, augment=augment))


def _build_loop(setup: RunSetup, run: RunFolder, reporter: Reporter, stop: StopRequest) -> TrainingLoop:
    config = setup.config
    torch.manual_seed(int(np.random.SeedSequence(config.training.seed).generate_state(1)[0]))
    networks = DualNetwork.build(setup.network)
    if setup.start_from and not run.last.exists():
        load_start(Path(setup.start_from)).load_into(networks, setup.labels)
    networks = networks.to(device=setup.compute.device, memory_format=networks.memory_format)
    step = TrainingStep(networks, config.method, config.training, setup.compute)
    return TrainingLoop(step, _batches(setup, reporter), _validator(setup, reporter, stop), run=run, setup=setup,
                        reporter=reporter)


def _batches(setup: RunSetup, reporter: Reporter) -> TwoStreamBatches:
    """Half of the memory budget goes to the labelled scans at most, the rest to the archive."""
    budget = int(setup.config.training.memory_gb * 1e9)
    labeled = ScanStore(setup.labeled, setup.plan, setup.annotation, budget_bytes=budget // 2, reporter=reporter)
    unlabeled = None
    if setup.unlabeled:
        unlabeled = ScanStore(setup.unlabeled, setup.plan, None, budget_bytes=budget - budget // 2, reporter=reporter)
    augmenter = Augmenter(setup.config.training.augment, setup.plan.dimensions, setup.plan.patch_size)
    return TwoStreamBatches(labeled, unlabeled, setup.plan, augmenter, setup.config.training.seed)


def _validator(setup: RunSetup, reporter: Reporter, stop: StopRequest) -> Validator | None:
    if not setup.validation:
        return None
    config = setup.config
    settings = InferenceSettings(fusion="mean", mirror=config.segmenting.mirror, largest_component=False,
                                 beta=config.method.beta, perturbation_seed=config.training.seed)
    return Validator(setup.validation, setup.plan, setup.annotation, settings, stop, reporter)
