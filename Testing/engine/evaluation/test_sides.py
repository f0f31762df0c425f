"""The two sides of an evaluation: structures are matched by name, and what is wrong with a file costs its case."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from seg_files import bars, write_folder, write_label

from alhvr.core.errors import UserError
from alhvr.evaluation.report import evaluate_folders
from alhvr.evaluation.results import Report
from alhvr.formats.labels import LabelSet

NAMES = {1: "liver", 2: "spleen"}
SWAPPED = {1: "Spleen", 2: "liver"}
SEG = ".seg.nrrd"


def dice(report: Report, case: str = "a") -> dict[str, float]:
    scores = next(entry.scores for entry in report.cases if entry.name == case)
    return {name: round(score.dice, 3) for name, score in scores.items()}


def sides(folder: Path, found: dict[int, str], true: dict[int, str], ending: str = SEG) -> tuple[Path, Path]:
    """A prediction and a reference in which liver is the first bar and spleen the second, as far as the names tell."""
    for side, names in (("p", found), ("r", true)):
        order = sorted(names, key=lambda value: names[value].casefold())
        write_label(folder / side / f"a{ending}", bars(*order), names if ending == SEG else {})
    return folder / "p", folder / "r"


def test_segments_of_both_sides_are_matched_by_name(tmp_path: Path) -> None:
    report = evaluate_folders(*sides(tmp_path, SWAPPED, NAMES))
    assert dice(report) == {"liver": 1.0, "spleen": 1.0}
    assert report.warnings == ("Label values go by name: in a.seg.nrrd Spleen is 1, elsewhere 2.",)


def test_labels_json_of_either_folder_names_the_values(tmp_path: Path) -> None:
    predictions, reference = sides(tmp_path, SWAPPED, NAMES, ".nii.gz")
    for folder, names in ((predictions, SWAPPED), (reference, NAMES)):
        (folder / "labels.json").write_text(json.dumps(names))
    assert dice(evaluate_folders(predictions, reference)) == {"liver": 1.0, "spleen": 1.0}


def test_labels_json_above_a_folder_of_labels_names_them(tmp_path: Path) -> None:
    write_label(tmp_path / "p" / "a.seg.nrrd", bars(2, 1), SWAPPED)
    write_label(tmp_path / "r" / "labels" / "a.nii.gz", bars(1, 2))
    (tmp_path / "r" / "labels.json").write_text(json.dumps(NAMES))
    assert dice(evaluate_folders(tmp_path / "p", tmp_path / "r" / "labels")) == {"liver": 1.0, "spleen": 1.0}


def test_the_labels_of_a_model_name_what_is_compared(tmp_path: Path) -> None:
    predictions, reference = sides(tmp_path, NAMES, {**SWAPPED, 3: "vessel"})
    report = evaluate_folders(predictions, reference, labels=LabelSet.from_names(NAMES))
    assert dice(report) == {"liver": 1.0, "spleen": 1.0}


def test_references_that_differ_among_themselves_are_matched_by_name(tmp_path: Path) -> None:
    sides(tmp_path, NAMES, NAMES)
    for side, names in (("p", NAMES), ("r", SWAPPED)):
        order = sorted(names, key=lambda value: names[value].casefold())
        write_label(tmp_path / side / "b.seg.nrrd", bars(*order), names)
    report = evaluate_folders(tmp_path / "p", tmp_path / "r")
    assert dice(report, "a") == dice(report, "b") == {"liver": 1.0, "spleen": 1.0}


def test_a_structure_that_the_references_lack_is_one_of_its_own(tmp_path: Path) -> None:
    report = evaluate_folders(*sides(tmp_path, {1: "aorta", 2: "liver"}, {1: "liver"}))
    assert set(dice(report)) == {"aorta", "liver"} and dice(report)["aorta"] == 0.0


def test_a_case_whose_names_clash_is_named_with_file_value_and_both_names(tmp_path: Path) -> None:
    predictions, reference = sides(tmp_path, NAMES, NAMES)
    write_label(predictions / "b.seg.nrrd", bars(1), {1: "livr"})
    write_label(reference / "b.seg.nrrd", bars(1), {1: "liver"})
    report = evaluate_folders(predictions, reference)
    assert [case.name for case in report.cases] == ["a"]
    assert 'Value 1 is "liver", but "livr" in the prediction b.seg.nrrd' in report.skipped["b"]


def test_folders_whose_names_clash_are_refused(tmp_path: Path) -> None:
    predictions, reference = sides(tmp_path, NAMES, NAMES, ".nii.gz")
    (predictions / "labels.json").write_text('{"1": "heart"}')
    (reference / "labels.json").write_text(json.dumps(NAMES))
    with pytest.raises(UserError, match='Value 1 is "liver", but "heart" in the predictions'):
        evaluate_folders(predictions, reference)


def test_where_nothing_names_the_values_that_is_said(tmp_path: Path) -> None:
    report = evaluate_folders(*sides(tmp_path, NAMES, NAMES, ".nii.gz"))
    assert report.warnings == ("Nothing names the structures of 1 reference and 1 prediction: values are compared as "
                               "they are.",)
    write_label(tmp_path / "r" / "a.seg.nrrd", bars(1, 2), NAMES)
    (tmp_path / "r" / "a.nii.gz").unlink()
    assert "of 1 prediction: values" in evaluate_folders(tmp_path / "p", tmp_path / "r").warnings[0]


def test_joined_structures_are_scored_as_one(tmp_path: Path) -> None:
    write_folder(tmp_path / "r", {"a": (".nii.gz", (1, 2, 4), ())}, {1: "necrosis", 2: "edema", 4: "enhancing"})
    (tmp_path / "r" / "cases.json").write_text('{"join": {"whole tumour": ["necrosis", "edema", 4]}}')
    write_label(tmp_path / "p" / "a.seg.nrrd", bars(3, 3, 3), {3: "Whole tumour"})
    for reference in (tmp_path / "r", tmp_path / "r" / "labels"):
        report = evaluate_folders(tmp_path / "p", reference)
        assert dice(report) == {"whole tumour": 1.0} and any("Joined to" in text for text in report.warnings)


def test_the_ignore_label_of_nnunet_is_not_scored(tmp_path: Path) -> None:
    write_folder(tmp_path / "r", {"a": (".nii.gz", (1, 4), ())})
    (tmp_path / "r" / "dataset.json").write_text(json.dumps({
        "labels": {"background": 0, "liver": 1, "ignore": 4},
        "training": [{"image": "images/a.nii.gz", "label": "labels/a.nii.gz"}]}))
    write_label(tmp_path / "p" / "a.nii.gz", bars(1, 1))
    for not_annotated in (None, 255):
        report = evaluate_folders(tmp_path / "p", tmp_path / "r", not_annotated=not_annotated)
        assert dice(report) == {"liver": 1.0} and any("taken for not annotated" in text for text in report.warnings)


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize(("spoil", "reason"), [
    (_pipe, "a pipe"),
    (lambda path: path.write_bytes(b"NRRD0005\n"), "its field dimension is missing"),
    (lambda path: write_label(path, bars(1), [("abc", "liver")]), "liver"),
    (lambda path: write_label(path, bars(1), [("1", "liver"), ("1", "spleen")]), '"liver" and "spleen"'),
    (lambda path: write_label(path, bars(1) - np.int16(3)), "values from -3 to -2"),
    (lambda path: write_label(path, bars(1) * np.int32(70000)), "values from 0 to 70000"),
    (lambda path: write_label(path, bars(1) * np.float32(0.5)), "holds 0.5; a label holds whole numbers"),
    (lambda path: write_label(path, np.arange(768, dtype=np.uint16).reshape(4, 12, 16)), "768 different values"),
])
@pytest.mark.parametrize("side", ["p", "r"])
def test_a_bad_file_costs_its_case_in_one_line(tmp_path: Path, spoil: Callable, reason: str, side: str) -> None:
    predictions, reference = sides(tmp_path, NAMES, NAMES)
    for folder in (predictions, reference):
        write_label(folder / "b.seg.nrrd", bars(1), {1: "liver"})
    spoil(tmp_path / side / "b.seg.nrrd")
    report = evaluate_folders(predictions, reference)
    assert dice(report) == {"liver": 1.0, "spleen": 1.0} and list(report.skipped) == ["b"]
    assert reason in report.skipped["b"] and "\n" not in report.skipped["b"]


def test_a_name_of_255_bytes_is_scored(tmp_path: Path) -> None:
    name = "x" * 246 + SEG
    for side in ("p", "r"):
        write_label(tmp_path / side / name, bars(1), {1: "liver"})
    assert evaluate_folders(tmp_path / "p", tmp_path / "r").cases[0].scores["liver"].dice == 1.0


@pytest.mark.parametrize("side", ["p", "r"])
@pytest.mark.parametrize("content", ["[" * 100_000, "{", '{"1": "liver", "1": "spleen"}', '{"liver": [1, 2]}'])
def test_names_that_cannot_be_read_are_one_line(tmp_path: Path, side: str, content: str) -> None:
    folders = sides(tmp_path, NAMES, NAMES, ".nii.gz")
    (tmp_path / side / "labels.json").write_text(content)
    with pytest.raises(UserError, match=r"labels\.json"):
        evaluate_folders(*folders)


def test_names_reach_the_table_without_control_characters(tmp_path: Path) -> None:
    for side in ("p", "r"):
        write_label(tmp_path / side / "\x1b[2Ja.seg.nrrd", bars(1), {1: "liver\u202e"})
    table = evaluate_folders(tmp_path / "p", tmp_path / "r").table()
    assert "\x1b" not in table and "\u202e" not in table and "liver" in table
