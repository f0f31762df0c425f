"""The run folder: one run at a time, files whole or absent, metrics that match the checkpoint."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from alhvr.core.errors import UserError
from alhvr.core.progress import SilentReporter
from alhvr.training.run_folder import RecordingReporter, RunFolder, RunFolderGone


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


@pytest.mark.parametrize("line", [b'{"iteration": 15, "x": "\xff\xfe"}', b"[" * 100_000, b"[1]", b"3",
                                  b'{"iteration": "a"}'])
def test_metrics_that_cannot_be_read_are_dropped_and_the_others_stay(tmp_path: Path, line: bytes) -> None:
    run = RunFolder(tmp_path)
    run.metrics.write_bytes(b'{"iteration": 10}\n' + line + b'\n{"iteration": 20}\n')
    run.forget_metrics_after(20)
    assert run.metrics.read_bytes() == b'{"iteration": 10}\n{"iteration": 20}\n'


@pytest.mark.parametrize("name", [".lock", "log.txt", "metrics.jsonl"])
def test_a_link_or_a_pipe_in_the_place_of_a_file_of_the_run_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "precious").write_text("precious")
    for make in (lambda path: path.symlink_to(tmp_path / "precious"), os.mkfifo):
        run = RunFolder(tmp_path / "run")
        run.path.mkdir()
        make(run.path / name)
        with pytest.raises(UserError, match=rf"{name} is a link, or no file"):
            run.create()
        shutil.rmtree(run.path)
    assert (tmp_path / "precious").read_text() == "precious"


def test_a_lock_that_is_a_file_of_somebody_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".lock").write_text("precious")
    with pytest.raises(UserError, match="so it is not the lock of a run"):
        RunFolder(tmp_path).create()
    assert (tmp_path / ".lock").read_text() == "precious"


def test_links_at_names_that_could_be_guessed_are_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("precious")
    for name in (".run.json.part", ".run.json.partial", "run.json"):
        (tmp_path / name).symlink_to(tmp_path / "precious")
    RunFolder(tmp_path).write_json("run.json", {})
    assert (tmp_path / "precious").read_text() == "precious" and not (tmp_path / "run.json").is_symlink()


def test_what_a_killed_run_left_half_written_goes_with_the_next(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.last.parent.mkdir()
    left = [folder / f".{'0' * 16}.partial" for folder in (run.path, run.last.parent)]
    for path in (*left, run.last, run.path / ".mine.partial"):
        path.touch()
    with run.locked():
        assert [path.exists() for path in (*left, run.last, run.path / ".mine.partial")] == [False, False, True, True]


def test_events_of_a_run_whose_folder_was_removed_end_it(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    run.create()
    reporter = RecordingReporter(SilentReporter(), run)
    reporter.metrics(1)
    shutil.rmtree(run.path)
    with pytest.raises(RunFolderGone, match="run was removed during the training"):
        reporter.metrics(2)
    assert not run.path.exists()
