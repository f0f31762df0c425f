"""Labelled scans and an archive in, a model out, a scan in, its segmentation and regions out: with the real command."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from command import Finished, alhvr, fresh
from tiny_runs import make_scan, short_run, write_scan, write_study

from alhvr.bundle.model import read_model
from alhvr.data.reading import probe, read_label
from alhvr.training.run_folder import load_checkpoint

NEW = 500
"""Seed of a scan that no training saw."""


@pytest.fixture(scope="module")
def new_scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cases folder with labels that no training saw; its names are not plain."""
    folder = tmp_path_factory.mktemp("new")
    for index, name in enumerate(["Müller 1.nii.gz", "肝臓.nrrd"]):
        image, label = make_scan(NEW + index)
        write_scan(folder / "images" / name, image)
        write_scan(folder / "labels" / name, label)
    return folder


def test_training_tells_its_story_in_json_lines(trained: tuple[Path, Finished]) -> None:
    run, done = trained
    events = done.events
    assert done.out.isascii() and done.err == ""
    assert events[0]["event"] == "started" and events[0]["command"] == "train"
    assert "Set aside for validation: case" in done.texts("note")
    losses = [e["losses"] for e in events if e["event"] == "metrics" and "losses" in e]
    assert len(losses) == 4 and {"supervised_ce", "prototype_ce", "total"} <= losses[0].keys()
    assert losses[-1]["supervised_ce"] < 0.5 * losses[0]["supervised_ce"]
    assert [e["iteration"] for e in events if "dice" in e and e["event"] == "metrics"] == [20, 40]
    progress = [e for e in events if e.get("stage") == "training"]
    assert [e["done"] for e in progress] == [0, 10, 20, 30, 40, 40] and {e["total"] for e in progress} == {40}
    assert progress[0]["seconds_left"] is None and progress[1]["seconds_left"] > 0
    assert events[-2] == {"event": "artifact", "kind": "model", "path": str(run / "model")}
    assert events[-1]["event"] == "finished" and events[-1]["dice"]["mean"] > 0.75


def test_the_end_says_how_it_went(trained: tuple[Path, Finished]) -> None:
    told = trained[1].texts("note")
    assert "Best after iteration " in told and "of 40: validation Dice liver " in told
    assert "The model segments by " in told


def test_the_run_folder_holds_everything(trained: tuple[Path, Finished]) -> None:
    run = trained[0]
    found = {path.name for path in run.iterdir()}
    assert found >= {"config.json", "run.json", "check.json", "check.html", "metrics.jsonl", "log.txt", "checkpoints",
                     "model"}
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [line["iteration"] for line in lines] == [10, 20, 20, 30, 40, 40]
    assert not list(run.rglob("*.part")) and not list(run.rglob(".*.partial"))
    assert json.loads((run / "config.json").read_text())["training"]["iterations"] == 40


def test_segment_then_evaluate_finds_what_was_drawn(model: Path, new_scans: Path, tmp_path: Path) -> None:
    done = alhvr("segment", "--model", model, new_scans / "images", "--out", tmp_path / "out", "--progress", "json")
    assert done.code == 0 and (done.events[-1]["segmented"], done.events[-1]["failed"]) == (2, 0)
    scores = tmp_path / "scores.json"
    scored = alhvr("evaluate", "--predictions", tmp_path / "out", "--reference", new_scans, "--out", scores)
    assert scored.code == 0 and "Müller 1" in scored.out and "HD95 [mm]" in scored.out
    summary = json.loads(scores.read_text())["summary"]
    assert summary["liver"]["dice"]["mean"] > 0.75 and summary["spleen"]["dice"]["mean"] > 0.75


@pytest.mark.parametrize("ending", ["seg.nrrd", "nii.gz"])
def test_results_lie_exactly_where_the_scan_lies(model, new_scans, tmp_path: Path, ending: str) -> None:
    scan = new_scans / "images" / "Müller 1.nii.gz"
    done = alhvr("segment", "--model", model, scan, "--out", tmp_path, "--format", ending, "--regions")
    assert done.code == 0
    results = sorted(path for path in tmp_path.iterdir() if path.name.endswith((".nrrd", ".nii.gz")))
    assert len(results) == 5
    for result in results:
        assert probe(result).geometry.difference(probe(scan).geometry, tolerance_mm=1e-3) == ""


