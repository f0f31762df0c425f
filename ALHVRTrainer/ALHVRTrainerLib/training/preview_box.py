"""PreviewBox: which scan is previewed and of which minute; reads in a thread, as scans are large."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from slicer.i18n import tr as _

from ALHVRLib.scene.errors import SceneError
from ALHVRLib.watched_thread import WatchedThread
from ALHVRTrainerLib.training.preview import PreviewNodes
from ALHVRTrainerLib.training.preview_files import (
    HELD_OUT,
    Preview,
    PreviewCase,
    PreviewData,
    Scan,
    kept_previews,
    read_preview,
)

if TYPE_CHECKING:
    from ALHVRTrainerLib.project_session import ProjectSession
    from ALHVRTrainerLib.run.reader import RunReader

TICK_MS, TURN_S = 40, 0.01


class PreviewBox:
    """Follows previewBox (none, or a case) and minuteSlider; the newest preview is shown unless the user went back."""

    def __init__(self, ui: Any, session: ProjectSession) -> None:
        self._ui, self._session = ui, session
        self._nodes = PreviewNodes()
        self._thread = WatchedThread(self._onTick, TICK_MS, TURN_S)
        self._previews: tuple[Preview, ...] = ()
        self._offered: tuple[tuple[str, str], ...] = ()
        """Role and name of each case; a held-out case and a scan of the archive may have one name."""
        self._reading: PreviewCase | None = None
        self._shown: PreviewCase | None = None
        """What is shown, or could not be read."""
        self._isHidden = True
        self._read: PreviewData | str | None = None
        self._scan: tuple[Path | None, Scan | None] = (None, None)
        """The scan that was read last, and its file."""
        self._seen: tuple[object, ...] = ()
        self._filling = self._chosen = False

    def setUp(self) -> None:
        """Connect the widgets."""
        self._fill(())
        self._ui.previewBox.connect("currentIndexChanged(int)", self.onCase)
        self._ui.minuteSlider.connect("valueChanged(int)", self.onMinute)

    def look(self, reader: RunReader) -> None:
        """Look for new previews where a validation may have made some, and show the newest."""
        seen = (reader.folder, reader.arm, len(reader.curves.mean), reader.state)
        self._isHidden = False
        if seen == self._seen:
            return
        self._seen = seen
        if not reader.arm:
            return
        previews = kept_previews(reader.folder / reader.arm, self._session.folder)
        if previews != self._previews:
            self._take(previews)
        self._show()

    def hide(self) -> None:
        """Give the slice views back."""
        self._shown, self._seen, self._isHidden = None, (), True
        if self._nodes.isShown:
            self._nodes.hide()

    def forget(self) -> None:
        """The scene goes."""
        self._nodes.forget()
        self._shown, self._seen = None, ()

    def cleanUp(self) -> None:
        """Leave no thread."""
        self._thread.unwatch()
        self._thread.join()

    def onCase(self, *_arguments: object) -> None:
        """Another case was chosen, or none."""
        if not self._filling:
            self._chosen = True
            self._show()

    def onMinute(self, *_arguments: object) -> None:
        """The slider was moved."""
        if not self._filling:
            self._show()

    def _take(self, previews: tuple[Preview, ...]) -> None:
        """There are other previews than before: the slider stays at its minute unless it was at the newest."""
        at = self._ui.minuteSlider.value
        newest = at >= len(self._previews) - 1
        kept = self._previews[at].iteration if 0 <= at < len(self._previews) else -1
        self._previews = previews
        last = len(previews) - 1
        place = next((n for n, one in enumerate(previews) if one.iteration >= kept), last)
        self._filling = True
        self._ui.minuteSlider.maximum = max(0, last)
        self._ui.minuteSlider.value = last if newest else place
        self._filling = False
        self._fill(previews[-1].cases if previews else ())

    def _fill(self, cases: tuple[PreviewCase, ...]) -> None:
        offered = tuple((case.role, case.name) for case in cases)
        if offered != self._offered or not self._ui.previewBox.count:
            chosen = self._choice()
            self._offered, self._filling = offered, True
            self._ui.previewBox.clear()
            self._ui.previewBox.addItem(_("None"))
            for case in cases:
                role = _("held out") if case.role == HELD_OUT else _("archive")
                self._ui.previewBox.addItem(f"{role}: {case.name}")
            default = 0 if self._chosen or not offered else 1
            self._ui.previewBox.currentIndex = offered.index(chosen) + 1 if chosen in offered else default
            self._filling = False
        for widget in (self._ui.previewBox, self._ui.minuteSlider):
            widget.enabled = bool(cases)

    def _choice(self) -> tuple[str, str] | None:
        """Role and name of the case that is chosen; None for none."""
        number = self._ui.previewBox.currentIndex - 1
        return self._offered[number] if 0 <= number < len(self._offered) else None

    def _wanted(self) -> PreviewCase | None:
        """The case of the minute that is chosen."""
        at, choice = self._ui.minuteSlider.value, self._choice()
        preview = self._previews[at] if 0 <= at < len(self._previews) else None
        self._ui.minuteLabel.text = "" if preview is None else f"{preview.minute:.0f}"
        cases = () if preview is None else preview.cases
        return next((case for case in cases if (case.role, case.name) == choice), None)

    def _show(self) -> None:
        """Read what is chosen, or hide the preview; while one is read, the next waits."""
        case = self._wanted()
        if case is None:
            self._nodes.hide()
            self._tell("")
            self._shown = None
        elif case != self._shown and self._thread.isOver and not self._thread.isWatched:
            self._reading = case
            self._thread.start(self._readInThread, case, self._allowed())

    def _tell(self, text: str) -> None:
        self._ui.previewNoteLabel.text = text
        self._ui.previewNoteLabel.setVisible(bool(text))

    def _allowed(self) -> tuple:
        project = self._session.project
        return () if project is None else (project.folder, *project.archive_folders)

    def _readInThread(self, case: PreviewCase, allowed: tuple) -> None:
        """No Qt, no scene."""
        path, scan = self._scan
        try:
            self._read = read_preview(case, allowed, scan if path == case.image else None)
        except SceneError as error:
            self._read = str(error)

    def _onTick(self) -> None:
        if not self._thread.isOver:
            return
        self._thread.unwatch()
        read, self._read = self._read, None
        if self._isHidden:
            return
        if self._reading != self._wanted():
            self._show()
            return
        self._shown = self._reading
        if isinstance(read, PreviewData):
            self._scan = (read.case.image, read.image)
            self._nodes.show(read)
        self._tell(read.problem or _("Outlines: the segmentation. Yellow: one network is sure; magenta: neither is.")
                   if isinstance(read, PreviewData) else read or "")
