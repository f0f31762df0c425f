"""For the tests of the Slicer modules: the stand-in, a PythonSlicer as in Slicer, and folders of the test's own."""

from __future__ import annotations

import os
import pathlib
import stat
import sys

import pytest
from slicer_stand_in.fixtures import clean_slate, dialog_answers, load_panel, main_window, slicer_app

__all__ = ["clean_slate", "dialog_answers", "load_panel", "main_window", "slicer_app"]

ROOT = pathlib.Path(__file__).resolve().parents[2]
MODULE_FOLDER = ROOT / "ALHVRSegmentation"
MODULE_FILE = MODULE_FOLDER / "ALHVRSegmentation.py"

sys.path.insert(0, str(MODULE_FOLDER))  # as Slicer does with the folder of every module


@pytest.fixture(scope="session", autouse=True)
def python_slicer(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A launcher called PythonSlicer on PATH, which as the real one is not the Python but its parent."""
    launcher = tmp_path_factory.mktemp("bin") / "PythonSlicer"
    launcher.write_text(f'#!/bin/sh\n"{sys.executable}" "$@"\nexit $?\n')
    launcher.chmod(launcher.stat().st_mode | stat.S_IXUSR)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{launcher.parent}{os.pathsep}{os.environ['PATH']}")
        yield launcher


@pytest.fixture
def own_settings(slicer_app: object, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """An empty folder of the user's, for models and packages."""
    from ALHVRLib import paths

    monkeypatch.setattr(paths, "user_folder", lambda: tmp_path / "ALHVR")
    return tmp_path / "ALHVR"


@pytest.fixture
def module_file() -> pathlib.Path:
    """The module's Python file, for load_panel."""
    return MODULE_FILE
