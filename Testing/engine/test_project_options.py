"""--project: what the commands take from a project folder, what given beside it counts, and what is refused."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import replace
from pathlib import Path

import pytest

from alhvr.arguments import build_parser, check_config, run_config
from alhvr.cli import main
from alhvr.core.errors import UserError
from alhvr.formats.project import Kept, Project, create_project
from alhvr.project_options import places, project_of


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project with an archive inside and one outside of it."""
    made = create_project(tmp_path / "project").with_archive(tmp_path / "project" / "scans", tmp_path / "disk")
    made = replace(made, minutes=5.0, settings={"training": {"seed": 7}, "data": {"not_annotated": 9}})
    made.write()
    return made


def options(project: Project, command: str, *arguments: str) -> Namespace:
    found = build_parser().parse_args([command, "--project", str(project.folder), *arguments])
    project_of(found)
    return found


def finished(folder: Path) -> Path:
    """A run folder with a model in it; returns the model."""
    (folder / "model").mkdir(parents=True)
    (folder / "model" / "manifest.json").touch()
    (folder / "run.json").touch()
    return folder / "model"


@pytest.mark.parametrize("command", ["check", "train"])
def test_cases_and_all_archive_folders_are_those_of_the_project(project: Project, tmp_path: Path, command: str) -> None:
    found = options(project, command)
    assert found.labeled == project.folder / "cases"
    assert found.unlabeled == [project.folder / "scans", tmp_path / "disk"]


def test_a_check_is_written_into_the_project_or_where_it_is_asked_for(project: Project) -> None:
    assert options(project, "check").out == project.folder / "check.json"
    assert options(project, "check", "--out", "x.json").out == Path("x.json")


def test_a_training_is_the_next_run_and_a_resumed_one_the_newest_unfinished(project: Project) -> None:
    assert options(project, "train").out == project.run_folder(1)
    finished(project.run_folder(1))
    with pytest.raises(UserError, match="no unfinished run of alhvr train"):
        options(project, "train", "--resume")
    for number, name in ((2, "run.json"), (3, "compare.json")):
        project.run_folder(number).mkdir()
        (project.run_folder(number) / name).touch()
    assert options(project, "train", "--resume").out == project.run_folder(2)
    assert options(project, "train").out == project.run_folder(4)


def test_settings_and_time_are_those_of_the_project_unless_given_beside_it(project: Project) -> None:
    config = run_config(options(project, "train"), project)
    assert (config.training.minutes, config.training.seed, config.data.not_annotated) == (5.0, 7, 9)
    config = run_config(options(project, "train", "--seed", "1", "--iterations", "30"), project)
    assert (config.training.minutes, config.training.iterations, config.training.seed) == (None, 30, 1)
    assert run_config(options(project, "train", "--minutes", "2"), project).training.minutes == 2.0
    assert check_config(options(project, "check"), project).data.not_annotated == 9
    assert check_config(options(project, "check", "--not-annotated", "4"), project).data.not_annotated == 4


def test_a_preset_of_the_project_is_the_ground_of_its_settings(project: Project) -> None:
    chosen = replace(project, settings={"method": {"preset": "official", "beta": 0.5}})
    config = run_config(options(project, "train"), chosen)
    assert (config.method.beta, config.method.ce_alignment) == (0.5, "broadcast")


def test_a_setting_of_the_project_that_there_is_not_is_named_with_its_file(project: Project) -> None:
    wrong = replace(project, settings={"training": {"speed": 9}})
    with pytest.raises(UserError, match=r"project\.json: settings\.training: unknown setting 'speed'"):
        run_config(options(project, "train"), wrong)


def test_the_model_to_begin_from_is_that_of_the_project_unless_another_is_given(project: Project) -> None:
    replace(project, start_from="runs/1/model").write()
    assert options(project, "train").start_from == project.run_folder(1) / "model"
    assert options(project, "train", "--from", "other").start_from == Path("other")


