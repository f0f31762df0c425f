"""SetupSection: says in one line what is missing before a scan can be segmented, and installs it when asked."""

from pathlib import Path

import qt
from slicer.i18n import tr as _

from ALHVRLib import paths, requirements
from ALHVRLib.install import Installation
from ALHVRLib.requirements import fetch_command, file_name, this_system
from ALHVRLib.section import Section, show_fraction
from ALHVRSegmentationLib.parameters import RunOn

KINDS = {"installed": "note", "failed": "error", "cancelled": "note"}


class SetupSection(Section):
    """The part of the panel that is there only while something is missing."""

    UI = "ALHVRSetup.ui"

    def __init__(self, panel):
        super().__init__(panel)
        self._installation = None
        self._canSegment = True
        self._hasTorch = True

    def setUp(self):
        """Connect the widgets."""
        self.ui.installButton.connect("clicked()", self.onInstall)
        self.ui.folderButton.connect("clicked()", self.onFolder)
        self.ui.fetchButton.connect("clicked()", self.onFetch)
        self.ui.cancelButton.connect("clicked()", self.onCancel)
        self.ui.torchButton.connect("clicked()", self.onTorch)
        self._look()
        self.refresh()

    def ready(self):
        """Whether scans can be segmented with the choices as they are."""
        return self._hasTorch if self._wantsGpu() else self._canSegment

    def missingText(self):
        """What is missing, in one sentence; "" when nothing is."""
        if self.ready():
            return ""
        if self._wantsGpu():
            return _("PyTorch is needed for the graphics card: see the top of the panel.")
        text = _("The package {package} is needed first: see the top of the panel.")
        return text.format(package=requirements.PACKAGE)

    def follow(self, parameters):
        """Look anew when the panel is entered: something may have been installed meanwhile."""
        self._look()

    def refresh(self):
        """Show what is missing, and nothing else."""
        running = self._installation is not None
        gpu = self._wantsGpu() and not self._hasTorch
        cpu = not self._canSegment and not self._wantsGpu()
        self.ui.packageFrame.setVisible(cpu or running)
        self.ui.buttonFrame.setVisible(not running)
        self.ui.runningFrame.setVisible(running)
        self.ui.fetchText.setVisible(bool(self.ui.fetchText.plainText) and not running)
        self.ui.logButton.setVisible(bool(self.ui.logText.plainText))
        self.ui.torchFrame.setVisible(gpu)
        self.frame.setVisible(cpu or running or gpu)
        self._tell()

    def cleanUp(self):
        """Leave no child process and no half-installed package."""
        if self._installation is not None:
            self._installation.discard()
            self._installation = None

    def onInstall(self, *_arguments):
        """Fetch the package from the package server and install it."""
        self._start(None)

    def onFolder(self, *_arguments):
        """Install from files that were fetched elsewhere."""
        folder = qt.QFileDialog.getExistingDirectory(self.widget, _("Folder with the wheel of onnxruntime"))
        if folder:
            self._start(Path(folder))

    def onFetch(self, *_arguments):
        """Say which file is needed, for a computer without network."""
        system = this_system()
        command = fetch_command(system)
        qt.QApplication.clipboard().setText(command)
        self.ui.fetchText.plainText = _(
            "This file, or a newer one ({mb} MB):\n{file}\n\n"
            "Any computer with Python and network fetches it with this command, which is on the clipboard now:\n"
            "{command}\n\n"
            "Bring the folder \"wheels\" here and choose it with the button above."
        ).format(mb=system.download_mb, file=file_name(system), command=command)
        self.refresh()

    def onCancel(self, *_arguments):
        """Stop installing."""
        if self._installation is not None:
            self.ui.cancelButton.setEnabled(False)
            self.ui.progressLabel.text = _("Cancelling...")
            self._installation.cancel()

    def onTorch(self, *_arguments):
        """Let the extension PyTorch install PyTorch."""
        self.ui.torchButton.setEnabled(False)
        problem = requirements.install_torch()
        self.ui.torchButton.setEnabled(True)
        self._look()
        self.panel.say(problem or _("PyTorch is installed."), "error" if problem else "note")
        self.panel.refresh()

    def onProgress(self, text, fraction):
        """Installing is at some stage; fraction None: nobody knows how far."""
        self.ui.progressLabel.text = text
        show_fraction(self.ui.progressBar, fraction)

    def onLog(self, line):
        """A line of pip's."""
        self.ui.logText.appendPlainText(line)

    def onDone(self, outcome):
        """Installing has ended, one way or another."""
        self._installation = None
        self._look()
        self.panel.say(outcome.sentence, KINDS[outcome.kind])
        self.panel.refresh()

    def _start(self, wheels):
        if self._installation is not None:
            return
        self.panel.say("")
        self.ui.logText.clear()
        self.ui.fetchText.clear()
        self.ui.cancelButton.setEnabled(True)
        self._installation = Installation(
            onProgress=self.onProgress, onLog=self.onLog, onDone=self.onDone, wheels=wheels)
        self._installation.start()
        self.refresh()

    def _look(self):
        """Look for the packages; their files are not loaded."""
        self._canSegment, self._hasTorch = requirements.can_segment(), requirements.has_torch()

    def _wantsGpu(self):
        parameters = self.panel.parameters
        return parameters is not None and parameters.runOn == RunOn.GPU

    def _tell(self):
        """One line each."""
        system = this_system()
        self.ui.packageLabel.text = _(
            "Segmenting needs the package {package} once: {download} MB to fetch, {disk} MB on disk. It goes into the "
            "folder of your Slicer settings; Slicer itself is not changed."
        ).format(package=requirements.PACKAGE, download=system.download_mb, disk=system.installed_mb)
        self.ui.packageLabel.toolTip = str(paths.packages_folder())
        extension = requirements.has_torch_extension()
        self.ui.torchButton.setVisible(extension)
        self.ui.torchLabel.text = (
            _("The graphics card needs PyTorch, up to some GB, which the extension PyTorch installs.") if extension
            else _("The graphics card needs PyTorch: install the extension PyTorch with the Extensions Manager "
                   "(menu View) and restart Slicer. Everything also runs on the processor.")
        )
