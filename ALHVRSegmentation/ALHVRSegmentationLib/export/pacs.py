"""PacsBox: studies found in an archive, one pulled to the folder, the DICOM-SEG pushed; the child process does it."""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import slicer
from slicer.i18n import tr as _

from ALHVRLib import paths
from ALHVRLib.child_events import Event, ExitStatus
from ALHVRLib.child_process import ChildProcess

if TYPE_CHECKING:
    from ALHVRLib.panel import Panel

SERVER_SETTING = "ALHVR/PacsServer"
MOST_STUDIES = 200


class PacsBox:
    """The collapsed part "Archive (PACS)" of the section Export.

    Args:
        ui: the widgets of the section.
        panel: where sentences are said.
        folder: gives the folder of the section.
        exported: gives the DICOM-SEG that was written last under the section's folder and name.
    """

    def __init__(self, ui: Any, panel: Panel, folder: Callable[[], pathlib.Path],
                 exported: Callable[[], pathlib.Path]) -> None:
        self._ui, self._panel, self._folder, self._exported = ui, panel, folder, exported
        self._child: ChildProcess | None = None
        self._work: pathlib.Path | None = None
        self._finished: dict[str, Any] = {}
        self._studies: list[str] = []
        self._onDone: Callable[[dict[str, Any]], None] = self._sayNothing

    def setUp(self) -> None:
        """Connect the widgets."""
        self._ui.serverEdit.text = slicer.util.settingsValue(SERVER_SETTING, "")
        for edit in (self._ui.serverEdit, self._ui.dateEdit):
            edit.connect("textChanged(QString)", self.refresh)
        self._ui.findButton.connect("clicked()", self.onFind)
        self._ui.pullButton.connect("clicked()", self.onPull)
        self._ui.pushButton.connect("clicked()", self.onPush)
        self._ui.stopButton.connect("clicked()", self.onStop)
        self.refresh()

    @property
    def isRunning(self) -> bool:
        """Whether the archive is being asked."""
        return self._child is not None

    def refresh(self, *_arguments: object) -> None:
        """Enable what is possible now."""
        ready = not self.isRunning and bool(self._ui.serverEdit.text.strip())
        self._ui.findButton.enabled = ready
        self._ui.pullButton.enabled = ready and bool(self._studies)
        self._ui.pushButton.enabled = ready and self._exported().is_file()
        self._ui.stopButton.enabled = self.isRunning

    def onFind(self, *_arguments: object) -> None:
        """List the studies that fit."""
        words = []
        for option, edit in (("--patient-id", self._ui.patientEdit), ("--date", self._ui.dateEdit)):
            words += [f"{option}={edit.text.strip()}"] if edit.text.strip() else []
        self._start("find", words, self._list)

    def onPull(self, *_arguments: object) -> None:
        """Bring the chosen study to the folder."""
        index = self._ui.studyBox.currentIndex
        if 0 <= index < len(self._studies):
            out = self._folder() / "from-archive"
            self._start("pull", [f"--study={self._studies[index]}", f"--out={out}"], self._sayPulled)

    def onPush(self, *_arguments: object) -> None:
        """Send the DICOM-SEG that was exported."""
        self._start("push", [str(self._exported())], self._sayPushed)

    def onStop(self, *_arguments: object) -> None:
        """Stop asking."""
        if self._child is not None:
            self._child.cancel()

    def cleanUp(self) -> None:
        """End what is running, without a word."""
        if self._child is not None:
            self._child.discard()
        self._tidy()

    def _start(self, action: str, words: list[str], onDone: Callable[[dict[str, Any]], None]) -> None:
        """Begin one command; what is wrong with the address is said before it stands in any command line."""
        server = self._ui.serverEdit.text.strip()
        if self.isRunning or _holdsPassword(server):
            if not self.isRunning:
                self._panel.say(_("The address holds a user or a password: set the environment variables "
                                  "ALHVR_PACS_USER and ALHVR_PACS_PASSWORD before Slicer starts."), "error")
            return
        slicer.app.userSettings().setValue(SERVER_SETTING, server)
        try:
            self._work = paths.work_folder("pacs")
        except OSError as error:
            text = _("Slicer's temporary folder cannot be written: {reason}.")
            self._panel.say(text.format(reason=error.strerror or error), "error")
            return
        self._finished, self._onDone = {}, onDone
        self._child = ChildProcess(["pacs", action, server, *words, "--progress", "json"], onEvent=self._onEvent,
                                   onLog=self._sayNothing, onEnd=self._onEnd, workFolder=self._work)
        self._child.start()
        self.refresh()

    def _onEvent(self, event: Event) -> None:
        if event.kind == "finished":
            self._finished = event.fields

    def _onEnd(self, status: ExitStatus) -> None:
        self._tidy()
        if status.kind == "finished":
            self._onDone(self._finished)
        elif status.kind == "cancelled":
            self._panel.say(_("Stopped."), "note")
        else:
            self._panel.say(status.text, "error")
        self.refresh()

    def _list(self, found: dict[str, Any]) -> None:
        """Show the studies."""
        studies = Event("finished", found).objects("found")
        rows = [Event("study", study) for study in studies[:MOST_STUDIES]]
        self._studies = [row.text("StudyInstanceUID") for row in rows]
        self._ui.studyBox.clear()
        names = ("StudyDate", "ModalitiesInStudy", "StudyDescription", "PatientID")
        for row in rows:
            self._ui.studyBox.addItem("  ".join(filter(None, map(row.shown, names))) or row.shown("StudyInstanceUID"))
        text = _("The archive has {count} studies that fit; {shown} are listed.")
        self._panel.say(text.format(count=len(studies), shown=len(rows)), "note")

    def _sayPulled(self, found: dict[str, Any]) -> None:
        count = Event("finished", found).number("objects") or 0
        text = _("{count} objects lie in {folder}: import that folder in the module DICOM.")
        self._panel.say(text.format(count=int(count), folder=self._folder() / "from-archive"), "note")

    def _sayPushed(self, _found: dict[str, Any]) -> None:
        self._panel.say(_("The archive keeps {name} now.").format(name=self._exported().name), "note")

    def _sayNothing(self, *_arguments: object) -> None:
        """What libraries say is not for the panel."""

    def _tidy(self) -> None:
        self._child = None
        if self._work is not None:
            paths.remove_folder(self._work)
            self._work = None


def _holdsPassword(address: str) -> bool:
    """Whether an address would bring a secret into the settings and a command line."""
    try:
        parts = urlsplit(address)
        return parts.password is not None or (parts.scheme in ("http", "https") and bool(parts.username))
    except ValueError:
        return True
