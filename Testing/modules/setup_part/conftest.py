"""For tests of the set-up: a computer without onnxruntime, attempts to install it, and the section in a panel."""

from __future__ import annotations

import os
import pathlib
import sys
from collections.abc import Callable, Iterator

import pytest
from child_watch import let_qt_work
from setup_worlds import SmallPanel
from support import ROOT


@pytest.fixture
def bare_slicer(slicer_app: object, own_settings: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """Slicer as it comes, without packages and without settings of pip's; the user's folder."""
    for name in ("onnxruntime", "openvino", "torch", "PyTorchUtils"):
        monkeypatch.setitem(sys.modules, name, None)
    for name in [name for name in os.environ if name.startswith("PIP_") or name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    return own_settings


class Attempt:
    """An Installation and what it told."""

    def __init__(self, wheels: pathlib.Path | None) -> None:
        from ALHVRLib.install import Installation

        self.progress: list = []
        self.log: list[str] = []
        self.outcomes: list = []
        from ALHVRLib.requirements import ONNXRUNTIME

        self.installation = Installation(ONNXRUNTIME, onProgress=lambda *told: self.progress.append(told),
                                         onLog=self.log.append, onDone=self.outcomes.append, wheels=wheels)

    def run(self) -> object:
        """Start it and wait for its outcome."""
        self.installation.start()
        let_qt_work(lambda: bool(self.outcomes))
        assert len(self.outcomes) == 1
        return self.outcomes[0]


@pytest.fixture
def attempt(bare_slicer: pathlib.Path) -> Iterator[Callable[..., Attempt]]:
    """attempt(folder) installs from a folder, attempt() from the package server. Nothing may be left behind."""
    yield lambda wheels=None: Attempt(wheels)
    assert list(bare_slicer.glob(".install-*")) == []


@pytest.fixture
def section(bare_slicer: pathlib.Path) -> Iterator[object]:
    """The section, shown in a panel that has nothing else."""
    from ALHVRSegmentationLib.sections import SETUP

    panel = SmallPanel(ROOT / "ALHVRSegmentation")
    panel.setup = SETUP(panel)
    panel.setup.setUp()
    panel.setup.widget.show()
    panel.setup.refresh()
    yield panel.setup
    panel.setup.cleanUp()
    panel.setup.widget.delete()
