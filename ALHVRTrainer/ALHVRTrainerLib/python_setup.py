"""Python set-up: which Python trains, Slicer's own or one of the user's, what it needs, and whether it can."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import qt
import slicer
from slicer.i18n import tr as _

from ALHVRLib import paths
from ALHVRLib.child_events import Event, ExitStatus
from ALHVRLib.child_process import ChildProcess, Surroundings
from ALHVRLib.requirements import ANY, ONNXRUNTIME, Requirement, Wheel
from ALHVRLib.section import Section
from ALHVRLib.setup_section import SetupSection

if TYPE_CHECKING:
    from ALHVRLib.panel import Panel

PYTHON_SETTING, SUMMARY_SETTING = "ALHVR/TrainingPython", "ALHVR/TrainingPythonSummary"
"""Among the user's settings: path of the Python that trains, "" for Slicer's own; and what its test found."""

MONAI = Requirement("monai", ">=1.5", wheels={ANY: Wheel(("any",), "1.6.1", 2, 7, "py3-none")})
PSUTIL = Requirement("psutil", ">=5.9", wheels={
    "windows": Wheel(("win_amd64",), "7.2.2", 1, 1, "cp37-abi3"),
    "mac-arm": Wheel(("macosx_11_0_arm64",), "7.2.2", 1, 1, "cp36-abi3"),
    "mac-intel": Wheel(("macosx_10_9_x86_64",), "7.2.2", 1, 1, "cp36-abi3"),
    "mac-intel-old": Wheel(("macosx_10_9_x86_64",), "7.2.2", 1, 1, "cp36-abi3"),
    "linux": Wheel(("manylinux2010_x86_64", "manylinux_2_28_x86_64"), "7.2.2", 1, 1, "cp36-abi3"),
    "linux-old": Wheel(("manylinux2010_x86_64",), "7.2.2", 1, 1, "cp36-abi3"),
})
PROTOBUF = Requirement("protobuf", ">=4.25", imported="google.protobuf", wheels={
    "windows": Wheel(("win_amd64",), "7.36.2", 1, 2, "cp310-abi3"),
    "mac-arm": Wheel(("macosx_10_9_universal2",), "7.36.2", 1, 2, "cp310-abi3"),
    "mac-intel": Wheel(("macosx_10_9_universal2",), "7.36.2", 1, 2, "cp310-abi3"),
    "mac-intel-old": Wheel(("macosx_10_9_universal2",), "7.36.2", 1, 2, "cp310-abi3"),
    "linux": Wheel(("manylinux2014_x86_64",), "7.36.2", 1, 2, "cp310-abi3"),
    "linux-old": Wheel(("manylinux2014_x86_64",), "7.36.2", 1, 2, "cp310-abi3"),
})
ML_DTYPES = Requirement("ml_dtypes", ">=0.5", wheels={
    "windows": Wheel(("win_amd64",), "0.6.0", 1, 2),
    "mac-arm": Wheel(("macosx_10_13_universal2",), "0.6.0", 1, 3),
    "mac-intel": Wheel(("macosx_10_13_universal2",), "0.6.0", 1, 3),
    "mac-intel-old": Wheel(("macosx_10_13_universal2",), "0.6.0", 1, 3),
    "linux": Wheel(("manylinux_2_27_x86_64", "manylinux_2_28_x86_64"), "0.6.0", 1, 2),
    "linux-old": Wheel(("manylinux_2_27_x86_64",), "0.6.0", 1, 2),
})
ONNX = Requirement("onnx", ">=1.16", wheels={
    "windows": Wheel(("win_amd64",), "1.23.2", 8, 21, "cp312-abi3"),
    "mac-arm": Wheel(("macosx_13_0_universal2",), "1.23.2", 10, 27, "cp312-abi3"),
    "mac-intel": Wheel(("macosx_13_0_universal2",), "1.23.2", 10, 27, "cp312-abi3"),
    "mac-intel-old": Wheel(("macosx_12_0_universal2",), "1.22.0", 21, 40, "cp312-abi3"),
    "linux": Wheel(("manylinux_2_27_x86_64", "manylinux_2_28_x86_64"), "1.23.2", 9, 24, "cp312-abi3"),
    "linux-old": Wheel(("manylinux_2_27_x86_64",), "1.23.2", 9, 24, "cp312-abi3"),
})
TRAINING = (MONAI, PSUTIL, PROTOBUF, ML_DTYPES, ONNX, ONNXRUNTIME)
"""What training needs besides Slicer and PyTorch, each after those that it needs itself. SciPy comes with Slicer,
filelock with PyTorch. Sizes were measured for Python 3.12."""


def chosen_python() -> str:
    """Path of the user's own Python that trains; "" for Slicer's."""
    return str(slicer.app.userSettings().value(PYTHON_SETTING) or "")


def choose_python(path: str, summary: str = "") -> None:
    """Let a Python train from now on, in all projects; "" for Slicer's. summary: what its test found."""
    settings = slicer.app.userSettings()
    settings.setValue(PYTHON_SETTING, path)
    settings.setValue(SUMMARY_SETTING, summary)


