"""Inputs: what the paths on the command line stand for, whatever lies in them and however it is called."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from dicom_files import slice_dataset
from PIL import Image
from tiny_cases import Listener

from alhvr.core.errors import UserError
from alhvr.data.geometry import Geometry
from alhvr.inference.inputs import InputQuery, Inputs, files_of, list_inputs
from alhvr.inference.results_index import ResultsIndex

FLAT = Geometry((4, 4, 1), (0.5, 0.5, 1.0), (0.0, 0.0, 0.0), (1.0, 0, 0, 0, 1, 0, 0, 0, 1))


def _listed(out: Path, *paths: Path, reporter: Listener | None = None) -> Inputs:
    return list_inputs(InputQuery(paths, out), ResultsIndex(out), reporter or Listener())


def _touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")
    return folder


@pytest.fixture
def out(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


@pytest.mark.parametrize("name", ["../../victim", "/../../victim", "a/b", "\n", "x" * 300])
def test_a_name_of_cases_json_that_leads_out_of_the_results_is_refused(tmp_path: Path, out: Path, name: str) -> None:
    folder = _touch(tmp_path / "in", "a.nii", "b.nii")
    (folder / "cases.json").write_text(json.dumps({"cases": {name: {"images": ["a.nii"]}}}))
    for given in (folder, folder / "cases.json"):
        with pytest.raises(UserError, match="the case name"):
            _listed(out, given)


@pytest.mark.parametrize("name", ["a\nb.nii.gz", "a\x1b[2J.nii.gz", "x" * 230 + ".nii.gz"])
def test_a_file_after_which_no_result_can_be_named_is_one_bad_input(tmp_path: Path, out: Path, name: str) -> None:
    folder = _touch(tmp_path / "in", name, "good.nii.gz")
    found = _listed(out, folder / name, folder / "good.nii.gz")
    assert [case.name for case in found.cases] == ["good"]
    assert [str(error).isprintable() for error in found.bad.values()] == [True]


def test_results_within_the_archive_are_no_scans_of_the_next_run(tmp_path: Path) -> None:
    folder = _touch(tmp_path / "in", "a.nii", "out/a.nii.gz", "out/a.regions.nrrd")
    entry = {"files": {"a.nii.gz": {}}, "before": {}}
    (folder / "out" / "alhvr-segment.json").write_text(json.dumps({"results": {"a.nii.gz": entry}}))
    reporter = Listener()
    assert [case.name for case in _listed(folder / "out", folder, reporter=reporter).cases] == ["a"]
    assert "results of alhvr segment: 2" in reporter.warnings[0]


def test_the_layout_that_was_recognised_is_said(tmp_path: Path, out: Path) -> None:
    reporter = Listener()
    _listed(out, _touch(tmp_path / "in", "patient001/patient001_frame01.nii.gz"), reporter=reporter)
    assert reporter.notes == ["Layout ACDC: 1 scan of 1 patient; 0 labels."]


def test_an_x_ray_is_called_after_its_file_and_consists_of_it_alone(tmp_path: Path, out: Path) -> None:
    paths = []
    for name in ("a.dcm", "b.dcm"):
        dataset = slice_dataset(np.arange(16, dtype=np.int16).reshape(4, 4), FLAT, 0, Modality="DX")
        del dataset.ImagePositionPatient, dataset.ImageOrientationPatient
        dataset.save_as(tmp_path / name, enforce_file_format=True)
        paths.append(tmp_path / name)
    cases = _listed(out, *paths).cases
    assert [case.name for case in cases] == ["a", "b"]
    assert files_of(cases[0], ResultsIndex(out)) == [paths[0]]


def test_names_that_are_one_on_other_systems_are_said(tmp_path: Path, out: Path) -> None:
    _touch(tmp_path, "one/CT.nii", "two/ct.nii")
    reporter = Listener()
    _listed(out, tmp_path / "one" / "CT.nii", tmp_path / "two" / "ct.nii", reporter=reporter)
    assert "one file on macOS and Windows" in reporter.warnings[0]


def test_results_are_not_put_among_pictures(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / "a.png")
    with pytest.raises(UserError, match="would lie among the scans"):
        _listed(tmp_path, tmp_path)
