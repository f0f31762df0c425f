"""The lint finds what breaks in PythonQt and leaves alone what does not."""

from __future__ import annotations

import pathlib

import pytest
from slicer_stand_in.lint import check_source


@pytest.fixture(autouse=True)
def clean_slate() -> None:
    """Nothing of Slicer is needed here."""


@pytest.mark.parametrize(
    "line",
    [
        "qt.QPushButton('x', objectName='n')",
        "ctk.ctkSliderWidget(value=3)",
        "layout.addWidget(label, stretch=1)",
        "slicer.qMRMLNodeComboBox(parent=frame)",
        "isinstance(x, qt.QWidget)",
        "isinstance(x, (str, ctk.ctkComboBox))",
        "w.windowTitle()",
        "selector.currentNodeID()",
        "bytes(process.readAllStandardOutput())",
        "changed = qt.Signal(int)",
        "_(f'{n} scans')",
        "button.clicked.connect(dialog.accept)",
    ],
)
def test_what_breaks_is_found(line: str) -> None:
    assert len(check_source(line, pathlib.Path("m.py"))) == 1


@pytest.mark.parametrize(
    "line",
    [
        "slicer.util.loadVolume(path, properties={'show': False})",
        "item.text()",
        "settings.value('key')",
        "isinstance(x, str)",
        "w.windowTitle",
        "process.readAllStandardOutput().data()",
        "button.connect('clicked()', dialog.accept)",
        "button.clicked.connect(self.onApply)",
        "_('{n} scans').format(n=3)",
        "subprocess.run(['x'], check=True)",
        "selector.currentNode()",
    ],
)
def test_what_works_is_left_alone(line: str) -> None:
    assert check_source(line, pathlib.Path("m.py")) == []
