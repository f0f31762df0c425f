"""Folder content: every kind of scan is found, labels and own results are none, and what is passed over is said."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import SimpleITK
from dicom_files import write_series

from alhvr.core.errors import UserError
from alhvr.data.cases import CaseSet, find_cases
from alhvr.data.geometry import Geometry

GRID = Geometry((3, 3, 3), (1.0, 1.0, 2.0), (0.0, 0.0, 0.0), (1.0, 0, 0, 0, 1, 0, 0, 0, 1))
VOXELS = np.arange(27, dtype=np.int16).reshape(3, 3, 3)


def _touch(folder: Path, *names: str) -> Path:
    """Empty files: finding cases opens no image."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")
    return folder


def _names(found: CaseSet) -> list[str]:
    return [case.name for case in found.cases]


def _archive(folder: Path) -> CaseSet:
    return find_cases(folder, labeled=False)


def test_scans_of_all_kinds_are_found_at_any_depth(tmp_path: Path) -> None:
    _touch(tmp_path, "a.nii.gz", "b.nrrd", "sub/c.mha", "sub/deep/d.nii")
    write_series(tmp_path / "series" / "e", VOXELS, GRID)
    assert _names(_archive(tmp_path)) == ["a", "b", "c", "d", "e"]
    assert _archive(tmp_path).warnings == ()


def test_a_stray_file_does_not_hide_series_nor_a_series_the_files(tmp_path: Path) -> None:
    _touch(tmp_path, "atlas.nii.gz")
    for name in ("p1", "p2"):
        write_series(tmp_path / name, VOXELS, GRID)
    assert _names(_archive(tmp_path)) == ["atlas", "p1", "p2"]


def test_scans_below_images_are_found_beside_its_files(tmp_path: Path) -> None:
    assert _names(_archive(_touch(tmp_path, "images/a.nii.gz", "images/more/b.nii.gz"))) == ["a", "b"]


def test_scans_of_one_name_in_several_folders_are_called_after_the_folders_too(tmp_path: Path) -> None:
    assert _names(_archive(_touch(tmp_path, "p1/ct.nii.gz", "p2/ct.nii.gz", "p3/x.nii.gz"))) == ["p1-ct", "p2-ct", "x"]


def test_a_file_and_a_series_of_one_name_side_by_side_are_refused_by_name(tmp_path: Path) -> None:
    write_series(tmp_path / "a", VOXELS, GRID)
    with pytest.raises(UserError, match="Two images are named a: a file and a DICOM series"):
        _archive(_touch(tmp_path, "a.nii"))


def test_two_names_that_become_one_by_their_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="p1-ct.nii and p1/ct.nii have the same name"):
        _archive(_touch(tmp_path, "p1-ct.nii", "p1/ct.nii", "p2/ct.nii"))


@pytest.mark.parametrize("label", ["a_seg.nii.gz", "a_gt.nii", "a-label.nrrd", "a_label.mha", "a.seg.nrrd",
                                   "a_mask.nii", "a_segmentation.nrrd", "Mask/a.nii.gz", "labels/a.nii",
                                   "masks/a_mask.nii"])
def test_a_label_beside_its_scan_is_its_label_and_no_scan(tmp_path: Path, label: str) -> None:
    _touch(tmp_path, "a.nii.gz", "b.nii.gz", label)
    if label.endswith(".seg.nrrd"):  # its header is read for the names of its segments
        SimpleITK.WriteImage(SimpleITK.GetImageFromArray(VOXELS.astype(np.uint8)), str(tmp_path / label))
    assert _names(_archive(tmp_path)) == ["a", "b"]
    assert [(case.name, case.label) for case in find_cases(tmp_path, labeled=True).cases] == [("a", tmp_path / label)]


def test_labels_taken_by_their_names_are_said(tmp_path: Path) -> None:
    found = _archive(_touch(tmp_path, "a.nii", "a_seg.nii", "b.nii", "b_seg.nii"))
    assert found.notes == ("Taken for labels by their names: 2 (a_seg.nii, b_seg.nii).",)


