"""Resuming: the run keeps what it began with, says what it ignores, and finds a device that is there."""

from __future__ import annotations

import shlex
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from tiny_cases import LABELS, Listener, tiny_plan, write_case

from alhvr.config import MethodConfig, PlanConfig, RunConfig, TrainingConfig
from alhvr.core.errors import UserError
from alhvr.networks.group import NetworkGroup
from alhvr.training.device import Compute
from alhvr.training.loop_state import LoopState
from alhvr.training.run_folder import (
    RUN_FILE,
    RunFolder,
    ignored_settings,
    require_run,
    resume_command,
    resumed_setup,
    save_checkpoint,
)
from alhvr.training.setup import RunSetup

KEPT = RunConfig(method=MethodConfig(beta=0.7), training=TrainingConfig(iterations=500, device="cpu", threads=1))


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """A run with one labelled case that is about to begin."""
    case = write_case(tmp_path / "cases", "a", (2, 16, 16), label=True)
    setup = RunSetup(config=KEPT, plan=tiny_plan(2, (16, 16)), labels=LABELS, compute=Compute("cpu", "bf16", 3),
                     labeled=(case,), unlabeled=(), validation=(), hashes={}, held_out=False, start_from=None)
    folder = RunFolder(tmp_path / "run")
    folder.create()
    folder.write_json(RUN_FILE, setup.to_dict())
    return folder


def test_the_setup_comes_back_with_its_device_and_arithmetic(run: RunFolder) -> None:
    reporter = Listener()
    setup = resumed_setup(run, RunConfig(), reporter)
    assert setup.compute == Compute("cpu", "bf16", 3) and setup.config == KEPT and reporter.warnings == []
    assert setup.labeled[0].label.exists()


def test_settings_that_differ_are_ignored_aloud(run: RunFolder) -> None:
    asked = RunConfig(method=MethodConfig(beta=0.6), training=TrainingConfig(iterations=500, seed=3))
    reporter = Listener()
    assert resumed_setup(run, asked, reporter).config == KEPT
    assert reporter.warnings == ["A resumed run keeps the settings that it began with; ignored: method.beta 0.6 (the "
                                 "run has 0.7), training.seed 3 (the run has 0)."]


def test_settings_that_were_not_asked_for_are_not_mentioned() -> None:
    assert ignored_settings(RunConfig(), KEPT) == []
    assert ignored_settings(replace(RunConfig(), plan=PlanConfig(batch_size=8)), KEPT) == [
        "plan.batch_size 8 (the run has None)"]


def test_a_run_whose_device_is_gone_goes_on_on_another_and_says_so(run: RunFolder) -> None:
    gone = "mps" if torch.cuda.is_available() else "cuda"
    values = run.read_json(RUN_FILE)
    values["compute"]["device"] = gone
    run.write_json(RUN_FILE, values)
    reporter = Listener()
    setup = resumed_setup(run, RunConfig(), reporter)
    assert setup.compute.device == "cpu"
    assert reporter.warnings == [f"The run began on {gone} and goes on on cpu: last digits may differ."]


def test_labelled_cases_that_are_gone_are_named(run: RunFolder, tmp_path: Path) -> None:
    (tmp_path / "cases" / "labels" / "a.nrrd").unlink()
    with pytest.raises(UserError, match=r"1 case\(s\) of the run are no longer there, the first is .*a\.nrrd"):
        resumed_setup(run, RunConfig(), Listener())


@pytest.mark.parametrize("content", ["{}", "[]", '{"config": {}, "plan": 3}', "{", '{"config": {"metod": {}}}'])
def test_a_damaged_setup_is_one_clear_line(run: RunFolder, content: str) -> None:
    (run.path / RUN_FILE).write_text(content)
    with pytest.raises(UserError):
        resumed_setup(run, RunConfig(), Listener())


def with_checkpoints(run: RunFolder, **changes: dict) -> None:
    """Gives the run both checkpoints after ten steps; ``changes`` replace parts of ``last`` or ``best``."""
    weights = NetworkGroup.build(RunSetup.from_dict(run.read_json(RUN_FILE)).network).state_dict()
    state = asdict(LoopState(iteration=10, best_iteration=10, best_mean=0.5))
    last = {"step": {}, "average": weights, "loop": state, **changes.get("last", {})}
    save_checkpoint(run.last, last)
    save_checkpoint(run.best, {"average": weights, "iteration": 10, **changes.get("best", {})})


def test_whole_checkpoints_are_taken(run: RunFolder) -> None:
    with_checkpoints(run)
    assert resumed_setup(run, RunConfig(), Listener()).config == KEPT


def test_best_weights_that_are_gone_are_told_and_not_replaced_by_the_last(run: RunFolder) -> None:
    with_checkpoints(run)
    run.best.unlink()
    with pytest.raises(UserError, match=r"best weights so far are gone: there is no .*best\.pt\. Restore it"):
        resumed_setup(run, RunConfig(), Listener())


def test_without_a_checkpoint_the_run_begins_again_whatever_else_is_left(run: RunFolder) -> None:
    with_checkpoints(run)
    run.last.unlink()
    run.best.write_bytes(b"damaged")
    assert resumed_setup(run, RunConfig(), Listener()).config == KEPT


OTHER = {"a.weight": torch.zeros(3)}


@pytest.mark.parametrize(("which", "changes"), [
    ("last", {"loop": 3}), ("last", {"loop": {"iterations": 3}}), ("last", {"step": []}), ("last", {"average": OTHER}),
    ("last", {"average": [1]}), ("best", {"average": OTHER}), ("best", {"iteration": "ten"}),
    ("best", {"average": None}),
])
def test_a_checkpoint_of_another_kind_is_named(run: RunFolder, which: str, changes: dict) -> None:
    with_checkpoints(run, **{which: changes})
    with pytest.raises(UserError, match=rf"{which}\.pt is no checkpoint of this run\. Restore it"):
        resumed_setup(run, RunConfig(), Listener())


@pytest.mark.parametrize("which", ["last", "best"])
def test_a_flipped_bit_in_a_checkpoint_is_told_before_anything_is_done(run: RunFolder, which: str) -> None:
    with_checkpoints(run)
    path = getattr(run, which)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)
    with pytest.raises(UserError, match=rf"{which}\.pt cannot be read \(its checksum does not fit"):
        resumed_setup(run, RunConfig(), Listener())


def test_a_folder_without_a_run_cannot_be_resumed(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no run to resume"):
        require_run(RunFolder(tmp_path))


def test_the_command_to_go_on_survives_a_shell() -> None:
    folder = Path("/data/Müller's run 1")
    assert shlex.split(resume_command(folder)) == ["alhvr", "train", "--resume", "--out", str(folder)]


def test_a_run_from_before_the_competing_teacher_had_a_switch_goes_on_with_it(run: RunFolder) -> None:
    values = run.read_json(RUN_FILE)
    assert not RunSetup.from_dict(values).config.method.teacher_competition
    del values["config"]["method"]["teacher_competition"]
    assert RunSetup.from_dict(values).config == replace(KEPT, method=replace(KEPT.method, teacher_competition=True))
