"""Tests of alhvr.evaluation.report and results: matching, grids that differ, means, table, JSON without NaN."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from alhvr.core.errors import UserError
from alhvr.core.progress import SilentReporter
from alhvr.evaluation.metrics import ClassScore, score
from alhvr.evaluation.report import evaluate_folders
from alhvr.evaluation.results import ALL, CaseScores, Report
from alhvr.formats.labels import LabelSet

SPACING_IJK = (0.7, 0.8, 3.0)


def cube(*corner: int, value: int = 1) -> np.ndarray:
    """A 4x4x4 cube in an array of [8, 12, 14]."""
    array = np.zeros((8, 12, 14), np.uint8)
    array[tuple(slice(start, start + 4) for start in corner)] = value
    return array


def write(path: Path, array: np.ndarray, spacing_ijk: tuple[float, ...] = SPACING_IJK) -> None:
    """Writes a label file of any format."""
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(spacing_ijk)
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(image, str(path))


def remarks(report: Report) -> list[str]:
    """What a report says besides that nothing names the values."""
    return [warning for warning in report.warnings if not warning.startswith("Nothing names")]


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Two cases: "one" is shifted by a voxel along I, "two" is perfect and in another format."""
    predictions, reference = tmp_path / "predictions", tmp_path / "reference"
    write(reference / "one.nii.gz", cube(2, 3, 3))
    write(predictions / "one.nii.gz", cube(2, 3, 4))
    write(reference / "two.nii.gz", cube(1, 2, 2))
    write(predictions / "two.seg.nrrd", cube(1, 2, 2))
    return predictions, reference


@pytest.mark.parametrize("ending", [".seg.nrrd", ".nrrd", ".mha", ".nii.gz"])
def test_a_prediction_is_matched_by_name_whatever_its_format(tmp_path, ending):
    write(tmp_path / "r/a.b.nii.gz", cube(2, 3, 3))
    write(tmp_path / f"p/a.b{ending}", cube(2, 3, 3))
    report = evaluate_folders(tmp_path / "p", tmp_path / "r")
    assert report.cases[0].name == "a.b" and report.cases[0].scores["label 1"].dice == 1.0


def test_each_case_is_scored_with_its_own_spacing(folders):
    report = evaluate_folders(*folders)
    expected = score(cube(2, 3, 4), cube(2, 3, 3), LabelSet.from_names({1: "label 1"}), SPACING_IJK[::-1])["label 1"]
    assert report.cases[0].scores["label 1"] == expected
    assert report.distance_unit == "mm"


def test_a_case_on_another_grid_is_named_with_the_difference_and_the_others_go_on(folders):
    write(folders[0] / "one.nii.gz", cube(2, 3, 4), (0.7, 0.8, 2.5))
    report = evaluate_folders(*folders)
    assert [case.name for case in report.cases] == ["two"]
    assert "spacing (0.7, 0.8, 3) against (0.7, 0.8, 2.5) mm" in report.skipped["one"]
    assert "not scored: one: reference and prediction lie on different grids" in report.table()


@pytest.mark.parametrize("spoil, reason", [
    (lambda folder: (folder / "one.nii.gz").unlink(), "there is no prediction of this name"),
    (lambda folder: (folder / "one.nii.gz").write_text("no image"), "one.nii.gz"),
    (lambda folder: write(folder / "one.mha", cube(2, 3, 4)), "2 files for one prediction: one.mha, one.nii.gz"),
])
def test_a_case_that_cannot_be_compared_is_named_with_the_reason(folders, spoil, reason):
    spoil(folders[0])
    report = evaluate_folders(*folders)
    assert [case.name for case in report.cases] == ["two"] and reason in report.skipped["one"]


def test_no_case_at_all_is_an_error_that_shows_the_first_reason(folders):
    for path in folders[0].iterdir():
        path.unlink()
    with pytest.raises(UserError, match="No case .* can be scored; the first, one: there is no prediction"):
        evaluate_folders(*folders)


@pytest.mark.parametrize("which", [0, 1])
def test_a_missing_folder_is_named(folders, which):
    wrong = [*folders]
    wrong[which] = wrong[which] / "nowhere"
    with pytest.raises(UserError, match="no folder .*nowhere"):
        evaluate_folders(*wrong)


def test_structures_are_named_by_the_cases_folder(folders):
    cases = folders[1].parent / "cases"
    (cases / "images").mkdir(parents=True)
    for path in folders[1].iterdir():
        write(cases / "images" / path.name, np.arange(8 * 12 * 14, dtype=np.int16).reshape(8, 12, 14))
    folders[1].rename(cases / "labels")
    (cases / "labels.json").write_text('{"1": "liver", "2": "spleen"}')
    for reference in (cases, cases / "labels"):
        assert evaluate_folders(folders[0], reference).structures == ("liver", "spleen")


