"""A scripted module's life against what was recorded in Slicer, step by step."""

from __future__ import annotations

import pathlib
import sys
from typing import Any

import pytest
from slicer_stand_in.recorded_facts import load, run_idiom, same_answer, widget_words

MODULE = pathlib.Path(__file__).parent / "modules" / "LifeCyc.py"
ROWS = load("slicer-widget-facts.json")

# Steps that cannot be as recorded, by a part of their code, with the reason.
DIFFERENT = {
    "moduleNames": "there the six modules of that build were loaded, here all whose logic is in the wheel",
    "slicerHome": "a folder of that machine",
    "fileType(": "a file of that machine",
}


def steps(area: str) -> list[dict[str, Any]]:
    """The rows of an area in their order, the listed ones left out."""
    return [row for row in ROWS if row["area"] == area and not any(part in row["code"] for part in DIFFERENT)]


def without_tuples(words: Any) -> Any:
    """The recording of the life cycle writes tuples as lists."""
    return words["tuple"] if isinstance(words, dict) else words


def play(area: str, log: list[str]) -> list[tuple[dict[str, Any], Any]]:
    """Run the rows one after the other on the loaded module; what differs from the recording."""
    import qt
    import slicer

    space: dict[str, Any] = {"qt": qt, "slicer": slicer, "sys": sys, "L": log, "LifeCyc": sys.modules["LifeCyc"]}
    differing = []
    for row in steps(area):
        keep: dict[str, Any] = {}
        code = row["code"] + "\nKEEP.update(locals())"
        words = without_tuples(widget_words(run_idiom(code, {**space, "KEEP": keep})))
        space |= {name: value for name, value in keep.items() if name not in ("KEEP", "R", "__builtins__")}
        if not same_answer(row, words):
            differing.append((row, words))
    return differing


@pytest.fixture
def log(clean_slate: None) -> Any:
    """The module is loaded and has no panel yet; it is unloaded at the end."""
    from slicer_stand_in.module_widgets import load_module, unload_module

    load_module(MODULE)
    yield sys.modules["LifeCyc"].LOG
    unload_module("LifeCyc")


def test_the_life_of_a_module_is_as_recorded(log: list[str]) -> None:
    assert play("scripted-module", log) == []


def test_a_setup_that_raises_leaves_half_a_panel_and_is_noted(log: list[str]) -> None:
    import slicer
    from slicer_stand_in.parameter_fields import Field
    from slicer_stand_in.qt_signals import slot_errors

    slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "earlier")
    fields = sys.modules["LifeCyc"].LifeCycParameterNode._fields
    fields["path"] = Field("path", str, (), "")  # a text field cannot be connected to a ctkPathLineEdit
    differing = play("scripted-module.setup-raised", log)
    errors = [error for error in slot_errors if isinstance(error.exception, RuntimeError)]
    slot_errors.clear()
    assert [row["code"] for row, _ in differing] == []
    assert "ctkPathLineEdit" in errors[0].text


def test_a_panel_opens_and_thirty_rounds_leave_nothing(load_panel: Any) -> None:
    from slicer_stand_in.module_widgets import unload_module

    for _ in range(30):
        panel = load_panel(MODULE)
        assert panel.representation.isEntered
        unload_module("LifeCyc")


def test_an_observer_that_cleanup_forgets_is_found(load_panel: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from slicer_stand_in.left_behind import observer_counts
    from slicer_stand_in.module_widgets import unload_module

    before = observer_counts()
    panel = load_panel(MODULE)
    forgotten = panel.widget
    monkeypatch.setattr(type(forgotten), "cleanup", lambda self: None)
    unload_module("LifeCyc")
    left = observer_counts() - before
    forgotten.removeObservers()
    forgotten._p.disconnectGui(forgotten._tag)
    assert sum(left.values()) == 2
