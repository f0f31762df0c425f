"""Runs of a few steps on tiny scans, in the test's own process, and whether two of them ended alike."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from tiny_cases import Listener

from alhvr.checking.context import RunContext
from alhvr.config import MethodConfig, PlanConfig, RunConfig, TrainingConfig
from alhvr.training.loop import TrainingLoop
from alhvr.training.run import TrainRequest, _build_loop, _new_setup
from alhvr.training.run_folder import RUN_FILE, RecordingReporter, RunFolder, load_checkpoint
from alhvr.training.setup import RunSetup


def never() -> bool:
    return False


def new_run(study: Path, out: Path, *, archive: bool = True, **training) -> RunFolder:
    run = RunFolder(out)
    run.create()
    settings = {"threads": 1, "precision": "fp32", "validations": 2, "iterations": 4, **training}
    config = RunConfig(method=MethodConfig(max_weight=0.1), training=TrainingConfig(**settings),
                       plan=PlanConfig(patch_size=(32, 32), batch_size=2))
    request = TrainRequest(study / "labeled", out, study / "archive" if archive else None, config=config)
    _new_setup(run, request, RunContext(Listener()))
    return run


def loop_of(run: RunFolder, *, stop: Callable[[], bool] = never, reporter: Listener | None = None) -> TrainingLoop:
    """The loop of the run, at its last checkpoint; ``stop`` stops validations only."""
    recorder = RecordingReporter(reporter or Listener(), run)
    loop = _build_loop(RunSetup.from_dict(run.read_json(RUN_FILE)), run, recorder, never)
    if loop._validator is not None:
        loop._validator = replace(loop._validator, should_stop=stop)
    loop.resume()
    return loop


def scored_iterations(run: RunFolder) -> list[int]:
    lines = map(json.loads, run.metrics.read_text().splitlines() if run.metrics.exists() else [])
    return [line["iteration"] for line in lines if "mean_dice" in line]


def same_end(left: RunFolder, right: RunFolder) -> bool:
    """Weights, optimisers, mean and best are bit for bit the same."""
    return same_weights(left, right) and same(load_checkpoint(left.best), load_checkpoint(right.best))


def same_weights(left: RunFolder, right: RunFolder) -> bool:
    """The same without the best, which the scores choose."""
    return same(*([load_checkpoint(run.last)["step"], load_checkpoint(run.last)["average"]] for run in (left, right)))


def same(left: object, right: object) -> bool:
    a, b = torch.utils._pytree.tree_leaves(left), torch.utils._pytree.tree_leaves(right)
    return len(a) == len(b) and all(torch.equal(x, y) if torch.is_tensor(x) else x == y
                                    for x, y in zip(a, b, strict=True))
