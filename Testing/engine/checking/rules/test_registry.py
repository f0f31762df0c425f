"""All rules together: nothing on sound data, the worst first, and every kind known by name."""

from __future__ import annotations

import re

from checked import finding
from studies import cases, study, with_image, with_label
from support import ROOT

from alhvr.checking.findings import KINDS, Severity
from alhvr.checking.rules.registry import find_faults, worst_first


def test_sound_data_raises_nothing() -> None:
    assert find_faults(study(*cases("labeled", 6), *cases("validation", 3), *cases("unlabeled", 9))) == []


def test_faults_come_before_warnings_and_these_before_notes() -> None:
    mixed = [finding("holes", Severity.WARNING), finding("nominal_spacing", Severity.NOTE),
             finding("unreadable_image", Severity.FAULT), finding("odd_file", Severity.WARNING)]
    assert [f.kind for f in worst_first(mixed)] == ["unreadable_image", "odd_file", "holes", "nominal_spacing"]


def test_several_faults_are_found_at_once() -> None:
    one, two, *rest = cases("labeled", 6)
    odd = [with_image(one, n_not_finite=9), with_label(two, other_grid="size (1, 2, 3) against (3, 2, 1)")]
    assert [f.kind for f in find_faults(study(*odd, *rest))] == ["label_on_another_grid", "not_finite"]


def test_every_kind_that_a_rule_names_has_a_heading() -> None:
    text = "".join(p.read_text(encoding="utf-8") for p in (ROOT / "alhvr" / "checking" / "rules").glob("*.py"))
    used = set(re.findall(r'(?:fault|warning|note|speak|Finding)\("(\w+)"', text))
    assert len(used) > 20 and used <= KINDS.keys()


def test_findings_name_cases_by_part_and_their_files() -> None:
    bad = with_label(cases("labeled", 6)[0], other_grid="size")
    (found,) = find_faults(study(bad, *cases("labeled", 6)[1:]))
    assert found.cases == ("labeled/labeled0",) and found.files == (bad.case.label,)