def test_a_scan_whose_name_ends_as_labels_do_stays_one_where_a_label_has_that_name(tmp_path: Path) -> None:
    found = find_cases(_touch(tmp_path, "images/a_seg.nii", "labels/a_seg.nii"), labeled=True)
    assert [(case.name, case.label.parent.name) for case in found.cases] == [("a_seg", "labels")]


def test_labels_of_scans_of_one_name_are_those_of_their_own_folder(tmp_path: Path) -> None:
    _touch(tmp_path, "p1/ct.nii", "p1/ct_seg.nii", "p2/ct.nii", "p2/mask/ct.nii")
    cases = find_cases(tmp_path, labeled=True).cases
    assert [(c.name, c.label.relative_to(tmp_path).as_posix()) for c in cases] == [
        ("p1-ct", "p1/ct_seg.nii"), ("p2-ct", "p2/mask/ct.nii")]


def test_a_segmentation_in_another_folder_is_no_label_of_the_scan_of_its_name(tmp_path: Path) -> None:
    found = find_cases(_touch(tmp_path, "a.nii", "b.nii", "b_seg.nii", "old/a_seg.nii"), labeled=True)
    assert _names(found) == ["b"] and "Labels without a scan of the same name (1): old-a." in found.warnings


def test_of_two_labels_of_one_scan_none_is_guessed(tmp_path: Path) -> None:
    found = find_cases(_touch(tmp_path, "a.nii", "a_seg.nii", "a_gt.nii", "b.nii", "b_gt.nii"), labeled=True)
    assert _names(found) == ["b"]
    assert "more than one, so that none is taken (name one in cases.json): 2 (a_gt.nii, a_seg.nii)" in found.warnings[0]


def test_labels_in_labels_come_before_those_beside_the_scans(tmp_path: Path) -> None:
    found = find_cases(_touch(tmp_path, "images/a.nii", "images/a_seg.nii", "labels/a.nii"), labeled=True)
    assert found.cases[0].label == tmp_path / "labels" / "a.nii"
    assert "labels of cases that have one in another folder: 1" in found.warnings[0]


def test_masks_beside_images_are_the_labels(tmp_path: Path) -> None:
    found = find_cases(_touch(tmp_path, "images/a.nii", "masks/a.nii"), labeled=True)
    assert found.cases[0].label == tmp_path / "masks" / "a.nii"
    assert found.notes == ("Labels are taken from the folder masks.",)


def test_own_results_are_no_scans_whatever_they_are_called(tmp_path: Path) -> None:
    _touch(tmp_path, "a.nii", "out/b.nii.gz", "out/a.regions.nrrd", "out/a.confidence-a.nrrd", "out/a.teacher.nrrd")
    entry = {"files": {"b.nii.gz": {}, "a.regions.nrrd": {}}, "before": {"c.nii.gz": "0"}}
    (tmp_path / "out" / "alhvr-segment.json").write_text(json.dumps({"results": {"b.nii.gz": entry}}))
    _touch(tmp_path, "out/c.nii.gz")
    found = _archive(tmp_path)
    assert _names(found) == ["a"]
    assert "results of alhvr segment: 5 (out/a.confidence-a.nrrd, " in found.warnings[0]


@pytest.mark.parametrize("text", ["{", "[" * 100_000, '{"results": 7}', '{"results": {"a": 7}}', "\xff"])
def test_a_record_that_cannot_be_understood_hides_no_scan(tmp_path: Path, text: str) -> None:
    _touch(tmp_path, "a.nii")
    (tmp_path / "alhvr-segment.json").write_text(text, "latin-1")
    assert _names(_archive(tmp_path)) == ["a"]


