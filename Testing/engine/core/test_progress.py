"""Progress events: strict JSON lines for programs, bars or a few plain lines for people."""

from __future__ import annotations

import io
import json
import os
import sys

import pytest

from alhvr.core import progress
from alhvr.core.progress import BarReporter, Countdown, JsonReporter, in_words


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time in seconds that progress sees; a test moves it."""
    now = [1000.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def written(events) -> list[dict]:
    stream = io.StringIO()
    events(JsonReporter(stream))
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_every_event_is_one_json_object_with_its_name() -> None:
    def events(reporter: JsonReporter) -> None:
        reporter.started("train")
        reporter.progress("training", 1, 10, 3.5)
        reporter.metrics(1, losses={"total": 0.5})
        reporter.artifact("model", "run/model")
        reporter.note("n")
        reporter.warning("w")
        reporter.error("e", "h")
        reporter.finished(model="run/model")

    seen = written(events)
    assert [event["event"] for event in seen] == ["started", "progress", "metrics", "artifact", "note", "warning",
                                                  "error", "finished"]
    assert seen[0] == {"event": "started", "pid": os.getpid(), "command": "train"}
    assert seen[1] == {"event": "progress", "stage": "training", "done": 1, "total": 10, "seconds_left": 3.5}


def test_json_lines_are_ascii() -> None:
    stream = io.StringIO()
    JsonReporter(stream).artifact("result", "Müller/肝臓.seg.nrrd")
    assert stream.getvalue().isascii()
    assert json.loads(stream.getvalue())["path"] == "Müller/肝臓.seg.nrrd"


def test_numbers_that_json_does_not_know_become_null() -> None:
    nan, inf = float("nan"), float("inf")
    (event,) = written(lambda reporter: reporter.metrics(3, losses={"total": nan, "parts": [1.0, -inf]}, gamma=inf))
    assert event["losses"] == {"total": None, "parts": [1.0, None]} and event["gamma"] is None


def test_a_file_gets_no_carriage_returns_and_few_lines(clock: list[float]) -> None:
    stream = io.StringIO()
    reporter = BarReporter(stream)
    for done in range(1, 2001):
        clock[0] += 1.0
        reporter.progress("training", done, 2000, 2000.0 - done)
    lines = stream.getvalue().splitlines()
    assert "\r" not in stream.getvalue() and "\x1b" not in stream.getvalue()
    assert 10 <= len(lines) <= 21
    assert lines[0].startswith("training: 10 of 2000, 33 min left") and lines[-1] == "training: 2000 of 2000"


def test_a_file_gets_nothing_about_a_stage_that_takes_no_time(clock: list[float]) -> None:
    stream = io.StringIO()
    reporter = BarReporter(stream)
    for done in range(1, 101):
        reporter.progress("reading", done, 100)
    assert stream.getvalue() == ""


def test_a_terminal_gets_a_bar_and_scores_above_it() -> None:
    stream = Terminal()
    reporter = BarReporter(stream)
    reporter.progress("training", 5, 10)
    reporter.metrics(5, losses={"total": 1.25})
    reporter.metrics(5, dice={"liver": 0.5, "spleen": 0.25})
    reporter.progress("training", 10, 10)
    reporter.finished()
    text = stream.getvalue()
    assert "10/10" in text and "loss 1.250" in text
    assert "iteration 5: validation Dice liver 0.500, spleen 0.250\n" in text


def test_a_stage_within_a_stage_leaves_only_the_outer_bar() -> None:
    stream = Terminal()
    reporter = BarReporter(stream)
    reporter.progress("scans", 0, 2)
    for done in (1, 2):
        reporter.progress("windows", 1, 1)
        reporter.progress("scans", done, 2)
    lines = stream.getvalue().splitlines()
    assert "scans: 100%" in lines[-1] and "windows: 100%" not in stream.getvalue()


def test_a_terminal_gets_lines_where_tqdm_is_not_installed(clock: list[float], monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "tqdm", None)
    stream = Terminal()
    reporter = BarReporter(stream)
    for done in range(1, 101):
        clock[0] += 1.0
        reporter.progress("training", done, 100)
    reporter.warning("one scan was left out")
    reporter.finished()
    lines = stream.getvalue().splitlines()
    assert lines[0] == "training: 10 of 100" and lines[-1] == "warning: one scan was left out" and len(lines) < 20


def test_an_error_is_one_line_after_an_open_bar() -> None:
    stream = Terminal()
    reporter = BarReporter(stream)
    reporter.progress("training", 5, 10)
    reporter.error("The disk\nis full.", "Free some space.")
    assert stream.getvalue().splitlines()[-1] == "alhvr: The disk is full. Free some space."


def test_the_time_left_follows_the_pace(clock: list[float]) -> None:
    countdown = Countdown(100, done=40)
    assert countdown.seconds_left(40) is None
    clock[0] += 30.0
    assert countdown.seconds_left(60) == 60.0


@pytest.mark.parametrize(("seconds", "words"), [(40.4, "40 s"), (89, "89 s"), (720, "12 min"), (12600, "3.5 h")])
def test_times_are_told_in_words(seconds: float, words: str) -> None:
    assert in_words(seconds) == words
