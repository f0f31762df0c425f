"""What a run tells while it works: heartbeats that may be anything, a run that is judged by them, lines that grow."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from alhvr.core.process import start_of
from alhvr.formats import run_state
from alhvr.formats.run_state import (
    HEARTBEAT,
    Heartbeat,
    LineReader,
    RunWatch,
    ask,
    forget_requests,
    is_asked,
    own_heartbeat,
    read_heartbeat,
    write_heartbeat,
)


def nobody_runs(pid: int, start: str) -> bool:
    return False


def everybody_runs(pid: int, start: str) -> bool:
    return True


def state_of(folder: Path, is_running=nobody_runs) -> str:
    return RunWatch(folder, is_running).look().state


def test_a_heartbeat_comes_back_as_it_was_written(tmp_path: Path) -> None:
    sent = replace(own_heartbeat(), beat=7, state="paused", arm="archive", message="Pausiert ä", hint="Go on.",
                   elapsed_s=61.5)
    write_heartbeat(tmp_path, sent)
    assert read_heartbeat(tmp_path) == sent and [path.name for path in tmp_path.iterdir()] == [HEARTBEAT]


GOOD = asdict(Heartbeat(4242, "183223", "workstation"))


@pytest.mark.parametrize("content", [
    b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 100_000, b'{"pid": 1}', b" " * 100_000,
    *(json.dumps({**GOOD, **wrong}).encode() for wrong in (
        {"pid": "4242"}, {"pid": True}, {"pid": 0}, {"pid": 2**40}, {"beat": -1}, {"beat": 1.5}, {"state": "lost"},
        {"state": 3}, {"arm": "../x"}, {"elapsed_s": None}, {"elapsed_s": -1}, {"host": "x" * 9000}, {"hint": []})),
    json.dumps({**GOOD, "elapsed_s": 1.0}).replace("1.0", "1e999").encode(),
    json.dumps({**GOOD, "elapsed_s": 1.0}).replace("1.0", "NaN").encode()])
def test_what_is_no_heartbeat_is_none_and_nothing_worse(tmp_path: Path, content: bytes) -> None:
    (tmp_path / HEARTBEAT).write_bytes(content)
    assert read_heartbeat(tmp_path) is None and state_of(tmp_path, everybody_runs) == "none"


def test_a_pipe_in_place_of_a_heartbeat_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / HEARTBEAT)
    assert read_heartbeat(tmp_path) is None


def test_a_heartbeat_is_written_over_the_last_one_where_the_disk_is_full(tmp_path: Path, monkeypatch) -> None:
    write_heartbeat(tmp_path, replace(own_heartbeat(), message="a longer text than the next one has"))

    def refuse(path: Path, **_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(run_state, "written_atomically", refuse)
    last = replace(own_heartbeat(), state="failed", message="The disk is full.")
    write_heartbeat(tmp_path, last)
    assert read_heartbeat(tmp_path) == last


def test_nothing_is_written_through_a_link_at_the_heartbeat(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("precious")
    (tmp_path / HEARTBEAT).symlink_to(tmp_path / "precious")
    write_heartbeat(tmp_path, own_heartbeat())
    assert (tmp_path / "precious").read_text() == "precious" and read_heartbeat(tmp_path) is not None


@pytest.mark.parametrize("told", ["paused", "finished", "failed"])
def test_a_run_that_ended_is_what_it_says(tmp_path: Path, told) -> None:
    write_heartbeat(tmp_path, replace(own_heartbeat(), state=told))
    assert state_of(tmp_path) == told


def test_a_run_whose_process_is_there_runs_and_one_whose_is_not_is_lost(tmp_path: Path) -> None:
    write_heartbeat(tmp_path, own_heartbeat())
    assert state_of(tmp_path, everybody_runs) == "running" and state_of(tmp_path) == "lost"


def test_a_process_is_known_by_its_number_and_by_when_it_began(tmp_path: Path) -> None:
    asked = []
    write_heartbeat(tmp_path, replace(own_heartbeat(), pid=77, start="123"))
    state_of(tmp_path, lambda pid, start: asked.append((pid, start)) or True)
    assert asked == [(77, "123")]
    fields = Path(f"/proc/{os.getpid()}/stat").read_text().rpartition(")")[2].split()
    assert own_heartbeat().start == fields[19]


def test_a_process_that_was_killed_leaves_a_run_that_is_lost(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        write_heartbeat(tmp_path, replace(own_heartbeat(), pid=child.pid, start=start_of(child.pid)))
        assert RunWatch(tmp_path).look().state == "running"
    finally:
        child.kill()
        child.wait()
    assert RunWatch(tmp_path).look().state == "lost"


def test_a_run_on_another_computer_is_watched_by_its_beat_and_never_by_the_clock(tmp_path, monkeypatch) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    there = replace(own_heartbeat(), host=f"not-{socket.gethostname()}", start="")
    watch = RunWatch(tmp_path, everybody_runs)
    seen = []
    for beat, later_s in ((5, 0), (5, 59), (6, 1), (6, 59), (6, 2)):
        now += later_s
        write_heartbeat(tmp_path, replace(there, beat=beat))
        os.utime(tmp_path / HEARTBEAT, (0, 0))
        seen.append(watch.look().state)
    assert seen == ["elsewhere", "elsewhere", "elsewhere", "elsewhere", "lost"]


def test_a_computer_that_was_given_another_name_still_knows_its_own_process(tmp_path: Path) -> None:
    write_heartbeat(tmp_path, replace(own_heartbeat(), host="the-old-name", start="123"))
    assert state_of(tmp_path, everybody_runs) == "running"


def test_what_a_run_is_asked_is_seen_until_it_is_done(tmp_path: Path) -> None:
    write_heartbeat(tmp_path, own_heartbeat())
    watch = RunWatch(tmp_path, everybody_runs)
    assert watch.look().asked is None
    ask(tmp_path, "finish")
    assert watch.look().asked == "finish" and is_asked(tmp_path, "finish") and not is_asked(tmp_path, "pause")
    forget_requests(tmp_path)
    assert watch.look().asked is None


def test_a_folder_in_place_of_a_request_asks_nothing(tmp_path: Path) -> None:
    (tmp_path / "pause.request").mkdir()
    forget_requests(tmp_path)
    assert not is_asked(tmp_path, "pause")


@pytest.fixture
def lines(tmp_path: Path) -> Path:
    return tmp_path / "metrics.jsonl"


def test_lines_are_read_once_as_they_come_and_a_half_one_waits(lines: Path) -> None:
    reader = LineReader(lines)
    assert reader.read().values == ()
    with open(lines, "ab", buffering=0) as file:
        file.write(b'{"iteration": 10}\n{"iterat')
        assert reader.read().values == ({"iteration": 10},)
        assert reader.read().values == ()
        file.write(b'ion": 20}\n')
        assert reader.read().values == ({"iteration": 20},) and reader.read() == run_state.NewLines(())


def test_a_file_that_a_resumed_run_made_shorter_is_read_again_from_its_beginning(lines: Path) -> None:
    lines.write_bytes(b'{"iteration": 10}\n{"iteration": 20}\n')
    reader = LineReader(lines)
    reader.read()
    lines.write_bytes(b'{"iteration": 10}\n')
    again = reader.read()
    assert again.began_again and again.values == ({"iteration": 10},) and not reader.read().began_again


def test_a_file_that_was_made_anew_and_has_grown_since_is_read_again(lines: Path) -> None:
    lines.write_bytes(b'{"iteration": 10}\n{"iteration": 20, "old": 1}\n')
    reader = LineReader(lines)
    reader.read()
    lines.write_bytes(b'{"iteration": 10}\n{"iteration": 20, "new": 1}\n{"iteration": 30}\n')
    again = reader.read()
    assert again.began_again and len(again.values) == 3


def test_a_long_file_is_read_in_pieces_and_every_line_once(lines: Path) -> None:
    lines.write_bytes(b"".join(b'{"iteration": %d}\n' % number for number in range(1000)))
    reader, found, calls = LineReader(lines), [], 0
    while True:
        new = reader.read(at_most_bytes=1000)
        found += [value["iteration"] for value in new.values]
        calls += 1
        if not new.has_more:
            break
    assert found == list(range(1000)) and calls >= 19


def test_a_line_longer_than_a_piece_is_passed_over_and_the_next_is_read(lines: Path) -> None:
    lines.write_bytes(b'{"a": 1}\n{"b": "' + b"x" * 5000 + b'"}\n{"c": 3}\n')
    reader, found = LineReader(lines), []
    for _ in range(20):
        found += reader.read(at_most_bytes=1000).values
    assert found == [{"a": 1}, {"c": 3}]


def test_hostile_lines_cost_themselves_alone(lines: Path) -> None:
    hostile = [b"", b"[1]", b"3", b"[" * 50_000, b"\xff\xfe", b'{"a": ' + b"9" * 5000 + b"}", b"{", b"\0"]
    lines.write_bytes(b"\n".join([b'{"x": NaN, "y": 1}', *hostile, b'{"last": 1}', b""]))
    assert LineReader(lines).read().values == ({"x": None, "y": 1}, {"last": 1})


def test_a_folder_or_a_pipe_in_place_of_the_lines_has_none(lines: Path) -> None:
    os.mkfifo(lines)
    assert LineReader(lines).read().values == () and LineReader(lines.parent).read().values == ()
