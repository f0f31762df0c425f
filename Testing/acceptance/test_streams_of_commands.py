"""Commands whose output goes nowhere: streams that are closed, a reader that reads no more, names that would take over
a terminal.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from command import PATIENCE_S, fresh
from tiny_runs import make_scan, short_run, write_scan
from untrained import write_untrained

from alhvr.bundle.model import read_model
from alhvr.data.case_paths import name_fault
from alhvr.data.reading import read_label

END_S = 30
"""A few seconds on an idle computer: a step and a checkpoint."""
SET_PIPE_SIZE = 1031
"""Of fcntl on Linux."""
CLOSED = {"stdin": "<&-", "stdout": ">&-", "stderr": "2>&-", "both": ">&- 2>&-", "all": "<&- >&- 2>&-"}


def closed(which: str, *arguments: object) -> int:
    """Exit code of the command with streams closed from the start."""
    command = shlex.join([sys.executable, "-m", "alhvr", *map(str, arguments)])
    return subprocess.run(["sh", "-c", f"exec {command} {CLOSED[which]}"], check=False, timeout=PATIENCE_S,
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A model, and a scan."""
    folder = tmp_path_factory.mktemp("world")
    return write_untrained(folder / "model"), write_scan(folder / "scan.nii.gz", make_scan(0)[0])


def segmenting(world: tuple[Path, Path], out: Path, progress: str = "bar") -> tuple[object, ...]:
    model, scan = world
    return ("segment", "--model", model, scan, "--regions", "--progress", progress, "--out", out)


