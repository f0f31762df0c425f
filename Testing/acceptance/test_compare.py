"""``alhvr compare``: two trainings that differ in the archive alone, stopped and killed at will, and what they show."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from command import Finished, Running, alhvr
from tiny_runs import short_run, write_study

from alhvr.core.files import read_json
from alhvr.data.reading import read_label
from alhvr.evaluation.report import evaluate_folders
from alhvr.formats.project import PROJECT_FILE
from alhvr.formats.run_state import RunWatch, ask, is_asked, read_heartbeat

ARMS = ("labels-only", "archive")
ITERATIONS = 3
MANY = 100_000
HELD_OUT = ("case0", "case3")


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four labelled cases, two of them held out, and two scans of an archive."""
    folder = write_study(tmp_path_factory.mktemp("study"), labeled=4, archive=2)
    about = {name: {"held_out": True, "annotator": "M. Muster"} for name in HELD_OUT}
    (folder / "labeled" / "cases.json").write_text(json.dumps({"cases": about}))
    return folder


def comparison(study: Path, out: Path, *options: Any, iterations: int = ITERATIONS) -> list[Any]:
    """Arguments of a comparison that saves after every step."""
    arguments = short_run(study, out, "--iterations", iterations, "--progress", "json", *options, save_every_s=0.0,
                          validations=1)
    return ["compare", *arguments[1:]]


def resumed(out: Path) -> list[Any]:
    return ["compare", "--resume", "--out", out, "--progress", "json"]


def checkpoint(out: Path, arm: str) -> Path:
    return out / arm / "checkpoints" / "last.pt"


def end_of(out: Path) -> list[Any]:
    """What a comparison showed, without what it cost in time, and every score on the way."""
    record = read_json(out / "outcome.json")
    for arm in record["arms"].values():
        arm.pop("minutes")
    lines = [json.loads(line) for arm in ARMS for line in (out / arm / "metrics.jsonl").read_text().splitlines()]
    return [record, [(line["iteration"], line["dice"]) for line in lines if "dice" in line]]


@pytest.fixture(scope="module")
def whole(study: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Finished]:
    """A comparison that nothing disturbed."""
    out = tmp_path_factory.mktemp("whole") / "run"
    done = alhvr(*comparison(study, out))
    assert done.code == 0, done
    return out, done


def test_both_trainings_have_the_same_plan_seed_and_held_out_cases_and_differ_in_the_archive(whole) -> None:
    without, with_archive = (read_json(whole[0] / arm / "run.json") for arm in ARMS)
    assert [case["name"] for case in without["validation"]] == list(HELD_OUT)
    assert without["unlabeled"] == [] and len(with_archive["unlabeled"]) == 2
    assert without["config"].pop("method")["name"] == "labels-only"
    assert with_archive["config"].pop("method")["name"] == "alhvr"
    assert all(Path(case["label"]).is_relative_to(whole[0]) for case in without["labeled"] + without["validation"])
    for part in ("plan", "labeled", "validation", "config", "compute", "labels"):
        assert without[part] == with_archive[part]


def test_what_it_tells_says_which_training_it_is_of_and_ends_with_a_verdict(whole) -> None:
    out, done = whole
    scores = [event for event in done.events if event["event"] == "metrics"]
    assert [event["arm"] for event in scores] == list(ARMS)
    artifacts = [(event["kind"], event["path"]) for event in done.events if event["event"] == "artifact"]
    assert artifacts[-2:] == [("outcome", str(out / "outcome.json")), ("outcome page", str(out / "outcome.html"))]
    record = read_json(out / "outcome.json")
    assert done.events[-1] == {"event": "finished", "out": str(out), "verdict": record["verdict"],
                               "offered": record["offered"]}
    assert record["sentence"] in done.texts("note") and "too few patients" in record["sentence"]
    beat = read_heartbeat(out)
    assert (beat.state, RunWatch(out).look().state) == ("finished", "finished")
    assert not list((out / "archive").glob("heartbeat.json"))


def test_the_scores_are_those_of_alhvr_evaluate_on_the_segmentations_beside_them(study, whole) -> None:
    record = read_json(whole[0] / "outcome.json")
    for arm in ARMS:
        report = evaluate_folders(whole[0] / "held-out" / arm, study / "labeled")
        for case in report.cases:
            (told,) = (entry["scores"][arm] for entry in record["cases"] if entry["case"] == case.name)
            for name, score in case.scores.items():
                assert told[name]["dice"] == pytest.approx(score.dice)
                assert told[name]["hd95_mm"] == (pytest.approx(score.hd95_mm) if not score.missing else None)
                assert told[name]["missed"] == score.missing
    assert {entry["case"] for entry in record["cases"]} == set(HELD_OUT) and record["distance_unit"] == "mm"


def test_each_arm_shows_previews_and_its_model_names_no_case(whole) -> None:
    for arm, roles in (("labels-only", ["held-out"]), ("archive", ["held-out", "archive"])):
        folder = whole[0] / arm / "previews" / "00000003"
        assert [entry["role"] for entry in read_json(folder / "preview.json")["cases"]] == roles
        assert "case0" not in (whole[0] / arm / "model" / "alhvr.json").read_text()
        assert read_label(folder / "case0.regions.nrrd").array.max() <= 3