def test_linked_folders_and_files_are_followed(tmp_path: Path) -> None:
    write_series(tmp_path / "real" / "p1", VOXELS, GRID)
    _touch(tmp_path, "real/a.nii")
    (tmp_path / "archive").mkdir()
    (tmp_path / "archive" / "p1").symlink_to(tmp_path / "real" / "p1")
    (tmp_path / "archive" / "b.nii").symlink_to(tmp_path / "real" / "a.nii")
    assert _names(_archive(tmp_path / "archive")) == ["b", "p1"]


@pytest.mark.parametrize("target", [".", "..", "sub", "/"])
def test_a_link_in_a_circle_or_to_a_folder_above_is_passed_over_and_said(tmp_path: Path, target: str) -> None:
    folder = _touch(tmp_path / "archive", "sub/a.nii", "b.nii")
    (folder / "again").symlink_to(folder / target)
    found = _archive(folder)
    assert _names(found) == ["a", "b"] and "listed already or that hold this one: 1 (again)" in found.warnings[0]


def test_two_links_to_one_folder_give_its_scans_once(tmp_path: Path) -> None:
    _touch(tmp_path, "real/a.nii")
    (tmp_path / "archive").mkdir()
    for name in ("one", "two"):
        (tmp_path / "archive" / name).symlink_to(tmp_path / "real")
    assert _names(_archive(tmp_path / "archive")) == ["a"]


def test_what_is_passed_over_is_said_in_one_line_with_number_names_and_reason(tmp_path: Path) -> None:
    _touch(tmp_path, "a.nii", "._a.nii", "b.vtk", "c.vtk", "d.vtk", "e.vtk", "notes.txt", "README")
    (tmp_path / "dead.nii").symlink_to("/nowhere/dead.nii")
    os.mkfifo(tmp_path / "pipe.nii")
    found = _archive(tmp_path)
    assert found.warnings == (
        f"Passed over in {tmp_path.name}: hidden files: 1 (._a.nii); links that lead nowhere: 1 (dead.nii); pipes or "
        "devices: 1 (pipe.nii); files of other kinds: 4 (b.vtk, c.vtk, d.vtk, ...).",)
    assert found.notes == (f"Not read in {tmp_path.name}: files of other kinds: 2 (README, notes.txt).",)


def test_folders_beside_images_and_labels_are_named(tmp_path: Path) -> None:
    found = _archive(_touch(tmp_path, "images/a.nii", "scribbles/a.nii", "b.nii", "labels/a.nii"))
    assert "folders beside those of the layout: 1 (scribbles)" in found.warnings[0]
    assert "images beside the folders of the layout: 1 (b.nii)" in found.warnings[0]


def test_folders_beside_those_of_a_dataset_and_doubled_test_images_are_named(tmp_path: Path) -> None:
    _touch(tmp_path, "imagesTr/a_0000.nii", "labelsTr/a.nii", "imagesTs/a_0000.nii", "labelsTs/a.nii", "labelsTr/x.vtk")
    (tmp_path / "dataset.json").write_text('{"channel_names": {"0": "CT"}}')
    (line,) = find_cases(tmp_path, labeled=True).warnings
    assert "imagesTs that have a name of imagesTr: 1" in line and "layout: 1 (labelsTs)" in line and "x.vtk" in line


def test_a_folder_of_nothing_but_labels_says_what_it_holds(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"holds no scans\. Taken for labels by their names: 1 \(a_seg.nii\)"):
        _archive(_touch(tmp_path, "a_seg.nii"))


def test_a_header_and_its_voxels_are_one_scan(tmp_path: Path) -> None:
    found = _archive(_touch(tmp_path, "a.mhd", "a.raw", "b.nhdr", "b.raw.gz"))
    assert _names(found) == ["a", "b"] and found.warnings == ()


def test_control_characters_of_names_are_escaped_in_what_is_said(tmp_path: Path) -> None:
    _touch(tmp_path, "a.nii", "x\x1b[2J\n.vtk")
    assert "\\x1b[2J\\n.vtk" in _archive(tmp_path).warnings[0]
