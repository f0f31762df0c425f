"""ReadingProcess: what is read in another process is what would be read here, and a crash or a hang costs one scan."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
from dicom_files import write_series
from nifti_files import write_nifti
from support import ROOT

from alhvr.core.errors import UserError
from alhvr.data import reading_process
from alhvr.data.geometry import Geometry
from alhvr.data.reading import read_scan
from alhvr.data.reading_process import ReadingProcess, time_limit_s

ARRAY = np.random.default_rng(0).integers(-1000, 1000, (4, 5, 6)).astype(np.int16)
GRID = Geometry((6, 5, 4), (0.5, 0.75, 3.0), (-10.0, 20.0, 30.0), (0.8, -0.6, 0, 0.6, 0.8, 0, 0, 0, 1.0))
TROUBLE = """
import os, signal, sys
sys.path[:] = sys.argv[1:]
from alhvr.data import reading_process
read = reading_process.read_scan
def troubled(path):
    if path.name == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    while path.name == "hang":
        pass
    if path.name == "mistake":
        raise ValueError("could not convert string to float")
    if path.name == "loud":
        os.write(1, b"a library writes to stdout" * 99)
    return read(path)
reading_process.read_scan = troubled
reading_process.serve()
"""
"""A process whose libraries crash, hang or raise for series of these names."""


@pytest.fixture
def reading(monkeypatch: pytest.MonkeyPatch) -> Iterator[ReadingProcess]:
    monkeypatch.setattr(reading_process, "_PROGRAM", TROUBLE)
    process = ReadingProcess(limit_s=4.0)
    yield process
    process.close()
    assert not [child for child in psutil.Process().children() if "serve" in " ".join(child.cmdline())]


def series(folder: Path, name: str) -> Path:
    write_series(folder / name, ARRAY, GRID)
    return folder / name


def pid(reading: ReadingProcess) -> int:
    return reading._running.process.pid


def test_a_series_is_read_in_another_process_as_in_this_one(reading: ReadingProcess, tmp_path: Path) -> None:
    path = series(tmp_path, "Größe 一")
    ours, theirs = read_scan(path), reading.read_scan(path)
    np.testing.assert_array_equal(ours.array, theirs.array)
    assert ours.array.dtype == theirs.array.dtype and theirs.array.flags.writeable
    for name in ("name", "geometry", "modality", "source", "warnings"):
        assert getattr(ours, name) == getattr(theirs, name)
    assert pid(reading) != os.getpid()


def test_a_file_that_this_package_reads_itself_starts_no_process(reading: ReadingProcess, tmp_path: Path) -> None:
    reading.read_scan(write_nifti(tmp_path / "a.nii.gz", ARRAY))
    assert reading._running is None


def test_one_process_reads_one_scan_after_the_other(reading: ReadingProcess, tmp_path: Path) -> None:
    reading.read_scan(series(tmp_path, "a"))
    first = pid(reading)
    reading.read_scan(series(tmp_path, "b"))
    assert pid(reading) == first


def test_what_is_wrong_with_a_scan_is_said_as_here(reading: ReadingProcess, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for read in (read_scan, reading.read_scan):
        with pytest.raises(UserError) as caught:
            read(tmp_path / "empty")
        assert str(caught.value) == ("The folder empty is empty. Give a file or a folder with a DICOM series.")


@pytest.mark.parametrize(("name", "words"), [
    ("crash", "crash could not be read in a program of its own: that program ended (SIGSEGV)"),
    ("hang", "hang could not be read in a program of its own: it took longer than 4 s"),
    ("mistake", "mistake cannot be read (ValueError: could not convert string to float)")])
def test_trouble_with_one_scan_costs_that_scan_alone(
        reading: ReadingProcess, tmp_path: Path, name: str, words: str) -> None:
    paths = [series(tmp_path, each) for each in ("before", name, "after")]
    np.testing.assert_array_equal(reading.read_scan(paths[0]).array, ARRAY)
    with pytest.raises(UserError) as caught:
        reading.read_scan(paths[1])
    assert words in str(caught.value) and "\n" not in str(caught.value)
    np.testing.assert_array_equal(reading.read_scan(paths[2]).array, ARRAY)


def test_what_libraries_write_to_stdout_does_not_mix_with_the_voxels(reading: ReadingProcess, tmp_path: Path) -> None:
    np.testing.assert_array_equal(reading.read_scan(series(tmp_path, "loud")).array, ARRAY)


def test_closing_ends_a_read_that_is_under_way(reading: ReadingProcess, tmp_path: Path) -> None:
    reading._limit_s = 60.0
    path, began = series(tmp_path, "hang"), time.monotonic()
    threading.Timer(2.0, reading.close).start()
    with pytest.raises(UserError):
        reading.read_scan(path)
    assert time.monotonic() - began < 10
    with pytest.raises(UserError, match="stopped"):
        reading.read_scan(path)


def test_several_threads_share_the_process(reading: ReadingProcess, tmp_path: Path) -> None:
    paths, found = [series(tmp_path, f"s{n}") for n in range(6)], {}
    threads = [threading.Thread(target=lambda p=path: found.update({p: reading.read_scan(p)})) for path in paths]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(found[path].array, ARRAY) and found[path].name == path.name for path in paths)


def test_without_a_process_scans_are_read_in_this_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading_process, "_PROGRAM", "import no_such_library")
    process = ReadingProcess()
    np.testing.assert_array_equal(process.read_scan(series(tmp_path, "a")).array, ARRAY)
    assert process._running is None


def test_the_signals_that_stop_a_run_do_not_end_the_process(reading: ReadingProcess, tmp_path: Path) -> None:
    reading.read_scan(series(tmp_path, "a"))
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(pid(reading), number)
    first = pid(reading)
    reading.read_scan(series(tmp_path, "b"))
    assert pid(reading) == first


def test_a_process_that_waited_long_is_replaced(
        reading: ReadingProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reading.read_scan(series(tmp_path, "a"))
    first = pid(reading)
    monkeypatch.setattr(reading_process, "_IDLE_S", 0.0)
    reading.read_scan(series(tmp_path, "b"))
    assert pid(reading) != first and not psutil.pid_exists(first)


@pytest.mark.parametrize("end", ["kill", "exit"])
def test_the_process_ends_with_the_program_that_started_it(tmp_path: Path, end: str) -> None:
    program = ("import sys, time\nfrom pathlib import Path\nfrom alhvr.data.reading_process import ReadingProcess\n"
               f"reading = ReadingProcess()\nreading.read_scan(Path({str(series(tmp_path, 'a'))!r}))\n"
               f"print(reading._running.process.pid, flush=True)\ntime.sleep({60 if end == 'kill' else 0})\n")
    started = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True,
                               env={**os.environ, "PYTHONPATH": str(ROOT)})
    child = psutil.Process(int(started.stdout.readline()))
    if end == "kill":
        started.kill()
    assert started.wait(30) == (-9 if end == "kill" else 0)
    assert child in psutil.wait_procs([child], timeout=10)[0]


def test_a_larger_file_may_take_longer() -> None:
    assert time_limit_s(0) >= 60 and time_limit_s(10**9) > time_limit_s(10**6)
