"""Tests of models/importing.py: with the real engine as the judge, in a real child process."""

from __future__ import annotations

import pathlib
from typing import Any

import pytest
from model_worlds import engine_model, renamed, write_model_folder, zipped
from module_worlds import wait_until


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A model that the engine wrote."""
    return engine_model(tmp_path_factory.mktemp("engine") / "liver")


class Watched:
    """An import and what it told."""

    def __init__(self, path: pathlib.Path) -> None:
        from ALHVRLib.models.import_model import ModelImport

        self.results: list[Any] = []
        self.texts: list[str] = []
        self.work = ModelImport(path, onDone=self.results.append, onProgress=lambda text, _: self.texts.append(text))

    def result(self) -> Any:
        self.work.start()
        wait_until(lambda: bool(self.results))
        assert len(self.results) == 1
        return self.results[0]


def left_in(settings: pathlib.Path) -> list[str]:
    import slicer

    work = [path.name for path in pathlib.Path(slicer.app.temporaryPath).glob("ALHVR-model-*")]
    return sorted([path.name for path in (settings / "models").glob("*")] + work)


def test_a_folder_is_added(good: pathlib.Path, own_settings: pathlib.Path) -> None:
    from ALHVRLib.models import store

    watched = Watched(good)
    result = watched.result()
    assert (result.kind, result.name, result.sentence) == ("added", "liver", "The model M was added.")
    assert store.find("liver").problem == ""
    assert left_in(own_settings) == ["liver"]
    assert "Checking liver" in watched.texts


def test_a_zip_is_added(good: pathlib.Path, own_settings: pathlib.Path, tmp_path: pathlib.Path) -> None:
    result = Watched(zipped(good, tmp_path / "Mine.zip", below="liver/")).result()
    assert (result.kind, result.name) == ("added", "Mine")
    assert left_in(own_settings) == ["Mine"]


def test_the_same_model_again_is_not_copied_twice(good: pathlib.Path, own_settings: pathlib.Path,
                                                  tmp_path: pathlib.Path) -> None:
    Watched(good).result()
    result = Watched(zipped(good, tmp_path / "other.zip")).result()
    assert (result.kind, result.name) == ("known", "liver")
    assert left_in(own_settings) == ["liver"]


def test_what_the_panel_takes_for_a_model_and_the_engine_does_not_is_refused(own_settings: pathlib.Path,
                                                                            tmp_path: pathlib.Path) -> None:
    result = Watched(write_model_folder(tmp_path / "fake")).result()
    assert (result.kind, result.name) == ("failed", "")
    assert result.sentence.startswith("fake was not added: fake/alhvr.json: plan: ")
    assert str(own_settings) not in result.sentence
    assert left_in(own_settings) == []


def test_a_hostile_folder_is_refused_with_its_reason(own_settings: pathlib.Path, tmp_path: pathlib.Path) -> None:
    folder = write_model_folder(tmp_path / "m")
    (folder / "models/model.pt").unlink()
    (folder / "models/model.pt").symlink_to("/etc/passwd")
    result = Watched(folder).result()
    text = "m was not added: models/model.pt is a link to a place outside of the model folder."
    assert result.kind == "failed" and result.sentence.startswith(text)
    assert left_in(own_settings) == []


def test_a_pickle_in_the_weights_is_not_run(own_settings: pathlib.Path, good: pathlib.Path,
                                            tmp_path: pathlib.Path) -> None:
    import shutil

    trap = tmp_path / "trapped"
    folder = shutil.copytree(good, tmp_path / "m")
    (folder / "models/model.pt").write_bytes(f"cos\nsystem\n(S'touch {trap}'\ntR.".encode())
    assert Watched(renamed(folder, "M")).result().kind == "added"
    assert not trap.exists()


def test_markup_and_lines_in_a_name_do_not_reach_the_disk(own_settings: pathlib.Path, good: pathlib.Path,
                                                          tmp_path: pathlib.Path) -> None:
    import shutil

    from ALHVRLib.models import store

    folder = shutil.copytree(good, tmp_path / "a\n<b>")
    result = Watched(renamed(folder, "../../<b>evil</b>\u202e\n")).result()
    assert (result.kind, result.name) == ("added", "a b")
    assert store.find("a b").title == "../../<b>evil</b>"
    assert "\n" not in result.sentence


def test_without_an_engine_nothing_is_added(good: pathlib.Path, own_settings: pathlib.Path,
                                            monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    result = Watched(good).result()
    assert result.kind == "failed"
    assert "PythonSlicer" in result.sentence
    assert left_in(own_settings) == []


def test_cancelled_while_the_engine_checks_nothing_is_added(good: pathlib.Path, own_settings: pathlib.Path) -> None:
    watched = Watched(good)
    watched.work.start()
    wait_until(lambda: "Checking liver" in watched.texts)
    watched.work.cancel()
    wait_until(lambda: bool(watched.results))
    assert watched.results[0].kind == "cancelled"
    assert left_in(own_settings) == []


@pytest.mark.parametrize("when", ["copying", "checking"])
def test_discarded_it_leaves_nothing_and_tells_nobody(good: pathlib.Path, own_settings: pathlib.Path,
                                                      when: str) -> None:
    watched = Watched(good)
    watched.work.start()
    if when == "checking":
        wait_until(lambda: "Checking liver" in watched.texts)
    watched.work.discard()
    assert (watched.results, left_in(own_settings)) == ([], [])
