"""Layouts of data sets as people download them: each gives its cases, labels, channels and patients, and says so."""

from __future__ import annotations

import os
from pathlib import Path

import h5py
import numpy as np
import pytest
from support import shared_data

from alhvr.core.errors import UserError
from alhvr.data import h5_file
from alhvr.data.cases import CaseSet, find_cases


def _touch(folder: Path, *names: str) -> Path:
    """Empty files: finding cases opens no NIfTI image."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")
    return folder


def _labels(found: CaseSet) -> dict[str, str]:
    return {case.name: case.label.relative_to(found.folder).as_posix() for case in found.cases}


def _channels(found: CaseSet) -> dict[str, list[str]]:
    return {case.name: [path.name for path in case.images] for case in found.cases}


def _acdc(folder: Path, *patients: int) -> Path:
    for number in patients:
        name = f"patient{number:03d}"
        _touch(folder / name, f"{name}_4d.nii.gz", "Info.cfg", f"{name}_frame01.nii.gz", f"{name}_frame12.nii.gz",
               f"{name}_frame01_gt.nii.gz", f"{name}_frame12_gt.nii.gz")
    return _touch(folder, "MANDATORY_CITATION.md")


def test_acdc_as_downloaded_gives_two_frames_a_patient(tmp_path: Path) -> None:
    found = find_cases(_acdc(tmp_path, 1, 2), labeled=True)
    assert {case.name: case.patient for case in found.cases} == {
        f"patient00{n}_frame{frame}": f"patient00{n}" for n in (1, 2) for frame in ("01", "12")}
    assert _labels(found)["patient002_frame12"] == "patient002/patient002_frame12_gt.nii.gz"
    assert found.notes[0] == "Layout ACDC: 4 scans of 2 patients; 4 labels."


def test_the_films_of_acdc_are_left_out_and_said(tmp_path: Path) -> None:
    found = find_cases(_acdc(tmp_path, 1), labeled=False)
    assert len(found.cases) == 2 and "films of all frames (4-D)" in found.warnings[0]


def test_the_real_acdc_laid_out_as_downloaded_gives_the_same_cases_and_patients(tmp_path: Path) -> None:
    source = shared_data("acdc", "train")
    for kind, suffix in (("images", ""), ("labels", "_gt")):
        for path in sorted((source / kind).iterdir()):
            name = path.name.removesuffix(".nii.gz")
            place = tmp_path / "training" / name.split("_")[0]
            place.mkdir(parents=True, exist_ok=True)
            (place / f"{name}{suffix}.nii.gz").symlink_to(path)
    for labeled in (True, False):
        known, found = (find_cases(folder, labeled=labeled) for folder in (source, tmp_path / "training"))
        assert [(c.name, c.image.resolve(), c.label and c.label.resolve()) for c in found.cases] == [
            (c.name, c.image.resolve(), c.label and c.label.resolve()) for c in known.cases]
        assert {c.patient for c in found.cases} == {c.name.split("_")[0] for c in known.cases}


def test_brats_as_downloaded_has_four_channels_by_name(tmp_path: Path) -> None:
    for case in ("BraTS2021_00000", "BraTS2021_00002"):
        _touch(tmp_path / case, *[f"{case}_{kind}.nii.gz" for kind in ("flair", "seg", "t1", "t1ce", "t2")])
    found = find_cases(tmp_path, labeled=True)
    assert [channel.name for channel in found.channels] == ["T1", "T1ce", "T2", "FLAIR"] and found.modality == "MR"
    assert _channels(found)["BraTS2021_00002"] == [f"BraTS2021_00002_{k}.nii.gz" for k in ("t1", "t1ce", "t2", "flair")]
    assert _labels(found)["BraTS2021_00000"] == "BraTS2021_00000/BraTS2021_00000_seg.nii.gz"
    assert found.notes == ("Layout BraTS: 2 scans with T1, T1ce, T2, FLAIR; 2 labels.",)


def test_brats_of_2023_has_the_same_channels_and_its_visits_belong_to_a_patient(tmp_path: Path) -> None:
    for visit in ("000", "001"):
        case = f"BraTS-GLI-00003-{visit}"
        _touch(tmp_path / case, *[f"{case}-{kind}.nii.gz" for kind in ("seg", "t1c", "t1n", "t2f", "t2w")])
    found = find_cases(tmp_path, labeled=True)
    assert [channel.name for channel in found.channels] == ["T1", "T1ce", "T2", "FLAIR"]
    assert [path.name[-12:-7] for path in found.cases[0].images] == ["0-t1n", "0-t1c", "0-t2w", "0-t2f"]
    assert {case.patient for case in found.cases} == {"BraTS-GLI-00003"}


def test_brats_with_its_grades_in_folders_is_found_below_them(tmp_path: Path) -> None:
    for case in ("HGG/Brats18_A", "LGG/Brats18_B"):
        name = case.split("/")[1]
        _touch(tmp_path / case, *[f"{name}_{kind}.nii.gz" for kind in ("flair", "t1", "t1ce", "t2", "seg")])
    assert [case.name for case in find_cases(tmp_path, labeled=True).cases] == ["Brats18_A", "Brats18_B"]


def test_brats_of_flair_alone_has_one_channel(tmp_path: Path) -> None:
    for case in ("B1", "B2"):
        _touch(tmp_path / case, f"{case}_flair.nii.gz", f"{case}_seg.nii.gz")
    found = find_cases(tmp_path, labeled=True)
    assert found.n_channels == 1 and found.channels[0].name == "FLAIR"


def test_the_folder_of_one_brats_case_is_that_case(tmp_path: Path) -> None:
    folder = _touch(tmp_path / "B1", *[f"B1_{kind}.nii.gz" for kind in ("flair", "t1", "t1ce", "t2", "seg")])
    assert _labels(find_cases(folder, labeled=True)) == {"B1": "B1_seg.nii.gz"}


def test_a_brats_case_without_a_channel_is_named_with_the_channel(tmp_path: Path) -> None:
    for case in ("B1", "B2", "B3"):
        kinds = ("flair", "t1", "t1ce", "t2")[: 3 if case == "B2" else 4]
        _touch(tmp_path / case, *[f"{case}_{kind}.nii.gz" for kind in kinds])
    found = find_cases(tmp_path, labeled=False)
    assert [case.name for case in found.cases] == ["B1", "B3"]
    assert found.warnings == ('Left out: The case "B2" lacks the channel T2.',)


def test_abdomenct_1k_as_downloaded_pairs_scans_and_masks(tmp_path: Path) -> None:
    _touch(tmp_path, "AbdomenCT-1K-ImagePart1/Case_00001_0000.nii.gz", "AbdomenCT-1K-ImagePart2/Case_00400_0000.nii.gz",
           "Mask/Case_00001.nii.gz", "Mask/Case_00400.nii.gz")
    found = find_cases(tmp_path, labeled=True)
    assert _labels(found) == {f"Case_00{n}": f"Mask/Case_00{n}.nii.gz" for n in ("001", "400")}
    assert found.notes == ("Layout AbdomenCT-1K: 2 scans; 2 labels.",) and found.modality == "CT"


def test_abdomenct_1k_has_the_same_names_with_and_without_masks(tmp_path: Path) -> None:
    _touch(tmp_path, "Case_00001_0000.nii.gz", "Case_00002_0000.nii.gz")
    assert [case.name for case in find_cases(tmp_path, labeled=False).cases] == ["Case_00001", "Case_00002"]


def _h5(path: Path, **arrays: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file[name] = array
    return path


def _ssl4mis(folder: Path) -> Path:
    image, label = np.random.default_rng(0).random((3, 8, 9)).astype(np.float32), np.ones((3, 8, 9), np.uint8)
    for patient in (1, 2):
        name = f"patient00{patient}_frame01"
        _h5(folder / "data" / f"{name}.h5", image=image, label=label)
        for number in (1, 2):
            _h5(folder / "data" / "slices" / f"{name}_slice_{number}.h5", image=image[number], label=label[number])
    return folder


def test_ssl4mis_gives_the_slices_of_the_list_and_their_patients(tmp_path: Path) -> None:
    _ssl4mis(tmp_path)
    (tmp_path / "train_slices.list").write_text("patient001_frame01_slice_1\npatient001_frame01_slice_2\n")
    found = find_cases(tmp_path, labeled=True)
    assert {case.name: case.patient for case in found.cases} == {
        f"patient001_frame01_slice_{n}": "patient001" for n in (1, 2)}
    assert "whole volumes beside the slices: 2" in found.warnings[0]
    assert "train_slices.list does not name: 2" in found.warnings[0]
    assert found.notes[0] == "Layout SSL4MIS: 2 scans in HDF5 files; 2 labels."


def test_a_folder_of_volumes_in_hdf5_gives_each_as_a_scan(tmp_path: Path) -> None:
    _ssl4mis(tmp_path)
    for path in (tmp_path / "data" / "slices").iterdir():
        path.unlink()
    found = find_cases(tmp_path / "data", labeled=True)
    assert [(case.name, case.patient) for case in found.cases] == [
        ("patient001_frame01", "patient001"), ("patient002_frame01", "patient002")]


def test_hdf5_files_of_one_name_are_called_after_their_folders(tmp_path: Path) -> None:
    for name in ("A1", "B2"):
        _h5(tmp_path / name / "mri_norm2.h5", image=np.ones((2, 3, 4)), label=np.ones((2, 3, 4), np.uint8))
    assert [case.name for case in find_cases(tmp_path, labeled=True).cases] == ["A1-mri_norm2", "B2-mri_norm2"]


def test_other_hdf5_files_are_passed_over_and_said(tmp_path: Path) -> None:
    _h5(tmp_path / "weights.h5", layer=np.ones(3))
    _touch(tmp_path, "a.nii")
    found = find_cases(tmp_path, labeled=False)
    assert len(found.cases) == 1 and 'without a dataset "image": 1 (weights.h5)' in found.warnings[0]


def test_hdf5_files_without_h5py_are_refused_with_the_line_that_installs_it(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(h5_file, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="pip install h5py"):
        find_cases(_ssl4mis(tmp_path), labeled=True)


def test_bids_takes_one_contrast_and_the_labels_of_its_derivatives(tmp_path: Path) -> None:
    for subject in ("01", "02"):
        _touch(tmp_path / f"sub-{subject}", f"anat/sub-{subject}_T1w.nii.gz", f"anat/sub-{subject}_FLAIR.nii.gz",
               f"func/sub-{subject}_task-rest_bold.nii.gz", f"anat/sub-{subject}_T1w.json")
        _touch(tmp_path / "derivatives" / "hand" / f"sub-{subject}" / "anat", f"sub-{subject}_desc-manual_dseg.nii.gz",
               f"sub-{subject}_desc-brain_mask.nii.gz")
    found = find_cases(_touch(tmp_path, "participants.tsv"), labeled=True)
    assert {case.name: case.patient for case in found.cases} == {"sub-01_T1w": "sub-01", "sub-02_T1w": "sub-02"}
    assert _labels(found)["sub-01_T1w"] == "derivatives/hand/sub-01/anat/sub-01_desc-manual_dseg.nii.gz"
    assert found.notes[0] == "Layout BIDS: 2 scans T1w of 2 subjects; 2 labels."
    assert all(words in found.warnings[0] for words in ("are no T1w", "FLAIR", "bold", "brain_mask"))


def test_bids_pairs_labels_by_session_and_run(tmp_path: Path) -> None:
    for place in ("ses-1/anat/sub-a_ses-1_run-1", "ses-1/anat/sub-a_ses-1_run-2", "ses-2/anat/sub-a_ses-2_run-1"):
        _touch(tmp_path / "sub-a", f"{place}_T1w.nii.gz")
    names = ("ses-1/anat/sub-a_ses-1_run-2_label-lesion_mask", "ses-2/anat/sub-a_ses-2_label-lesion_mask")
    _touch(tmp_path / "derivatives" / "x" / "sub-a", *[f"{name}.nii.gz" for name in names])
    assert {name: Path(label).name[:24] for name, label in _labels(find_cases(tmp_path, labeled=True)).items()} == {
        "sub-a_ses-1_run-2_T1w": "sub-a_ses-1_run-2_label-", "sub-a_ses-2_run-1_T1w": "sub-a_ses-2_label-lesion"}


def test_bids_labels_of_two_raters_are_left_to_the_user(tmp_path: Path) -> None:
    for subject in ("01", "02"):
        _touch(tmp_path / f"sub-{subject}", f"anat/sub-{subject}_T1w.nii.gz")
    for rater, subject in (("one", "01"), ("two", "01"), ("one", "02")):
        _touch(tmp_path / "derivatives" / rater / f"sub-{subject}", f"anat/sub-{subject}_dseg.nii.gz")
    found = find_cases(tmp_path, labeled=True)
    assert [case.name for case in found.cases] == ["sub-02_T1w"] and "name one in cases.json): 2" in found.warnings[0]


def test_files_that_are_not_part_of_a_layout_are_said(tmp_path: Path) -> None:
    found = find_cases(_touch(_acdc(tmp_path, 1), "atlas.nii.gz"), labeled=False)
    assert len(found.cases) == 2 and "not part of the layout: 1 (atlas.nii.gz)" in found.warnings[0]


def test_a_linked_layout_is_found(tmp_path: Path) -> None:
    _acdc(tmp_path / "real", 1)
    (tmp_path / "set").mkdir()
    os.symlink(tmp_path / "real" / "patient001", tmp_path / "set" / "patient001")
    assert len(find_cases(tmp_path / "set", labeled=True).cases) == 2
