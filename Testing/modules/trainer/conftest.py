"""For the tests of the trainer: its panel, and project folders with small generated scans."""

from __future__ import annotations

import json
import pathlib
import shutil
import sys
from collections.abc import Callable
from typing import Any

import pytest
from support import ROOT
from tiny_runs import NAMES, write_study

FOLDER = ROOT / "ALHVRTrainer"
MODULE_FILE = FOLDER / "ALHVRTrainer.py"

sys.path.insert(0, str(FOLDER))  # as Slicer does with the folder of every module


@pytest.fixture
def trainer(load_panel: Callable, own_settings: pathlib.Path) -> Any:
    """The panel of the trainer on the screen: .panel, .logic."""
    return load_panel(MODULE_FILE).widget


@pytest.fixture
def project(trainer: Any, project_folder: Callable[..., pathlib.Path]) -> pathlib.Path:
    """A project with three labelled cases and an archive of three, open in the panel."""
    folder = project_folder()
    trainer.logic.session.open(folder)
    return folder


@pytest.fixture
def project_folder(slicer_app: object, tmp_path: pathlib.Path) -> Callable[..., pathlib.Path]:
    """project_folder(labeled=3, archive=3, **entries of project.json) makes a project with small scans, not opened."""

    def make(labeled: int = 3, archive: int = 3, **entries: Any) -> pathlib.Path:
        import ALHVRLib  # noqa: F401  makes alhvr importable
        from alhvr.formats.project import create_project

        folder = tmp_path / "study of livers"
        create_project(folder, "livers")
        made = write_study(tmp_path / "made", labeled=labeled, archive=archive, ending=".nrrd")
        for kind in ("images", "labels"):
            shutil.copytree(made / "labeled" / kind, folder / "cases" / kind)
        (folder / "cases" / "labels.json").write_text(json.dumps(NAMES))
        record = json.loads((folder / "project.json").read_text())
        record["archive"] = [str(made / "archive")] if archive else []
        (folder / "project.json").write_text(json.dumps({**record, **entries}))
        return folder

    return make


def section(trainer: Any, name: str) -> Any:
    """The section whose class has this name."""
    return next(one for one in trainer.panel.sections if type(one).__name__ == name)
