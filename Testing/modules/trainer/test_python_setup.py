"""Which Python trains: Slicer's own with what it lacks, or one of the user's that was tested in a real child."""

from __future__ import annotations

import os
import pathlib
import sys
import sysconfig
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

import pytest
from child_watch import let_qt_work

SITE = pathlib.Path(sysconfig.get_paths()["purelib"])


@pytest.fixture(autouse=True)
def no_choice(slicer_app: object) -> Iterator[None]:
    """The user's settings are not those of other tests."""
    from ALHVRTrainerLib.python_setup import choose_python

    choose_python("")
    yield
    choose_python("")


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slicer as it comes."""
    for name in ("torch", "monai", "onnx", "onnxruntime", "openvino", "psutil", "PyTorchUtils", "google",
                 "google.protobuf", "ml_dtypes"):
        monkeypatch.setitem(sys.modules, name, None)


def setup_of(trainer: Any) -> tuple[Any, Any]:
    """The two sections: what is missing in Slicer's Python, and which Python trains."""
    from ALHVRTrainerLib.python_setup import PythonSection

    from ALHVRLib.setup_section import SetupSection

    return trainer.panel.section(SetupSection), trainer.panel.section(PythonSection)


def choose(trainer: Any, dialog_answers: Any, python: pathlib.Path | str) -> Any:
    """Choose a Python in the file dialog and wait for its test; the section."""
    _setup, section = setup_of(trainer)
    dialog_answers.answer(str(python))
    if not section.ui.changeFrame.isVisible():
        section.ui.changeButton.click()
    section.ui.chooseButton.click()
    let_qt_work(lambda: not section.ui.busyFrame.isVisible())
    return section


def script(path: pathlib.Path, body: str) -> pathlib.Path:
    """An executable file that stands for a Python."""
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def test_in_a_bare_slicer_pytorch_is_asked_for_first(bare: None, trainer: Any) -> None:
    setup, section = setup_of(trainer)
    assert setup.frame.isVisible() and setup.ui.torchLabel.text.startswith("Training needs PyTorch")
    assert not setup.ui.packageFrame.isVisible()
    assert section.missingText() == "PyTorch is needed first: see the top of the panel."
    assert section.ui.chooseButton.isVisible() and not section.ready()


def test_with_pytorch_the_packages_are_offered_together(bare: None, trainer: Any,
                                                        monkeypatch: pytest.MonkeyPatch) -> None:
    from ALHVRLib import requirements

    monkeypatch.setattr(requirements, "has_torch", lambda: True)
    setup, _section = setup_of(trainer)
    setup.follow(None)
    setup.refresh()
    assert not setup.ui.torchFrame.isVisible() and setup.ui.installButton.isVisible()
    assert setup.ui.packageLabel.text.startswith(
        "Training needs the packages monai, psutil, protobuf, ml_dtypes, onnx, onnxruntime once: 42 MB to fetch")
    setup.ui.fetchButton.click()
    assert setup.ui.fetchText.plainText.count("python -m pip download --no-deps") == 6


def test_where_nothing_is_missing_one_small_line_is_left(trainer: Any) -> None:
    setup, section = setup_of(trainer)
    assert not setup.frame.isVisible() and section.ready()
    assert section.ui.pythonLabel.text == "Training runs in Slicer's own Python."
    assert section.ui.changeButton.isVisible() and not section.ui.changeFrame.isVisible()


def test_a_python_of_the_users_is_tested_and_then_trains(bare: None, trainer: Any, dialog_answers: Any) -> None:
    from ALHVRTrainerLib.python_setup import chosen_python

    section = choose(trainer, dialog_answers, sys.executable)
    assert chosen_python() == sys.executable and section.ready(), section.ui.problemLabel.text
    assert f"PyTorch {version('torch')}" in section.ui.pythonLabel.text
    setup, _section = setup_of(trainer)
    assert not setup.frame.isVisible(), "nothing is missing in a Python that does not train"
    section.ui.changeButton.click()
    section.ui.slicerButton.click()
    assert chosen_python() == "" and setup.frame.isVisible()


def test_a_python_without_pytorch_is_refused_by_name(trainer: Any, dialog_answers: Any,
                                                     tmp_path: pathlib.Path) -> None:
    python = script(tmp_path / "python", f'exec "{sys.executable}" -S "$@"')
    section = choose(trainer, dialog_answers, python)
    assert section.ui.problemLabel.text == (
        f"{python} cannot train. Training needs packages that are not installed: torch, monai, scipy, psutil, "
        "filelock. Install them: pip install 'alhvr[train]'.")
    assert section.ready(), "Slicer's own Python trains as before"


@pytest.mark.parametrize("body", ["echo hello", "exit 3", "kill -9 $$"])
def test_what_is_no_python_is_refused_in_a_sentence(trainer: Any, dialog_answers: Any, tmp_path: pathlib.Path,
                                                    body: str) -> None:
    section = choose(trainer, dialog_answers, script(tmp_path / "thing", body))
    assert section.ui.problemLabel.text.startswith(f"{tmp_path / 'thing'} cannot train. ")


def test_a_python_that_is_gone_is_said_before_training(trainer: Any, tmp_path: pathlib.Path) -> None:
    from ALHVRTrainerLib.python_setup import choose_python

    choose_python(str(tmp_path / "python"), "Python 3.12")
    trainer.panel.refresh()
    _setup, section = setup_of(trainer)
    assert section.ui.pythonLabel.text == f"The Python {tmp_path / 'python'} is not there any more: choose another one."
    assert not section.ready()


def test_another_version_of_the_engine_there_is_told(slicer_app: object) -> None:
    from ALHVRTrainerLib.python_setup import warning_of

    from ALHVRLib.child_events import Event

    found = {"version": "3.12.1", "torch": "2.6", "monai": "1.5", "device": "processor", "alhvr": "0.1.0"}
    assert warning_of(Event("python", {**found, "installed": "0.0.9"})) == (
        "alhvr 0.0.9 is installed there; training uses 0.1.0, which came with the extension.")
    assert warning_of(Event("python", {**found, "installed": "0.1.0"})) == ""
    assert warning_of(Event("python", {**found, "installed": ""})) == ""


def test_installing_leaves_the_other_packages_as_they_are(bare: None, trainer: Any, dialog_answers: Any,
                                                          tmp_path: pathlib.Path,
                                                          monkeypatch: pytest.MonkeyPatch) -> None:
    from setup_worlds import write_wheel

    from ALHVRLib import paths, requirements

    monkeypatch.setattr(requirements, "has_torch", lambda: True)
    setup, _section = setup_of(trainer)
    setup._requirements = (requirements.ONNXRUNTIME,)
    setup.follow(None)
    setup.refresh()
    before = contents(SITE)
    write_wheel(tmp_path / "wheels")
    dialog_answers.answer(str(tmp_path / "wheels"))
    setup.ui.folderButton.click()
    let_qt_work(setup.ready)
    assert contents(SITE) == before
    assert (paths.packages_folder() / "onnxruntime" / "__init__.py").is_file()


def contents(folder: pathlib.Path) -> dict[str, int]:
    """What lies in a folder of packages, with its times."""
    return {entry.name: entry.stat().st_mtime_ns for entry in os.scandir(folder)}
