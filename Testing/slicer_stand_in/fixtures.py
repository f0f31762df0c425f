"""pytest fixtures for tests of the modules: a fresh scene for each test, and a failure for all that is left behind.

A conftest.py takes them in: `from slicer_stand_in.fixtures import clean_slate, dialog_answers, load_panel, slicer_app`.
"""

from __future__ import annotations

import importlib.util
import pathlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from slicer_stand_in.dialogs import Dialogs


@dataclass(frozen=True)
class Panel:
    """A loaded module with its panel on the screen: the C++ sides and the Python side with the `ui`."""

    module: Any
    representation: Any
    widget: Any


@pytest.fixture(scope="session")
def slicer_app(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """slicer.app, booted once; skips aloud where slicer-core or PySide6 is not installed."""
    for name in ("slicer_core", "PySide6"):  # not imported here: the facade sets PySide's options before it is
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"{name} is not installed: pip install .[slicer]")
    from slicer_stand_in.boot import boot

    return boot(tmp_path_factory.mktemp("slicer"))


@pytest.fixture(autouse=True)
def clean_slate(slicer_app: Any) -> Iterator[None]:
    """Begin with an empty scene; end with a failure if anything was left behind."""
    from slicer_stand_in.left_behind import Watch

    watch = Watch()
    watch.begin()
    yield
    found = watch.complaints()
    if found:
        pytest.fail("\n".join(found), pytrace=False)


@pytest.fixture
def dialog_answers(clean_slate: None) -> Dialogs:
    """Where a test prepares answers: dialog_answers.answer(...)."""
    from slicer_stand_in.dialogs import dialogs

    return dialogs


@pytest.fixture
def load_panel(clean_slate: None) -> Iterator[Callable[[pathlib.Path], Panel]]:
    """Load a module file and open its panel; modules are unloaded when the test ends."""
    import slicer
    from slicer_stand_in.module_widgets import load_module, unload_module

    loaded = []

    def load(path: pathlib.Path) -> Panel:
        module = load_module(path)
        loaded.append(module.name)
        representation = module.widgetRepresentation()
        if slicer.util.mainWindow() is not None:
            slicer.util.selectModule(module.name)
        else:
            representation.show()
            representation.enter()
        slicer.app.processEvents()
        return Panel(module, representation, representation.self())

    yield load
    for name in loaded:
        if slicer.app.moduleManager().isLoaded(name):
            unload_module(name)


@pytest.fixture
def main_window(clean_slate: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A main window with a module selector, the modules Data and Segment Editor; there is none otherwise."""
    import slicer
    from slicer_stand_in.main_window import qSlicerMainWindow

    window = qSlicerMainWindow()
    monkeypatch.setattr(slicer.util, "mainWindow", lambda verbose=True: window)
    yield window
    window._end()
