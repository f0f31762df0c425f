"""Images that crash libraries, never end or name other files: each costs itself, its neighbours are done."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from command import alhvr
from nifti_files import write_nifti
from tiny_runs import make_scan, short_run, write_scan, write_study

VOXELS = np.arange(24, dtype="<i2").tobytes()


def nrrd(**fields: str) -> Callable[[Path], None]:
    told = {"type": "short", "dimension": "3", "sizes": "2 3 4", "encoding": "raw", "endian": "little", **fields}
    text = "".join(f"{name.replace('_', ' ')}: {value}\n" for name, value in told.items())
    return lambda folder: (folder / "bad.nrrd").write_bytes(f"NRRD0004\n{text}\n".encode() + VOXELS)


def meta(data_file: str = "LOCAL", ending: str = "mha", **fields: str) -> Callable[[Path], None]:
    told = {"NDims": "3", "DimSize": "2 3 4", "ElementType": "MET_SHORT", **fields, "ElementDataFile": data_file}
    text = "".join(f"{name} = {value}\n" for name, value in told.items())
    return lambda folder: (folder / f"bad.{ending}").write_bytes(text.encode() + VOXELS)


def nifti(offset: float) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        path = write_nifti(folder / "bad.nii", make_scan(1)[0])
        content = bytearray(path.read_bytes())
        content[108:112] = struct.pack("<f", offset)
        path.write_bytes(content)
    return write


def piped(folder: Path) -> None:
    os.mkfifo(folder.parent / "pipe")
    nrrd(data_file="pipe")(folder)
    os.rename(folder.parent / "pipe", folder / "pipe")


HOSTILE: dict[str, Callable[[Path], None]] = {
    "mha-no-axes": meta(NDims="-1"), "mha-format": meta("%s%n%s%n"), "mha-passwd": meta("/etc/passwd"),
    "mhd-above": meta("../secret.bin", "mhd"), "mha-list": meta("LIST\n/etc/passwd"),
    "nrrd-sizes": nrrd(sizes="1" * 5000), "nrrd-endian": nrrd(endian="A" * 5000),
    "nrrd-passwd": nrrd(data_file="/etc/passwd"), "nrrd-above": nrrd(data_file="../secret.bin"),
    "nrrd-list": nrrd(data_file="LIST\n/etc/passwd"), "nrrd-pipe": piped,
    "nifti-nan": nifti(float("nan")), "nifti-inf": nifti(float("inf")), "nifti-header": nifti(0.0),
    "nifti-behind": nifti(1e9),
}


def write_hostile(folder: Path) -> None:
    """One image of each kind in ``folder``, beside it a file that none may read."""
    (folder.parent / "secret.bin").write_bytes(b"x" * 4096)
    for name, write in HOSTILE.items():
        write(folder)
        (bad,) = folder.glob("bad.*")
        bad.rename(folder / f"{name}{bad.suffix}")


def unreadable(report: Path) -> list[str]:
    """The cases of a check that are unreadable, each of which is one finding."""
    findings = json.loads(report.read_text())["findings"]
    return sorted(case for finding in findings if finding["kind"] == "unreadable_image" for case in finding["cases"])


def test_each_is_refused_in_one_line_and_the_scans_beside_it_are_segmented(model: Path, tmp_path: Path) -> None:
    scans = tmp_path / "scans"
    for number in (1, 2):
        write_scan(scans / f"good{number}.nii.gz", make_scan(number)[0])
    write_hostile(scans)
    done = alhvr("segment", "--model", model, scans, "--out", tmp_path / "out", "--progress", "json")
    assert done.code == 2 and "Traceback" not in done.err
    assert sorted(path.name for path in (tmp_path / "out").glob("*.nrrd")) == ["good1.seg.nrrd", "good2.seg.nrrd"]
    warnings = done.texts("warning").splitlines()
    for name in HOSTILE:
        assert len([line for line in warnings if line.startswith(f"{name} was not segmented: {name}.")]) == 1, name


def test_each_is_one_finding_of_the_check(tmp_path: Path) -> None:
    study = write_study(tmp_path / "study", labeled=2, archive=2)
    write_hostile(study / "archive")
    done = alhvr("check", "--labeled", study / "labeled", "--unlabeled", study / "archive", "--out",
                 tmp_path / "check.json")
    assert "Traceback" not in done.err and done.code in (0, 2), done
    assert unreadable(tmp_path / "check.json") == sorted(f"unlabeled/{name}" for name in HOSTILE)


def test_they_are_left_out_of_the_archive_of_a_training(tmp_path: Path) -> None:
    study = write_study(tmp_path / "study", labeled=2, archive=2)
    write_hostile(study / "archive")
    done = alhvr(*short_run(study, tmp_path / "run", "--iterations", 1, "--progress", "json"))
    assert done.code == 0, done
    assert unreadable(tmp_path / "run" / "check.json") == sorted(f"unlabeled/{name}" for name in HOSTILE)


@pytest.mark.parametrize("name", ["pipe.nii.gz", "pipe.nrrd", "pipe.mha"])
def test_a_pipe_that_is_given_by_name_is_refused(model: Path, tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    alhvr("segment", "--model", model, tmp_path / name, "--out", tmp_path / "out").refused(
        f"{name} is a pipe; a file is expected")


def test_a_pipe_that_a_list_of_cases_names_costs_its_case_aloud(tmp_path: Path) -> None:
    study = write_study(tmp_path / "study", labeled=2, archive=2)
    os.mkfifo(study / "archive" / "pipe.nii.gz")
    (study / "archive" / "cases.json").write_text(json.dumps({"cases": {"piped": {"images": ["pipe.nii.gz"]}}}))
    done = alhvr("check", "--labeled", study / "labeled", "--unlabeled", study / "archive", "--out",
                 tmp_path / "check.json")
    assert done.code == 0 and "Traceback" not in done.err, done
    assert 'The channel pipe.nii.gz of the case "piped" is no plain file.' in " ".join((done.out + done.err).split())
    assert unreadable(tmp_path / "check.json") == []
