"""A disk that fills up during a checkpoint: the last good one survives, and the run goes on when there is room."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from command import alhvr
from small_disk import mount, mounted_disk
from tiny_runs import short_run

from alhvr.bundle.model import read_model
from alhvr.formats.run_state import read_heartbeat
from alhvr.training.run_folder import load_checkpoint

NOT_EVEN_THE_NETWORKS = 5_000_000
"""Bytes; a checkpoint takes about 44 million, the best weights alone 15."""


def iteration_of(run: Path) -> int:
    return load_checkpoint(run / "checkpoints" / "last.pt")["loop"]["iteration"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk with room for one checkpoint and the best weights, but not for a second checkpoint beside it."""
    folder = tmp_path / "disk"
    folder.mkdir()
    with mounted_disk(folder, 80):
        yield folder


def test_a_disk_that_fills_up_during_a_checkpoint_costs_nothing(study: Path, small_disk: Path) -> None:
    run = small_disk / "run"
    full = alhvr(*short_run(study, run, "--iterations", 4, "--progress", "json", save_every_s=0.0))
    full.refused("The last checkpoint of", "the one before is whole", "go on with --resume")
    assert "last.pt could not be written" in full.texts("warning") and "is full" in full.texts("warning")
    assert 1 <= iteration_of(run) < 4 and not list(run.rglob("*.part"))
    assert mount(small_disk, 400, "remount")
    done = alhvr("train", "--resume", "--out", run)
    assert done.code == 0 and iteration_of(run) == 4
    assert read_model(run / "model").description.training["iterations"] == 4


def test_files_that_the_system_refuses_leave_the_last_good_checkpoint(study: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    begun = short_run(study, run, "--iterations", 4, "--progress", "json", save_every_s=1e9)
    alhvr(*begun, largest_file=NOT_EVEN_THE_NETWORKS).refused("The last checkpoint of", "go on with --resume")
    assert not list((run / "checkpoints").iterdir())
    told = read_heartbeat(run)
    assert told.state == "failed" and "The last checkpoint of" in told.message and "--resume" in told.hint
    done = alhvr("train", "--resume", "--out", run, "--progress", "json")
    assert done.code == 0 and iteration_of(run) == 4


def test_results_that_do_not_fit_are_told_and_leave_nothing_half(model: Path, study: Path, tmp_path: Path) -> None:
    scan = study / "archive" / "scan0.nii.gz"
    done = alhvr("segment", "--model", model, scan, "--out", tmp_path / "out", "--regions", largest_file=2000)
    done.refused("could not be written", "free some disk space")
    assert [path.name for path in (tmp_path / "out").iterdir() if path.stat().st_size > 2000] == []
    assert not list((tmp_path / "out").glob("*.part")) and not list((tmp_path / "out").glob(".*.part"))


@pytest.mark.parametrize(("room", "file"), [(4096, "c.json"), (20_480, "c.html")])
def test_a_report_that_does_not_fit_is_told_with_file_and_disk(study, tmp_path: Path, room: int, file: str) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    with mounted_disk(disk, 1):
        free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
        (disk / "filler").write_bytes(bytes(free - room))
        done = alhvr("check", "--labeled", study / "labeled", "--no-forecast", "--out", disk / "c.json")
        done.refused(f"{file} could not be written: the disk of {disk} is full (0.0", "MB free).")
        assert {path.name for path in disk.iterdir()} <= {"filler", "c.json"} - ({file} & {"c.json"})