def _tested_as() -> str:
    return str(slicer.app.userSettings().value(SUMMARY_SETTING) or "")


SETUP = partial(SetupSection, purpose=_("Training"), requirements=TRAINING, needsTorch=lambda _parameters: True,
                besides=True, isUsed=lambda: not chosen_python())


class PythonSection(Section):
    """One line on which Python trains, and below it, when asked or needed, the ways to change that."""

    UI = "ALHVRTrainerPython.ui"

    def __init__(self, panel: Panel) -> None:
        super().__init__(panel)
        self._test: PythonTest | None = None
        self._isOpen = False
        self._problem = ""
        """Why the last Python that was tried cannot train."""

    def setUp(self) -> None:
        """Connect the widgets."""
        self.ui.changeButton.connect("clicked()", self.onChange)
        self.ui.chooseButton.connect("clicked()", self.onChoose)
        self.ui.testButton.connect("clicked()", self.onTest)
        self.ui.slicerButton.connect("clicked()", self.onSlicer)
        self.ui.cancelButton.connect("clicked()", self.onCancel)

    def ready(self) -> bool:
        """Whether the Python that was chosen can train."""
        if chosen_python():
            return bool(_tested_as()) and Path(chosen_python()).is_file()
        return self.panel.section(SetupSection).ready()

    def missingText(self) -> str:
        """Why it cannot, in one sentence; "" where it can."""
        if self.ready():
            return ""
        if not chosen_python():
            return self.panel.section(SetupSection).missingText()
        if not Path(chosen_python()).is_file():
            return _("The Python {path} is not there any more: choose another one.").format(path=chosen_python())
        return _("The Python {path} has to be tested first: see the top of the panel.").format(path=chosen_python())

    def refresh(self) -> None:
        """Say which Python trains."""
        own, running = chosen_python(), self._test is not None
        is_open = self._isOpen or not self.ready() or running
        self.ui.pythonLabel.text = self._line(own)
        self.ui.pythonLabel.toolTip = own
        self.ui.changeButton.setVisible(not is_open)
        self.ui.changeFrame.setVisible(is_open)
        self.ui.chooseButton.setEnabled(not running)
        self.ui.testButton.setVisible(bool(own) and not running)
        self.ui.slicerButton.setVisible(bool(own) and not running)
        self.ui.busyFrame.setVisible(running)
        self.ui.problemLabel.text = self._problem
        self.ui.problemLabel.setVisible(bool(self._problem))

    def cleanUp(self) -> None:
        """Leave no child process."""
        if self._test is not None:
            self._test.discard()
            self._test = None

    def onChange(self, *_arguments: object) -> None:
        """Show the ways to change it."""
        self._isOpen = True
        self.refresh()

    def onChoose(self, *_arguments: object) -> None:
        """Ask for a Python and test it; it trains from then on if it can."""
        kind = _("Python (python.exe)") if os.name == "nt" else _("Python (python*)")
        path = qt.QFileDialog.getOpenFileName(self.widget, _("A Python that has alhvr[train]"), "", kind)
        if path:
            self._try(str(path))

    def onTest(self, *_arguments: object) -> None:
        """Try once more whether it can train."""
        self._try(chosen_python())

    def onSlicer(self, *_arguments: object) -> None:
        """Slicer's own Python trains again."""
        choose_python("")
        self._isOpen, self._problem = False, ""
        self.panel.refresh()

    def onCancel(self, *_arguments: object) -> None:
        """Try no more."""
        if self._test is not None:
            self._test.cancel()

    def _try(self, path: str) -> None:
        self._problem = ""
        self._test = PythonTest(path, self._onTested)
        try:
            self._test.start()
        except OSError as error:
            self._onTested(path, "", _("The test could not be begun: {why}.").format(why=error.strerror or error))
        self.refresh()

    def _onTested(self, path: str, summary: str, problem: str) -> None:
        """It can train, and then summary says with what; or problem says why not."""
        self._test = None
        if summary:
            choose_python(path, summary)
            self._isOpen = False
        elif path == chosen_python():
            choose_python(path)
        self._problem = problem
        self.panel.refresh()

    def _line(self, own: str) -> str:
        if not own:
            text = _("Training runs in Slicer's own Python.")
            return text if self.ready() else _("Or train with a Python of your own that has alhvr[train].")
        if not self.ready():
            return self.missingText()
        return _("Training runs in {path}: {what}.").format(path=own, what=_tested_as())