def test_one_paused_killed_and_moved_while_labels_are_edited_ends_as_one_that_was_not(study, whole, tmp_path) -> None:
    out = tmp_path / "here" / "run"
    shutil.copytree(study, tmp_path / "here" / "study")
    (tmp_path / "here" / PROJECT_FILE).touch()
    running = at_first_checkpoint(comparison(tmp_path / "here" / "study", out), out, "labels-only")
    ask(out, "pause")
    paused = running.finish()
    assert paused.code == 130 and f"alhvr compare --resume --out {out}" in paused.texts("note")
    assert RunWatch(out).look().state == "paused" and not is_asked(out, "pause")
    for label in (tmp_path / "here" / "study" / "labeled" / "labels").iterdir():
        label.write_bytes(b"edited meanwhile")
    at_first_checkpoint(resumed(out), out, "archive").kill()
    assert RunWatch(out).look().state == "lost" and read_heartbeat(out).arm == "archive"
    moved = (tmp_path / "here").rename(tmp_path / "there") / "run"
    assert not (moved / "outcome.json").exists()
    assert alhvr(*resumed(moved)).code == 0 and end_of(moved) == end_of(whole[0])


def at_first_checkpoint(arguments: list[Any], out: Path, arm: str) -> Running:
    """A comparison under way in its training ``arm``."""
    running = Running(tuple(arguments))
    running.wait_until(checkpoint(out, arm).exists, f"the first checkpoint of {arm}")
    return running


def test_one_paused_before_it_trains_goes_on_alone_in_its_folder_and_finishes_when_asked(study, tmp_path: Path) -> None:
    out = tmp_path / "run"
    running = Running(tuple(comparison(study, out, iterations=MANY)))
    running.wait_until((out / "compare.json").exists, "the record of the comparison")
    ask(out, "pause")
    stopped = running.finish()
    assert stopped.code == 130 and f"alhvr compare --resume --out {out}" in stopped.texts("note")
    running = at_first_checkpoint(resumed(out), out, "labels-only")
    alhvr(*resumed(out)).refused("Another training is running in")
    alhvr("train", "--resume", "--out", out / "labels-only").refused("Another training is running in")
    assert read_heartbeat(out).pid == running.process.pid
    ask(out, "finish")
    done = running.finish()
    record = read_json(out / "outcome.json")
    assert done.code == 0 and (record["verdict"], record["offered"]) == ("one arm", "labels-only")
    assert list(record["arms"]) == ["labels-only"] and record["arms"]["labels-only"]["iterations"] < MANY
    assert not (out / "archive" / "checkpoints").exists() and not is_asked(out, "finish")
    assert "Finished before its time" in (out / "outcome.html").read_text()


def test_a_finished_comparison_is_not_begun_again_in_its_folder(study: Path, whole) -> None:
    before = (whole[0] / "heartbeat.json").read_bytes()
    alhvr(*comparison(study, whole[0])).refused("already holds a comparison", "--resume")
    alhvr(*short_run(study, whole[0], "--iterations", 1)).refused("holds a comparison", "alhvr compare --resume")
    assert (whole[0] / "heartbeat.json").read_bytes() == before


def test_a_training_that_is_to_prove_what_the_archive_gives_is_a_comparison(study: Path, whole) -> None:
    proving = ["train", *comparison(study, whole[0])[1:], "--prove"]
    alhvr(*proving).refused("already holds a comparison", "--resume")
    done = alhvr(*proving, "--resume")
    assert done.code == 0 and done.events[-1]["verdict"] == read_json(whole[0] / "outcome.json")["verdict"]


def test_with_the_archive_alone_a_start_is_still_compared_with(study: Path, whole, tmp_path: Path) -> None:
    start = whole[0] / "labels-only" / "model"
    arguments = comparison(study, tmp_path / "run", "--no-labels-only", "--from", start, iterations=1)
    del arguments[arguments.index("--patch-size"):arguments.index("--iterations")]
    assert alhvr(*arguments).code == 0
    record = read_json(tmp_path / "run" / "outcome.json")
    assert list(record["arms"]) == ["before", "archive"] and not (tmp_path / "run" / "labels-only").exists()
    assert (record["change_from_start"]["of"], record["change_from_start"]["from"]) == ("archive", "before")
    assert record["arms"]["before"]["mean_dice"] == pytest.approx(
        read_json(whole[0] / "outcome.json")["arms"]["labels-only"]["mean_dice"], abs=1e-6)


def test_one_refused_by_its_check_is_begun_again_and_without_an_archive_one_is_trained(tmp_path: Path) -> None:
    broken, out = write_study(tmp_path / "study", labeled=2, archive=0) / "labeled", tmp_path / "run"
    (broken / "cases.json").write_text(json.dumps({"cases": {f"case{n}": {"held_out": True} for n in range(2)}}))
    arguments = comparison(tmp_path / "study", out, iterations=1)
    del arguments[arguments.index("--unlabeled"):arguments.index("--out")]
    alhvr(*arguments).refused("every one of the 2 labelled cases", "none to learn from")
    beat = read_heartbeat(out)
    assert beat.state == "failed" and "every one of the 2 labelled cases" in beat.message
    (broken / "cases.json").write_text(json.dumps({"cases": {"case0": {"held_out": True}}}))
    assert alhvr(*arguments).code == 0
    record = read_json(out / "outcome.json")
    assert (record["verdict"], record["n_patients"]) == ("one arm", 1) and not (out / "archive").exists()


@pytest.mark.parametrize("content", ["{}", "[]", '{"format": "alhvr comparison 1", "arms": ["../x"], "done": {}}', "{"])
def test_a_damaged_record_is_one_clear_line(whole, tmp_path: Path, content: str) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "compare.json").write_text(content)
    alhvr(*resumed(tmp_path / "run")).refused("compare.json" if content != "{" else "compare.json is not valid JSON")
