"""Rules on amounts: enough cases, and enough of every structure in them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from studies import cases, only, sound, structure, study, with_case, with_label, with_structures

from alhvr.checking.facts import CaseFacts, Problem
from alhvr.checking.findings import Finding, Severity
from alhvr.checking.rules import labels


def unusable(part: str, number: int) -> CaseFacts:
    return replace(sound(part, number), image_problem=Problem("It is no scan."))


def kinds(*facts: CaseFacts, **settings) -> dict[str, Finding]:
    subject = study(*facts, **settings)
    return {f.kind: f for rule in (labels.cases, labels.rare) for f in rule(subject)}


def without_spleen(facts: list[CaseFacts]) -> list[CaseFacts]:
    return [with_structures(f, v1=structure()) for f in facts]


def test_no_labelled_case_that_can_be_used_is_a_fault() -> None:
    other_grid = with_label(sound("labeled", 1), other_grid="size")
    found = only(labels.cases, study(unusable("labeled", 0), other_grid))
    assert (found.kind, found.severity) == ("no_usable_case", Severity.FAULT) and "None of the 2" in found.seen


def test_no_validation_case_that_can_be_used_is_a_fault() -> None:
    found = only(labels.cases, study(*cases("labeled", 5), unusable("validation", 0)))
    assert (found.kind, found.severity) == ("no_usable_case", Severity.FAULT) and "--validation" in found.remedy


def test_an_archive_that_cannot_be_used_is_a_warning() -> None:
    found = only(labels.cases, study(*cases("labeled", 5), unusable("unlabeled", 0)))
    assert found.kind == "no_archive" and "training goes on with the labels only" in found.seen


@pytest.mark.parametrize(("facts", "kind"), [
    (cases("labeled", 2), "few_cases"), (cases("labeled", 1), "no_validation"),
    ([sound("labeled", 0), *cases("validation", 2)], "few_cases")])
def test_few_cases_are_told(facts: list[CaseFacts], kind: str) -> None:
    assert only(labels.cases, study(*facts)).kind == kind


def test_a_structure_that_no_case_shows_cannot_be_learnt() -> None:
    found = kinds(*without_spleen(cases("labeled", 5)))
    assert found.keys() == {"absent_everywhere"} and "shows 3 spleen: the model cannot learn it" in found[
        "absent_everywhere"].seen


def test_a_structure_of_one_case_is_too_rare_to_learn_and_to_validate() -> None:
    found = kinds(*without_spleen(cases("labeled", 5)[1:]), sound("labeled", 0))
    assert found.keys() == {"rare_to_learn", "rare_to_validate"}
    assert "spleen is in 1 of 5 labelled cases, with 1000 voxels (2.5 ml) in all" in found["rare_to_learn"].seen


def test_cases_in_which_it_is_declared_not_annotated_are_not_asked_for() -> None:
    declared = [with_case(f, not_annotated=(3,)) for f in without_spleen(cases("labeled", 6)[2:])]
    assert not kinds(*cases("labeled", 2), *declared)


def test_a_structure_of_a_few_voxels_is_too_rare_to_learn() -> None:
    specks = [with_structures(f, v1=structure(), v3=structure(voxels=5)) for f in cases("labeled", 5)]
    assert "25 voxels" in kinds(*specks)["rare_to_learn"].seen


def test_a_structure_that_no_validation_case_shows_is_told() -> None:
    found = kinds(*cases("labeled", 5), *without_spleen(cases("validation", 2)))
    assert found.keys() == {"rare_to_validate"} and "No validation case shows spleen" in found["rare_to_validate"].seen
