"""Wishes: what the labelled cases show decides what is odd in a scan, and the words say so."""

from __future__ import annotations

from dataclasses import replace

import pytest
from checked import case_facts, label_facts, structure_facts
from tiny_cases import LABELS

from alhvr.checking.facts import CaseFacts
from alhvr.ranking.score import ScanScore, StructureScore
from alhvr.ranking.wishes import Usual, usual_volumes, wishes_of

NAMES = {1: "Liver", 3: "spleen"}
USUAL = {"liver": Usual(1000.0, 2000.0), "spleen": Usual(100.0, 300.0)}


def scan(liver: StructureScore, *, nominal: bool = False) -> ScanScore:
    return ScanScore({"liver": liver, "spleen": StructureScore(0.2, 500, 200.0)}, nominal)


def labelled(**volumes_ml: float) -> CaseFacts:
    structures = {value: structure_facts(volume_ml=volumes_ml[name.lower()])
                  for value, name in NAMES.items() if name.lower() in volumes_ml}
    return case_facts("labeled", "case", label=label_facts(structures=structures))


@pytest.mark.parametrize(("volume_ml", "unsure", "score", "reason"), [
    (1500.0, 0.3, 0.3, "liver uncertain"),
    (600.0, 0.3, 0.3, "liver uncertain"),
    (200.0, 0.3, 0.8, "liver much smaller than in your cases"),
    (200.0, 0.9, 0.9, "liver uncertain"),
    (8000.0, 0.3, 0.75, "liver much larger than in your cases"),
])
def test_a_volume_far_from_the_labelled_ones_counts_where_it_says_more_than_the_regions(
        volume_ml: float, unsure: float, score: float, reason: str) -> None:
    wish = wishes_of(scan(StructureScore(unsure, 9, volume_ml)), USUAL)["liver"]
    assert (wish.score, wish.reason) == (score, reason)


def test_volumes_of_voxels_of_unknown_size_are_not_compared() -> None:
    found = scan(StructureScore(0.3, 9, 8000.0), nominal=True)
    assert wishes_of(found, USUAL)["liver"].reason == "liver uncertain"


def test_a_structure_that_is_missing_is_a_reason_unless_it_often_is() -> None:
    found = scan(StructureScore(0.0, 0, 0.0))
    expected = wishes_of(found, USUAL)["liver"]
    assert (expected.score, expected.reason, expected.is_missing) == (1.0, "no liver found", True)
    rare = wishes_of(found, {"liver": Usual(is_expected=False)})["liver"]
    assert (rare.score, rare.is_missing) == (0.0, False)


def test_a_scan_unlike_the_labelled_ones_says_so() -> None:
    assert wishes_of(scan(StructureScore(0.3, 9, 1500.0)), USUAL, is_unlike=True)["liver"].reason == (
        "liver uncertain; unlike your cases")


def test_what_is_usual_is_what_the_labelled_cases_show_whatever_the_letters_of_the_names() -> None:
    cases = [labelled(liver=1000.0, spleen=100.0), labelled(liver=1400.0), labelled(liver=1200.0)]
    assert usual_volumes(cases, NAMES, LABELS) == {
        "liver": Usual(1000.0, 1400.0), "spleen": Usual(100.0, 100.0, is_expected=False)}


def test_a_case_in_which_a_structure_is_not_annotated_tells_nothing_of_it() -> None:
    partly, whole = labelled(liver=10.0), labelled(liver=1000.0)
    partly = replace(partly, case=replace(partly.case, not_annotated=(3,)))
    found = usual_volumes([partly, whole], NAMES, LABELS)
    assert found["spleen"] == Usual(is_expected=False) and found["liver"].smallest_ml == 10.0
    open_voxels = replace(whole, label=replace(whole.label, n_not_annotated=5))
    assert usual_volumes([open_voxels], NAMES, LABELS) == {"liver": Usual(), "spleen": Usual()}