def test_structures_are_named_by_the_header_of_a_seg_nrrd(folders):
    image = sitk.ReadImage(str(folders[0] / "two.seg.nrrd"))
    image.SetMetaData("Segment0_LabelValue", "1")
    image.SetMetaData("Segment0_Name", "left atrium")
    sitk.WriteImage(image, str(folders[0] / "two.seg.nrrd"))
    assert evaluate_folders(*folders).structures == ("left atrium",)


def test_given_labels_decide_what_is_scored(folders):
    write(folders[0] / "one.nii.gz", cube(2, 3, 4) + cube(0, 0, 0, value=9))
    report = evaluate_folders(*folders, labels=LabelSet.from_names({1: "liver"}))
    assert report.structures == ("liver",)


def test_a_value_that_one_case_lacks_on_both_sides_scores_one_there(folders):
    write(folders[0] / "one.nii.gz", cube(2, 3, 3) | cube(2, 3, 9, value=2))
    report = evaluate_folders(*folders)
    assert [case.scores["label 2"].dice for case in report.cases] == [0.0, 1.0]
    assert report.missing("label 2") == report.missing(ALL) == 1


def test_grids_of_exactly_one_mm_are_measured_in_voxels(tmp_path):
    write(tmp_path / "r/a.nii.gz", cube(2, 3, 3), (1.0, 1.0, 1.0))
    write(tmp_path / "p/a.nii.gz", cube(2, 3, 4), (1.0, 1.0, 1.0))
    report = evaluate_folders(tmp_path / "p", tmp_path / "r")
    assert report.distance_unit == "voxels" and "HD95 [voxels]" in report.table()


def test_a_grid_without_true_spacing_among_others_is_pointed_out(folders):
    write(folders[1] / "two.nii.gz", cube(1, 2, 2), (1.0, 1.0, 1.0))
    write(folders[0] / "two.seg.nrrd", cube(1, 2, 2), (1.0, 1.0, 1.0))
    report = evaluate_folders(*folders)
    assert report.distance_unit == "mm" and "1 cases have voxels of exactly 1 mm" in remarks(report)[0]


def test_predictions_without_a_reference_are_told_but_not_their_region_maps(folders):
    write(folders[0] / "one.regions.nrrd", cube(0, 0, 0))
    assert remarks(evaluate_folders(*folders)) == []
    write(folders[0] / "other.nrrd", cube(0, 0, 0))
    assert "1 predictions have no reference, among them other" in remarks(evaluate_folders(*folders))[0]


def test_progress_is_reported_case_by_case(folders):
    class Listener(SilentReporter):
        heard: list[tuple[int, int]] = []

        def progress(self, stage, done, total, seconds_left=None):
            self.heard.append((done, total))

    evaluate_folders(*folders, reporter=Listener())
    assert Listener.heard == [(1, 2), (2, 2)]


LIVER = ClassScore(0.8, 0.7, 4.0, 1.0, 10, 10)
MIXED = Report(
    structures=("liver", "spleen"),
    cases=(
        CaseScores("one", {"liver": LIVER, "spleen": ClassScore(0.0, 0.0, np.inf, np.inf, 0, 10)}),
        CaseScores("two", {"liver": replace(LIVER, dice=0.6), "spleen": ClassScore(1.0, 1.0, np.nan, np.nan, 0, 0)}),
    ),
    skipped={}, distance_unit="mm",
)  # fmt: skip


def test_means_are_taken_over_cases_then_over_structures():
    summary = MIXED.summary()
    assert summary["liver"]["dice"] == {"mean": pytest.approx(0.7), "deviation": pytest.approx(0.02**0.5), "cases": 2}
    assert summary[ALL]["dice"]["mean"] == pytest.approx((0.7 + 0.5) / 2)
    assert summary[ALL]["dice"]["deviation"] == pytest.approx(np.std([0.4, 0.8], ddof=1))


def test_distances_that_do_not_exist_are_left_out_counted_and_null():
    summary = MIXED.summary()
    assert summary["spleen"]["hd95"] == {"mean": None, "deviation": None, "cases": 0}
    assert summary["spleen"]["missing"] == 1 and summary[ALL]["hd95"]["mean"] == 4.0


def test_the_json_file_has_no_nan_and_states_its_rules(tmp_path):
    MIXED.write_json(tmp_path / "new/scores.json")
    text = (tmp_path / "new/scores.json").read_text()
    values = json.loads(text, parse_constant=lambda constant: pytest.fail(f"{constant} in the file"))
    assert values["cases"]["one"]["spleen"]["hd95"] is None and values["cases"]["one"]["spleen"]["missing"] is True
    assert "left out and counted" in values["rules"] and values["distance_unit"] == "mm"
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["scores.json"]


