"""Rules on labels: names, unknown and empty values, what was declared, and what is missing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from studies import cases, only, sound, structure, study, with_case, with_label, with_structures

from alhvr.checking.findings import Severity
from alhvr.checking.rules import labels
from alhvr.checking.rules.study import Study


def test_folders_that_name_a_value_differently_are_a_fault() -> None:
    subject = study(sound("labeled", 0), sound("validation", 0))
    other = replace(subject.sets["validation"], label_names={1: "Liver", 3: "pancreas"})
    found = only(labels.names, replace(subject, sets={**subject.sets, "validation": other}))
    assert (found.kind, found.severity, found.files) == ("names_differ", Severity.FAULT, (Path("/data/validation"),))
    assert 'Label value 3 is "spleen" in one folder and "pancreas" in validation.' in found.seen


@pytest.mark.parametrize("names", [{1: "liver", 3: "liver"}, {1: "liver", 3: " "}, {1: "liver", 70000: "spleen"}])
def test_names_that_no_model_can_have_are_a_fault(names: dict) -> None:
    found = only(labels.usable_names, study(sound("labeled", 0), names=names))
    assert (found.kind, found.severity) == ("unusable_names", Severity.FAULT) and found.remedy


def test_a_structure_cannot_have_the_value_for_not_annotated() -> None:
    found = only(labels.names, study(sound("labeled", 0), not_annotated=3))
    assert found.kind == "not_annotated_is_named" and "--not-annotated" in found.remedy


def test_a_value_without_a_name_is_one_fault_whatever_the_number_of_labels() -> None:
    odd = [with_structures(f, v1=structure(), v7=structure()) for f in cases("labeled", 3)]
    found = only(labels.unknown_values, study(*odd, sound("labeled", 3)))
    assert (found.kind, found.severity, len(found.files)) == ("unknown_label_value", Severity.FAULT, 3)
    assert "labeled0.nii.gz holds the value 7, which has no name (named: 1 liver, 3 spleen), and so do 2" in found.seen
    assert "labels.json" in found.remedy and "--not-annotated" not in found.remedy


def scribbled(number: int, value: int) -> Study:
    """A case of which ``value`` covers nine tenths."""
    facts = with_structures(sound("labeled", number), v1=structure(voxels=6000))
    return with_label(facts, structures={**facts.label.structures, value: structure(voxels=90_000)})


def test_a_value_on_most_of_a_label_may_mean_not_annotated() -> None:
    found = only(labels.unknown_values, study(scribbled(0, 4), scribbled(1, 4)))
    assert "give --not-annotated 4" in found.remedy


def test_without_names_such_a_value_is_a_warning() -> None:
    found = only(labels.looks_not_annotated, study(scribbled(0, 4), scribbled(1, 4), names={}))
    assert found.severity is Severity.WARNING and "Value 4 covers 90% of the voxels of 2 of 2 labels" in found.seen
    assert "--not-annotated 4" in found.remedy
    assert not list(labels.looks_not_annotated(study(*cases("labeled", 3), names={})))


@pytest.mark.parametrize("value", [-1, 70000])
def test_a_value_that_no_label_may_have_is_a_fault_without_names_too(value: int) -> None:
    facts = with_label(sound("labeled", 0), structures={value: structure()})
    found = only(labels.unknown_values, study(facts, names={}))
    assert f"holds the value {value}, which no label may have" in found.seen


def test_a_scan_in_the_place_of_a_label_is_one_fault() -> None:
    facts = with_label(sound("labeled", 0), structures={v: structure() for v in range(1, 900)})
    found = only(labels.unknown_values, study(facts, names={}))
    assert "899 different values" in found.seen and "labels or scans" in found.remedy


def bare(number: int, part: str = "labeled") -> object:
    return with_structures(sound(part, number))


def test_an_empty_label_is_a_warning() -> None:
    found = only(labels.empty, study(bare(0), *cases("labeled", 3)[1:]))
    assert (found.kind, found.severity) == ("empty_label", Severity.WARNING) and "labeled0" in found.seen


@pytest.mark.parametrize("part", ["labeled", "validation"])
def test_nothing_but_empty_labels_is_a_fault(part: str) -> None:
    found = only(labels.empty, study(bare(0, part), bare(1, part)))
    assert (found.kind, found.severity) == ("all_labels_empty", Severity.FAULT)
    assert found.seen == f"All labels of {part}0, {part}1 are empty (value 0 everywhere)."


def test_masks_of_0_and_255_are_told_how_to_make_255_a_structure() -> None:
    found = only(labels.empty, study(with_label(bare(0), n_not_annotated=500)))
    assert "(values 0 and 255 alone, which stands for what is not annotated)" in found.seen
    assert found.remedy == 'If 255 marks a structure, name it in labels.json: {"255": "liver"}.'


def test_a_case_in_which_nothing_is_annotated_is_told() -> None:
    nothing = with_label(bare(0), n_not_annotated=100_000)
    assert only(labels.empty, study(nothing, sound("labeled", 1))).kind == "nothing_annotated"
    assert "not annotated, everywhere" in only(labels.empty, study(nothing)).seen


def test_what_is_declared_not_annotated_and_yet_there_is_told() -> None:
    found = only(labels.declared, study(with_case(sound("labeled", 0), not_annotated=(3,))))
    assert found.kind == "declared_but_present" and "spleen (1000 voxels)" in found.seen and found.structures


def test_a_structure_that_some_cases_lack_is_asked_about() -> None:
    lacking = [with_structures(f, v1=structure()) for f in cases("labeled", 3)]
    found = only(labels.absent, study(*lacking, *cases("labeled", 7)[3:]))
    assert found.kind == "absent_structure" and found.severity is Severity.WARNING and len(found.cases) == 3
    assert len(found.structures) == 1
    assert "spleen is in 4 of 7 labels, and not in labeled0, labeled1, labeled2" in found.seen
    assert "not_annotated in cases.json" in found.remedy


@pytest.mark.parametrize("why", ["declared", "partly annotated", "empty"])
def test_a_structure_whose_absence_is_explained_is_not_asked_about(why: str) -> None:
    lacking = with_structures(sound("labeled", 0), v1=structure())
    lacking = {"declared": with_case(lacking, not_annotated=(3,)), "partly annotated": with_label(
        lacking, n_not_annotated=9), "empty": bare(0)}[why]
    assert not list(labels.absent(study(lacking, *cases("labeled", 7)[1:])))


def test_patients_without_a_tumour_are_no_finding_and_a_structure_of_few_cases_is_none() -> None:
    healthy = [with_structures(f, v1=structure()) for f in cases("labeled", 2)]
    assert not list(labels.absent(study(*healthy, *cases("labeled", 8)[2:], names={1: "liver", 3: "liver tumour"})))
    assert not list(labels.absent(study(*healthy, *cases("labeled", 4)[2:])))
