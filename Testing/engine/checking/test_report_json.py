"""The check as JSON: what the Slicer module reads, and nothing that it must not know."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from checked import case_facts, check_result, finding, image_facts

from alhvr.checking.findings import Severity
from alhvr.checking.report_json import to_record, write_json
from alhvr.checking.result import CheckResult
from alhvr.data.cases import Channel


def written(path: Path, result: CheckResult) -> dict[str, Any]:
    return json.loads(write_json(path / "check.json", result).read_text(encoding="utf-8"))


def test_the_file_says_which_format_it_has(tmp_path: Path) -> None:
    record = written(tmp_path, check_result())
    assert (record["format"], record["version"]) == ("alhvr check", 1)


@pytest.mark.parametrize(("severity", "may_train"), [(Severity.FAULT, False), (Severity.WARNING, True)])
def test_only_a_fault_keeps_training_from_starting(tmp_path: Path, severity: Severity, may_train: bool) -> None:
    record = written(tmp_path, check_result(findings=(finding("holes", severity, "labeled/one"),)))
    assert record["may_train"] is may_train
    assert record["counts"][f"{severity.value}s"] == 1


def test_findings_keep_their_order_and_every_entry(tmp_path: Path) -> None:
    found = (finding("holes", Severity.FAULT, "labeled/one"), finding("few_cases", Severity.NOTE, seen="Four cases."))
    record = written(tmp_path, check_result(findings=found))
    assert record["findings"][0] == {
        "kind": "holes", "severity": "fault", "seen": "Something was seen.", "remedy": "Do something about it.",
        "cases": ["labeled/one"], "files": ["/data/labeled/one.nii.gz"],
        "structures": []}
    assert record["findings"][1]["seen"] == "Four cases."


def test_a_case_tells_its_grid_its_intensities_and_the_volume_of_each_structure(tmp_path: Path) -> None:
    case = written(tmp_path, check_result())["cases"][0]
    assert (case["case"], case["usable"]) == ("labeled/one", True)
    assert case["label_file"] == "/data/labeled/labels/one.nii.gz"
    image = case["images"][0]
    assert (image["size_ijk"], image["spacing_mm"], image["orientation"]) == ([20, 16, 5], [1.5, 1.5, 4.0], "LPS")
    assert image["intensity"]["median"] == 50.0
    assert {value: entry["volume_ml"] for value, entry in case["label"]["structures"].items()} == {"1": 9.0, "3": 2.5}


def test_a_case_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    record = written(tmp_path, check_result())
    assert record["cases"][2]["image_problem"] == "It is cut off. Copy it."
    assert record["counts"]["unusable"] == 1
    assert record["counts"]["cases"] == {"labeled": 3, "validation": 1, "unlabeled": 2}


def test_the_archive_is_listed_with_the_furthest_off_first(tmp_path: Path) -> None:
    record = written(tmp_path, check_result())
    assert [entry["case"] for entry in record["archive"]] == ["unlabeled/scan1", "unlabeled/scan0"]


def test_the_forecast_is_numbers_and_sentences(tmp_path: Path) -> None:
    forecast = written(tmp_path, check_result())["forecast"]
    assert (forecast["memory_gb"], forecast["minutes"], forecast["free_disk_gb"]) == (3.25, 412.0, 120.0)
    assert forecast["sentences"] == ["Three steps were measured."]
    assert written(tmp_path, check_result(forecast=None))["forecast"] is None


def test_channels_are_told_by_name(tmp_path: Path) -> None:
    result = check_result()
    named = replace(result.sets["labeled"], channels=(Channel("T1", "MR"), Channel("FLAIR", "MR")))
    record = written(tmp_path, replace(result, sets={**result.sets, "labeled": named}))
    assert [channel["name"] for channel in record["channels"]] == ["T1", "FLAIR"]


def test_an_infinite_intensity_is_no_number_in_the_file(tmp_path: Path) -> None:
    odd = case_facts("labeled", "odd", images=(image_facts(highest=math.inf),))
    record = written(tmp_path, replace(check_result(), facts=(odd,)))
    assert record["cases"][0]["images"][0]["highest"] is None


def test_nothing_tells_a_patient() -> None:
    who = replace(case_facts("labeled", "one").case, patient="A17")
    facts = case_facts("labeled", "one", images=(image_facts(patient="secret digest"),))
    record = str(to_record(replace(check_result(), facts=(replace(facts, case=who),))))
    assert "secret digest" not in record
    assert "A17" not in record


def test_a_failed_write_leaves_the_file_of_before(tmp_path: Path) -> None:
    before = written(tmp_path, check_result())
    with pytest.raises(TypeError):
        write_json(tmp_path / "check.json", replace(check_result(), not_annotated=object()))  # type: ignore[arg-type]
    assert json.loads((tmp_path / "check.json").read_text(encoding="utf-8")) == before


def test_a_study_without_names_or_folders_can_be_written(tmp_path: Path) -> None:
    record = written(tmp_path, CheckResult((), ()))
    assert (record["structures"], record["folders"], record["cases"]) == ([], {}, [])
