"""The run folder: one run at a time, files whole or absent, metrics that match the checkpoint."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from alhvr.errors import UserError
from alhvr.progress import SilentReporter
from alhvr.training.run_folder import RecordingReporter, RunFolder


def test_a_second_run_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    second = ("import sys; from pathlib import Path; from alhvr.training.run_folder import RunFolder\n"
              "with RunFolder(Path(sys.argv[1])).locked(): pass")
    with RunFolder(tmp_path).locked():
        seen = subprocess.run([sys.executable, "-c", second, tmp_path], capture_output=True, text=True, check=False)
    assert "Another training is running" in seen.stderr


def test_the_lock_goes_with_the_process(tmp_path: Path) -> None:
    killed = ("import os, sys; from pathlib import Path; from alhvr.training.run_folder import RunFolder\n"
              "RunFolder(Path(sys.argv[1])).locked().__enter__(); os.kill(os.getpid(), 9)")
    subprocess.run([sys.executable, "-c", killed, tmp_path], check=False)
    with RunFolder(tmp_path).locked():
        pass


def test_a_folder_under_a_file_cannot_be_a_run(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        RunFolder(tmp_path / "file" / "run").create()


def test_json_comes_back(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.write_json("run.json", {"a": [1, 2]})
    assert run.read_json("run.json") == {"a": [1, 2]}


def test_a_damaged_run_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(UserError, match="no run that can be resumed"):
        RunFolder(tmp_path).read_json("run.json")


def test_metrics_later_than_the_checkpoint_are_forgotten(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    reporter = RecordingReporter(SilentReporter(), run)
    for iteration in (10, 20, 30):
        reporter.metrics(iteration, losses={"total": 1.0})
    with open(run.metrics, "a", encoding="utf-8") as file:
        file.write('{"iteration": 4')
    run.forget_metrics_after(20)
    assert [json.loads(line)["iteration"] for line in run.metrics.read_text().splitlines()] == [10, 20]
