"""project.json: what was chosen is read as it was written, a stranger's file is held to limits, and a project moves."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from alhvr.core.errors import UserError
from alhvr.formats.project import (
    PROJECT_FILE,
    Kept,
    Project,
    create_project,
    home_of,
    located,
    portable,
    read_project,
)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return create_project(tmp_path / "home" / "hippocampus")


def rewrite(project: Project, **entries: object) -> None:
    """Sets entries of project.json as a stranger might."""
    path = project.folder / PROJECT_FILE
    path.write_text(json.dumps(json.loads(path.read_text()) | entries))


def test_a_new_project_has_a_name_a_cases_folder_and_the_defaults(project: Project) -> None:
    assert read_project(project.folder) == project
    assert (project.name, project.archive, project.compare, project.minutes) == ("hippocampus", (), True, 60.0)
    assert project.cases_folder.is_dir()


def test_a_project_is_never_begun_over_another(project: Project) -> None:
    with pytest.raises(UserError, match="is a project already"):
        create_project(project.folder)


def test_what_was_chosen_is_read_as_it_was_written(project: Project, tmp_path: Path) -> None:
    chosen = replace(project, name="Näme", archive=("archive", str(tmp_path)), minutes=15.5, compare=False,
                     settings={"training": {"seed": 3}, "plan": {"patch_size": [96, 96]}}, start_from="runs/1/model",
                     kept=Kept(1, "archive", "hippocampus"), queue=({"minutes": 20},))
    chosen.write()
    assert read_project(project.folder) == chosen


def test_entries_of_a_later_version_are_kept_when_it_is_written_back(project: Project) -> None:
    rewrite(project, colour={"of": ["the", "future"]})
    replace(read_project(project.folder), minutes=5.0).write()
    assert json.loads((project.folder / PROJECT_FILE).read_text())["colour"] == {"of": ["the", "future"]}


def test_a_project_that_was_moved_finds_its_own_folders_and_still_the_archive_elsewhere(project: Project,
                                                                                       tmp_path: Path) -> None:
    inside, outside = project.folder / "scans", tmp_path / "disk" / "scans"
    for folder in (inside, outside):
        folder.mkdir(parents=True)
    replace(project.with_archive(inside, outside), start_from=project.stored(project.run_folder(1))).write()
    moved = read_project(shutil.move(project.folder, tmp_path / "moved"))
    assert moved.archive_folders == (tmp_path / "moved" / "scans", outside) and not moved.missing_archive_folders
    assert moved.start_model == tmp_path / "moved" / "runs" / "1"


def test_paths_in_the_files_of_a_run_move_with_the_project_and_others_stay(project: Project, tmp_path: Path) -> None:
    arm, elsewhere = project.run_folder(1) / "archive", str(tmp_path / "disk" / "scan.nii")
    arm.mkdir(parents=True)
    values = {"cases": [{"image": str(project.cases_folder / "images" / "a.nii"), "name": "a", "size": 3}],
              "archive": (elsewhere, str(project.folder) + "-copy/x.nii"), "folder": None}
    kept = portable(values, home_of(arm))
    assert kept["cases"][0]["image"] == "{project}/cases/images/a.nii" and kept["archive"] == list(values["archive"])
    moved = Path(shutil.move(project.folder, tmp_path / "moved"))
    found = located(kept, home_of(moved / "runs" / "1" / "archive"))
    assert found["cases"] == [{"image": str(moved / "cases" / "images" / "a.nii"), "name": "a", "size": 3}]
    assert found["archive"][0] == elsewhere


def test_a_run_outside_of_a_project_keeps_its_paths_whole(tmp_path: Path) -> None:
    values = {"image": str(tmp_path / "a.nii"), "odd": "{project}/x"}
    assert home_of(tmp_path / "run") is None
    assert portable(values, None) == located(values, None) == values


def test_an_archive_folder_that_is_not_there_is_named(project: Project, tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    found = project.with_archive(tmp_path / "here", tmp_path / "unplugged", tmp_path / "here")
    assert found.missing_archive_folders == (tmp_path / "unplugged",) and len(found.archive) == 2


def test_runs_are_counted_by_their_numbers_and_a_new_one_never_takes_a_used_name(project: Project) -> None:
    assert (project.runs(), project.newest_run(), project.next_run().name) == ((), None, "1")
    for name in ("1", "10", "2", "007", "notes", "-3"):
        project.run_folder(1).with_name(name).mkdir(parents=True)
    (project.runs_folder / "11").write_text("no folder")
    assert project.runs() == (1, 2, 10) and project.newest_run() == project.run_folder(10)
    assert project.next_run() == project.run_folder(12)


@pytest.mark.parametrize(("entry", "value"), [
    ("name", ""), ("name", "two\nlines"), ("name", "x" * 101), ("name", 7),
    ("archive", "/one"), ("archive", [1]), ("archive", ["a\0b"]), ("archive", ["\ud800"]), ("archive", ["x"] * 101),
    ("minutes", 0), ("minutes", True), ("minutes", 1e9), ("minutes", "60"), ("minutes", float("nan")),
    ("start_from", 3), ("start_from", "x" * 5000), ("compare", 1), ("kept", {"run": 0, "arm": "archive", "model": "m"}),
    ("kept", {"run": 1, "arm": "both", "model": "m"}), ("kept", [1]), ("queue", {}), ("queue", [1]),
    ("settings", []), ("settings", {"a": "x" * 1001}), ("settings", {"a": [0] * 1001}),
    ("settings", {"a": {"b": {"c": {"d": {"e": {}}}}}}), ("settings", {"a": 1e300}),
])
def test_a_value_that_no_project_has_is_refused_by_name(project: Project, entry: str, value: object) -> None:
    rewrite(project, **{entry: value})
    with pytest.raises(UserError, match=f'"{entry}" is'):
        read_project(project.folder)


def test_what_could_not_be_read_again_is_not_written(project: Project) -> None:
    with pytest.raises(UserError, match='"minutes" is nan'):
        replace(project, minutes=float("nan")).write()
    assert read_project(project.folder) == project


@pytest.mark.parametrize(("content", "told"), [
    (b"no json", "is not valid JSON"), (b"[]", "that of no ALHVR project"), (b"[" * 5000, "nested too deeply"),
    (b'{"format": "alhvr project 2"}', "Update ALHVR"), (b" " * 1_000_001, "has more than 1 MB"),
    (b'{"format": "alhvr project 1", "later": ' + b"[" * 500 + b"]" * 500 + b"}", '"later" is'),
])
def test_a_damaged_or_foreign_file_is_one_sentence(project: Project, content: bytes, told: str) -> None:
    (project.folder / PROJECT_FILE).write_bytes(content)
    with pytest.raises(UserError) as caught:
        read_project(project.folder)
    assert told in str(caught.value)


def test_a_folder_without_a_project_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"is no project: it has no project\.json"):
        read_project(tmp_path)
