"""SetupSection: shows in one line what is missing before a module can do its work, and installs it when asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import qt
from slicer.i18n import tr as _

from ALHVRLib import paths, requirements
from ALHVRLib.install import Installation, Outcome
from ALHVRLib.section import Section, show_fraction

if TYPE_CHECKING:
    from ALHVRLib.panel import Panel
    from ALHVRLib.requirements import Requirement, Wheel

KINDS = {"installed": "note", "failed": "error", "cancelled": "note"}


class SetupSection(Section):
    """The part of the panel that is there only while something is missing in Slicer's own Python.

    Args:
        panel: the Panel.
        purpose: what needs the packages, as the first word of a sentence, such as "Segmenting".
        requirements: Requirements, in the order in which they are installed.
        needsTorch: called with the parameter node; whether PyTorch is needed.
        besides: PyTorch is needed besides the requirements, and first, as they may need it too; otherwise it is needed
            in their place.
        isUsed: whether Slicer's Python is used at all; otherwise nothing is missing in it.
    """

    UI = "ALHVRSetup.ui"

    def __init__(self, panel: Panel, *, purpose: str, requirements: Iterable[Requirement],
                 needsTorch: Callable[[Any], bool], besides: bool = False,
                 isUsed: Callable[[], bool] = lambda: True) -> None:
        super().__init__(panel)
        self._purpose, self._requirements, self._needsTorch = purpose, tuple(requirements), needsTorch
        self._besides, self._isUsed = besides, isUsed
        self._installation = None
        self._wheels = None
        """Folder to install from; None: the package server."""
        self._missing = ()
        self._hasTorch = True

    def uiPath(self) -> str:
        """The file belongs to this library, whichever module's panel this is."""
        return str(paths.shared_resource(f"UI/{self.UI}"))

    def setUp(self) -> None:
        """Connect the widgets."""
        self.ui.installButton.connect("clicked()", self.onInstall)
        self.ui.folderButton.connect("clicked()", self.onFolder)
        self.ui.fetchButton.connect("clicked()", self.onFetch)
        self.ui.cancelButton.connect("clicked()", self.onCancel)
        self.ui.torchButton.connect("clicked()", self.onTorch)
        self._look()
        self.refresh()

    def ready(self) -> bool:
        """Whether nothing is missing with the choices as they are."""
        return not (self._lacksTorch() or self._lacksPackages())

    def missingText(self) -> str:
        """What is missing, in one sentence; "" when nothing is."""
        if self.ready():
            return ""
        if self._lacksTorch():
            return _("PyTorch is needed first: see the top of the panel.") if self._besides else _(
                "PyTorch is needed for the graphics card: see the top of the panel.")
        text = _("The package {package} is needed first: see the top of the panel.")
        return text.format(package=self._missing[0].package)

    def follow(self, parameters: Any) -> None:
        """Look anew when the panel is entered: something may have been installed meanwhile."""
        self._look()

    def refresh(self) -> None:
        """Show what is missing, and nothing else."""
        running = self._installation is not None
        gpu, cpu = self._lacksTorch(), self._lacksPackages() and not (self._besides and self._lacksTorch())
        self.ui.packageFrame.setVisible(cpu or running)
        self.ui.buttonFrame.setVisible(not running)
        self.ui.runningFrame.setVisible(running)
        self.ui.fetchText.setVisible(bool(self.ui.fetchText.plainText) and not running)
        self.ui.logButton.setVisible(bool(self.ui.logText.plainText))
        self.ui.torchFrame.setVisible(gpu)
        self.frame.setVisible(cpu or running or gpu)
        self._tell()

    def cleanUp(self) -> None:
        """Leave no child process and no half-installed package."""
        if self._installation is not None:
            self._installation.discard()
            self._installation = None

    def onInstall(self, *_arguments: object) -> None:
        """Fetch the package from the package server and install it."""
        self._start(None)

    def onFolder(self, *_arguments: object) -> None:
        """Install from files that were fetched elsewhere."""
        folder = qt.QFileDialog.getExistingDirectory(self.widget, _("Folder with wheels"))
        if folder:
            self._start(Path(folder))

    def onFetch(self, *_arguments: object) -> None:
        """Say which file is needed, for a computer without network."""
        wheels = [(wanted, wanted.wheel()) for wanted in self._missing]
        command = "\n".join(wanted.fetch_command(wheel) for wanted, wheel in wheels)
        qt.QApplication.clipboard().setText(command)
        text = _(
            "This file, or a newer one ({mb} MB):\n{file}\n\n"
            "Any computer with Python and network fetches it with this command, which is on the clipboard now:\n"
            "{command}\n\n"
            "Bring the folder \"wheels\" here and choose it with the button above."
        ) if len(wheels) == 1 else _(
            "These files, or newer ones ({mb} MB):\n{file}\n\n"
            "Any computer with Python and network fetches them with these commands, which are on the clipboard now:\n"
            "{command}\n\n"
            "Bring the folder \"wheels\" here and choose it with the button above."
        )
        files = "\n".join(wanted.file_name(wheel) for wanted, wheel in wheels)
        self.ui.fetchText.plainText = text.format(mb=_total_mb(wheels), file=files, command=command)
        self.refresh()

    def onCancel(self, *_arguments: object) -> None:
        """Stop installing."""
        if self._installation is not None:
            self.ui.cancelButton.setEnabled(False)
            self.ui.progressLabel.text = _("Cancelling...")
            self._installation.cancel()

    def onTorch(self, *_arguments: object) -> None:
        """Let the extension PyTorch install PyTorch."""
        self.ui.torchButton.setEnabled(False)
        problem = requirements.install_torch()
        self.ui.torchButton.setEnabled(True)
        self._look()
        self.panel.say(problem or _("PyTorch is installed."), "error" if problem else "note")
        self.panel.refresh()

    def onProgress(self, text: str, fraction: float | None) -> None:
        """Installing is at some stage; fraction None: unknown."""
        self.ui.progressLabel.text = text
        show_fraction(self.ui.progressBar, fraction)

    def onLog(self, line: str) -> None:
        """A line of pip's."""
        self.ui.logText.appendPlainText(line)

    def onDone(self, outcome: Outcome) -> None:
        """Installing has ended, one way or another."""
        self._installation, before = None, self._missing
        self._look()
        if outcome.kind == "installed" and 0 < len(self._missing) < len(before):
            self._install()
            return
        self.panel.say(outcome.sentence, KINDS[outcome.kind])
        self.panel.refresh()

    def _start(self, wheels: Path | None) -> None:
        if self._installation is not None or not self._missing:
            return
        self.panel.say("")
        self.ui.logText.clear()
        self.ui.fetchText.clear()
        self.ui.cancelButton.setEnabled(True)
        self._wheels = wheels
        self._install()

    def _install(self) -> None:
        """Install the first of the packages that are missing."""
        self._installation = Installation(
            self._missing[0], onProgress=self.onProgress, onLog=self.onLog, onDone=self.onDone, wheels=self._wheels)
        self._installation.start()
        self.refresh()

    def _look(self) -> None:
        """Look for the packages; their files are not loaded."""
        self._missing = tuple(requirement for requirement in self._requirements if not requirement.is_met())
        self._hasTorch = requirements.has_torch()

    def _wantsTorch(self) -> bool:
        parameters = self.panel.parameters
        return self._isUsed() and parameters is not None and self._needsTorch(parameters)

    def _lacksTorch(self) -> bool:
        return self._wantsTorch() and not self._hasTorch

    def _lacksPackages(self) -> bool:
        return bool(self._missing) and self._isUsed() and (self._besides or not self._wantsTorch())

    def _tell(self) -> None:
        """One line each."""
        wheels = [(requirement, requirement.wheel()) for requirement in self._missing]
        text = _(
            "{purpose} needs the package {package} once: {download} MB to fetch, {disk} MB on disk. It goes into the "
            "folder of your Slicer settings; Slicer itself is not changed."
        ) if len(wheels) == 1 else _(
            "{purpose} needs the packages {package} once: {download} MB to fetch, {disk} MB on disk. They go into the "
            "folder of your Slicer settings; Slicer itself is not changed."
        )
        self.ui.packageLabel.text = text.format(
            purpose=self._purpose, package=", ".join(requirement.package for requirement in self._missing),
            download=_total_mb(wheels), disk=sum(wheel.installed_mb for _requirement, wheel in wheels))
        self.ui.packageLabel.toolTip = str(paths.packages_folder())
        extension = requirements.has_torch_extension()
        self.ui.torchButton.setVisible(extension)
        self.ui.torchLabel.text = self._torchText(extension)

    def _torchText(self, extension: bool) -> str:
        """What to do about PyTorch, with or without the extension that installs it."""
        if self._besides:
            text = (
                _("{purpose} needs PyTorch, up to some GB, which the extension PyTorch installs.") if extension
                else _("{purpose} needs PyTorch: install the extension PyTorch with the Extensions Manager "
                       "(menu View) and restart Slicer.")
            )
            return text.format(purpose=self._purpose)
        return (
            _("The graphics card needs PyTorch, up to some GB, which the extension PyTorch installs.") if extension
            else _("The graphics card needs PyTorch: install the extension PyTorch with the Extensions Manager "
                   "(menu View) and restart Slicer. Everything also runs on the processor.")
        )


def _total_mb(wheels: Iterable[tuple[Requirement, Wheel]]) -> int:
    """MB to fetch."""
    return sum(wheel.download_mb for _requirement, wheel in wheels)
