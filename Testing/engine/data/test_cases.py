"""Cases: every layout people have gives the same cases, and what is left out is said."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from dicom_files import write_series
from support import shared_data

from alhvr.core.errors import UserError
from alhvr.data.cases import CaseSet, Channel, find_cases
from alhvr.data.geometry import Geometry
from alhvr.data.label_names import parse_label_names
from alhvr.data.reading import read_scan

GRID = Geometry((3, 3, 3), (1.0, 1.0, 2.0), (0.0, 0.0, 0.0), (1.0, 0, 0, 0, 1, 0, 0, 0, 1))
VOXELS = np.arange(27, dtype=np.int16).reshape(3, 3, 3)


def _touch(folder: Path, *names: str) -> None:
    """Empty files: finding cases opens no image."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")


def _dataset(folder: Path, **description: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "dataset.json").write_text(json.dumps(description), "utf-8")
    return folder


def _pairs(found: CaseSet) -> list[tuple[str, str, str | None]]:
    return [(case.name, case.image.name, case.label and case.label.name) for case in found.cases]


def test_images_and_labels_are_paired_by_name_whatever_their_ending(tmp_path: Path) -> None:
    _touch(tmp_path, "images/b.nii.gz", "images/a.b.mha", "labels/a.b.nii", "labels/b.nrrd")
    found = find_cases(tmp_path, labeled=True)
    assert _pairs(found) == [("a.b", "a.b.mha", "a.b.nii"), ("b", "b.nii.gz", "b.nrrd")]
    assert (found.folder, found.label_names, found.modality, found.warnings) == (tmp_path, {}, None, ())


def test_without_labels_asked_for_every_scan_is_a_case(tmp_path: Path) -> None:
    _touch(tmp_path, "images/b.nii.gz", "images/a.mha", "labels/a.nrrd")
    assert _pairs(find_cases(tmp_path, labeled=False)) == [("a", "a.mha", None), ("b", "b.nii.gz", None)]


def test_scans_without_label_and_labels_without_scan_are_named(tmp_path: Path) -> None:
    _touch(tmp_path, *[f"images/{n}.nii" for n in range(9)], "labels/0.nii", "labels/x.nii")
    unlabeled, orphan = find_cases(tmp_path, labeled=True).warnings
    assert unlabeled == "Scans without a label, left out (8): 1, 2, 3, 4, 5 and more."
    assert orphan == "Labels without a scan of the same name (1): x."


def test_hidden_files_and_other_kinds_are_passed_over(tmp_path: Path) -> None:
    _touch(tmp_path, "images/a.nii", "images/._a.nii", "images/.DS_Store", "images/a.raw", "labels/a.nii")
    assert _pairs(find_cases(tmp_path, labeled=True)) == [("a", "a.nii", "a.nii")]


@pytest.mark.parametrize("record", [{"1": "liver", "3": "spleen", "0": "background"}, {"spleen": 3, "liver": 1}])
def test_labels_json_names_the_values(tmp_path: Path, record: dict) -> None:
    _touch(tmp_path, "images/a.nii", "labels/a.nii")
    (tmp_path / "labels.json").write_text(json.dumps(record))
    assert find_cases(tmp_path, labeled=True).label_names == {1: "liver", 3: "spleen"}


@pytest.mark.parametrize("record", [{"one": "liver"}, {"1": 2.5}, {"liver": [1, 2]}, 7, ["liver"]])
def test_names_that_are_not_one_for_one_number_are_refused(record: object) -> None:
    with pytest.raises(UserError, match="labels.json"):
        parse_label_names("labels.json", record)


def test_segment_names_are_taken_from_the_segmentations(tmp_path: Path) -> None:
    for name in ("a", "b"):
        _write_segmentation(tmp_path, name, "liver")
    assert find_cases(tmp_path, labeled=True).label_names == {1: "liver"}


def test_segmentations_that_disagree_on_a_value_are_refused(tmp_path: Path) -> None:
    _write_segmentation(tmp_path, "a", "liver")
    _write_segmentation(tmp_path, "b", "spleen")
    with pytest.raises(UserError, match='1 is "liver" in a.seg.nrrd, but "spleen" in b.seg.nrrd'):
        find_cases(tmp_path, labeled=True)


def _write_segmentation(folder: Path, name: str, segment: str) -> None:
    _touch(folder, f"images/{name}.nii", f"labels/{name}.seg.nrrd")
    image = sitk.GetImageFromArray(VOXELS.astype(np.uint8))
    image.SetMetaData("Segment0_Name", segment)
    image.SetMetaData("Segment0_LabelValue", "1")
    sitk.WriteImage(image, str(folder / "labels" / f"{name}.seg.nrrd"))


def test_a_decathlon_folder_is_read(tmp_path: Path) -> None:
    training = [{"image": f"./imagesTr/{n}.nii.gz", "label": f"./labelsTr/{n}.nii.gz"} for n in ("a", "b")]
    _dataset(tmp_path, training=training, labels={"0": "background", "1": "Anterior"}, modality={"0": "MRI"})
    _touch(tmp_path, "imagesTr/a.nii.gz", "imagesTr/b.nii.gz", "labelsTr/a.nii.gz")
    found = find_cases(tmp_path, labeled=True)
    assert _pairs(found) == [("a", "a.nii.gz", "a.nii.gz")]
    assert (found.label_names, found.modality) == ({1: "Anterior"}, "MR")
    assert "b" in found.warnings[0]


