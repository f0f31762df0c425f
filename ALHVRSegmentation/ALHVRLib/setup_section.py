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
    from ALHVRLib.requirements import Requirement

KINDS = {"installed": "note", "failed": "error", "cancelled": "note"}


class SetupSection(Section):
    """The part of the panel that is there only while something is missing.

    Args:
        panel: the Panel.
        purpose: what needs the packages, as the first word of a sentence, such as "Segmenting".
        requirements: Requirements, all of which are needed unless PyTorch is.
        needsTorch: called with the parameter node; whether PyTorch is needed in their place.
    """

    UI = "ALHVRSetup.ui"

    def __init__(self, panel: Panel, *, purpose: str, requirements: Iterable[Requirement],
                 needsTorch: Callable[[Any], bool]) -> None:
        super().__init__(panel)
        self._purpose, self._requirements, self._needsTorch = purpose, tuple(requirements), needsTorch
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
        return self._hasTorch if self._wantsTorch() else not self._missing

    def missingText(self) -> str:
        """What is missing, in one sentence; "" when nothing is."""
        if self.ready():
            return ""
        if self._wantsTorch():
            return _("PyTorch is needed for the graphics card: see the top of the panel.")
        text = _("The package {package} is needed first: see the top of the panel.")
        return text.format(package=self._missing[0].package)

    def follow(self, parameters: Any) -> None:
        """Look anew when the panel is entered: something may have been installed meanwhile."""
        self._look()

    def refresh(self) -> None:
        """Show what is missing, and nothing else."""
        running = self._installation is not None
        gpu = self._wantsTorch() and not self._hasTorch
        cpu = bool(self._missing) and not self._wantsTorch()
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
        wanted = self._missing[0]
        command = wanted.fetch_command(wanted.wheel())
        qt.QApplication.clipboard().setText(command)
        self.ui.fetchText.plainText = _(
            "This file, or a newer one ({mb} MB):\n{file}\n\n"
            "Any computer with Python and network fetches it with this command, which is on the clipboard now:\n"
            "{command}\n\n"
            "Bring the folder \"wheels\" here and choose it with the button above."
        ).format(mb=wanted.wheel().download_mb, file=wanted.file_name(wanted.wheel()), command=command)
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
        return parameters is not None and self._needsTorch(parameters)

    def _tell(self) -> None:
        """One line each."""
        wheels = [requirement.wheel() for requirement in self._missing]
        self.ui.packageLabel.text = _(
            "{purpose} needs the package {package} once: {download} MB to fetch, {disk} MB on disk. It goes into the "
            "folder of your Slicer settings; Slicer itself is not changed."
        ).format(
            purpose=self._purpose,
            package=", ".join(requirement.package for requirement in self._missing),
            download=sum(wheel.download_mb for wheel in wheels),
            disk=sum(wheel.installed_mb for wheel in wheels),
        )
        self.ui.packageLabel.toolTip = str(paths.packages_folder())
        extension = requirements.has_torch_extension()
        self.ui.torchButton.setVisible(extension)
        self.ui.torchLabel.text = (
            _("The graphics card needs PyTorch, up to some GB, which the extension PyTorch installs.") if extension
            else _("The graphics card needs PyTorch: install the extension PyTorch with the Extensions Manager "
                   "(menu View) and restart Slicer. Everything also runs on the processor.")
        )
