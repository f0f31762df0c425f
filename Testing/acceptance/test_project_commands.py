"""A project by command alone, as on a server: checked, trained, ranked, also after it was moved."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from command import alhvr
from tiny_runs import make_scan, write_scan, write_study

from alhvr.formats.project import Project, create_project

SETTINGS = {"training": {"threads": 1, "precision": "fp32", "validations": 1, "iterations": 2},
            "plan": {"patch_size": [32, 32], "batch_size": 4}}


def write_project(folder: Path) -> Project:
    """A project with three cases and two archive folders, whose trainings are over in two steps."""
    study = write_study(folder / "study")
    write_scan(folder / "disk" / "scan0.nii.gz", make_scan(200)[0])
    project = create_project(folder / "project", "Liver and spleen").with_archive(study / "archive", folder / "disk")
    project = replace(project, minutes=None, settings=SETTINGS)
    project.write()
    shutil.copytree(study / "labeled", project.cases_folder, dirs_exist_ok=True)
    return project


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = write_project(tmp_path_factory.mktemp("trained"))
    done = alhvr("train", "--project", project.folder, "--progress", "json")
    assert done.code == 0, done
    assert "The project takes its archive from" in done.texts("note")
    return project


def test_a_check_of_a_project_lies_in_it(tmp_path: Path) -> None:
    project = write_project(tmp_path)
    done = alhvr("check", "--project", project.folder, "--no-forecast", "--progress", "json")
    assert done.code == 0, done
    record = json.loads((project.folder / "check.json").read_text())
    assert record["counts"]["cases"] == {"labeled": 3, "unlabeled": 4}
    assert record["archive_folders"] == [str(folder) for folder in project.archive_folders]
    assert (project.folder / "check.html").exists()


def test_a_training_uses_every_archive_folder_and_the_settings_of_the_project(trained: Project) -> None:
    record = json.loads((trained.run_folder(1) / "run.json").read_text())
    assert [case["name"] for case in record["unlabeled"]] == ["scan0", "scan1", "scan2", "disk_scan0"]
    assert record["config"]["training"]["iterations"] == 2 and record["plan"]["patch_size"] == [32, 32]


def test_a_comparison_of_a_project_is_its_next_run_and_what_it_offers_is_ranked_with(tmp_path: Path) -> None:
    project = write_project(tmp_path)
    done = alhvr("compare", "--project", project.folder, "--progress", "json")
    assert done.code == 0, done
    run = project.run_folder(1)
    offered = json.loads((run / "outcome.json").read_text())["offered"]
    for arm in ("labels-only", "archive"):
        assert (run / arm / "model" / "manifest.json").exists()
    alhvr("compare", "--project", project.folder, "--resume").refused("There is no unfinished run of alhvr compare")
    assert alhvr("rank", "--project", project.folder, "--count", 1).code == 0
    assert json.loads((project.review_folder / "ranking.json").read_text())["model"] == f"runs/1/{offered}/model"


def test_a_ranking_of_a_project_offers_what_is_not_labelled(trained: Project) -> None:
    done = alhvr("rank", "--project", trained.folder, "--count", 2, "--progress", "json")
    assert done.code == 0, done
    record = json.loads((trained.review_folder / "ranking.json").read_text())
    assert record["model"] == "runs/1/model" and len(record["scans"]) == 2
    assert all((trained.review_folder / scan["segmentation"]).exists() for scan in record["scans"])
    again = alhvr("rank", "--project", trained.folder, "--count", 2)
    assert "place  score  scan: reason" in again.out and "is not shown" in " ".join(again.out.split())


def test_a_project_without_its_disk_does_not_train_on_the_labels_alone(tmp_path: Path) -> None:
    project = write_project(tmp_path)
    shutil.rmtree(tmp_path / "disk")
    done = alhvr("train", "--project", project.folder)
    done.refused(f"The archive folder {tmp_path / 'disk'} is not there.", "Plug in or connect the disk")
    assert not (project.run_folder(1) / "run.json").exists()


def test_a_run_goes_on_where_its_project_was_moved_to(trained: Project, tmp_path: Path) -> None:
    moved = Path(shutil.copytree(trained.folder, tmp_path / "elsewhere"))
    shutil.rmtree(moved / "runs" / "1" / "model")
    trained.cases_folder.rename(trained.folder / "away")
    try:
        done = alhvr("train", "--project", moved, "--resume", "--progress", "json")
    finally:
        (trained.folder / "away").rename(trained.cases_folder)
    assert done.code == 0, done
    metrics = [run / "runs" / "1" / "metrics.jsonl" for run in (trained.folder, moved)]
    assert metrics[0].read_text() == metrics[1].read_text()
    assert (moved / "runs" / "1" / "model" / "manifest.json").exists()