def test_decathlon_test_scans_belong_to_the_archive(tmp_path: Path) -> None:
    _dataset(tmp_path, training=[{"image": "imagesTr/a.nii"}], test=["imagesTs/b.nii", "imagesTs/c.nii"])
    _touch(tmp_path, "imagesTr/a.nii", "imagesTs/b.nii")
    found = find_cases(tmp_path, labeled=False)
    assert [case.name for case in found.cases] == ["a", "b"] and "not there: 1" in found.warnings[0]


def test_an_nnunet_folder_is_read(tmp_path: Path) -> None:
    _dataset(tmp_path, labels={"background": 0, "liver": 1}, channel_names={"0": "CT"}, file_ending=".nii.gz")
    _touch(tmp_path, "imagesTr/a_0000.nii.gz", "imagesTs/b_0000.nii.gz", "labelsTr/a.nii.gz")
    found = find_cases(tmp_path, labeled=True)
    assert _pairs(found) == [("a", "a_0000.nii.gz", "a.nii.gz")]
    assert (found.label_names, found.modality, found.channels) == ({1: "liver"}, "CT", (Channel("CT", "CT"),))
    assert [case.name for case in find_cases(tmp_path, labeled=False).cases] == ["a", "b"]


def test_channels_in_images_of_four_dimensions_are_refused(tmp_path: Path) -> None:
    _dataset(tmp_path, training=[{"image": "imagesTr/a.nii"}], modality={"0": "T1", "1": "T2"})
    _touch(tmp_path, "imagesTr/a.nii")
    with pytest.raises(UserError, match=r"2 channels \(T1, T2\), in images of four dimensions.*NAME_0000"):
        find_cases(tmp_path, labeled=False)


@pytest.mark.parametrize("text", ["{", '{"training": [{"label": "a.nii"}]}', '{"training": [7]}', "[]"])
def test_a_broken_description_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "dataset.json").write_text(text)
    with pytest.raises(UserError, match="dataset.json"):
        find_cases(tmp_path, labeled=True)


def test_a_plain_folder_of_files_is_an_archive(tmp_path: Path) -> None:
    _touch(tmp_path, "b.nii.gz", "a.mha", "notes.txt")
    assert _pairs(find_cases(tmp_path, labeled=False)) == [("a", "a.mha", None), ("b", "b.nii.gz", None)]
    with pytest.raises(UserError, match="None of the 2 scans .* has a label"):
        find_cases(tmp_path, labeled=True)


def test_each_dicom_series_at_any_depth_is_a_case(tmp_path: Path) -> None:
    for place in ("one/t1", "one/deep/flair", "two/t1"):
        write_series(tmp_path / place, VOXELS, GRID, Modality="CT")
    found = find_cases(tmp_path, labeled=False)
    assert [case.name for case in found.cases] == ["flair", "one-t1", "two-t1"] and found.modality == "CT"
    assert all(read_scan(case.image).array.shape == (3, 3, 3) for case in found.cases)


def test_a_series_folder_itself_is_one_case(tmp_path: Path) -> None:
    write_series(tmp_path / "t1", VOXELS, GRID)
    assert _pairs(find_cases(tmp_path / "t1", labeled=False)) == [("t1", "t1", None)]


def test_several_series_in_one_folder_are_cases_of_their_own(tmp_path: Path) -> None:
    write_series(tmp_path / "all", VOXELS, GRID)
    for path in write_series(tmp_path / "other", VOXELS[:2] + 5, GRID):
        path.rename(tmp_path / "all" / f"x{path.name}")
    cases = find_cases(tmp_path, labeled=False).cases
    assert [(case.name, read_scan(case.image).array.shape[0]) for case in cases] == [("all-1", 3), ("all-2", 2)]


def test_series_folders_under_images_have_labels_of_their_name(tmp_path: Path) -> None:
    write_series(tmp_path / "images" / "p 1", VOXELS, GRID)
    _touch(tmp_path, "labels/p 1.nii.gz")
    found = find_cases(tmp_path, labeled=True)
    assert _pairs(found) == [("p 1", "p 1", "p 1.nii.gz")] and found.modality == "MR"


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    _touch(tmp_path, "images/a.nii", "images/a.nrrd")
    with pytest.raises(UserError, match="a.nii and a.nrrd have the same name"):
        find_cases(tmp_path, labeled=False)


def test_a_file_and_a_series_of_one_name_are_refused(tmp_path: Path) -> None:
    _touch(tmp_path, "images/a.nii")
    write_series(tmp_path / "images" / "a", VOXELS, GRID)
    with pytest.raises(UserError, match="a file and a DICOM series"):
        find_cases(tmp_path, labeled=False)


@pytest.mark.parametrize(("kind", "words"), [("missing", "not there"), ("file", "no folder"), ("empty", "no scans")])
def test_a_place_without_scans_is_refused_with_the_layouts(tmp_path: Path, kind: str, words: str) -> None:
    place = tmp_path / "place"
    if kind == "file":
        place.write_text("")
    elif kind == "empty":
        place.mkdir()
    with pytest.raises(UserError, match=f"{words}.*labels/"):
        find_cases(place, labeled=False)


def test_the_real_archive_has_its_labelled_part() -> None:
    folder = shared_data("acdc", "train")
    found = find_cases(folder, labeled=True)
    assert (len(found.cases), len(find_cases(folder, labeled=False).cases)) == (28, 140)
    assert found.warnings[0] == "Passed over in train: folders beside those of the layout: 1 (scribbles)."
    assert found.warnings[1].startswith("Scans without a label, left out (112): ")
