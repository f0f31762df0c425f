"""Segmenting a folder of scans with the real command: bad ones among good, stopped, killed, edited, on a full disk."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from command import Finished, Running, alhvr
from small_disk import mounted_disk
from tiny_runs import make_scan, write_scan
from untrained import write_untrained

from alhvr.inference.results_index import FILE_NAME

NAMES = [f"scan{index}" for index in range(5)]


@pytest.fixture(scope="module")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_untrained(tmp_path_factory.mktemp("untrained") / "model")


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five scans that take long enough to be interrupted."""
    folder = tmp_path_factory.mktemp("scans")
    for seed, name in enumerate(NAMES):
        write_scan(folder / f"{name}.nii.gz", make_scan(seed, (8, 80, 80))[0])
    return folder


@pytest.fixture(scope="module")
def whole(untrained: Path, scans: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The results of a run that nothing disturbed."""
    out = tmp_path_factory.mktemp("whole") / "out"
    done = alhvr(*command(untrained, scans, out))
    assert done.code == 0 and done.events[-1]["segmented"] == len(NAMES)
    return results(out)


def command(model: Path, scans: Path, out: Path, *options: object) -> tuple[object, ...]:
    return ("segment", "--model", model, scans, "--out", out, "--regions", "--progress", "json", *options)


def results(out: Path) -> dict[str, bytes]:
    """Every visible result in the folder, by name."""
    return {path.name: path.read_bytes() for path in out.iterdir()
            if not path.name.startswith(".") and path.name != FILE_NAME}


def outcomes(done: Finished) -> dict[str, str]:
    (event,) = [event for event in done.events if event["event"] == "finished"]
    return {scan["scan"]: scan["outcome"] for scan in event["scans"]}


def assert_only_whole_files(out: Path, whole: dict[str, bytes]) -> None:
    """Results are as they should be, and the record can be read."""
    assert all(whole[name] == content for name, content in results(out).items())
    if (out / FILE_NAME).exists():
        json.loads((out / FILE_NAME).read_text(encoding="ascii"))


def assert_goes_on(model: Path, scans: Path, out: Path, whole: dict[str, bytes]) -> dict[str, str]:
    """The same command ends well, with the results of a run that nothing disturbed and nothing else."""
    again = alhvr(*command(model, scans, out))
    assert again.code == 0 and results(out) == whole
    assert {path.name for path in out.iterdir()} == {*whole, FILE_NAME}
    assert set(outcomes(again).values()) <= {"segmented", "done_before"}
    return outcomes(again)


def test_bad_scans_among_good_ones_a_second_run_and_an_edited_result(untrained, scans, whole, tmp_path: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    shutil.copytree(scans, folder)
    (folder / "scan1.nii.gz").write_text("This is no scan.")
    (folder / "scan3.nii.gz").write_bytes((folder / "scan3.nii.gz").read_bytes()[:-3000])
    first = alhvr(*command(untrained, folder, out))
    bad = {"scan1": "failed", "scan3": "failed"}
    assert first.code == 2 and outcomes(first) == {name: bad.get(name, "segmented") for name in NAMES}
    assert first.texts("error").startswith("2 of 5 inputs could not be segmented; the first: scan1.nii.gz")
    assert results(out) == {name: content for name, content in whole.items() if name.partition(".")[0] not in bad}
    edited = out / "scan4.seg.nrrd"
    edited.write_bytes(edited.read_bytes() + b"edited")
    for name in bad:
        shutil.copy(scans / f"{name}.nii.gz", folder)
    second = alhvr(*command(untrained, folder, out))
    expected = dict.fromkeys(NAMES, "done_before") | dict.fromkeys(bad, "segmented") | {"scan4": "kept"}
    assert second.code == 0 and outcomes(second) == expected
    assert results(out) == {**whole, "scan4.seg.nrrd": whole["scan4.seg.nrrd"] + b"edited"}
    assert "scan4.seg.nrrd is not as alhvr segment wrote it" in second.texts("warning")


def test_people_get_a_table_on_stderr_at_the_end(untrained: Path, scans: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.nii.gz"
    bad.write_text("This is no scan.")
    done = alhvr("segment", "--model", untrained, scans / "scan0.nii.gz", bad, "--out", tmp_path / "out")
    done.refused("1 of 2 inputs could not be segmented; the first: bad.nii.gz")
    lines = done.err.splitlines()
    head = lines.index("scan   outcome    seconds  liver ml  spleen ml")
    assert lines[head + 1].startswith("scan0  segmented ") and lines[head + 2].startswith("bad    failed ")
    assert lines[head + 3].startswith("bad: bad.nii.gz is no") and "1 segmented, 1 failed" in lines[head + 4]
    assert done.out == "" and len(lines) == head + 6


def moments(out: Path) -> dict[str, object]:
    """Conditions under which a run is interrupted."""
    return {
        "before the first result": lambda: (out / ".scan0.seg.nrrd.part").exists(),
        "between two files of one scan": lambda: (out / ".scan1.seg.nrrd.part" / "scan1.confidence-a.nrrd").exists(),
        "when a record is written": lambda: any(out.glob(f".{FILE_NAME}.*.part")),
        "after the next result": lambda: len(list(out.glob("*.seg.nrrd"))) > 1,
        "while a later one is moved": lambda: (out / "scan3.seg.nrrd").exists(),
    }


def test_a_run_killed_again_and_again_leaves_whole_files_and_ends_well(untrained, scans, whole, tmp_path: Path) -> None:
    out, hit = tmp_path / "out", []
    for what, moment in moments(out).items():
        running = Running(command(untrained, scans, out))
        if running.reaches(moment):
            running.kill()
            hit.append(what)
            assert_only_whole_files(out, whole)
    assert len(hit) >= 3, hit
    assert "done_before" in assert_goes_on(untrained, scans, out, whole).values()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("moment", ["before the first result", "after the next result"])
def test_a_stop_leaves_whole_files_and_exit_code_130(untrained, scans, whole, tmp_path: Path, number, moment) -> None:
    out = tmp_path / "out"
    running = Running(command(untrained, scans, out))
    running.wait_until(moments(out)[moment], moment)
    running.send(number)
    stopped = running.finish()
    assert stopped.code == 130 and stopped.events[-1] == {"event": "finished", "cancelled": True}
    assert "of 5 scans; their results are kept. The same command goes on" in stopped.texts("note")
    assert not list(out.glob(".*"))
    assert_only_whole_files(out, whole)
    assert list(assert_goes_on(untrained, scans, out, whole).values()).count("done_before") >= 1


def test_a_second_ctrl_c_ends_at_once_with_whole_files(untrained, scans, whole, tmp_path: Path) -> None:
    out = tmp_path / "out"
    running = Running(command(untrained, scans, out))
    running.wait_until(lambda: any(out.glob("*.seg.nrrd")), "the first result")
    running.send(signal.SIGINT)
    running.send(signal.SIGINT)
    stopped = running.finish()
    assert stopped.code == 130 and "Traceback" not in stopped.err
    assert_only_whole_files(out, whole)
    assert_goes_on(untrained, scans, out, whole)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk with room for two scans and a half."""
    folder = tmp_path / "disk"
    folder.mkdir()
    with mounted_disk(folder, 10):
        yield folder


def test_a_disk_that_fills_up_ends_the_run_and_the_next_one_goes_on(untrained, scans, whole, disk: Path) -> None:
    out, filler = disk / "out", disk / "filler"
    room = int(2.5 * sum(len(content) for name, content in whole.items() if name.startswith("scan0.")))
    free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
    filler.write_bytes(bytes(free - room))
    full = alhvr(*command(untrained, scans, out))
    full.refused("could not be written: the disk of", "is full", "Nothing more can be written there.",
                 "2 of 5 scans are done; the same command goes on with the others.", "Free some disk space")
    assert list(outcomes(full).values()) == ["segmented", "segmented", "failed", "failed"]
    assert not list(out.glob(".*"))
    assert_only_whole_files(out, whole)
    filler.unlink()
    assert list(assert_goes_on(untrained, scans, out, whole).values()).count("done_before") == 2


def test_files_that_the_system_refuses_end_the_run_at_once(untrained: Path, scans: Path, tmp_path: Path) -> None:
    done = alhvr(*command(untrained, scans, tmp_path / "out"), largest_file=2000)
    done.refused("scan0.seg.nrrd could not be written: File too large", "0 of 5 scans are done")
    assert list((tmp_path / "out").iterdir()) == []
