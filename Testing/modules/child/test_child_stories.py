"""How children end, told by engines of the test's own in the real child process."""

from __future__ import annotations

import os
import pathlib
import signal
import sys
import time
from collections.abc import Callable

import pytest
from child_watch import Told, is_running, launcher_of, let_qt_work, let_qt_work_for, write_launcher

SLEEP = "say('started', pid=os.getpid())\ntime.sleep(60)"
HOLDS_THE_INTERPRETER = "say('started')\nimport ctypes\nctypes.PyDLL(None).sleep(60)"
IGNORES = """
    import signal
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    say('started')
    while True:
        time.sleep(1)
"""


def test_events_come_in_order_and_the_ending_last(engine: Callable[..., Told]) -> None:
    told = engine("for n in range(2000):\n"
                  "    say('progress', stage='s', done=n + 1, total=2000, seconds_left=1.5)").start()
    assert told.end().kind == "finished"
    assert [event.fields["done"] for event in told.events] == list(range(1, 2001))
    assert (told.child.progress.done, told.child.progress.seconds_left) == (2000, 1.5)


def test_all_is_told_though_the_event_loop_never_lets_go_of_python(engine: Callable[..., Told]) -> None:
    told = engine("for n in range(500):\n    say('note', n=n)")
    usual, until = sys.getswitchinterval(), time.monotonic() + 20
    sys.setswitchinterval(1000)
    try:
        told.start()
        while told.child.isRunning and time.monotonic() < until:
            told.child._thread.tick()
    finally:
        sys.setswitchinterval(usual)
    assert told.endings[0].kind == "finished"
    assert len(told.events) == 500


def test_the_process_id_is_that_of_the_python_and_not_of_its_launcher(engine: Callable[..., Told]) -> None:
    told = engine(SLEEP).start().wait_until(lambda: True)
    told.wait_until(lambda: told.events)
    assert told.child.pid == told.events[0].fields["pid"]
    assert launcher_of(told.child.pid) != os.getpid()
    told.child.discard()


def test_an_error_event_is_what_the_ending_says(engine: Callable[..., Told]) -> None:
    ending = engine("say('error', message='No scan.', hint='Choose one.')\nreturn 2").start().end()
    assert (ending.kind, ending.message, ending.hint, ending.exit_code) == ("failed", "No scan.", "Choose one.", 2)


def test_a_complaint_on_stderr_is_what_the_ending_says(engine: Callable[..., Told]) -> None:
    ending = engine("print('alhvr: no model there.', file=sys.stderr)\nreturn 2").start().end()
    assert (ending.kind, ending.text) == ("failed", "no model there.")


def test_a_mistake_of_the_program_is_one_sentence_and_a_log(engine: Callable[..., Told]) -> None:
    told = engine("return [][1]").start()
    ending = told.end()
    assert ending.kind == "failed"
    assert ending.message == "Internal error (IndexError: list index out of range)."
    assert any("Traceback" in line for line in told.log)


def test_a_missing_package_is_named(engine: Callable[..., Told]) -> None:
    told = engine("import onnxruntime_of_nobody").start()
    assert told.end().message == "The Python package onnxruntime_of_nobody is missing."
    assert told.events[-1].text("package") == "onnxruntime_of_nobody"


def test_a_broken_engine_is_named(engine: Callable[..., Told]) -> None:
    ending = engine("from alhvr.nowhere import x").start().end()
    assert ending.text.startswith("The Python package alhvr cannot be loaded")
    assert ending.text.endswith("Install the extension ALHVR again.")


def test_a_child_killed_from_outside_has_died(engine: Callable[..., Told]) -> None:
    told = engine(SLEEP).start()
    told.wait_until(lambda: told.events)
    os.kill(told.child.pid, signal.SIGKILL)
    ending = told.end()
    assert ending.kind == "died"
    assert ending.message == "The background process exited unexpectedly."


def test_a_child_that_crashes_has_died(engine: Callable[..., Told]) -> None:
    told = engine("say('started')\nimport ctypes\nctypes.string_at(0)").start()
    assert told.end().kind == "died"
    assert any("Segmentation fault" in line for line in told.log)


