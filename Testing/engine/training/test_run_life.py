"""RunLife: what a run says of itself while it works and at every kind of end, and that it hears what it is asked."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from alhvr.core.errors import Cancelled, UserError
from alhvr.formats.run_state import HEARTBEAT, Heartbeat, ask, is_asked, read_heartbeat
from alhvr.training import run_life
from alhvr.training.run_life import AwakeClock, RunLife


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_life, "BEAT_EVERY_S", 0.01)
    monkeypatch.setattr(run_life, "_LOOK_EVERY_S", 0.0)


def life_of(folder: Path) -> RunLife:
    return RunLife(folder, "alhvr train --resume --out run")


def end_of(folder: Path, error: BaseException | None) -> Heartbeat:
    """The last heartbeat of a run that ended with ``error``."""
    try:
        with life_of(folder) as life:
            life.arm, life.elapsed_s = "archive", lambda: 61.52
            if error:
                raise error
    except (Exception, KeyboardInterrupt) as raised:  # noqa: BLE001
        assert raised is error
    return read_heartbeat(folder)


def test_a_run_that_works_says_so_again_and_again(tmp_path: Path) -> None:
    with life_of(tmp_path):
        first = read_heartbeat(tmp_path)
        assert first.state == "running" and first.pid == os.getpid()
        end = time.monotonic() + 10
        while read_heartbeat(tmp_path).beat < first.beat + 2:
            assert time.monotonic() < end
            time.sleep(0.005)


@pytest.mark.parametrize(("error", "state", "message", "hint"), [
    (None, "finished", "", ""),
    (Cancelled("Stopped after iteration 3."), "paused", "Stopped after iteration 3.", ""),
    (KeyboardInterrupt(), "paused", "", ""),
    (UserError("The disk is full.", "Free 2 GB."), "failed", "The disk is full.", "Free 2 GB."),
    (MemoryError(), "failed", "The memory is used up.", "Close other programs, or take smaller scans or patches.")])
def test_the_last_heartbeat_tells_how_a_run_ended(tmp_path: Path, error, state: str, message: str, hint: str) -> None:
    last = end_of(tmp_path, error)
    assert (last.state, last.message, last.hint) == (state, message, hint)
    assert (last.arm, last.elapsed_s) == ("archive", 61.5)


def test_a_mistake_of_the_program_is_one_sentence_and_the_rest_is_in_the_log(tmp_path: Path) -> None:
    last = end_of(tmp_path, KeyError("x\nFORGED LINE"))
    assert last.state == "failed" and last.message == "The program failed (KeyError)." and "log.txt" in last.hint
    log = (tmp_path / "log.txt").read_text()
    assert "Traceback" in log and "\nFORGED" not in log


def test_an_end_that_is_long_to_tell_can_still_be_read(tmp_path: Path) -> None:
    assert end_of(tmp_path, UserError("\U0001f600" * 100_000, "x" * 100_000)).state == "failed"


def test_the_beat_goes_on_where_the_run_before_it_stopped(tmp_path: Path) -> None:
    before = end_of(tmp_path, None).beat
    with life_of(tmp_path):
        assert read_heartbeat(tmp_path).beat > before


def test_a_run_hears_what_a_file_asks_and_takes_the_file_away_at_its_end(tmp_path: Path) -> None:
    with life_of(tmp_path) as life:
        assert not life.should_leave()
        ask(tmp_path, "finish")
        assert life.should_finish() and life.should_leave() and not life.should_pause()
        ask(tmp_path, "pause")
        assert life.should_pause() and is_asked(tmp_path, "finish")
    assert [path.name for path in tmp_path.iterdir()] == [HEARTBEAT]


def test_what_was_asked_of_the_run_before_is_forgotten(tmp_path: Path) -> None:
    ask(tmp_path, "pause")
    with life_of(tmp_path) as life:
        assert not life.should_leave() and not is_asked(tmp_path, "pause")


def test_a_signal_asks_to_pause(tmp_path: Path) -> None:
    with life_of(tmp_path) as life:
        os.kill(os.getpid(), signal.SIGTERM)
        assert life.should_pause() and not life.should_finish()


def test_a_disk_that_refuses_heartbeats_costs_nothing_else(tmp_path: Path, monkeypatch) -> None:
    def refuse(folder: Path, heartbeat: Heartbeat) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(run_life, "write_heartbeat", refuse)
    assert end_of(tmp_path, None) is None


def test_time_asleep_is_not_counted_and_time_awake_is_however_long_a_step_takes(monkeypatch) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    clock = AwakeClock()
    began = clock()
    for later_s in (*[2.0] * 100, 8 * 3600.0, 2.0):  # the heartbeat asks every two seconds
        now += later_s
        clock()
    assert clock() - began == 202.0
