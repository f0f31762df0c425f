"""Tests of models/store.py: what is installed, and removing it."""

from __future__ import annotations

import os
import pathlib
import time

import pytest
from model_worlds import write_model_folder
from small_disk import mounted_disk


@pytest.fixture
def models(own_settings: pathlib.Path) -> pathlib.Path:
    """The folder of installed models, there and empty."""
    folder = own_settings / "models"
    folder.mkdir(parents=True)
    return folder


def names() -> list[str]:
    from ALHVRLib.models import store

    return [model.name for model in store.installed()]


def test_without_a_folder_nothing_is_installed_and_nothing_is_wrong(own_settings: pathlib.Path) -> None:
    from ALHVRLib.models import store

    assert (names(), store.problem()) == ([], "")
    assert not own_settings.exists()


def test_a_file_in_place_of_the_folder_is_said(own_settings: pathlib.Path) -> None:
    from ALHVRLib.models import store

    own_settings.mkdir()
    (own_settings / "models").write_text("")
    assert names() == []
    assert store.problem().endswith("cannot be read: not a directory.")


def test_models_are_listed_by_name_and_hidden_folders_and_files_are_not(models: pathlib.Path) -> None:
    for name in ("b", "A", ".c", "d"):
        write_model_folder(models / name)
    (models / "e.txt").write_text("")
    assert names() == ["A", "b", "d"]


def test_a_bad_model_is_listed_with_the_reason_and_a_mended_one_without(models: pathlib.Path) -> None:
    from ALHVRLib.models import store

    folder = write_model_folder(models / "m")
    content = (folder / "models/model.pt").read_bytes()
    (folder / "models/model.pt").write_bytes(b"x")
    assert "model.pt has 1 bytes" in store.find("m").problem
    (folder / "models/model.pt").write_bytes(content)
    assert store.find("m").problem == ""


def test_models_that_did_not_change_are_not_read_again(models: pathlib.Path) -> None:
    from ALHVRLib.models import store

    write_model_folder(models / "m")
    assert store.find("m") is store.find("m")


def test_models_that_call_themselves_alike_are_told_apart_by_their_folders(models: pathlib.Path) -> None:
    from ALHVRLib.models import store

    for name, title in (("a", "Liver"), ("b", "Liver"), ("c", "Brain")):
        write_model_folder(models / name, {"name": title})
    assert [model.title for model in store.installed()] == ["Liver (a)", "Liver (b)", "Brain"]


def test_removing_takes_the_folder_away(models: pathlib.Path) -> None:
    from ALHVRLib.models import store

    write_model_folder(models / "m")
    store.remove("m")
    assert list(models.iterdir()) == []


def test_removing_a_link_leaves_what_it_leads_to(models: pathlib.Path, tmp_path: pathlib.Path) -> None:
    from ALHVRLib.models import store

    (models / "m").symlink_to(write_model_folder(tmp_path / "elsewhere"))
    store.remove("m")
    assert names() == []
    assert (tmp_path / "elsewhere" / "alhvr.json").exists()


@pytest.mark.parametrize("name", ["gone", "..", "", "../models"])
def test_what_is_not_in_the_list_is_not_removed(models: pathlib.Path, name: str) -> None:
    from ALHVRLib.models import store

    with pytest.raises(store.ModelError, match="There is no model"):
        store.remove(name)
    assert models.is_dir()


def test_a_model_on_a_disk_that_cannot_be_written_stays_whole(own_settings: pathlib.Path) -> None:
    from ALHVRLib.models import store

    (own_settings / "models").mkdir(parents=True)
    with mounted_disk(own_settings / "models", 2):
        write_model_folder(own_settings / "models" / "m")
        os.system(f"mount -o remount,ro '{own_settings / 'models'}'")
        with pytest.raises(store.ModelError, match="read-only"):
            store.remove("m")
        assert store.find("m").problem == ""


def test_leftovers_of_a_program_that_ended_are_swept_and_those_of_a_running_one_not(models: pathlib.Path) -> None:
    from ALHVRLib.models import store

    for name in (".old.arriving", ".old.removed", ".new.arriving", ".other"):
        (models / name).mkdir()
        if "old" in name:
            os.utime(models / name, (time.time() - 7200,) * 2)
    store.sweep()
    assert sorted(path.name for path in models.iterdir()) == [".new.arriving", ".other"]


@pytest.mark.parametrize(("source", "name"), [
    ("liver 2.1", "liver 2.1"), ("run7/model", "run7"), ("<b>x", "b x"), ("a\nb", "a b"), ("..x", "x"),
    ("con", "model con"), ("", "model"), ("ü" * 100, "ü" * 60), ("a|b?", "a b"), ("💥", "model"),
])
def test_a_model_is_named_after_its_folder(models: pathlib.Path, tmp_path: pathlib.Path, source: str,
                                           name: str) -> None:
    from ALHVRLib.models import store

    folder = tmp_path / "from" / source
    folder.mkdir(parents=True)
    assert store.free_name(folder, wanted="" if source else " ") == name


def test_a_name_is_taken_whatever_its_case(models: pathlib.Path, tmp_path: pathlib.Path) -> None:
    from ALHVRLib.models import store

    write_model_folder(models / "Liver")
    with pytest.raises(store.ModelError, match='"Liver" is installed already'):
        store.free_name(tmp_path / "liver")
