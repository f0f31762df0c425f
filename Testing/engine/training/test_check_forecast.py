"""A check tells what a training on its data would take, where one is possible."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_cases import Listener
from tiny_runs import write_study

from alhvr.checking.context import RunContext
from alhvr.checking.result import CheckResult
from alhvr.checking.run import Folders, check
from alhvr.config import PlanConfig, RunConfig, TrainingConfig
from alhvr.training import trial
from alhvr.training.trial import forecast_of_check

QUICK = RunConfig(training=TrainingConfig(iterations=1000, precision="fp32", threads=1),
                  plan=PlanConfig(patch_size=(32, 32), batch_size=4))


def checked(folder: Path) -> CheckResult:
    study = write_study(folder)
    return check(Folders(study / "labeled", study / "archive"), RunContext())


def test_the_forecast_is_of_the_usual_training_on_the_checked_cases(tmp_path: Path) -> None:
    found = forecast_of_check(checked(tmp_path), tmp_path / "run", RunContext(), config=QUICK)
    assert "1000 steps" in found.forecast.sentences[0]
    assert not (tmp_path / "run").exists()


def test_what_will_lack_is_among_the_findings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "_free_disk", lambda out: 1_000_000)
    found = forecast_of_check(checked(tmp_path), tmp_path / "run", RunContext(), config=QUICK)
    assert found.findings[0].kind == "too_little_disk"
    assert "0.00 GB are free" in found.findings[0].seen


def test_faulty_data_have_no_forecast(tmp_path: Path) -> None:
    found = checked(tmp_path)
    (tmp_path / "labeled" / "labels" / "case0.nii.gz").write_text("damaged")
    faulty = check(Folders(tmp_path / "labeled"), RunContext())
    assert forecast_of_check(faulty, tmp_path, RunContext(), config=QUICK) is faulty
    without_labels = check(Folders(unlabeled=tmp_path / "archive"), RunContext())
    assert forecast_of_check(without_labels, tmp_path, RunContext()) is without_labels
    assert found.forecast is None


def test_a_step_that_the_memory_does_not_hold_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(trial, "with_forecast", full)
    found, listener = checked(tmp_path), Listener()
    assert forecast_of_check(found, tmp_path, RunContext(listener), config=QUICK) is found
    assert "The memory is used up" in listener.warnings[0]