class PythonTest:
    """Loads all that training needs in a Python of the user's, in a child; onEnd(path, summary, problem) at the end.

    The engine is the extension's own in any case, so that window and training always fit.
    """

    def __init__(self, path: str, onEnd: object) -> None:
        self._path, self._onEnd = path, onEnd
        self._found: Event | None = None
        self._complaint = ""
        self._folder: Path | None = None
        self._child: ChildProcess | None = None

    def start(self) -> None:
        """Begin; raises OSError where there is no room for its files."""
        self._folder = paths.work_folder("python")
        self._child = ChildProcess(["--python"], onEvent=self._onEvent, onLog=lambda _line: None, onEnd=self._onDone,
                                   workFolder=self._folder, around=Surroundings(python=self._path))
        self._child.start()

    def cancel(self) -> None:
        """Ask it to stop."""
        self._child.cancel()

    def discard(self) -> None:
        """End it at once, without any callback."""
        if self._child is not None:
            self._child.discard()
        self._tidy()

    def _onEvent(self, event: Event) -> None:
        if event.kind == "python":
            self._found = event
        elif event.kind == "error":
            self._complaint = f"{event.shown('message')} {event.shown('hint')}".strip()

    def _onDone(self, status: ExitStatus) -> None:
        self._tidy()
        if status.kind == "cancelled":
            self._onEnd(self._path, "", "")
        elif status.kind == "finished" and self._found is not None:
            self._onEnd(self._path, summary_of(self._found), warning_of(self._found))
        else:
            why = self._complaint or status.text or _("It did not answer.")
            text = _("{path} cannot train. {why}")
            self._onEnd(self._path, "", text.format(path=self._path, why=why))

    def _tidy(self) -> None:
        if self._folder is not None:
            paths.remove_folder(self._folder)


def summary_of(found: Event) -> str:
    """What a Python has, such as "Python 3.12.3, PyTorch 2.6.0, MONAI 1.5, NVIDIA A100"."""
    text = _("Python {python}, PyTorch {torch}, MONAI {monai}, {device}")
    return text.format(python=found.shown("version")[:20], torch=found.shown("torch")[:30],
                       monai=found.shown("monai")[:30], device=found.shown("device")[:60])


def warning_of(found: Event) -> str:
    """Which other version of alhvr is installed there; "" for none or the same."""
    installed, ours = found.shown("installed")[:30], found.shown("alhvr")[:30]
    if not installed or installed == ours:
        return ""
    text = _("alhvr {installed} is installed there; training uses {ours}, which came with the extension.")
    return text.format(installed=installed, ours=ours)