def test_the_table_is_aligned_and_says_what_is_missing():
    lines = MIXED.table().splitlines()
    assert lines[0].split() == ["case", "structure", "Dice", "Jaccard", "HD95", "[mm]", "ASD", "[mm]"]
    starts = {line.index(number) for line, number in zip(lines[1:5], ("0.8", "0.0", "0.6", "1.0"), strict=True)}
    assert len(starts) == 1
    assert lines[2].endswith("not found")
    assert any(line.startswith("mean +- deviation") and ALL in line and "1 missing" in line for line in lines)


def test_the_papers_metrics_are_reported_in_voxels_with_their_own_rule(folders):
    report = evaluate_folders(*folders, paper_metrics=True)
    assert report.distance_unit == "voxels" and report.cases[0].scores["label 1"].hd95_mm == 1.0
    assert "flatters" in report.table() and json.loads(report.to_json())["paper_metrics"] is True


def test_where_nobody_annotated_anything_nothing_is_scored(tmp_path):
    true, found = cube(2, 3, 3), cube(2, 3, 3)
    found[6:] = 1
    true[6:] = 255
    write(tmp_path / "r/a.nrrd", true)
    write(tmp_path / "p/a.nrrd", found)
    report = evaluate_folders(tmp_path / "p", tmp_path / "r", not_annotated=255)
    assert report.structures == ("label 1",) and report.cases[0].scores["label 1"].dice == 1.0
    assert remarks(report) == ["In 1 references only a part is annotated, and only that is scored; distances are "
                               "measured within it: a."]


def test_the_value_of_a_structure_is_never_left_out(folders):
    with pytest.raises(UserError, match="Value 1 is a structure"):
        evaluate_folders(*folders, labels=LabelSet.from_names({1: "liver"}), not_annotated=1)


def test_a_structure_that_nobody_annotated_in_a_case_counts_in_the_others_alone(tmp_path):
    for name in ("a", "b"):
        write(tmp_path / f"r/images/{name}.nrrd", cube(2, 3, 3).astype(np.float32))
        write(tmp_path / f"r/labels/{name}.nrrd", cube(2, 3, 3))
        write(tmp_path / f"p/{name}.nrrd", cube(2, 3, 3) + cube(2, 8, 3, value=2))
    write(tmp_path / "r/labels/b.nrrd", cube(2, 3, 3) + cube(2, 8, 4, value=2))
    (tmp_path / "r/labels.json").write_text(json.dumps({"1": "liver", "2": "spleen"}))
    (tmp_path / "r/cases.json").write_text(json.dumps({"cases": {"a": {"not_annotated": ["spleen"]}}}))
    spleen = evaluate_folders(tmp_path / "p", tmp_path / "r").statistic("spleen", "dice")
    assert (spleen.n, spleen.mean) == (1, 0.75)
    json.loads(evaluate_folders(tmp_path / "p", tmp_path / "r").to_json())


def test_a_reference_in_which_nobody_annotated_anything_is_not_scored(tmp_path):
    for name, true in (("a", cube(2, 3, 3)), ("b", np.full((8, 12, 14), 255, np.uint8))):
        write(tmp_path / f"r/{name}.nrrd", true)
        write(tmp_path / f"p/{name}.nrrd", cube(2, 3, 4))
    report = evaluate_folders(tmp_path / "p", tmp_path / "r", not_annotated=255)
    assert report.skipped == {"b": "nothing is annotated in the reference."}
    assert [case.name for case in report.cases] == ["a"]


def test_the_labels_of_a_downloaded_data_set_and_label_images_are_references(tmp_path: Path) -> None:
    label = np.zeros((1, 6, 7), np.uint8)
    label[0, 2:4, 3:5] = 1
    for place in ("pictures/a.png", "found/a.nii.gz"):
        (tmp_path / place).parent.mkdir()
        sitk.WriteImage(sitk.GetImageFromArray(label[0] if place.endswith("png") else label),
                             str(tmp_path / place))
    name = "patient001/patient001_frame01"
    (tmp_path / "acdc" / "patient001").mkdir(parents=True)
    for path in (f"acdc/{name}.nii.gz", f"acdc/{name}_gt.nii.gz", "found/patient001_frame01.nii.gz"):
        sitk.WriteImage(sitk.GetImageFromArray(label), str(tmp_path / path))
    for reference, case in (("pictures", "a"), ("acdc", "patient001_frame01")):
        assert evaluate_folders(tmp_path / "found", tmp_path / reference).cases[0].name == case
