"""TrainingLoop: steps, schedules, averaged weights, validations and checkpoints, until the run is over."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from alhvr.config import MethodConfig, TrainingConfig
from alhvr.core.errors import Cancelled, ModelError, UserError
from alhvr.core.progress import Reporter
from alhvr.data.batches import Batch, TwoStreamBatches
from alhvr.inference.backends import Backend
from alhvr.methods.base import Objective
from alhvr.networks.blocks import BATCH_NORM
from alhvr.training.loop_state import LoopState
from alhvr.training.preview import PreviewWriter
from alhvr.training.run_folder import RunFolder, load_checkpoint, save_checkpoint
from alhvr.training.setup import RunSetup
from alhvr.training.step import Mixing, TrainingStep
from alhvr.training.validation import ScoringBackends, ValidationScore, Validator

LOWER_RATE = "Lower training.learning_rate, or use precision fp32."
STATISTICS_SHARE = 0.15
"""Batches on which batch-norm statistics are measured, per step between two validations; one costs a third of a step.
"""

STAIRCASE_STEPS = 200
POLY_POWER = 0.9


class TrainingLoop:
    """Runs ``step`` on ``batches``; ``validator`` is None when there are no validation cases."""

    def __init__(self, step: TrainingStep, batches: TwoStreamBatches, validator: Validator | None, *,
                 run: RunFolder, setup: RunSetup, reporter: Reporter) -> None:
        self.state = LoopState()
        self.average = WeightAverage(step.networks)
        self._step, self._batches, self._validator = step, batches, validator
        self._run, self._reporter, self._compute, self._setup = run, reporter, setup.compute, setup
        self._names = setup.network.names
        self.predicting = self.average.model.only(self._names)
        """The networks that segment with the finished model, with the mean weights."""
        self._backends = ScoringBackends(setup.compute, reporter)
        self._previews = PreviewWriter(setup, run, reporter) if setup.config.preview.write else None
        self._config, self._method = setup.config.training, setup.config.method
        self.clock: Callable[[], float] = time.monotonic
        """Seconds since any moment; what is trained is counted by it."""
        self._sitting_began_at = self._saved_at = self.clock()
        self._elapsed_before_s = 0.0
        self._iterations_before = 0
        self._should_stop: Callable[[], bool] = lambda: False

    def resume(self) -> None:
        """Continues from the newest checkpoint, if there is one; what was told of later steps is forgotten."""
        if self._run.last.exists():
            saved = load_checkpoint(self._run.last)
            self._step.load_state(saved["step"])
            self.average.model.load_state_dict(saved["average"])
            self.state = LoopState(**saved["loop"])
            self._elapsed_before_s = self.state.elapsed_s
            self._iterations_before = self.state.iteration
        self._run.forget_metrics_after(self.state.iteration)
        if self._previews is not None:
            self._previews.forget_after(self.state.iteration)

    def train(self, should_stop: Callable[[], bool]) -> bool:
        """Trains until the budget is used (True) or ``should_stop`` (False); either way all is saved.

        A validation that is stopped is done again when the run goes on, so that nothing differs from a run that was
        never stopped. Raises UserError when the loss is not finite or the end cannot be saved.
        """
        self._sitting_began_at = self._saved_at = self.clock()
        self._should_stop = should_stop
        self._report_progress()
        try:
            done = self._train_until_done()
        except Cancelled:
            done = False
        self._save(final=True)
        if done:
            self._report_progress()
        return done

    def _train_until_done(self) -> bool:
        with closing(self._batches.iterate(self.state.iteration)) as stream:
            self._validate_if_due()
            while self.progress() < 1.0:
                if self._should_stop():
                    return False
                iteration, batch = next(stream)
                self._one_step(iteration, batch)
                self._validate_if_due()
                if self.clock() - self._saved_at > self._config.save_every_s:
                    self._save()
        return True

    def _one_step(self, iteration: int, batch: Batch) -> None:
        progress = self.progress()
        weight = self.state.archive_share * unsupervised_weight(progress, self._method, iteration)
        rate = learning_rate(progress, self._config)
        teacher = self.predicting if may_mix(progress, self._setup) else None
        mixing = Mixing(teacher, self.state.archive_share) if mixes(self._setup) else None
        objective = self._step.run(batch, iteration, weight=weight, learning_rate=rate, mixing=mixing)
        self.average.update(self._step.networks, ema_decay(iteration, self._config))
        self.state.iteration = iteration + 1
        self.state.elapsed_s = self._elapsed_before_s + self.clock() - self._sitting_began_at
        if self.state.iteration % self._compute.log_every == 0:
            self._report_losses(objective, weight, rate)

    def progress(self) -> float:
        """Part of the budget used, 0 to 1."""
        if self._config.minutes is not None:
            return min(1.0, self.state.elapsed_s / (60.0 * self._config.minutes))
        return min(1.0, self.state.iteration / self._config.iterations)

    def _report_losses(self, objective: Objective, weight: float, rate: float) -> None:
        losses = {name: float(value) for name, value in objective.terms.items()}
        if not all(math.isfinite(value) for value in losses.values()):
            raise UserError(f"The loss is not finite at iteration {self.state.iteration} ({losses}).",
                            LOWER_RATE)
        regions = {name: float(value) for name, value in objective.region_fractions.items()}
        gamma = None if objective.gamma is None else float(objective.gamma)
        self._reporter.metrics(self.state.iteration, losses=losses, weight=weight, learning_rate=rate,
                               gamma=gamma, regions=regions, elapsed_s=round(self.state.elapsed_s, 1))
        self._report_progress()

    def _report_progress(self) -> None:
        if self._config.minutes is not None:
            budget_s = 60.0 * self._config.minutes
            total = max(1, round(budget_s))
            done = total if self.progress() >= 1.0 else min(total - 1, int(self.state.elapsed_s))
            self._reporter.progress("training (seconds)", done, total, max(0.0, budget_s - self.state.elapsed_s))
            return
        total, done = self._config.iterations, self.state.iteration
        steps, seconds = done - self._iterations_before, self.clock() - self._sitting_began_at
        self._reporter.progress("training", done, total, round(seconds / steps * (total - done), 1) if steps else None)

    def _validations_by_now(self) -> int:
        return math.floor(self.progress() * self._config.validations + 1e-9)

    def _validate_if_due(self) -> None:
        """Scores the mean weights, keeps the best, and saves; raises Cancelled with nothing changed."""
        if self._validations_by_now() <= self.state.validations:
            return
        since_last = self.state.iteration / max(1, self._validations_by_now())
        self._measure_statistics(min(self._config.statistics_batches, max(2, int(STATISTICS_SHARE * since_last))))
        watched = self._validator is not None or self._previews is not None
        backend = self._backends.of(self.predicting) if watched else None
        scores = self._score(backend)
        score = scores["mean"]
        self.state.validations = self._validations_by_now()
        if self._validator is not None and learns_from_archive(self.progress(), self._setup):
            harm = self.state.watch_archive(score.mean)
            if harm:
                self._reporter.warning(harm)
        improved = self.state.improved(scores, self._names) if self._validator is not None else self._names
        if improved:
            self._keep_as_best(scores, improved)
        self.state.elapsed_s = self._elapsed_before_s + self.clock() - self._sitting_began_at
        if self._validator is not None:
            self._reporter.metrics(self.state.iteration, dice=score.by_class, mean_dice=score.mean,
                                   best_iteration=self.state.best_iteration, elapsed_s=round(self.state.elapsed_s, 1))
        self._save()
        if self._previews is not None:
            self._previews.write(backend, self.state.iteration, self.state.elapsed_s, self._should_stop)

    def _measure_statistics(self, n_batches: int) -> None:
        """Gives the mean weights batch-norm statistics of their own, from the batches of the last steps."""
        if self._config.batch_norm_statistics == "running" or not self.state.iteration:
            return
        measure_statistics((network for _, network in self.predicting.items()),
                           self._recent_images(min(n_batches, self.state.iteration)), self._compute.autocast())

    def _recent_images(self, n_batches: int) -> Iterator[Tensor]:
        """The images of the last batches where the networks are; raises Cancelled when the run is to stop."""
        for iteration in range(self.state.iteration - n_batches, self.state.iteration):
            if self._should_stop():
                raise Cancelled("Stopped before a validation.")
            yield self._step.to_device(self._batches.batch(iteration).images)

    def _score(self, backend: Backend | None) -> dict[str, ValidationScore]:
        """Of the mean weights, run as users run a finished model: both networks ("mean"), and each where each is kept.

        Below every score without validation cases.
        """
        alone = self._names if self._config.selection == "network" and len(self._names) > 1 else ()
        rules = ("mean", *alone)
        if self._validator is None:
            return dict.fromkeys(rules, ValidationScore({}, -1.0))
        try:
            return self._validator.score(backend, rules)
        except ModelError as error:
            raise UserError(f"The networks give no numbers at iteration {self.state.iteration}: NaN or infinity.",
                            f"{LOWER_RATE} Where memory is short, close other programs.") from error

    def _keep_as_best(self, scores: dict[str, ValidationScore], improved: tuple[str, ...]) -> None:
        """Keeps the weights of these networks; where the disk refuses them, the best from before stay the best."""
        weights = self.average.model.state_dict()
        if len(improved) < len(self._names) and self._run.best.exists():
            other = load_checkpoint(self._run.best)["average"]
            weights = {name: (weights if name.split(".")[0] in improved else other)[name] for name in weights}
        if _saved(self._run.best, {"average": weights, "iteration": self.state.iteration}, self._reporter):
            self.state.remember_best(scores, improved)

    def load_best(self, should_stop: Callable[[], bool] | None = None) -> None:
        """Puts the weights with the best validation Dice into ``average``; where none were kept, the last stay.

        Their statistics are measured once more, on as many batches as the settings say. Raises Cancelled when
        ``should_stop`` says so; None: as ``train`` is stopped.
        """
        self._should_stop = should_stop or self._should_stop
        if self._run.best.exists():
            saved = load_checkpoint(self._run.best)
            self.average.model.load_state_dict(saved["average"])
            self.state.best_iteration = saved["iteration"]
        else:
            self.state.best_iteration = self.state.iteration
        self._measure_statistics(self._config.statistics_batches)

    def _save(self, *, final: bool = False) -> None:
        state = {"step": self._step.state(), "average": self.average.model.state_dict(), "loop": asdict(self.state)}
        saved = _saved(self._run.last, state, self._reporter)
        self._saved_at = self.clock()
        if final and not saved:
            raise UserError(f"The last checkpoint of {self._run.path} could not be written; the one before is whole.",
                            "Free some disk space and go on with --resume.")


def _saved(path: Path, state: dict[str, Any], reporter: Reporter) -> bool:
    """Whether the disk took the checkpoint; where it did not, a warning says so and the one before it stays."""
    try:
        save_checkpoint(path, state)
    except OSError as error:
        reporter.warning(f"{error}. The one before it is kept; training goes on. Free some disk space.")
        return False
    return True


class WeightAverage:
    """Keeps a copy of ``model`` whose weights follow it with an exponential mean (Tarvainen and Valpola 2017)."""

    def __init__(self, model: nn.Module) -> None:
        self.model = copy.deepcopy(model).eval()
        for parameter in self.model.parameters():
            parameter.requires_grad_(False)

    @torch.no_grad()
    def update(self, model: nn.Module, decay: float) -> None:
        """Moves the mean towards ``model``: mean = decay * mean + (1 - decay) * model; buffers are copied."""
        torch._foreach_lerp_(list(self.model.parameters()), list(model.parameters()), 1.0 - decay)
        for mean, value in zip(self.model.buffers(), model.buffers(), strict=True):
            mean.copy_(value)


@torch.no_grad()
def measure_statistics(networks: Iterable[nn.Module], images: Iterable[Tensor],
                       autocast: AbstractContextManager = nullcontext()) -> None:  # noqa: B008
    """Gives every batch norm of ``networks``, which are in eval mode, the mean statistics of these batches.

    images: [B, M, *S] each, on the networks' device; at least one. Dropout is off. Networks without batch norm stay
    as they are. The result depends on weights and images alone. ``autocast``: context in which the networks run.
    """
    networks = tuple(networks)
    norms = [m for network in networks for m in network.modules() if isinstance(m, tuple(BATCH_NORM.values()))]
    if not norms:
        return
    momentum = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean over the batches
        norm.train()
    try:
        for batch in images:
            with autocast:
                for network in networks:
                    network(batch)
    finally:
        for norm, value in zip(norms, momentum, strict=True):
            norm.momentum = value
            norm.eval()


def unsupervised_weight(progress: float, config: MethodConfig, iteration: int) -> float:
    """Lambda of Eq. 10: max_weight * exp(-5 (1 - x)^2), x = progress / warmup_fraction, at most 1.

    ``progress`` is the part of the run done before the step, 0 to 1 (iterations, or time for a run in minutes), and
    ``iteration`` the number of steps done: with ``warmup_iterations``, x is their share of these. The staircase rounds
    x down to 1/200, as the released code does.
    """
    x = min(1.0, progress / config.warmup_fraction)
    if config.warmup_iterations is not None:
        x = min(1.0, iteration / config.warmup_iterations)
    if config.warmup_shape == "staircase":
        x = math.floor(x * STAIRCASE_STEPS + 1e-9) / STAIRCASE_STEPS
    return config.max_weight * math.exp(-5.0 * (1.0 - x) ** 2)


def mixes(setup: RunSetup) -> bool:
    """Whether a run mixes labelled images with those of its archive at any time."""
    return setup.config.training.copy_paste.use and bool(setup.unlabeled)


def may_mix(progress: float, setup: RunSetup) -> bool:
    """Whether it does so after ``progress`` (0 to 1) of the run."""
    return mixes(setup) and progress >= setup.config.training.copy_paste.begin


def learns_from_archive(progress: float, setup: RunSetup) -> bool:
    """Whether more than batch statistics comes from the archive after ``progress`` (0 to 1) of the run."""
    if mixes(setup):
        return may_mix(progress, setup)
    return bool(setup.unlabeled) and setup.config.method.max_weight > 0


def learning_rate(progress: float, config: TrainingConfig) -> float:
    """Learning rate after ``progress`` (0 to 1) of the run: constant, or falling with (1 - progress) ** 0.9.

    With a warm-up it rises in a line before, from a hundredth.
    """
    rising = 1.0
    if config.learning_rate_warmup:
        rising = min(1.0, max(0.01, progress / config.learning_rate_warmup))
    falling = 1.0 if config.learning_rate_decay == "constant" else max(0.0, 1.0 - progress) ** POLY_POWER
    return config.learning_rate * rising * falling


def ema_decay(iteration: int, config: TrainingConfig) -> float:
    """Decay of the weight mean at step ``iteration`` (from 0): min(1 - 1 / (t + 1), ema_decay)."""
    return min(1.0 - 1.0 / (iteration + 1), config.ema_decay)
