"""The accuracy benchmark: fair cells, honest statistics, results that survive, downloads that are as they should be."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from page_reader import read_page
from scipy import stats
from support import ROOT

from alhvr.arguments import build_parser, run_config


@pytest.fixture(autouse=True)
def benchmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))


@pytest.fixture
def protocol(tmp_path: Path) -> Any:
    """Six patients that may be labelled, two scored ones and two of the archive without labels; two scans each."""
    from accuracy.protocols import CaseFiles, Pool, Protocol

    parts = {"drawable": "abcdef", "common": "xy", "archive": "uv"}
    cases = [CaseFiles(f"{p}{n}.nii.gz", p, tmp_path / f"{p}{n}.nii.gz", None if p in "uv" else tmp_path / f"{p}{n}l")
             for names in parts.values() for p in names for n in (1, 2)]
    for case in cases:
        for path in filter(None, (case.image, case.label)):
            path.touch()
    pool = Pool(**{part: tuple(names) for part, names in parts.items()}, cases=tuple(cases), names={"1": "heart"})
    return Protocol("tiny", "Tiny", lambda work: pool, (), (1, 3), 100, ("--patch-size", "32,32"), draws=3)


def inside(folder: Path) -> set[str]:
    """Patients in a folder of cases."""
    return {path.name[0] for path in (folder / "images").glob("*")}


def test_draws_are_nested_and_nobody_who_is_scored_is_learnt_from(protocol: Any, tmp_path: Path) -> None:
    for draw in range(3):
        one, three = (protocol.link(n, draw, tmp_path / "work") for n in (1, 3))
        assert len(inside(one / "labeled")) == 1 and inside(one / "labeled") < inside(three / "labeled")
        assert inside(one / "held_back") == inside(three / "held_back") and len(inside(one / "held_back")) == 3
        for cell in (one, three):
            learnt, scored = (inside(cell / a) | inside(cell / b)
                              for a, b in (("labeled", "unlabeled"), ("held_back", "common")))
            assert not learnt & scored and learnt | scored == set("abcdefuvxy")
            assert not (cell / "unlabeled" / "labels").exists()


def test_a_case_that_an_earlier_version_left_in_a_folder_is_not_learnt_from(protocol: Any, tmp_path: Path) -> None:
    root = protocol.link(1, 0, tmp_path / "work")
    (root / "labeled" / "images" / "x1.nii.gz").symlink_to(tmp_path / "x1.nii.gz")
    assert inside(protocol.link(1, 0, tmp_path / "work") / "labeled") == {"a"}


def test_all_labels_learns_from_everybody_whose_label_is_known_and_not_scored(protocol: Any, tmp_path: Path) -> None:
    cell = protocol.link("all", 0, tmp_path / "work")
    assert inside(cell / "labeled") == set("abcdef") and inside(cell / "common") == set("xy")
    assert not inside(cell / "held_back")


def test_the_draws_are_those_of_the_training_benchmark() -> None:
    from accuracy.protocols import PROTOCOLS
    from training import labelled_order

    acdc = PROTOCOLS["acdc-small"]
    if acdc.missing():
        pytest.skip(acdc.missing())
    assert acdc.drawn(acdc.pool(Path()), 2) == labelled_order("acdc", 2)


def test_what_is_missing_is_one_line_that_says_where_it_comes_from(monkeypatch: pytest.MonkeyPatch) -> None:
    from accuracy.protocols import PROTOCOLS

    for name in ("acdc-paper", "abdomen-paper", "brats-paper"):
        said = PROTOCOLS[name].missing()
        assert "\n" not in said and f"convert {name} DOWNLOAD" in said and "://" not in said


def test_a_protocol_with_another_budget_keeps_its_own_results() -> None:
    from accuracy.protocols import protocol_named

    assert (protocol_named("phantom-40").budget, protocol_named("phantom-40").name) == (40, "phantom-40")
    with pytest.raises(ValueError, match="There is no protocol phantom-0"):
        protocol_named("phantom-0")


@pytest.mark.parametrize(("name", "expected"), [
    ("labels", ("labels-only", False)), ("official", ("alhvr", True)), ("cross-pseudo-1", ("alhvr", True)),
    ("labels-only", ("labels-only", False)), ("regions-23", ("alhvr", True)), ("beta-0.7", ("alhvr", True)),
    ("modules-dtct", ("alhvr", True)), ("all-labels", ("labels-only", False)),
])
def test_an_arm_is_a_command_that_training_understands(name: str, expected: tuple[str, bool], protocol: Any,
                                                       tmp_path: Path) -> None:
    from accuracy.arms import Cell, arm_named, command, settings, settings_file

    run = tmp_path / "run"
    settings_file(run).write_text(json.dumps(settings(protocol, arm_named(name))))
    words = command(protocol, Cell(3, name, 1), tmp_path, run, 50)
    options = build_parser().parse_args(words[2:])
    config = run_config(options)
    assert (options.unlabeled is not None) == expected[1] and options.validation == tmp_path / "common"
    assert config.training.iterations == 50 and config.training.seed == 1
    if name == "labels-only" or expected[1]:
        assert config.method.name == expected[0]
    assert Cell(3, name, 1, chosen=True).key == f"3/{name}/1/chosen"


def test_a_variant_changes_what_it_is_called_after() -> None:
    from accuracy.arms import arm_named

    assert arm_named("regions-31").how.method["cross_pseudo_regions"] == [1, 3]
    assert arm_named("modules-cg-cpcl").how.method == {"prototype_consistency": True, "teacher_competition": False}
    assert arm_named("beta-0.7").how.method == {"beta": 0.7}
    with pytest.raises(ValueError, match="There is no arm nonsense. Accepted: labels, all-labels, plain, standard"):
        arm_named("nonsense")


def test_what_is_chosen_holds_out_its_own_cases_and_all_labels_runs_once_a_draw(protocol: Any, tmp_path: Path) -> None:
    from accuracy.arms import Cell, cells, command

    wished = cells(protocol, ["labels", "all-labels"], draws=[0], chosen=True)
    assert [cell.key for cell in wished] == ["1/labels/0", "1/labels/0/chosen", "all/all-labels/0", "3/labels/0",
                                             "3/labels/0/chosen"]
    assert "--validation" not in command(protocol, Cell(3, "labels", 0, chosen=True), tmp_path, tmp_path / "run", 5)


def grid(values: list[list[float]]) -> dict[int, dict[str, float]]:
    """Scores from rows of draws and columns of patients."""
    return {draw: {f"p{column}": value for column, value in enumerate(row)} for draw, row in enumerate(values)}


def test_an_interval_is_no_narrower_than_students_t() -> None:
    from accuracy.statistics import estimate

    values = [0.61, 0.72, 0.55, 0.80]
    found, expected = estimate(grid([values])), stats.ttest_1samp(values, 0).confidence_interval()
    assert found.mean == pytest.approx(np.mean(values))
    assert found.low <= expected.low + 1e-9 and found.high >= expected.high - 1e-9


def test_more_draws_of_the_same_patients_tell_nothing_new_of_the_patients() -> None:
    from accuracy.statistics import Resamples

    values = [0.2, 0.4, 0.6, 0.8, 0.9, 0.5]
    once, often = grid([values]), grid([values] * 5)
    spreads = [float(np.std(Resamples.of(scores).means(scores))) for scores in (once, often)]
    assert spreads[0] == pytest.approx(np.std(values) / math.sqrt(6), rel=0.03)
    assert spreads[1] == pytest.approx(spreads[0], rel=0.03)


def test_the_draws_count_as_draws_however_many_patients_there_are() -> None:
    from accuracy.statistics import Resamples

    scores = grid([[level] * 50 for level in (0.1, 0.5, 0.9, 0.3)])
    assert float(np.std(Resamples.of(scores).means(scores))) == pytest.approx(np.std([0.1, 0.5, 0.9, 0.3]) / 2,
                                                                              rel=0.03)


def test_resamples_leave_out_cells_that_are_not_there() -> None:
    from accuracy.statistics import Resamples, mean_of

    scores = {0: {"a": 1.0}, 1: {"b": 0.0}}
    means = Resamples.of(scores).means(scores)
    assert mean_of(scores) == 0.5 and np.isnan(means).any() and set(np.unique(means[~np.isnan(means)])) <= {0, .5, 1}


def test_the_share_of_the_gap_is_that_of_the_means() -> None:
    from accuracy.statistics import gap_closed

    labels, arm, everything = (grid([[0.5 + up, 0.6 + up]] * 3) for up in (0.0, 0.1, 0.2))
    found = gap_closed(arm, labels, everything)
    assert (found.mean, found.low, found.high) == pytest.approx((0.5, 0.5, 0.5))
    assert gap_closed(arm, labels, grid([[0.501, 0.601]] * 3)) is None


def test_holm_as_in_the_book_and_a_test_that_there_is_not_costs_the_others_nothing() -> None:
    from accuracy.statistics import holm

    found = holm({"a": 0.01, "b": 0.04, "c": 0.03, "none": math.nan, "d": 0.005})
    assert [found[name] for name in "abcd"] == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert math.isnan(found["none"])


def test_wilcoxon_is_of_the_patients_means_over_the_draws() -> None:
    from accuracy.statistics import wilcoxon

    rng = np.random.default_rng(0)
    change = rng.normal(0.03, 0.05, (4, 9))
    assert wilcoxon(grid(change.tolist())) == pytest.approx(stats.wilcoxon(change.mean(axis=0)).pvalue)
    assert wilcoxon(grid([[0.0, 0.0]])) == 1.0 and math.isnan(wilcoxon({}))


def test_harm_is_a_draw_that_loses_more_than_a_point() -> None:
    from accuracy.statistics import harm_rate, worst_patient

    change = grid([[-0.02, -0.01], [-0.005, -0.005], [0.1, -0.2], [0.1, 0.1]])
    assert harm_rate(change) == 0.5
    assert worst_patient(change) == ("p1", pytest.approx(-0.02875))


def run_record(dice: float, *, patients: str = "xy", missed: bool = False, steps: int = 100) -> dict[str, Any]:
    """A finished run whose scans all have one Dice."""
    one = {"dice": dice, "hd95": None if missed else 2.0, "missed": missed}
    return {"scores": {"common": {f"{p}{n}": {"heart": one} for p in patients for n in (1, 2)}}, "steps": steps,
            "cost_per_step": 100 / steps, "curve": {str(steps): dice}, "processor_s": 60.0,
            "code": {"version": "1", "commit": "c" * 40, "changed": False}, "machine": {"cores": 2}}


@pytest.fixture
def results(protocol: Any) -> Any:
    """Three draws in which the archive gains ten points, then twenty, then loses two."""
    from accuracy.report import Results

    runs = {f"3/labels/{draw}": run_record(0.5) for draw in range(3)}
    runs |= {f"3/standard/{draw}": run_record(0.5 + gain, steps=50) for draw, gain in enumerate((0.1, 0.2, -0.02))}
    runs |= {f"all/all-labels/{draw}": run_record(0.9, missed=draw == 0) for draw in range(3)}
    runs |= {f"3/labels/{draw}/chosen": run_record(0.4) for draw in range(3)}
    runs["3/paper/0"] = {"failed": "exit code 2: no room", "code": run_record(0)["code"], "machine": {"cores": 2}}
    cost = {"ratio": 2.0, "by_position": [2.0], "labels_step_s": 0.1}
    record = {"runs": runs, "cost": {"standard": cost}}
    return Results(protocol, record, {f"{p}{n}": p for p in "xy" for n in (1, 2)})


def test_the_report_tells_gain_gap_harm_missed_structures_and_failures(results: Any) -> None:
    from accuracy.report import markdown

    text = markdown(results)
    row = next(line for line in text.splitlines() if line.startswith("| standard | 3 | 50 |"))
    assert "| 59.3 (" in row and "| +9.3 (" in row and "| 23 % (" in row and "| 0.33 |" in row
    assert "3 labelled, standard: no gain shown, +9.3 (" in text
    assert "2.00, 4 of 12 missed" in text and "| 3/paper/0 | exit code 2: no room |" in text
    assert "| 3 | labels | common | 3 | 40.0 (" in text
    assert "| standard, 3 labelled | 100: 0.593 |" in text


def test_the_page_holds_the_same_tables_and_runs_nothing(results: Any) -> None:
    from accuracy.report import html

    page = html(results)
    read_page(page)
    assert "exit code 2: no room" in page and "<script" not in page and 'class="chart"' in page


def test_a_half_written_result_is_none_and_two_writers_lose_nothing(protocol: Any, tmp_path: Path) -> None:
    from accuracy.runs import Store

    one, two = Store(protocol, tmp_path), Store(protocol, tmp_path)
    one.put("runs", "3/labels/0", {"steps": 1})
    (tmp_path / "tiny.json.77.partial").write_text("{")
    two.put("runs", "3/labels/1", {"steps": 1})
    one.put("cost", "labels", {"ratio": 1.0})
    assert list(one.read()["runs"]) == ["3/labels/0", "3/labels/1"] and one.read()["cost"]["labels"]["ratio"] == 1.0


@pytest.fixture
def runner(protocol: Any, tmp_path: Path) -> Any:
    from accuracy.runs import Runner, Store

    store = Store(protocol, tmp_path / "results")
    store.put("cost", "labels", {"ratio": 1.0, "labels_step_s": 36.0})
    store.put("cost", "standard", {"ratio": 1.6, "labels_step_s": 36.0})
    return Runner(protocol, tmp_path / "work", store, lambda line: None)


def test_an_arm_gets_the_steps_that_the_same_cost_buys_and_the_forecast_counts_what_is_open(runner: Any) -> None:
    from accuracy.arms import cells

    assert (runner.steps("labels"), runner.steps("standard")) == (100, 62)
    wished = cells(runner.protocol, ["labels", "standard"], labeled=[3], draws=[0, 1])
    runner.store.put("runs", "3/labels/0", {"steps": 100})
    assert runner.forecast(wished, 2).startswith("3 runs to make, 1 are done: about 3 hours of processor time, 1.5 "
                                                 "hours with 2 side by side, for their steps; reading, validations")
    runner.store.put("runs", "3/labels/1", {"processor_s": 7200.0, "sittings": 1})
    assert runner.forecast(wished, 1) == ("2 runs to make, 2 are done: about 4 hours of processor time, as the "
                                          "finished ones took.")


def test_a_run_that_fails_is_kept_with_its_reason_and_made_again_only_when_asked(runner: Any) -> None:
    from accuracy.arms import Cell

    runner.protocol = replace(runner.protocol, options=("--patch-size", "10,10"))
    cell = Cell(3, "labels", 0)
    runner.make([cell])
    assert "patch-size is (10, 10)" in runner.store.read()["runs"]["3/labels/0"]["failed"]
    assert runner.open([cell]) == [] and runner.open([cell], again=True) == [cell]


def test_a_run_that_was_begun_with_other_settings_is_not_mixed_with_these(runner: Any) -> None:
    from accuracy.arms import Cell, settings_file

    file = settings_file(runner.run_folder(Cell(3, "labels", 0)))
    file.parent.mkdir(parents=True)
    file.write_text("{}")
    with pytest.raises(ValueError, match="was begun with other settings"):
        runner.run(Cell(3, "labels", 0))


@pytest.mark.parametrize("number", range(1, 7))
def test_every_row_of_the_paper_has_its_place(number: int, results: Any) -> None:
    from accuracy.tables import lines, table, text

    found = lines(number, results.protocol, 3)
    assert len(found) >= 4 and all(math.isfinite(line.paper["Dice"]) for line in found)
    made = table(number, results, 3)
    assert {row[2] for row in made.rows} <= {"not run yet", "not in this version", "50.00", "59.33"}
    assert f"# Table {number}: " in text(number, results, 3)


def write_brats(folder: Path, *, n: int = 3) -> None:
    for index in range(n):
        name = f"BraTS19_TEST_{'ABC'[index]}_1"
        for kind, array in (("flair", np.full((2, 4, 5), index + 1, np.int16)),
                            ("seg", np.tile(np.array([0, 1, 2, 4, 0], np.int16), (2, 4, 1)))):
            path = folder / "HGG" / name / f"{name}_{kind}.nii.gz"
            path.parent.mkdir(parents=True, exist_ok=True)
            sitk.WriteImage(sitk.GetImageFromArray(array), str(path))
    (folder / "train.txt").write_text("BraTS19_TEST_A_1\nBraTS19_TEST_B_1\n")
    (folder / "test.txt").write_text("BraTS19_TEST_C_1\n")


def test_a_download_becomes_cases_with_our_label_values(tmp_path: Path) -> None:
    from accuracy.converters import convert

    write_brats(tmp_path / "download")
    said = convert("brats-paper", tmp_path / "download", tmp_path / "out")
    assert said.startswith("brats-paper: 2 patients to train on, 1 to score, 3 scans") and "335 expected" in said
    record = json.loads((tmp_path / "out" / "pool.json").read_text())
    assert record["drawable"] == ["BraTS19_TEST_A_1", "BraTS19_TEST_B_1"] and record["common"] == ["BraTS19_TEST_C_1"]
    label = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "out/labels/BraTS19_TEST_A_1.nii.gz")))
    assert label[0, 0].tolist() == [0, 1, 1, 1, 0] and label.dtype == np.uint8


def test_the_frames_of_a_heart_are_counted_and_the_split_is_complete(tmp_path: Path) -> None:
    from accuracy.converters import DATA_SETS

    for path in ("patient007/patient007_frame01", "patient007/patient007_frame13"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        for end in (".nii.gz", "_gt.nii.gz"):
            (tmp_path / f"{path}{end}").touch()
    (tmp_path / "patient007" / "patient007_4d.nii.gz").touch()
    found = list(DATA_SETS["acdc-paper"].find(tmp_path))
    assert [case.name for case in found] == ["patient007_frame01", "patient007_frame02"]
    assert found[1].label.name == "patient007_frame13_gt.nii.gz"
    everybody = [f"patient{number:03d}" for number in range(1, 151)]
    train, test = DATA_SETS["acdc-paper"].split(tmp_path, everybody)
    assert (len(train), len(test)) == (70, 20) and not set(train) & set(test)


def _no_label(folder: Path) -> None:
    next(folder.glob("**/*_seg.nii.gz")).unlink()


def _other_grid(folder: Path) -> None:
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((2, 4, 6), np.int16)), str(next(folder.glob("**/*_seg.nii.gz"))))


def _nothing(folder: Path) -> None:
    for path in folder.glob("**/*_flair.nii.gz"):
        path.unlink()


@pytest.mark.parametrize(("spoil", "said"), [
    (_no_label, "1 of 3 scans have no label"), (_other_grid, "its label"), (_nothing, "holds no case of brats-paper"),
])
def test_a_download_that_is_not_as_it_should_be_is_one_line(spoil: Callable[[Path], None], said: str,
                                                            tmp_path: Path) -> None:
    from accuracy.converters import Unlike, convert

    write_brats(tmp_path / "download")
    spoil(tmp_path / "download")
    with pytest.raises(Unlike, match=said) as raised:
        convert("brats-paper", tmp_path / "download", tmp_path / "out")
    assert "\n" not in str(raised.value) and not (tmp_path / "out" / "pool.json").exists()
