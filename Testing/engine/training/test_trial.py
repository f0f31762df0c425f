"""A trial of real steps is short, disturbs nothing, and tells what the run will take."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny_cases import LABELS, tiny_plan, write_case

from alhvr.checking.context import RunContext
from alhvr.checking.examine import examine
from alhvr.checking.facts import CaseFacts
from alhvr.config import RunConfig, TrainingConfig
from alhvr.core.errors import Cancelled
from alhvr.training import trial as trial_steps
from alhvr.training import trial as trying
from alhvr.training.device import Compute
from alhvr.training.setup import RunSetup
from alhvr.training.trial import SAFE_VOXELS, _size_of_less, trial

CPU = Compute("cpu", "fp32", threads=1)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunSetup, list[CaseFacts]]:
    folder = tmp_path_factory.mktemp("study")
    cases = [write_case(folder, f"case{n}", (4, 32, 32), label=n < 3, seed=n) for n in range(5)]
    parts = {"labeled": tuple(cases[:2]), "validation": tuple(cases[2:3]), "unlabeled": tuple(cases[3:])}
    facts = examine([(part, case) for part, group in parts.items() for case in group], not_annotated=255,
                    context=RunContext())
    config = RunConfig(training=TrainingConfig(iterations=1000, validations=2))
    return RunSetup(config=config, plan=tiny_plan(2, (32, 32)), labels=LABELS, compute=CPU, hashes={}, held_out=False,
                    start_from=None, **parts), facts


def training(setup: RunSetup, **changes: object) -> RunSetup:
    return replace(setup, config=replace(setup.config, training=replace(setup.config.training, **changes)))


def test_a_trial_tells_time_memory_and_disk_and_leaves_the_random_stream_alone(
        study: tuple[RunSetup, list[CaseFacts]], tmp_path: Path) -> None:
    torch.manual_seed(7)
    before = torch.random.get_rng_state()
    found = trial(*study, tmp_path / "not there yet", RunContext())
    assert torch.equal(torch.random.get_rng_state(), before)
    assert 0.05 < found.minutes < 600
    assert 0.2 < found.memory_gb < 5 and found.free_memory_gb > found.memory_gb
    assert found.model_gb == pytest.approx(2 * 2 * 1_813_764 * 4 / 1e9, rel=0.01)
    assert found.disk_gb < found.free_disk_gb
    assert "1000 steps" in found.sentences[0] and "3 validations" in found.sentences[0]


def test_a_run_without_archive_and_validation_is_tried_too(
        study: tuple[RunSetup, list[CaseFacts]], tmp_path: Path) -> None:
    setup, facts = study
    found = trial(replace(setup, unlabeled=(), validation=()), facts, tmp_path, RunContext())
    assert found.minutes > 0 and "validation" not in found.sentences[0]


@pytest.mark.parametrize("changes", [{"iterations": 99}, {"minutes": 0.5}])
def test_a_short_run_has_no_trial(study: tuple[RunSetup, list[CaseFacts]], tmp_path: Path, changes: dict) -> None:
    setup, facts = study
    assert trial(training(setup, **changes), facts, tmp_path, RunContext()) is None


def test_a_trial_ends_soon_when_somebody_asks(study: tuple[RunSetup, list[CaseFacts]], tmp_path: Path) -> None:
    asked = iter([False] * 2 + [True] * 9)
    began = time.monotonic()
    with pytest.raises(Cancelled):
        trial(*study, tmp_path, RunContext(should_stop=lambda: next(asked)))
    assert time.monotonic() - began < 20


def test_steps_too_large_to_try_are_scaled_up_from_smaller_ones(
        study: tuple[RunSetup, list[CaseFacts]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    setup, facts = study
    monkeypatch.setattr(trying, "MOST_S", 2.0)
    monkeypatch.setattr(trial_steps, "SAFE_VOXELS", 2000)
    large = replace(setup, plan=tiny_plan(2, (256, 256), labeled=8, unlabeled=8))
    found = trial(large, facts, tmp_path, RunContext())
    assert found.sentences[0].endswith("on less, scaled up.")
    assert found.minutes > 0.5


@pytest.mark.parametrize("plan", [tiny_plan(3, (128, 128, 96)), tiny_plan(2, (256, 256), labeled=8, unlabeled=8)])
def test_the_first_look_is_small_and_of_sizes_that_the_networks_take(plan: object) -> None:
    patch, n_patches = _size_of_less(plan)
    assert n_patches * torch.Size(patch).numel() <= SAFE_VOXELS and n_patches >= 2
    assert all(side % 16 == 0 and side >= 16 for side in patch)
