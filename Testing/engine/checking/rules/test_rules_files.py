"""Rules on files: unreadable, empty, not finite, left out, and labels on other grids."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from checked import image_facts
from studies import cases, only, sound, study, with_image, with_label
from tiny_runs import write_scan

from alhvr.checking.facts import CaseFacts, Problem
from alhvr.checking.findings import Severity
from alhvr.checking.rules import files
from alhvr.core.errors import UserError
from alhvr.data.cases import Incomplete
from alhvr.data.reading import read_scan


def unreadable(part: str, message: str = "It is cut short.") -> CaseFacts:
    return replace(sound(part, 0), images=(), image_problem=Problem(message, "Copy it again."))


def complaint(path: Path) -> str:
    with pytest.raises(UserError) as caught:
        read_scan(path)
    return caught.value.message


@pytest.mark.parametrize("part", ["labeled", "validation"])
def test_a_labelled_scan_that_cannot_be_read_is_a_fault_with_its_reason(part: str) -> None:
    bad = unreadable(part)
    found = only(files.unreadable, study(bad, sound(part, 1)))
    assert (found.kind, found.severity) == ("unreadable_image", Severity.FAULT)
    assert (found.seen, found.remedy, found.files) == ("It is cut short.", "Copy it again.", (bad.case.image,))


def test_such_a_scan_of_the_archive_is_left_out_with_a_warning() -> None:
    found = only(files.unreadable, study(unreadable("unlabeled"), *cases("labeled", 2)))
    assert found.severity is Severity.WARNING
    assert found.seen == "Left out of the archive: unlabeled0.nii.gz: It is cut short."


def test_the_channel_that_cannot_be_read_is_the_file_that_is_named() -> None:
    facts = sound("labeled", 0)
    second = Path("/data/labeled/images/second.nii.gz")
    facts = replace(facts, case=replace(facts.case, more_images=(second,)), image_problem=Problem("It is no scan."))
    assert only(files.unreadable, study(facts)).files == (second,)


def test_a_label_that_cannot_be_read_is_a_fault_of_the_label() -> None:
    facts = replace(sound("labeled", 0), label=None, label_problem=Problem("label.nrrd holds 0.5."))
    found = only(files.unreadable, study(facts))
    assert (found.kind, found.files, found.severity) == ("unreadable_label", (facts.case.label,), Severity.FAULT)
    assert found.remedy


@pytest.mark.parametrize(("value", "kind"), [(7.0, "constant_image"), (np.nan, "not_finite")])
def test_what_reading_says_of_empty_scans_has_kinds_of_its_own(tmp_path: Path, value: float, kind: str) -> None:
    path = write_scan(tmp_path / "flat.nrrd", np.full((4, 8, 8), value, np.float32))
    assert only(files.unreadable, study(unreadable("labeled", complaint(path)))).kind == kind


def test_voxels_that_are_not_finite_are_counted_and_the_worst_scan_is_first() -> None:
    a, b, c = (with_image(f, n_not_finite=n) for f, n in zip(cases("labeled", 3), (5, 0, 16), strict=True))
    found = only(files.not_finite, study(a, b, c))
    assert found.severity is Severity.WARNING and found.cases == ("labeled/labeled2", "labeled/labeled0")
    assert "2 scans hold" in found.seen and "16 of 1600 voxels" in found.seen


def test_a_scan_that_is_mostly_not_finite_is_a_fault() -> None:
    found = only(files.not_finite, study(with_image(sound("labeled", 0), n_not_finite=1000)))
    assert found.severity is Severity.FAULT and "62%" in found.seen


def test_oddities_of_reading_are_told_once_and_not_those_about_infinity() -> None:
    odd = with_image(sound("labeled", 0), warnings=("A slice is missing.",))
    infinite = with_image(sound("labeled", 1), warnings=("a holds 3 voxels that are NaN.",), n_not_finite=3)
    found = only(files.odd_files, study(odd, infinite))
    assert found.seen == "A slice is missing." and found.cases == ("labeled/labeled0",)


def test_what_a_folder_leaves_out_is_told() -> None:
    found = only(files.left_out, study(sound("labeled", 0), warnings=("Scans without a label, left out (1): a.",)))
    assert (found.kind, found.files) == ("left_out_of_folder", (Path("/data/labeled"),))


@pytest.mark.parametrize(("part", "severity"), [("labeled", Severity.FAULT), ("unlabeled", Severity.WARNING)])
def test_a_missing_channel_names_case_and_file_once(part: str, severity: Severity) -> None:
    scan = Incomplete("p", (Path("p_0000.nrrd"),), 'The case "p" has no p_0001.nrrd.')
    subject = study(sound(part, 0), warnings=(f"Left out: {scan.reason}",))
    sets = {part: replace(subject.sets[part], incomplete=(scan,))}
    found = only(files.channels, replace(subject, sets=sets))
    assert (found.kind, found.severity, found.cases) == ("missing_channel", severity, (f"{part}/p",))
    assert "p_0001.nrrd" in found.seen and not list(files.left_out(replace(subject, sets=sets)))


def test_a_label_on_another_grid_is_a_fault_with_both_grids() -> None:
    facts = with_label(sound("labeled", 0), other_grid="size (1, 1, 2) against (1, 1, 3)")
    found = only(files.label_grids, study(facts))
    assert (found.kind, found.severity) == ("label_on_another_grid", Severity.FAULT)
    assert "labeled0.nii.gz lies on another grid than its scan labeled0.nii.gz: size (1, 1, 2) against" in found.seen


def test_a_scan_of_one_value_but_for_a_few_voxels_is_told() -> None:
    plain = image_facts().print
    flat = replace(plain, intensity=replace(plain.intensity, lower=5.0, upper=5.0))
    found = only(files.no_contrast, study(with_image(sound("unlabeled", 0), print=flat), sound("labeled", 0)))
    assert (found.kind, found.cases) == ("constant_image", ("unlabeled/unlabeled0",))
