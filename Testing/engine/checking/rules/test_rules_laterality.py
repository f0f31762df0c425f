"""Rules on places: left and right, and the places of structures to one another."""

from __future__ import annotations

import pytest
from studies import cases, only, structure, study, with_grid, with_structures

from alhvr.checking.facts import CaseFacts
from alhvr.checking.findings import Severity
from alhvr.checking.rules import laterality

KIDNEYS = {1: "left kidney", 3: "right kidney"}


def bodies(*left_mm: float, across: float = 0.0) -> list[CaseFacts]:
    """One case for each number: where structure 1 lies to the patient's left of 3."""
    return [with_structures(f, v1=structure(centroid_lps_mm=(mm, 5.0 + across, 0.0)),
                            v3=structure(centroid_lps_mm=(0.0, 5.0, float(n))))
            for n, (f, mm) in enumerate(zip(cases("labeled", len(left_mm)), left_mm, strict=True))]


def test_sides_that_are_swapped_in_one_case_are_a_fault() -> None:
    found = only(laterality.swapped_sides, study(*bodies(90, 80, -85, 95, 88), names=KIDNEYS))
    assert (found.kind, found.severity, found.cases) == ("swapped_sides", Severity.FAULT, ("labeled/labeled2",))
    assert "left kidney and right kidney" in found.seen


def test_sides_that_are_right_or_not_clear_are_no_finding() -> None:
    assert not list(laterality.swapped_sides(study(*bodies(90, 80, 2, -3, 88), names=KIDNEYS)))
    assert not list(laterality.swapped_sides(study(*bodies(90, 80, -12, 90, across=100.0), names=KIDNEYS)))


@pytest.mark.parametrize("mm", [(-90, -80, -85, -95), (-90,), (90, -80, -85)])
def test_without_witnesses_or_against_anatomy_in_many_it_is_a_warning(mm: tuple) -> None:
    found = only(laterality.swapped_sides, study(*bodies(*mm), names=KIDNEYS))
    assert found.severity is Severity.WARNING and "lies on the patient's right of right kidney" in found.seen


def nominal(facts: list[CaseFacts]) -> list[CaseFacts]:
    return [with_grid(f, spacing=(1.0, 1.0, 1.0)) for f in facts]


@pytest.mark.parametrize("mm", [(90, 80, -85, 95, 88), (-90, -80, 85, -95, -88)])
def test_where_no_place_in_the_body_is_known_the_other_cases_are_the_measure(mm: tuple) -> None:
    found = only(laterality.swapped_sides, study(*nominal(bodies(*mm)), names=KIDNEYS))
    assert (found.severity, found.cases) == (Severity.WARNING, ("labeled/labeled2",))


def test_where_no_place_in_the_body_is_known_anatomy_is_no_measure() -> None:
    assert not list(laterality.swapped_sides(study(*nominal(bodies(-90, -80, -85, -95)), names=KIDNEYS)))
    assert not list(laterality.swapped_sides(study(*nominal(bodies(-90)), names=KIDNEYS)))


@pytest.mark.parametrize("names", [{1: "kidney_left", 3: "kidney_right"}, {1: "LeftKidney", 3: "RightKidney"},
                                   {1: "L kidney", 3: "R kidney"}, {1: "Kidney (L)", 3: "kidney (R)"}])
def test_sides_are_known_however_they_are_written(names: dict) -> None:
    assert only(laterality.swapped_sides, study(*bodies(90, 80, -85, 95, 88), names=names)).kind == "swapped_sides"


def test_structures_without_sides_are_no_pair() -> None:
    assert not list(laterality.swapped_sides(study(*bodies(90, 80, -85, 95, 88))))


def test_structures_the_other_way_round_than_in_all_other_cases_are_told() -> None:
    found = only(laterality.moved_structures, study(*bodies(-90, -80, 85, -95, -88)))
    assert (found.kind, found.severity, found.cases) == ("swapped_sides", Severity.WARNING, ("labeled/labeled2",))
    assert "liver lies left of spleen" in found.seen


def test_a_case_upside_down_is_told_as_moved() -> None:
    facts = [with_structures(f, v1=structure(centroid_lps_mm=(0.0, 0.0, z)),
                             v3=structure(centroid_lps_mm=(0.0, 0.0, 0.0)))
             for f, z in zip(cases("labeled", 6), (70, 75, 80, -72, 66, 71), strict=True)]
    found = only(laterality.moved_structures, study(*facts))
    assert found.kind == "moved_structure" and "liver lies below spleen" in found.seen


@pytest.mark.parametrize("mm", [(-90, 80, 85, -95, -88), (-90, -80, 85), (-30, -10, 12, -60, -8)])
def test_places_that_vary_by_nature_are_no_finding(mm: tuple) -> None:
    assert not list(laterality.moved_structures(study(*bodies(*mm))))
