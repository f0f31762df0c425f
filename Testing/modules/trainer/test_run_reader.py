"""What a run folder tells: each state in a sentence, the same curves for who comes later, and strangers' files."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from run_worlds import dice_line, metrics_of, write_heartbeat, write_lines, write_run

GONE = {"pid": 2**22 - 3, "elapsed_s": 2460.0}
"""A process that is not there; /proc has no such ID."""


def read(run: pathlib.Path, reader: Any = None) -> Any:
    from ALHVRTrainerLib.run.reader import RunReader

    reader = reader or RunReader(run)
    while reader.read(1.0):
        pass
    return reader


def child(process: subprocess.Popen | None = None, pid: int = 0) -> dict[str, Any]:
    from alhvr.core.process import start_of

    pid = pid or process.pid
    return {"event": "child", "pid": pid, "start": start_of(pid)}


@pytest.mark.parametrize(("state", "heartbeat", "word", "sentence"), [
    ("running", {}, "training", "Training with the archive, 40 min left."),
    ("paused", {"elapsed_s": 1330.0}, "paused", "Paused at minute 22; nothing is lost."),
    ("finished", {}, "finished", "Finished."),
    ("failed", {"message": "The disk is full.", "hint": "Free 2 GB and press Resume.", "elapsed_s": 2460.0}, "failed",
     "Stopped: the disk is full. Everything up to minute 41 is saved. Free 2 GB and press Resume."),
    ("running", GONE, "lost", "The run ended without a word (computer off?). Resume from minute 41."),
    ("running", {"host": "another-computer", "pid": 2**22 - 3}, "training",
     "Training with the archive, on another computer, 40 min left."),
])
def test_each_state_has_its_one_sentence(tmp_path: pathlib.Path, slicer_app: object, state: str, heartbeat: dict,
                                         word: str, sentence: str) -> None:
    reader = read(write_run(tmp_path / "1", state, **heartbeat))
    assert (reader.state, reader.sentence) == (word, sentence)


@pytest.mark.parametrize(("request_name", "word", "sentence"), [
    ("pause", "pausing", "Pausing: finishing the step."), ("finish", "finishing", "Finishing: exporting and scoring.")])
def test_a_run_that_was_asked_says_so(tmp_path: pathlib.Path, request_name: str, word: str, sentence: str) -> None:
    run = write_run(tmp_path / "1")
    (run / f"{request_name}.request").touch()
    reader = read(run)
    assert (reader.state, reader.sentence) == (word, sentence)


def test_a_process_without_a_heartbeat_yet_is_starting(tmp_path: pathlib.Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    write_lines(tmp_path / "events.jsonl", [child(process)])
    assert read(tmp_path).state == "starting"
    process.communicate(b"\n")
    assert read(tmp_path).sentence == "Stopped: it ended without saying why. The log has the details."


def test_a_start_that_failed_says_what_is_missing(tmp_path: pathlib.Path) -> None:
    run = write_run(tmp_path / "1", "paused", elapsed_s=1330.0)
    write_lines(run / "events.jsonl", [
        child(pid=GONE["pid"]),
        {"event": "error", "message": "The Python package torch is missing.", "hint": "Section 3 offers it."},
        {"event": "ended", "code": 2}], "a")
    reader = read(run)
    assert reader.state == "failed"
    assert reader.sentence == ("Stopped: the Python package torch is missing. Everything up to minute 22 is saved. "
                               "Section 3 offers it.")


def test_a_run_that_went_on_in_a_terminal_is_not_called_failed(tmp_path: pathlib.Path) -> None:
    run = write_run(tmp_path / "1")
    write_lines(run / "events.jsonl", [child(pid=GONE["pid"]), {"event": "ended", "code": 1}])
    assert read(run).state == "training"


def test_out_of_memory_of_the_graphics_card_is_a_sentence(tmp_path: pathlib.Path) -> None:
    message, hint = "The memory of the graphics card is used up.", "Choose a smaller patch, then press Resume."
    reader = read(write_run(tmp_path / "1", "failed", message=message, hint=hint, elapsed_s=1265.0))
    assert reader.sentence == f"Stopped: {message[0].lower()}{message[1:]} Everything up to minute 21 is saved. {hint}"


def test_who_comes_later_sees_the_curves_of_who_was_there_all_the_time(tmp_path: pathlib.Path) -> None:
    run, lines = write_run(tmp_path / "1"), metrics_of(steps_each=300)
    path = write_lines(run / "archive" / "metrics.jsonl", [])
    early = None
    for begin in range(0, len(lines), 97):
        write_lines(path, lines[begin:begin + 97], "a")
        early = read(run, early)
    late = read(run)
    for name in ("losses", "regions", "dice"):
        ours, theirs = getattr(early.curves, name), getattr(late.curves, name)
        assert ours.keys() == theirs.keys()
        assert all(np.array_equal(ours[key].points(), theirs[key].points()) for key in ours)


def test_a_resumed_run_forgets_the_points_that_it_makes_again(tmp_path: pathlib.Path) -> None:
    run = write_run(tmp_path / "1")
    path = run / "archive" / "metrics.jsonl"
    reader = read(run)
    kept = path.read_bytes().splitlines(keepends=True)[:30]
    (run / "new").write_bytes(b"".join(kept))
    (run / "new").replace(path)
    write_lines(path, [dice_line(200, 480.0, 0.5)], "a")
    read(run, reader)
    assert reader.curves.mean.points().tolist() == [[4.0, 8.0], [0.21, 0.5]]


def test_a_beginning_line_is_taken_when_it_is_whole(tmp_path: pathlib.Path) -> None:
    run = write_run(tmp_path / "1")
    path = write_lines(run / "archive" / "metrics.jsonl", [])
    line = json.dumps(dice_line(1, 60.0, 0.5))
    path.write_text(line[:20])
    reader = read(run)
    assert not len(reader.curves.mean)
    path.write_text(line + "\n")
    assert len(read(run, reader).curves.mean) == 1


def test_the_bar_runs_over_both_trainings(tmp_path: pathlib.Path) -> None:
    reader = read(write_run(tmp_path / "1"))
    assert reader.fraction == pytest.approx((1 + 1200 / 3600) / 2)
    reader = read(write_run(tmp_path / "2", arms=("archive",)))
    assert reader.fraction == pytest.approx(1200 / 3600)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"event": 5}', '{"event": "progress", "done": "x"}',
                                  '{"event": "child", "pid": -1}', '{"event":' * 2000, "\0" * 100])
def test_files_of_a_stranger_end_nothing(tmp_path: pathlib.Path, text: str) -> None:
    for name in ("events.jsonl", "heartbeat.json", "compare.json", "archive/metrics.jsonl"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text + "\n")
    assert read(tmp_path).state in ("lost", "failed")


def test_a_clock_that_was_set_back_changes_nothing(tmp_path: pathlib.Path) -> None:
    import os

    run = write_run(tmp_path / "1", "paused", elapsed_s=1500.0)
    for path in run.rglob("*"):
        os.utime(path, (10**9, 10**9))
    assert read(run).sentence == "Paused at minute 25; nothing is lost."


def test_a_project_that_was_moved_keeps_its_curves(tmp_path: pathlib.Path) -> None:
    run = write_run(tmp_path / "here" / "runs" / "1", "paused")
    before = read(run).curves.mean.points()
    (tmp_path / "here").rename(tmp_path / "there")
    assert np.array_equal(read(tmp_path / "there" / "runs" / "1").curves.mean.points(), before)


def test_a_heartbeat_that_is_no_file_is_none(tmp_path: pathlib.Path) -> None:
    (tmp_path / "heartbeat.json").mkdir()
    assert read(tmp_path).state == "lost"
    (tmp_path / "heartbeat.json").rmdir()
    write_heartbeat(tmp_path, "paused", elapsed_s=60.0)
    assert read(tmp_path).state == "paused"