@pytest.mark.parametrize("arguments", [
    ("check", "--labeled", "x"), ("train", "--unlabeled", "x"), ("train", "--out", "x"), ("train", "--config", "x"),
    ("rank", "x"), ("rank", "--known", "x"),
])
def test_what_only_the_project_can_say_is_refused_beside_it(project: Project, arguments: tuple[str, ...]) -> None:
    named = "ARCHIVE" if arguments == ("rank", "x") else arguments[1]
    with pytest.raises(UserError, match=f"{named} is given beside --project"):
        options(project, *arguments)


def test_what_lies_outside_of_the_project_is_told(project: Project, tmp_path: Path) -> None:
    assert list(places(project)) == [f"The project takes its archive from {tmp_path / 'disk'}."]
    stranger = replace(project, archive=("scans",), start_from="../../etc")
    assert list(places(stranger)) == [f"The project begins from the model in {stranger.start_model}."]


def test_a_ranking_takes_the_newest_model_and_knows_the_cases(project: Project) -> None:
    finished(project.run_folder(1))
    model = finished(project.run_folder(2) / "archive")
    finished(project.run_folder(2) / "labels-only")
    found = options(project, "rank")
    assert (found.model, found.known, found.round) == (model, project.cases_folder, 2)
    assert found.out == project.folder / "review" / "ranking.json" and len(found.archive) == 2
    assert options(project, "rank", "--round", "5", "--model", "m").round == 5


@pytest.mark.parametrize(("arguments", "device"), [((), "cpu"), (("--device", "auto"), "auto")])
def test_a_ranking_takes_device_and_precision_from_the_project(project: Project, monkeypatch: pytest.MonkeyPatch,
                                                               arguments: tuple[str, ...], device: str) -> None:
    finished(project.run_folder(1))
    replace(project, settings={"training": {"device": "cpu", "precision": "fp32"}}).write()
    asked = []
    monkeypatch.setattr("alhvr.ranking.run.rank", lambda request, _reporter: asked.append(request) or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        main(["rank", "--project", str(project.folder), *arguments])
    assert (asked[0].device, asked[0].precision) == (device, "fp32")


@pytest.mark.parametrize(("told", "arm"), [
    ('{"offered": "labels-only"}', "labels-only"), ('{"offered": "archive"}', "archive"), ("[]", "archive"),
    ('{"offered": ["x"]}', "archive"), ('{"offered": "../../x"}', "archive"), ("no json", "archive"),
])
def test_a_ranking_takes_the_model_that_the_comparison_offers(project: Project, told: str, arm: str) -> None:
    for name in ("labels-only", "archive"):
        finished(project.run_folder(1) / name)
    (project.run_folder(1) / "outcome.json").write_text(told)
    assert options(project, "rank").model == project.run_folder(1) / arm / "model"


def test_a_ranking_takes_the_model_that_was_kept(project: Project) -> None:
    model = finished(project.run_folder(1) / "labels-only")
    finished(project.run_folder(2) / "archive")
    replace(project, kept=Kept(1, "labels-only", "liver")).write()
    assert options(project, "rank").model == model


def test_a_ranking_before_the_first_model_and_without_an_archive_is_one_sentence(project: Project) -> None:
    with pytest.raises(UserError, match="has no model yet"):
        options(project, "rank")
    project.with_archive().write()
    with pytest.raises(UserError, match="has no archive"):
        options(project, "rank")


def test_a_run_of_the_project_may_be_named_and_another_folder_not(project: Project, tmp_path: Path) -> None:
    named = str(project.run_folder(4))
    assert options(project, "compare", "--out", named).out == project.run_folder(4)
    assert options(project, "compare", "--resume", "--out", named).out == project.run_folder(4)
    with pytest.raises(UserError, match="--out is given beside --project"):
        options(project, "compare", "--out", str(tmp_path / "elsewhere"))
