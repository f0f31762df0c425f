"""Children that say nonsense, too much or nothing, name other processes as theirs, or leave workers behind."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest
from child_watch import Told, is_running, let_qt_work_for, write_launcher


@pytest.fixture
def stranger() -> Iterator[int]:
    """The process ID of another program of the user's."""
    with subprocess.Popen(["sleep", "100"], start_new_session=True) as process:
        yield process.pid
        process.kill()


@pytest.fixture
def signals(monkeypatch: pytest.MonkeyPatch) -> list:
    """Which signals are sent to whom; the real ones are sent to processes that the test lists only."""
    sent, kill = [], os.kill

    def record(pid: int, number: int) -> None:
        sent.append(pid)
        if type(pid) is int and pid > 1 and pid != os.getpid():
            kill(pid, number)

    monkeypatch.setattr(os, "kill", record)
    monkeypatch.setattr(os, "killpg", lambda pid, _number: sent.append(("group", pid)))
    return sent


@pytest.fixture
def script(child: Callable[..., Told], tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Told]:
    """script(code) is a child that runs Python code of the test's own in place of ALHVRChild.py."""
    def write(code: str) -> Told:
        path = tmp_path / "script.py"
        path.write_text(f"import json, os, sys, time\n{code}", encoding="utf-8")
        monkeypatch.setenv("PATH", write_launcher(tmp_path / "bin", f'exec "{sys.executable}" -u "{path}"'))
        return child()

    return write


LINES = r"""
lines = [
    '{"event": "progress", "stage": "a", "done": 1, "total": 2}', '{"event": "progress", "done": 1', '{"event": 5}',
    '["event"]', '{"event": "progress", "stage": "a", "done": NaN, "total": 2}',
    '{"event": "progress", "stage": "a", "done": 1e400, "total": 2, "seconds_left": 1e400}',
    '{"event": "progress", "stage": "a", "done": ' + '9' * 6000 + ', "total": 2}',
    '{"event": "note", "a": ' + '[' * 5000 + ']' * 5000 + '}', '{"event": "note", "message": "x"}{"event": "warning"}',
    '{"event": "ended", "code": [1]}', '{"event": "ended", "code": 1e400}', '{"event": "ended", "code": 0}',
]
print('\n'.join(lines))
"""


def test_malformed_lines_cost_themselves_and_no_other_event(script: Callable[..., Told]) -> None:
    told = script(LINES).start()
    assert told.end().kind == "finished"
    assert told.kinds == ["progress", "progress", "progress", "progress", "note", "warning"]
    assert told.child.progress.done == 1


def test_an_event_of_megabytes_is_heard_whole(script: Callable[..., Told]) -> None:
    told = script("print(json.dumps({'event': 'finished', 'scans': ['x' * 100] * 40000}))\n"
                  "print(json.dumps({'event': 'ended', 'code': 0}))").start()
    assert told.end().kind == "finished"
    assert len(told.events[0].fields["scans"]) == 40000


def test_a_line_that_is_too_long_is_told_and_the_next_is_heard(script: Callable[..., Told]) -> None:
    told = script("sys.stdout.write('x' * (20 << 20) + '\\n')\nprint('{\"event\": \"note\"}')\n"
                  "print('{\"event\": \"ended\", \"code\": 0}')").start()
    assert told.end().kind == "finished"
    assert told.log == ["(A line of more than 8 MB was left out.)"]
    assert told.kinds == ["note"]


def test_a_long_line_of_the_log_is_cut(script: Callable[..., Told]) -> None:
    told = script("print('x' * (2 << 20))\nprint('{\"event\": \"ended\", \"code\": 0}')").start()
    assert told.end().kind == "finished"
    assert [len(line) for line in told.log] == [4001]