def test_regions_tell_gamma_for_every_beta(model: Path, new_scans: Path, tmp_path: Path) -> None:
    scan = new_scans / "images" / "肝臓.nrrd"
    assert alhvr("segment", "--model", model, scan, "--out", tmp_path, "--regions").code == 0
    table = json.loads((tmp_path / "肝臓.regions.json").read_text())
    assert len(table["gamma_by_beta"]) == 101 and table["gamma_by_beta"]["0.80"] == pytest.approx(table["gamma"])
    confidence = {n: read_label(tmp_path / f"肝臓.confidence-{n}.nrrd").array for n in "ab"}
    region, threshold = read_label(tmp_path / "肝臓.regions.nrrd").array, table["threshold_by_beta"]["0.80"]
    reliable = [confidence[n] >= threshold for n in "ab"]
    assert np.array_equal(region, np.select([reliable[0] & reliable[1], reliable[0] ^ reliable[1]], [1, 2], 3))
    assert table["voxels_by_beta"]["0.80"] == np.bincount(region.ravel(), minlength=4)[1:].tolist()
    assert {sum(voxels) for voxels in table["voxels_by_beta"].values()} == {region.size}


def test_describe_tells_a_person_what_the_model_is(model: Path) -> None:
    done = fresh("describe", model)
    assert done.code == 0 and done.err == ""
    for words in ("liver", "SCT 10200004", "labelled scans | 3", "unlabelled scans | 4", "not a medical device"):
        assert words in done.out


def test_the_record_in_the_model_names_hashes_settings_and_split(model: Path) -> None:
    record = read_model(model).description.training
    assert {part: len(hashes) for part, hashes in record["case_hashes"].items()} == {
        "labeled": 3, "unlabeled": 4, "validation": 1}
    assert record["validation_was_set_aside"] and record["settings"]["training"]["learning_rate"] == 0.01


def test_people_get_plain_lines_in_a_file_and_the_model_named(study: Path, tmp_path: Path) -> None:
    done = alhvr(*short_run(study, tmp_path / "run", "--iterations", 2))
    assert done.code == 0 and done.out == "" and "\r" not in done.err
    lines = done.err.splitlines()
    assert "iteration 2: validation Dice liver 0." in done.err
    assert any(line.startswith("Best after iteration ") for line in lines)
    assert lines[-1] == f"model: {tmp_path / 'run' / 'model'}"


def test_training_on_labels_only(study: Path, tmp_path: Path) -> None:
    arguments = short_run(study, tmp_path / "run", "--iterations", 10, "--progress", "json")
    where = arguments.index("--unlabeled")
    done = alhvr(*arguments[:where], *arguments[where + 2:])
    assert done.code == 0
    (losses,) = [e["losses"] for e in done.events if "losses" in e]
    assert losses.keys() == {"supervised_ce", "supervised_dice", "total"}
    assert read_model(tmp_path / "run" / "model").description.training["cases"]["unlabeled"] == 0


def test_training_for_a_time(study: Path, tmp_path: Path) -> None:
    done = alhvr(*short_run(study, tmp_path / "run", "--minutes", 0.2, "--progress", "json"))
    assert done.code == 0
    last = [e for e in done.events if e["event"] == "progress" and e["stage"] == "training (seconds)"][-1]
    assert (last["done"], last["total"], last["seconds_left"]) == (12, 12, 0.0)
    state = load_checkpoint(tmp_path / "run" / "checkpoints" / "last.pt")["loop"]
    assert state["elapsed_s"] >= 12 and state["iteration"] >= 1


def test_fine_tuning_a_model_on_other_classes(model: Path, study: Path, tmp_path: Path) -> None:
    other = write_study(tmp_path / "other", labeled=2, archive=1)
    (other / "labeled" / "labels.json").write_text('{"1": "pancreas", "3": "spleen"}')
    begun = alhvr(*short_run(other, tmp_path / "run", "--iterations", 2, "--from", model, "--progress", "json"))
    assert begun.code == 0 and "so the output layer is new; all other weights are kept" in begun.texts("note")
    assert read_model(tmp_path / "run" / "model").description.labels.names == ("pancreas", "spleen")
    same = alhvr(*short_run(study, tmp_path / "same", "--iterations", 2, "--from", model, "--progress", "json"))
    assert "all weights are kept, the classes are the same" in same.texts("note")
    assert same.events[-1]["dice"]["mean"] > 0.6


def test_an_archive_ten_times_larger_than_the_memory_for_it(study: Path, tmp_path: Path) -> None:
    scan_bytes = 4 * 4 * 32 * 32
    for index in range(20):
        write_scan(tmp_path / "archive" / f"s{index}.nrrd", make_scan(900 + index)[0])
    memory_gb = 2 * (2 * scan_bytes + 200) / 1e9
    arguments = short_run(study, tmp_path / "run", "--iterations", 12, "--progress", "json", memory_gb=memory_gb)
    arguments[arguments.index("--unlabeled") + 1] = tmp_path / "archive"
    done = alhvr(*arguments)
    assert done.code == 0 and done.texts("warning") == ""
    assert read_model(tmp_path / "run" / "model").description.training["cases"]["unlabeled"] == 20
