"""The survey: which cases are used, which are left out and why, what is held out, and which faults stop a run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import SimpleITK
from tiny_cases import Listener, damage, write_case

from alhvr.config import PlanConfig
from alhvr.data.cases import Case
from alhvr.errors import Cancelled, UserError
from alhvr.training import survey as room
from alhvr.training.survey import Folders, Survey, survey

SHAPE = (3, 10, 12)


def labeled_cases(folder: Path, count: int, *, names: dict | None = None) -> list[Case]:
    cases = [write_case(folder, f"case{n}", SHAPE, label=True, seed=n) for n in range(count)]
    if names is not None:
        (folder / "labels.json").write_text(json.dumps(names))
    return cases


def archive_cases(folder: Path, count: int) -> list[Case]:
    return [write_case(folder, f"scan{n}", SHAPE, seed=100 + n) for n in range(count)]


def relabel(case: Case, array: np.ndarray) -> None:
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(array.astype(np.uint8)), str(case.label))


def look(folders: Folders, reporter: Listener | None = None, **config) -> Survey:
    return survey(folders, PlanConfig(**config), seed=0, listener=room.Listener(reporter or Listener()))


def test_the_held_out_split_says_which_cases_it_sets_aside(tmp_path: Path) -> None:
    labeled_cases(tmp_path, 5)
    reporter = Listener()
    found = look(Folders(tmp_path), reporter)
    (aside,) = found.validation
    assert found.held_out and len(found.labeled) == 4 and aside not in found.labeled
    assert f"Set aside for validation: {aside.name}." in reporter.notes


def test_a_validation_folder_leaves_all_labelled_cases_to_learn_from(tmp_path: Path) -> None:
    labeled_cases(tmp_path / "a", 2)
    write_case(tmp_path / "b", "other", SHAPE, label=True, seed=50)
    found = look(Folders(tmp_path / "a", validation=tmp_path / "b"))
    assert not found.held_out and len(found.labeled) == 2 and [c.name for c in found.validation] == ["other"]


def test_a_single_labelled_case_is_learnt_from_and_nothing_is_held_out(tmp_path: Path) -> None:
    labeled_cases(tmp_path, 1)
    reporter = Listener()
    found = look(Folders(tmp_path), reporter)
    assert len(found.labeled) == 1 and found.validation == ()
    assert "one labelled case" in reporter.warnings[0] and "unscored" in reporter.warnings[0]


@pytest.mark.parametrize("part", ["labelled", "validation"])
def test_an_archive_scan_that_is_a_labelled_or_validation_scan_is_left_out(tmp_path: Path, part: str) -> None:
    labeled_cases(tmp_path / "labelled", 2)
    write_case(tmp_path / "validation", "held", SHAPE, label=True, seed=50)
    archive_cases(tmp_path / "archive", 2)
    source = tmp_path / part / "images" / ("case0.nrrd" if part == "labelled" else "held.nrrd")
    shutil.copy(source, tmp_path / "archive" / "images" / "copy.nrrd")
    reporter = Listener()
    found = look(Folders(tmp_path / "labelled", tmp_path / "archive", tmp_path / "validation"), reporter)
    assert [c.name for c in found.unlabeled] == ["scan0", "scan1"]
    assert reporter.warnings == [f"Left out of the archive: copy.nrrd: it is the same scan as {source.stem}."]


def test_a_scan_that_is_in_the_archive_twice_is_used_once(tmp_path: Path) -> None:
    labeled_cases(tmp_path / "a", 2)
    archive_cases(tmp_path / "b", 1)
    shutil.copy(tmp_path / "b" / "images" / "scan0.nrrd", tmp_path / "b" / "images" / "scan0 again.nrrd")
    found = look(Folders(tmp_path / "a", tmp_path / "b"))
    assert len(found.unlabeled) == len(found.unlabeled_prints) == 1


def test_archive_scans_that_cannot_be_used_are_left_out_with_the_reason(tmp_path: Path) -> None:
    labeled_cases(tmp_path / "a", 2)
    images = tmp_path / "b" / "images"
    damage(archive_cases(tmp_path / "b", 3)[1])
    (images / "text.nii.gz").write_text("no scan")
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(np.full(SHAPE, 7.0, np.float32)), str(images / "flat.nrrd"))
    reporter = Listener()
    found = look(Folders(tmp_path / "a", tmp_path / "b"), reporter)
    assert [c.name for c in found.unlabeled] == ["scan0", "scan2"]
    reasons = {w.split(": ")[1]: w.split(": ", 2)[2] for w in reporter.warnings}
    assert reasons.keys() == {"scan1.nrrd", "text.nii.gz", "flat.nrrd"} and "every voxel is 7" in reasons["flat.nrrd"]


def test_an_archive_without_one_usable_scan_leaves_the_labels(tmp_path: Path) -> None:
    labeled_cases(tmp_path / "a", 2)
    damage(archive_cases(tmp_path / "b", 1)[0])
    reporter = Listener()
    assert look(Folders(tmp_path / "a", tmp_path / "b"), reporter).unlabeled == ()
    assert "training goes on with the labels only" in reporter.warnings[-1]


def test_a_large_archive_is_decoded_in_part_and_used_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "MAX_ARCHIVE_DECODED", 2)
    labeled_cases(tmp_path / "a", 2)
    archive_cases(tmp_path / "b", 5)
    found = look(Folders(tmp_path / "a", tmp_path / "b"))
    assert len(found.unlabeled) == 5 and len(found.unlabeled_prints) == 2


def test_all_faults_of_labelled_cases_are_told_at_once(tmp_path: Path) -> None:
    cases = labeled_cases(tmp_path, 3)
    damage(cases[0])
    relabel(cases[2], np.ones((3, 10, 11)))
    with pytest.raises(UserError) as caught:
        look(Folders(tmp_path))
    first, second = str(caught.value).split(" | ")
    assert "case0.nrrd" in first
    assert "case2.nrrd lies on another grid" in second and "(11, 10, 3)" in second and "(12, 10, 3)" in second


def test_many_faults_are_counted_not_listed(tmp_path: Path) -> None:
    for case in labeled_cases(tmp_path, 8):
        damage(case)
    with pytest.raises(UserError, match=r"case4\.nrrd.*\(and 3 more\)$"):
        look(Folders(tmp_path))


def test_labels_that_are_all_empty_are_refused(tmp_path: Path) -> None:
    for case in labeled_cases(tmp_path, 2):
        relabel(case, np.zeros(SHAPE))
    with pytest.raises(UserError, match=r"All labels of case0, case1 are empty \(value 0 everywhere\)"):
        look(Folders(tmp_path))


def test_a_label_value_without_a_name_is_refused(tmp_path: Path) -> None:
    labeled_cases(tmp_path, 2, names={"1": "liver"})
    with pytest.raises(UserError, match=r"case0\.nrrd holds the value 3, which has no name \(named: 1 liver\)"):
        look(Folders(tmp_path))


def test_folders_that_name_a_value_differently_are_refused(tmp_path: Path) -> None:
    labeled_cases(tmp_path / "a", 2, names={"1": "liver", "3": "spleen"})
    write_case(tmp_path / "b", "held", SHAPE, label=True, seed=50)
    (tmp_path / "b" / "labels.json").write_text('{"1": "Liver", "3": "pancreas"}')
    with pytest.raises(UserError, match=r'Label value 3 is "spleen" in one folder and "pancreas" in b\.'):
        look(Folders(tmp_path / "a", validation=tmp_path / "b"))


def test_names_may_be_given_in_the_validation_folder_alone(tmp_path: Path) -> None:
    labeled_cases(tmp_path / "a", 2)
    write_case(tmp_path / "b", "held", SHAPE, label=True, seed=50)
    (tmp_path / "b" / "labels.json").write_text('{"1": "liver", "3": "spleen"}')
    assert look(Folders(tmp_path / "a", validation=tmp_path / "b")).labels.names == ("liver", "spleen")


def test_without_any_names_the_values_are_the_names(tmp_path: Path) -> None:
    labeled_cases(tmp_path, 2)
    assert look(Folders(tmp_path)).labels.names == ("label 1", "label 3")


def test_a_named_structure_that_no_case_shows_is_told(tmp_path: Path) -> None:
    labeled_cases(tmp_path, 2, names={"1": "liver", "2": "pancreas", "3": "spleen"})
    reporter = Listener()
    assert look(Folders(tmp_path), reporter).labels.n_classes == 4
    assert reporter.warnings == ["No labelled case to learn from shows 2 pancreas: the model cannot learn it."]


def test_a_validation_scan_that_is_learnt_from_too_is_told(tmp_path: Path) -> None:
    labeled_cases(tmp_path / "a", 2)
    labeled_cases(tmp_path / "b", 1)
    reporter = Listener()
    look(Folders(tmp_path / "a", validation=tmp_path / "b"), reporter)
    assert "case0 is the same scan as case0" in reporter.warnings[0]


def test_equal_names_in_labelled_and_archive_keep_their_own_hashes(tmp_path: Path) -> None:
    labeled_cases(tmp_path / "a", 2)
    write_case(tmp_path / "b", "case0", SHAPE, seed=77)
    found = look(Folders(tmp_path / "a", tmp_path / "b"))
    assert len(set(found.hashes.values())) == 3
    assert found.hashes["unlabeled/case0"] not in [v for k, v in found.hashes.items() if not k.startswith("unlabeled")]


def test_paths_are_absolute_so_that_a_run_resumes_from_anywhere(tmp_path: Path, monkeypatch) -> None:
    labeled_cases(tmp_path / "a", 2)
    monkeypatch.chdir(tmp_path)
    assert all(c.image.is_absolute() and c.label.is_absolute() for c in look(Folders(Path("a"))).labeled)


def test_scans_with_air_are_ct_unless_the_user_says_otherwise(tmp_path: Path) -> None:
    for case in labeled_cases(tmp_path, 2):
        image = SimpleITK.ReadImage(str(case.image))
        SimpleITK.WriteImage(image * 10 - 2000, str(case.image))
    assert look(Folders(tmp_path)).modality == "CT"
    assert look(Folders(tmp_path), modality="MR").modality == "MR"


def test_a_survey_can_be_stopped(tmp_path: Path) -> None:
    labeled_cases(tmp_path, 2)
    with pytest.raises(Cancelled, match="Stopped before training began"):
        survey(Folders(tmp_path), PlanConfig(), seed=0, listener=room.Listener(Listener(), lambda: True))