@pytest.fixture(scope="module")
def heard(world: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What segmenting writes while somebody reads what it says."""
    out = tmp_path_factory.mktemp("heard") / "out"
    assert fresh(*segmenting(world, out)).code == 0
    return out


@pytest.mark.parametrize(("which", "progress"), [*((which, "bar") for which in CLOSED), ("stdout", "json"),
                                                 ("both", "json")])
def test_with_closed_streams_a_scan_is_segmented_as_ever(world, heard, tmp_path: Path, which, progress) -> None:
    out = tmp_path / "out"
    assert closed(which, *segmenting(world, out, progress)) == 0
    assert {path.name for path in out.iterdir()} == {path.name for path in heard.iterdir()}
    found, expected = (read_label(folder / "scan.seg.nrrd").array for folder in (out, heard))
    assert np.mean(found != expected) < 0.001  # the threads are as many as cores are free, and round differently


@pytest.mark.parametrize("which", ["stdout", "stderr", "both"])
def test_with_closed_streams_data_is_checked_and_a_model_described(study, world, tmp_path: Path, which: str) -> None:
    arguments = ("check", "--labeled", study / "labeled", "--unlabeled", study / "archive", "--no-forecast", "--out")
    assert closed(which, *arguments, tmp_path / "c.json") == 0
    assert json.loads((tmp_path / "c.json").read_text())["may_train"]
    assert (tmp_path / "c.html").read_text().startswith("<!DOCTYPE html>")
    assert closed(which, "describe", world[0]) == 0
    assert closed(which, "describe", tmp_path / "none") == 2


def test_with_closed_streams_a_run_ends_with_the_same_weights(study: Path, tmp_path: Path) -> None:
    for name, run in (("heard", lambda *a: fresh(*a).code), ("unheard", lambda *a: closed("both", *a))):
        assert run(*short_run(study, tmp_path / name, "--iterations", 4)) == 0
    heard, unheard = (torch.utils._pytree.tree_leaves(read_model(tmp_path / name / "model").load_state())
                      for name in ("heard", "unheard"))
    assert all(torch.equal(a, b) for a, b in zip(heard, unheard, strict=True))


@contextlib.contextmanager
def unread(*arguments: object) -> Iterator[subprocess.Popen]:
    """The command with both streams in a pipe that is full and that nobody reads."""
    theirs, ours = os.pipe()
    fcntl.fcntl(ours, SET_PIPE_SIZE, 4096)
    os.write(ours, bytes(4096))
    program = subprocess.Popen([sys.executable, "-m", "alhvr", *map(str, arguments)], stdout=ours, stderr=ours)
    os.close(ours)
    try:
        yield program
    finally:
        program.kill()
        program.wait()
        os.close(theirs)


def last_iteration(run: Path) -> int:
    lines = (run / "metrics.jsonl").read_text().splitlines() if (run / "metrics.jsonl").exists() else []
    return json.loads(lines[-1])["iteration"] if lines else 0


def wait_for_iteration(program: subprocess.Popen, run: Path, iteration: int) -> None:
    end = time.monotonic() + PATIENCE_S
    while last_iteration(run) < iteration:
        assert program.poll() is None and time.monotonic() < end, f"blocked at {last_iteration(run)}"
        time.sleep(0.1)


@pytest.mark.parametrize(("signals", "progress"), [([signal.SIGTERM], "json"), ([signal.SIGINT], "bar"),
                                                   ([signal.SIGTERM, signal.SIGINT], "json")])
def test_a_reader_that_stops_holds_up_neither_a_run_nor_its_end(study, tmp_path, progress: str, signals) -> None:
    run = tmp_path / "run"
    with unread(*short_run(study, run, "--iterations", 100_000, "--progress", progress)) as program:
        wait_for_iteration(program, run, 20)
        for number in signals:
            program.send_signal(number)
        assert program.wait(END_S) == 130
    assert (run / "checkpoints" / "last.pt").exists() or len(signals) > 1


def test_a_reader_that_was_behind_hears_the_end(study: Path, tmp_path: Path) -> None:
    arguments = short_run(study, tmp_path / "run", "--iterations", 40, "--progress", "json")
    command = [sys.executable, "-m", "alhvr", *map(str, arguments)]
    program = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    fcntl.fcntl(program.stdout, SET_PIPE_SIZE, 4096)
    end = time.monotonic() + 120
    while not (tmp_path / "run" / "model").exists():
        assert program.poll() is None and time.monotonic() < end
        time.sleep(0.1)
    time.sleep(1)
    events = [json.loads(line) for line in program.stdout.read().splitlines()]
    assert program.wait(60) == 0
    assert events[0]["event"] == "started" and events[-1]["event"] == "finished"
    assert [event["path"] for event in events if event.get("kind") == "model"] == [str(tmp_path / "run" / "model")]


HOSTILE = ["a\nb", "\x1b]0;owned\x07\x1b[2J", "\u202egnp", os.fsdecode(b"bad\xff"), "x" * 240]


def assert_calm(text: str) -> None:
    assert not [letter for letter in text if letter in "\x1b\x07\x9b\u202e" or "\ud800" <= letter <= "\udfff"]


@pytest.mark.parametrize("progress", ["bar", "json"])
def test_names_reach_neither_the_terminal_nor_the_lines_raw(study, world, tmp_path: Path, progress: str) -> None:
    archive = tmp_path / "archive"
    for seed, name in enumerate(HOSTILE):
        write_scan(archive / "scan.nii.gz", make_scan(seed)[0]).rename(archive / f"{name}.nii.gz")
        (archive / f"broken{name[:200]}.nii.gz").write_bytes(b"nothing")
    options = {"errors": "surrogateescape", "env": {**os.environ, "PYTHONUTF8": "1"}}
    segmented = fresh("segment", "--model", world[0], archive, "--out", tmp_path / "out", "--progress", progress,
                      **options)
    checked = fresh("check", "--labeled", study / "labeled", "--unlabeled", archive, "--no-forecast", "--progress",
                    progress, **options)
    for done in (segmented, checked):
        assert "Traceback" not in done.err
        assert_calm(done.out + done.err)
        assert not [line for line in done.err.splitlines() if line.startswith("b.nii.gz")]
        if progress == "json":
            assert done.events
    taken = [name for name in HOSTILE if not name_fault(name)]
    assert len(list((tmp_path / "out").glob("*.seg.nrrd"))) == len(taken) == 1


def test_a_model_card_cannot_write_to_the_terminal(world, tmp_path: Path) -> None:
    model = write_untrained(tmp_path / "model")
    card = model / "docs" / "README.md"
    text = card.read_text() + "\x1b]0;owned\x07\u202eend\n"
    card.write_text(text)
    manifest = json.loads((model / "manifest.json").read_text())
    manifest["files"]["docs/README.md"] = {"bytes": len(card.read_bytes()),
                                           "sha256": hashlib.sha256(card.read_bytes()).hexdigest()}
    (model / "manifest.json").write_text(json.dumps(manifest))
    done = fresh("describe", model)
    assert done.code == 0 and "\\x1b]0;owned\\x07\\u202eend" in done.out
    assert_calm(done.out)
