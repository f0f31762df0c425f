"""The check goes by the names of structures: what it maps it says, what contradicts itself is a fault."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from seg_files import bars, write_folder, write_label, write_scan

from alhvr.checking.context import RunContext
from alhvr.checking.findings import Finding, Severity
from alhvr.checking.result import CheckResult
from alhvr.checking.run import Folders, check
from alhvr.checking.selection import usable_cases
from alhvr.checking.text_report import write_reports
from alhvr.core.progress import SilentReporter

NAMES = {1: "liver", 2: "spleen"}
SEG = ".seg.nrrd"


def checked(labeled: Path, validation: Path | None = None) -> CheckResult:
    return check(Folders(labeled, None, validation), RunContext())


def only(found: CheckResult, kind: str) -> Finding:
    (finding,) = (finding for finding in found.findings if finding.kind == kind)
    return finding


def faults(found: CheckResult) -> list[str]:
    return [finding.kind for finding in found.findings if finding.severity is Severity.FAULT]


def study(folder: Path, ending: str = ".nii.gz", names: dict | None = NAMES) -> Path:
    return write_folder(folder, {case: (ending, (1, 2), NAMES if ending == SEG else ()) for case in "abc"}, names)


def volumes(found: CheckResult, part: str, case: str) -> dict[int, float]:
    label = next(facts.label for facts in found.part(part) if facts.case.name == case)
    return {value: round(facts.centroid_lps_mm[0], 1) for value, facts in label.structures.items()}


def test_segments_of_other_numbers_are_one_note_and_no_fault(tmp_path: Path) -> None:
    study(tmp_path, SEG, None)
    write_label(tmp_path / "labels" / "c.seg.nrrd", bars(7, 3), {7: "Liver", 3: "spleen"})
    found = checked(tmp_path)
    assert not faults(found) and found.labels.names == ("liver", "spleen")
    assert only(found, "labels_mapped").severity is Severity.NOTE
    assert volumes(found, "labeled", "c") == volumes(found, "labeled", "a")


def test_a_validation_folder_of_other_numbers_is_no_fault(tmp_path: Path) -> None:
    write_folder(tmp_path / "v", {"v": (".nii.gz", (2, 1), ())}, {2: "liver", 1: "spleen"})
    write_scan(tmp_path / "v" / "images" / "v.nii.gz", seed=9)
    found = checked(study(tmp_path / "l"), tmp_path / "v")
    assert not faults(found) and "liver is 2, in this run 1" in only(found, "labels_mapped").seen
    assert volumes(found, "validation", "v") == volumes(found, "labeled", "a")


def test_a_validation_folder_with_a_name_that_the_other_lacks_is_a_fault(tmp_path: Path) -> None:
    write_folder(tmp_path / "v", {"v": (".nii.gz", (2, 1), ())}, {2: "liver", 1: "stomach"})
    found = checked(study(tmp_path / "l"), tmp_path / "v")
    assert 'Label value 1 is "liver" in one folder and "stomach" in v' in only(found, "names_differ").seen


def test_names_are_looked_up_anew_where_the_files_are_known_from_before(tmp_path: Path) -> None:
    study(tmp_path, SEG, None)
    before = volumes(checked(tmp_path), "labeled", "a")
    (tmp_path / "labels.json").write_text('{"4": "liver", "9": "spleen"}')
    again = checked(tmp_path)
    assert volumes(again, "labeled", "a") == {4: before[1], 9: before[2]}
    assert checked(tmp_path).n_cached in (0, 3)


@pytest.mark.parametrize("segments", [[("abc", "liver")], [("9" * 30, "liver")], [("-1", "liver")],
                                      [("1", "liver"), ("1", "tumour")], [("1", "kidney"), ("2", "kidney")]])
def test_a_contradictory_label_is_one_fault_and_costs_its_case(tmp_path: Path, segments: list) -> None:
    study(tmp_path, SEG, None)
    write_label(tmp_path / "labels" / "b.seg.nrrd", bars(1, 2), [*segments, ("7", "other")])
    found = checked(tmp_path)
    assert faults(found) == ["unreadable_label"] and "b.seg.nrrd" in only(found, "unreadable_label").seen
    assert [facts.case.name for facts in usable_cases(found).labeled] == ["a", "c"]


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "a\nb", "\x1b]0;owned\x07", "x" * 200, "肝臓 & \"b\""])
def test_odd_names_are_taken_and_escaped_on_the_page(tmp_path: Path, name: str) -> None:
    write_folder(tmp_path, {case: (SEG, (1,), {1: name}) for case in "abc"})
    found = checked(tmp_path)
    assert not faults(found) and "\n" not in found.labels.names[0]
    write_reports(found, tmp_path / "check.json", SilentReporter())
    page = (tmp_path / "check.html").read_text("utf-8")
    assert "<script>alert" not in page and "\x1b" not in page
    assert json.loads((tmp_path / "check.json").read_text("utf-8"))["structures"][0]["name"] == found.labels.names[0]


def test_a_name_that_no_model_can_hold_is_one_fault_that_says_how_long_it_is(tmp_path: Path) -> None:
    write_folder(tmp_path, {case: (SEG, (1,), {1: "x" * 201}) for case in "abc"})
    found = only(checked(tmp_path), "unusable_names")
    assert "201 letters" in found.seen and "200" in found.remedy


def test_two_values_of_one_name_are_a_fault_with_both_and_a_way_out(tmp_path: Path) -> None:
    found = only(checked(study(tmp_path, names={1: "kidney", 2: "Kidney "})), "unusable_names")
    assert "kidney (value 1) and Kidney (value 2)" in found.seen and '{"join": {"kidney": [1, 2]}}' in found.remedy


def test_the_way_out_for_two_values_of_one_name_works(tmp_path: Path) -> None:
    study(tmp_path, names={1: "kidney", 2: "Kidney "})
    (tmp_path / "cases.json").write_text('{"join": {"kidney": [1, 2]}}')
    found = checked(tmp_path)
    assert not faults(found) and found.labels.names == ("kidney",)


def test_joined_structures_are_said_and_are_those_of_the_model(tmp_path: Path) -> None:
    study(tmp_path)
    (tmp_path / "cases.json").write_text('{"join": {"both": ["liver", "spleen"]}}')
    found = checked(tmp_path)
    assert (found.labels.names, found.labels.values) == (("both",), (1,))
    assert 'Joined to "both" (value 1): 1 liver, 2 spleen.' in only(found, "labels_mapped").seen


@pytest.mark.parametrize(("change", "words"), [
    (lambda a: a * np.float32(0.5), "holds 0.5; a label holds whole numbers"),
    (lambda a: a.astype(np.int16) - 3, "holds the value -3"),
    (lambda a: a.astype(np.int32) * 70000, "holds the value 70000"),
    (lambda a: a.astype(np.int32) * 65536, "holds the value 65536"),
    (lambda a: a + np.float32(np.nan), "holds nan"),
])
def test_values_that_no_label_has_are_a_fault(tmp_path: Path, change: object, words: str) -> None:
    study(tmp_path)
    write_label(tmp_path / "labels" / "a.nii.gz", change(bars(1, 2)))
    assert any(words in finding.seen for finding in checked(tmp_path).findings if finding.severity is Severity.FAULT)


def test_whole_numbers_that_were_stored_as_real_ones_are_taken(tmp_path: Path) -> None:
    study(tmp_path)
    write_label(tmp_path / "labels" / "a.nii.gz", bars(1, 2).astype(np.float32))
    assert not faults(checked(tmp_path))
