"""The check in one call: folders that cannot be used, values that mean not annotated, and one look at every file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tiny_cases import damage, write_case

from alhvr.checking.context import RunContext
from alhvr.checking.findings import Severity
from alhvr.checking.result import CheckResult, case_key
from alhvr.checking.run import NO_VALUE, CheckOptions, Folders, check, effective_not_annotated
from alhvr.core.errors import UserError
from alhvr.data.cases import CaseSet

SHAPE = (3, 10, 12)


def cases(folder: Path, count: int = 3, names: dict | None = None) -> Path:
    for n in range(count):
        write_case(folder, f"case{n}", SHAPE, label=True, seed=n)
    if names:
        (folder / "labels.json").write_text(json.dumps(names))
    return folder


def kinds(found: CheckResult) -> dict[str, Severity]:
    return {f.kind: f.severity for f in found.findings}


def test_no_folder_at_all_is_refused() -> None:
    with pytest.raises(UserError, match="no folder to check"):
        check(Folders(), RunContext())


def test_a_folder_that_cannot_be_used_hides_no_other_fault(tmp_path: Path) -> None:
    folder = cases(tmp_path / "a")
    damage(write_case(folder, "broken", SHAPE, label=True, seed=9))
    found = check(Folders(folder, tmp_path / "nowhere"), RunContext())
    assert kinds(found).items() >= {("unusable_folder", Severity.FAULT), ("unreadable_image", Severity.FAULT)}
    assert "nowhere is not there" in next(f.seen for f in found.findings if f.kind == "unusable_folder")


def test_a_value_that_names_a_structure_is_not_taken_for_not_annotated(tmp_path: Path) -> None:
    folder = cases(tmp_path, names={"1": "liver", "3": "spleen", "255": "tumour"})
    assert "not_annotated_is_named" not in kinds(check(Folders(folder), RunContext()))
    asked = check(Folders(folder), RunContext(), CheckOptions(not_annotated=3))
    assert kinds(asked)["not_annotated_is_named"] is Severity.FAULT
    assert effective_not_annotated(3, [CaseSet(folder, (), {3: "spleen"}, None, ())]) == NO_VALUE


def test_what_is_not_annotated_is_no_structure(tmp_path: Path) -> None:
    found = check(Folders(cases(tmp_path)), RunContext(), CheckOptions(not_annotated=3))
    assert found.labels.values == (1,) and found.facts[0].label.n_not_annotated > 0


def test_the_archive_must_have_the_channels_of_the_labelled_scans(tmp_path: Path) -> None:
    for n in range(3):
        case = write_case(tmp_path / "a", f"p{n}_0000", SHAPE, label=True, seed=n)
        case.label.rename(case.label.with_name(f"p{n}.nrrd"))
        write_case(tmp_path / "a", f"p{n}_0001", SHAPE, seed=50 + n)
        for channel in range(1 if n == 1 else 2):
            write_case(tmp_path / "b", f"q{n}_000{channel}", SHAPE, seed=100 + 10 * n + channel)
    found = check(Folders(tmp_path / "a", tmp_path / "b"), RunContext())
    assert [len(f.images) for f in found.part("labeled")] == [2, 2, 2]
    (missing,) = [f for f in found.findings if f.kind == "missing_channel"]
    assert missing.severity is Severity.WARNING and missing.cases == ("unlabeled/q1",)


def test_a_folder_that_is_not_there_is_no_missing_channel_whatever_it_is_called(tmp_path: Path) -> None:
    write_case(tmp_path / "a", "p", SHAPE, label=True)
    found = check(Folders(tmp_path / "a", tmp_path / "two-channel-archive"), RunContext())
    assert [f.kind for f in found.findings if f.severity is Severity.FAULT] == ["unusable_folder"]


def test_a_second_check_knows_the_cases(tmp_path: Path) -> None:
    for n in range(3):
        write_case(tmp_path, f"case{n}", SHAPE, label=True, seed=7000 + n)
    first, second = (check(Folders(tmp_path), RunContext()) for _ in range(2))
    assert (first.n_cached, second.n_cached) == (0, 3) and first.findings == second.findings


def test_several_archive_folders_are_one_archive_and_equal_names_are_kept_apart(tmp_path: Path) -> None:
    folder = cases(tmp_path / "a")
    for archive, seed in (("one", 100), ("two", 200)):
        write_case(tmp_path / archive, "scan", SHAPE, seed=seed)
    write_case(tmp_path / "two", "other", SHAPE, seed=300)
    found = check(Folders(folder, (tmp_path / "one", tmp_path / "two")), RunContext())
    assert {f.case.name: f.case.image.parent.parent.name for f in found.part("unlabeled")} == {
        "scan": "one", "two_scan": "two", "other": "two"}
    assert not found.count(Severity.FAULT) and len({f.images[0].content for f in found.part("unlabeled")}) == 3


def test_one_of_several_archive_folders_that_is_missing_is_a_fault_that_names_it(tmp_path: Path) -> None:
    folder = cases(tmp_path / "a")
    write_case(tmp_path / "there", "scan", SHAPE, seed=100)
    found = check(Folders(folder, (tmp_path / "there", tmp_path / "disk" / "scans")), RunContext())
    (fault,) = [f for f in found.findings if f.severity is Severity.FAULT]
    assert (fault.kind, fault.files) == ("unusable_folder", (tmp_path / "disk" / "scans",))
    assert fault.seen == f"The archive folder {tmp_path / 'disk' / 'scans'} is not there."
    assert len(found.part("unlabeled")) == 1


def test_the_same_scan_in_two_archive_folders_is_found(tmp_path: Path) -> None:
    for archive in ("one", "two"):
        write_case(tmp_path / archive, "scan", SHAPE, seed=100)
    found = check(Folders(unlabeled=(tmp_path / "one", tmp_path / "two")), RunContext())
    assert next(f for f in found.findings if f.kind == "scan_twice").cases == ("unlabeled/two_scan",)


def told(folder: Path, **about: dict) -> Path:
    """The folder with a cases.json that says ``about`` of its cases."""
    (folder / "cases.json").write_text(json.dumps({"cases": about}))
    return folder


def test_cases_that_are_held_out_are_those_to_validate_on(tmp_path: Path) -> None:
    found = check(Folders(told(cases(tmp_path, 4), case1={"held_out": True}, case3={"held_out": True})), RunContext())
    assert [f.case.name for f in found.part("validation")] == ["case1", "case3"]
    assert [f.case.name for f in found.part("labeled")] == ["case0", "case2"]
    assert not found.count(Severity.FAULT) and found.sets["validation"].folder == tmp_path


def test_one_patient_who_is_learnt_from_and_held_out_is_a_fault(tmp_path: Path) -> None:
    folder = told(cases(tmp_path), case1={"held_out": True, "patient": "A"}, case2={"patient": "A"})
    assert kinds(check(Folders(folder), RunContext()))["patient_in_training_and_validation"] is Severity.FAULT


def test_a_study_of_which_every_case_is_held_out_is_one_fault(tmp_path: Path) -> None:
    folder = told(cases(tmp_path), **{f"case{n}": {"held_out": True} for n in range(3)})
    faults = [f for f in check(Folders(folder), RunContext()).findings if f.severity is Severity.FAULT]
    assert [f.kind for f in faults] == ["no_usable_case"]
    assert "every one of the 3 labelled cases" in faults[0].seen and '"held_out"' in faults[0].remedy


def test_cases_that_are_held_out_are_left_aside_where_others_are_given_to_validate_on(tmp_path: Path) -> None:
    folder, others = told(cases(tmp_path / "a"), case1={"held_out": True}), tmp_path / "b"
    write_case(others, "other", SHAPE, label=True, seed=9)
    found = check(Folders(folder, validation=others), RunContext())
    assert {case_key(f) for f in found.facts} == {"labeled/case0", "labeled/case2", "validation/other"}
    assert any("cases.json holds out are not used" in f.seen for f in found.findings)