def resident_mb() -> float:
    """Memory of this process now."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


@pytest.mark.parametrize("write", ["say('note', message='x' * 60)", "print('x' * 5000)"], ids=["events", "text"])
def test_a_flood_of_lines_fills_no_memory_holds_no_tick_and_ends_with_cancel(engine: Callable[..., Told],
                                                                             write: str) -> None:
    told = engine(f"while True:\n    {write}")
    heard, ticks, tick = [0], [], told.child._onTick

    def count(_said: object) -> None:
        heard[0] += 1

    def timed() -> None:
        started = time.monotonic()
        tick()
        ticks.append(time.monotonic() - started)

    told.child._onEvent = told.child._onLog = count
    told.child._onTick = timed
    told.start().wait_until(lambda: heard[0] > 0)
    before = resident_mb()
    let_qt_work_for(4)
    assert resident_mb() - before < 50
    asked = time.monotonic()
    told.child.cancel()
    told.wait_until(lambda: told.endings)
    assert time.monotonic() - asked < 2
    assert told.end().kind == "cancelled"
    assert not is_running(told.child.pid)
    assert max(ticks[:-1]) < 0.5 and heard[0] > 1000


def test_a_child_that_closes_its_output_and_works_on_has_finished_unheard(engine: Callable[..., Told],
                                                                          tmp_path: pathlib.Path) -> None:
    told = engine("say('note')\nos.close(1)\nos.close(2)\ntime.sleep(1)\n"
                  f"open({str(tmp_path / 'done')!r}, 'w')").start()
    ending = told.end()
    assert (ending.kind, ending.message) == ("finished", "The output of the command was lost.")
    assert (tmp_path / "done").exists()


def test_any_program_that_closes_its_output_and_ends_well_has_finished_unheard(script: Callable[..., Told]) -> None:
    told = script("print('{\"event\": \"note\"}')\nos.closerange(0, 20)\ntime.sleep(1)\nos._exit(0)").start()
    assert told.end().kind == "finished"


def test_a_child_that_fails_unheard_has_failed(engine: Callable[..., Told]) -> None:
    ending = engine("os.close(1)\nos.close(2)\nreturn 3").start().end()
    assert (ending.kind, ending.exit_code) == ("failed", 3)


def test_a_child_that_says_nothing_at_all_has_died(script: Callable[..., Told]) -> None:
    assert script("").start().end().kind == "died"


def test_a_command_that_ended_before_it_was_heard_leaves_no_complaint_in_the_log(script: Callable[..., Told]) -> None:
    told = script("import subprocess\nchild = subprocess.Popen(['true'])\nchild.wait()\n"
                  "print(json.dumps({'event': 'child', 'pid': child.pid, 'start': '7'}))\n"
                  "print(json.dumps({'event': 'ended', 'code': 0}))").start()
    assert told.end().kind == "finished" and told.log == []


@pytest.mark.parametrize("pid", ["-1", "0", "1", "true", "1.5", '"7"', "null", "[1]", "1e400", "STRANGER", "SLICER",
                                 "99999999", "9" * 30])
def test_no_signal_is_sent_to_a_process_that_is_not_the_childs(script: Callable[..., Told], signals: list,
                                                               stranger: int, pid: str) -> None:
    said = pid.replace("STRANGER", str(stranger)).replace("SLICER", str(os.getpid()))
    told = script(f"print('{{\"event\": \"child\", \"pid\": {said}}}')\nprint('{{\"event\": \"note\"}}')\n"
                  "time.sleep(60)").start()
    told.wait_until(lambda: told.events)
    launcher = told.child._launcher.pid
    assert told.child.pid is None
    told.child.cancel()
    assert told.end().kind == "cancelled"
    assert set(signals) == {launcher}
    assert is_running(stranger)
    assert not is_running(launcher)
    assert "is not that of the command" in told.log[0]


def test_a_process_id_that_is_used_anew_gets_no_signal(slicer_app: object, stranger: int) -> None:
    from ALHVRLib.child_process import Output

    with subprocess.Popen(["true"], stdout=subprocess.PIPE, text=True) as process:
        output = Output(process, "/nowhere")
        output._pid = (stranger, "1")  # began at another time
        assert not output.is_child_alive()


WORKER = """
import subprocess
program = [sys.executable, '-c', {program!r}]
found = subprocess.run(program, start_new_session=True, stdout=subprocess.PIPE, text=True, env={env}).stdout
say('worker', pid=int(found))
{after}
"""
DETACHED = """
import subprocess
worker = subprocess.Popen(['sleep', '100'], start_new_session=True, stdout=subprocess.DEVNULL)
print(worker.pid)
"""


@pytest.mark.parametrize("env", ["None", "{}"], ids=["same environment", "clean environment"])
@pytest.mark.parametrize("how", ["cancel", "discard"])
def test_a_worker_in_a_session_of_its_own_ends_with_its_child(engine: Callable[..., Told], how: str, env: str) -> None:
    told = engine(WORKER.format(program=DETACHED, env=env, after="time.sleep(60)")).start()
    told.wait_until(lambda: told.events)
    worker = told.events[0].fields["pid"]
    assert is_running(worker)
    getattr(told.child, how)()
    if how == "cancel":
        told.end()
    assert not is_running(worker)


@pytest.mark.parametrize("after", ["", "os.kill(os.getpid(), 9)", "return 3"], ids=["finished", "killed", "failed"])
def test_a_worker_in_a_session_of_its_own_ends_when_its_child_has_ended(engine: Callable[..., Told],
                                                                        after: str) -> None:
    told = engine(WORKER.format(program=DETACHED, env="None", after=after)).start()
    told.end()
    assert not is_running(told.events[0].fields["pid"])


def test_workers_in_sessions_of_their_own_end_when_slicer_is_gone(tmp_path: pathlib.Path) -> None:
    from child_watch import start_an_owner, write_engine

    worker = tmp_path / "worker"
    body = WORKER.format(program=DETACHED, env="None", after="time.sleep(60)").replace(
        "say('worker', pid=int(found))", f"open({str(worker)!r}, 'w').write(found)\nsay('started')")
    owner, pid = start_an_owner(tmp_path, write_engine(tmp_path, body))
    owner.kill()
    owner.wait()
    until = time.monotonic() + 10
    while is_running(pid) and time.monotonic() < until:
        time.sleep(0.05)
    assert not is_running(pid)
    assert not is_running(int(worker.read_text()))
