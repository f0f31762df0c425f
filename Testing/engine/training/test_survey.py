"""The survey: which checked cases are used, which are left out, what is held out, and what a run goes on without."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import SimpleITK
from tiny_cases import Listener, damage, write_case

from alhvr.checking.context import RunContext
from alhvr.checking.result import CheckResult
from alhvr.checking.run import CheckOptions, Folders, check
from alhvr.checking.selection import may_train, overridden
from alhvr.config import PlanConfig
from alhvr.core.errors import Cancelled, UserError
from alhvr.data.cases import Case
from alhvr.training.setup import CaseSelection, select_cases

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


def checked(folders: Folders, **config) -> CheckResult:
    return check(folders, RunContext(), CheckOptions(plan=PlanConfig(**config)))


def look(folders: Folders, reporter: Listener | None = None, **config) -> CaseSelection:
    return select_cases(checked(folders, **config), PlanConfig(**config), seed=0, reporter=reporter or Listener())


def test_the_held_out_split_says_which_cases_it_sets_aside(tmp_path: Path) -> None:
    labeled_cases(tmp_path, 5)
    reporter = Listener()
    found = look(Folders(tmp_path), reporter)
    (aside,) = found.validation
    assert found.held_out and len(found.labeled) == 4 and aside not in found.labeled
    assert f"Set aside for validation: {aside.name}." in reporter.notes


def test_cases_of_one_patient_are_set_aside_together(tmp_path: Path) -> None:
    labeled_cases(tmp_path, 4)
    whose = {f"case{n}": {"patient": "A" if n < 2 else "B"} for n in range(4)}
    (tmp_path / "cases.json").write_text(json.dumps({"cases": whose}))
    found = look(Folders(tmp_path))
    assert {c.patient for c in found.validation}.isdisjoint({c.patient for c in found.labeled})
    assert len(found.validation) == 2


def test_a_validation_folder_leaves_all_labelled_cases_to_learn_from(tmp_path: Path) -> None:
    labeled_cases(tmp_path / "a", 2)
    write_case(tmp_path / "b", "other", SHAPE, label=True, seed=50)
    found = look(Folders(tmp_path / "a", validation=tmp_path / "b"))
    assert not found.held_out and len(found.labeled) == 2 and [c.name for c in found.validation] == ["other"]


def test_a_single_labelled_case_is_learnt_from_and_nothing_is_held_out(tmp_path: Path) -> None:
    labeled_cases(tmp_path, 1)
    found = look(Folders(tmp_path))
    assert len(found.labeled) == 1 and found.validation == ()


@pytest.mark.parametrize("part", ["labelled", "validation"])
def test_an_archive_scan_that_is_a_labelled_or_validation_scan_is_left_out(tmp_path: Path, part: str) -> None:
    labeled_cases(tmp_path / "labelled", 2)
    write_case(tmp_path / "validation", "held", SHAPE, label=True, seed=50)
    archive_cases(tmp_path / "archive", 2)
    source = tmp_path / part / "images" / ("case0.nrrd" if part == "labelled" else "held.nrrd")
    shutil.copy(source, tmp_path / "archive" / "images" / "copy.nrrd")
    found = look(Folders(tmp_path / "labelled", tmp_path / "archive", tmp_path / "validation"))
    assert [c.name for c in found.unlabeled] == ["scan0", "scan1"] and len(found.unlabeled_prints) == 2


def test_a_scan_that_is_in_the_archive_twice_is_used_once(tmp_path: Path) -> None:
    labeled_cases(tmp_path / "a", 2)
    archive_cases(tmp_path / "b", 1)
    shutil.copy(tmp_path / "b" / "images" / "scan0.nrrd", tmp_path / "b" / "images" / "scan0 again.nrrd")
    assert len(look(Folders(tmp_path / "a", tmp_path / "b")).unlabeled) == 1


def test_archive_scans_that_cannot_be_used_are_left_out_with_the_reason(tmp_path: Path) -> None:
    labeled_cases(tmp_path / "a", 2)
    images = tmp_path / "b" / "images"
    damage(archive_cases(tmp_path / "b", 3)[1])
    (images / "text.nii.gz").write_text("no scan")
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(np.full(SHAPE, 7.0, np.float32)), str(images / "flat.nrrd"))
    folders = Folders(tmp_path / "a", tmp_path / "b")
    assert [c.name for c in look(folders).unlabeled] == ["scan0", "scan2"]
    told = [f.seen.split(": ", 2)[1:] for f in checked(folders).findings if f.seen.startswith("Left out of")]
    reasons = dict(told)
    assert reasons.keys() == {"scan1.nrrd", "text.nii.gz", "flat.nrrd"} and "every voxel is 7" in reasons["flat.nrrd"]


def test_an_archive_without_one_usable_scan_leaves_the_labels(tmp_path: Path) -> None:
    labeled_cases(tmp_path / "a", 2)
    damage(archive_cases(tmp_path / "b", 1)[0])
    assert look(Folders(tmp_path / "a", tmp_path / "b")).unlabeled == ()


def test_labelled_cases_that_cannot_be_used_are_left_out_where_faults_are_overridden(tmp_path: Path) -> None:
    cases = labeled_cases(tmp_path, 5, names={"1": "liver", "3": "spleen"})
    damage(cases[0])
    relabel(cases[1], np.ones((3, 10, 11)))
    relabel(cases[2], np.full(SHAPE, 7))
    found = checked(Folders(tmp_path))
    assert not may_train(found, force=False) and may_train(found, force=True)
    seen = select_cases(found, PlanConfig(), seed=0, reporter=Listener())
    assert {c.name for c in (*seen.labeled, *seen.validation)} == {"case3", "case4"}
    assert set(seen.forced) == {"unreadable_image", "label_on_another_grid", "unknown_label_value"} == set(
        overridden(found))


def test_some_faults_cannot_be_overridden(tmp_path: Path) -> None:
    for case in labeled_cases(tmp_path, 2):
        relabel(case, np.zeros(SHAPE))
    found = checked(Folders(tmp_path))
    assert not may_train(found, force=True)
    with pytest.raises(UserError, match="There is no labelled case to learn from"):
        select_cases(found, PlanConfig(), seed=0, reporter=Listener())


def test_sound_data_is_overridden_in_nothing(tmp_path: Path) -> None:
    labeled_cases(tmp_path, 3)
    found = checked(Folders(tmp_path))
    assert may_train(found, force=False) and overridden(found) == ()


def test_names_may_be_given_in_the_validation_folder_alone(tmp_path: Path) -> None:
    labeled_cases(tmp_path / "a", 2)
    write_case(tmp_path / "b", "held", SHAPE, label=True, seed=50)
    (tmp_path / "b" / "labels.json").write_text('{"1": "liver", "3": "spleen"}')
    assert look(Folders(tmp_path / "a", validation=tmp_path / "b")).labels.names == ("liver", "spleen")


def test_without_any_names_the_values_are_the_names(tmp_path: Path) -> None:
    labeled_cases(tmp_path, 2)
    assert look(Folders(tmp_path)).labels.names == ("label 1", "label 3")


def test_a_named_structure_that_no_case_shows_is_a_class_all_the_same(tmp_path: Path) -> None:
    labeled_cases(tmp_path, 2, names={"1": "liver", "2": "pancreas", "3": "spleen"})
    assert look(Folders(tmp_path)).labels.n_classes == 4


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


def test_a_check_can_be_stopped(tmp_path: Path) -> None:
    labeled_cases(tmp_path, 2)
    with pytest.raises(Cancelled, match="Start it again"):
        check(Folders(tmp_path), RunContext(should_stop=lambda: True))