def test_a_child_outlives_its_launcher(engine: Callable[..., Told]) -> None:
    told = engine("say('started')\ntime.sleep(2.5)\nsay('note', message='still here')").start()
    told.wait_until(lambda: told.events)
    os.kill(launcher_of(told.child.pid), signal.SIGKILL)
    assert told.end().kind == "finished"
    assert told.kinds == ["started", "note"]


def test_a_worker_that_keeps_the_output_open_does_not_keep_the_panel_waiting(engine: Callable[..., Told]) -> None:
    told = engine("import subprocess\nsubprocess.Popen(['sleep', '60'])").start()
    started = time.monotonic()
    assert told.end().kind == "finished"
    assert time.monotonic() - started < 5


def test_a_child_that_does_not_get_its_end_done_is_ended(engine: Callable[..., Told]) -> None:
    told = engine("import threading\nthreading.Thread(target=time.sleep, args=(60,)).start()").start()
    assert told.end().kind == "finished"
    assert not is_running(told.child.pid)


def test_a_child_of_a_slicer_in_the_background_still_hears(engine: Callable[..., Told], tmp_path: pathlib.Path,
                                                           monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_launcher(tmp_path / "bin", f"trap '' INT\n\"{sys.executable}\" \"$@\"")
    monkeypatch.setenv("PATH", path)
    told = engine("say('started')\ntry:\n    time.sleep(60)\nexcept KeyboardInterrupt:\n    return 130").start()
    told.wait_until(lambda: told.events)
    told.child.cancel()
    assert told.end().exit_code == 130


@pytest.mark.parametrize("body", [SLEEP, IGNORES, HOLDS_THE_INTERPRETER])
def test_a_cancelled_child_is_gone_within_two_seconds(engine: Callable[..., Told], body: str) -> None:
    told = engine(body).start()
    told.wait_until(lambda: told.events)
    asked = time.monotonic()
    told.child.cancel()
    told.child.cancel()
    told.wait_until(lambda: told.endings)
    assert time.monotonic() - asked < 2
    assert not is_running(told.child.pid)
    assert told.end().kind == "cancelled"


def test_a_child_that_stops_when_asked_is_not_killed(engine: Callable[..., Told]) -> None:
    told = engine("say('started')\ntry:\n    time.sleep(60)\nexcept KeyboardInterrupt:\n"
                  "    say('note', message='tidied up')\n    return 130").start()
    told.wait_until(lambda: told.events)
    told.child.cancel()
    assert told.end().exit_code == 130
    assert told.kinds == ["started", "note"]


def test_workers_end_with_a_cancelled_child(engine: Callable[..., Told]) -> None:
    told = engine("import subprocess\nsay('worker', pid=subprocess.Popen(['sleep', '60']).pid)\ntime.sleep(60)").start()
    told.wait_until(lambda: told.events)
    told.child.cancel()
    told.end()
    assert not is_running(told.events[0].fields["pid"])


def test_a_child_cancelled_before_it_began_never_runs_the_command(engine: Callable[..., Told],
                                                                  tmp_path: pathlib.Path) -> None:
    told = engine(f"open({str(tmp_path / 'ran')!r}, 'w')\ntime.sleep(60)").start()
    told.child.cancel()
    assert told.end().kind == "cancelled"
    assert told.events == []


def test_a_launcher_that_hangs_is_ended(engine: Callable[..., Told], tmp_path: pathlib.Path,
                                        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", write_launcher(tmp_path / "bin", "exec sleep 60"))
    told = engine(SLEEP).start()
    told.child.cancel()
    started = time.monotonic()
    assert told.end().kind == "cancelled"
    assert time.monotonic() - started < 2.5


def test_a_python_that_begins_after_the_job_was_given_up_ends_by_itself(
    engine: Callable[..., Told], tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = os.environ["PATH"].split(os.pathsep)[0]
    monkeypatch.setenv("PATH", write_launcher(tmp_path / "bin", f'sleep 0.5; exec "{path}/PythonSlicer" "$@"'))
    told = engine(f"time.sleep(3)\nopen({str(tmp_path / 'ran')!r}, 'w')").start()
    (tmp_path / "work").rmdir()
    assert told.end().kind == "died"
    assert not (tmp_path / "ran").exists()


def test_nothing_is_told_after_discard(engine: Callable[..., Told]) -> None:
    told = engine("while True:\n    say('note', message='x')\n    time.sleep(0.01)").start()
    told.wait_until(lambda: told.events)
    told.child.discard()
    said = len(told.said)
    assert not is_running(told.child.pid)
    let_qt_work_for(0.3)
    assert (len(told.said), told.endings) == (said, [])


def test_a_child_that_was_just_started_is_discarded(engine: Callable[..., Told]) -> None:
    told = engine(SLEEP).start()
    told.child.discard()
    told.child.discard()
    assert not told.child.isRunning


def test_slicer_takes_its_children_along_when_it_quits(engine: Callable[..., Told]) -> None:
    import slicer

    told = engine(SLEEP).start()
    told.wait_until(lambda: told.events)
    slicer.app.aboutToQuit.emit()
    assert not is_running(told.child.pid)
    assert told.endings == []


def test_a_missing_launcher_is_told_later_and_once(engine: Callable[..., Told],
                                                   monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    told = engine(SLEEP).start()
    assert told.endings == []
    ending = told.end()
    assert (ending.kind, ending.message) == ("not started", "PythonSlicer, which comes with Slicer, was not found.")


def test_a_launcher_that_may_not_be_run_is_one_sentence(engine: Callable[..., Told], tmp_path: pathlib.Path,
                                                        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", write_launcher(tmp_path / "bin", ""))
    (tmp_path / "bin" / "PythonSlicer").write_bytes(b"\x7fELF no program")
    ending = engine(SLEEP).start().end()
    assert (ending.kind, ending.message) == ("not started", "PythonSlicer could not be started: Exec format error.")


def test_half_lines_and_foreign_letters_harm_no_event(engine: Callable[..., Told]) -> None:
    told = engine(r"""
        os.write(2, b'half a line ')
        say('note', message='gr\u00fcn', path=arguments[0])
        os.write(1, b'no \xff\xfe UTF-8\n' + b'\r10 %\r20 %\n')
        print('\u5fc3', end='')
    """, "/tmp/Ä 心.nii").start()
    assert told.end().kind == "finished"
    assert told.events[0].fields == {"message": "grün", "path": "/tmp/Ä 心.nii"}
    assert told.log[:2] == ["half a line", "no \\xff\\xfe UTF-8"]
    assert told.log[-1] == "心"


def test_a_callback_may_let_qt_work_and_cancel(engine: Callable[..., Told]) -> None:
    import slicer

    told = engine("for n in range(50):\n    say('note', n=n)\n    time.sleep(0.02)")
    seen = []

    def hear(event: object) -> None:
        seen.append(event.fields["n"])
        end = time.monotonic() + 0.12
        let_qt_work(lambda: time.monotonic() > end)
        slicer.app.processEvents()
        told.child.cancel()

    told.child._onEvent = hear
    assert told.start().end().kind == "cancelled"
    assert seen == sorted(seen)


def test_the_users_other_pythons_stay_out(engine: Callable[..., Told], tmp_path: pathlib.Path,
                                          monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "numpy.py").write_text("raise RuntimeError('the wrong numpy')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "other"))
    assert engine("import numpy").start().end().kind == "finished"


def test_our_packages_come_last(engine: Callable[..., Told], own_settings: pathlib.Path) -> None:
    from ALHVRLib import paths

    packages = paths.packages_folder()
    packages.mkdir(parents=True)
    (packages / "numpy.py").write_text("raise RuntimeError('not Slicer\\'s numpy')")
    (packages / "ours_alone.py").write_text("")
    assert engine("import numpy, ours_alone").start().end().kind == "finished"
