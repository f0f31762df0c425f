"""Rules on shapes: holes and stray parts that are slips, and not those that a structure has by nature."""

from __future__ import annotations

import pytest
from studies import cases, only, structure, study, with_grid, with_label, with_structures

from alhvr.checking.facts import CaseFacts
from alhvr.checking.rules import images

DEFECTS = {"holes": (images.holes, {"hole_voxels": 40}),
           "stray_parts": (images.stray_parts, {"n_parts": 3, "largest_part": 0.96})}


def spoilt(count: int, of: int, **changes) -> list[CaseFacts]:
    """``of`` cases, of which the first ``count`` have a liver with ``changes``."""
    return [with_structures(f, v1=structure(**(changes if n < count else {})), v3=structure())
            for n, f in enumerate(cases("labeled", of))]


@pytest.mark.parametrize("kind", DEFECTS)
def test_a_slip_is_told_with_its_size(kind: str) -> None:
    rule, changes = DEFECTS[kind]
    found = only(rule, study(*spoilt(1, 6, **changes)))
    assert found.kind == kind and found.cases == ("labeled/labeled0",)
    assert "liver" in found.seen and "40 voxels, 0.36 ml (4.0% of it)" in found.seen


@pytest.mark.parametrize("kind", DEFECTS)
def test_what_most_cases_have_is_no_slip(kind: str) -> None:
    rule, changes = DEFECTS[kind]
    assert not list(rule(study(*spoilt(4, 6, **changes))))


@pytest.mark.parametrize("kind", DEFECTS)
def test_a_label_that_is_annotated_in_part_has_no_slips(kind: str) -> None:
    rule, changes = DEFECTS[kind]
    assert not list(rule(study(*(with_label(f, n_not_annotated=5) for f in spoilt(1, 6, **changes)))))


@pytest.mark.parametrize(("rule", "changes"), [
    (images.holes, {"hole_voxels": 12}), (images.holes, {"voxels": 100, "hole_voxels": 3}),
    (images.stray_parts, {"n_parts": 2, "largest_part": 0.998}),
    (images.stray_parts, {"n_parts": 2, "largest_part": 0.52}),
    (images.stray_parts, {"voxels": 200, "n_parts": 2, "largest_part": 0.99})])
def test_small_defects_and_twins_are_no_slips(rule, changes) -> None:
    assert not list(rule(study(*spoilt(1, 6, **changes))))


def test_the_worst_case_is_named_first_with_its_figures() -> None:
    one, two, *rest = spoilt(2, 9, hole_voxels=20)
    two = with_structures(two, v1=structure(hole_voxels=90), v3=structure())
    found = only(images.holes, study(one, two, *rest))
    assert found.cases == ("labeled/labeled1", "labeled/labeled0") and "in labeled1: 90 voxels" in found.seen


def test_lesions_come_in_parts() -> None:
    lesions = spoilt(1, 6, n_parts=9, largest_part=0.8)
    assert not list(images.stray_parts(study(*lesions, names={1: "liver tumour", 3: "spleen"})))


def test_volumes_are_told_only_where_the_spacing_is_known() -> None:
    nominal = [with_grid(f, spacing=(1.0, 1.0, 1.0)) for f in spoilt(1, 6, hole_voxels=40)]
    assert "ml" not in only(images.holes, study(*nominal)).seen
