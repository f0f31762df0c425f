"""Rules on channels: other grids are told once a channel, other places case by case."""

from __future__ import annotations

from dataclasses import replace

import pytest
from checked import GRID, image_facts
from studies import NAMES, cases, only, sound, study

from alhvr.checking.facts import CaseFacts
from alhvr.checking.findings import Severity
from alhvr.checking.result import CheckResult
from alhvr.checking.rules import files
from alhvr.checking.rules.study import Study
from alhvr.checking.selection import usable_cases
from alhvr.data.cases import Channel
from alhvr.data.geometry import Geometry
from alhvr.formats.labels import LabelSet


def _pair(facts: CaseFacts, grid: Geometry = GRID) -> CaseFacts:
    """The same with a second channel on ``grid``."""
    second = image_facts(7)
    second = replace(second, print=replace(second.print, geometry=grid))
    path = facts.case.image.with_name("second.nii.gz")
    return replace(facts, images=(*facts.images, second), case=replace(facts.case, more_images=(path,)))


def _named(*facts: CaseFacts) -> Study:
    subject = study(*facts)
    names = (Channel("T1"), Channel("FLAIR"))
    return replace(subject, sets={part: replace(found, channels=names) for part, found in subject.sets.items()})


AWAY = replace(GRID, origin_lps_mm=(900.0, 0.0, 0.0))
HALF = replace(GRID, origin_lps_mm=(15.0, 0.0, 0.0))
SHIFTED = replace(GRID, origin_lps_mm=(0.5, 0.0, 0.0))


def test_one_channel_and_channels_of_one_grid_raise_nothing() -> None:
    for facts in (cases("labeled", 3), [_pair(f) for f in cases("labeled", 3)]):
        assert not [*files.grids(study(*facts)), *files.places(study(*facts))]


def test_other_grids_are_one_warning_a_channel_the_worst_case_first() -> None:
    a, b, c = cases("labeled", 3)
    found = only(files.grids, _named(_pair(a, SHIFTED), _pair(b, HALF), _pair(c)))
    assert (found.kind, found.severity) == ("channel_on_another_grid", Severity.WARNING)
    assert found.cases == ("labeled/labeled1", "labeled/labeled0")
    assert found.seen.startswith("In 2 cases of 3, FLAIR lies on another grid than the first channel and is resampled")
    assert "in labeled1: origin (0, 0, 0) against (15, 0, 0)" in found.seen and "it reaches to" in found.seen


@pytest.mark.parametrize(("part", "severity"), [("labeled", Severity.FAULT), ("unlabeled", Severity.WARNING)])
def test_channels_of_two_places_are_told_case_by_case(part: str, severity: Severity) -> None:
    subject = study(_pair(sound(part, 0), AWAY), _pair(sound(part, 1)))
    found = only(files.places, subject)
    assert (found.kind, found.severity, found.cases) == ("channels_apart", severity, (f"{part}/{part}0",))
    assert "second.nii.gz, channel 2 of " in found.seen and not list(files.grids(subject))


def test_cases_whose_channels_lie_apart_are_not_learnt_from() -> None:
    facts = [_pair(sound(part, number), (GRID, AWAY)[number]) for part in ("labeled", "unlabeled") for number in (0, 1)]
    subject = study(*facts)
    result = CheckResult(facts=subject.facts, findings=(), sets=subject.sets, labels=LabelSet.from_names(NAMES))
    usable = usable_cases(result)
    assert [f.case.name for f in (*usable.labeled, *usable.unlabeled)] == ["labeled0", "unlabeled0"]
