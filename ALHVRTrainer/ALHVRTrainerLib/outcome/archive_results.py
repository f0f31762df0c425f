"""ArchiveResults: segments the project's archive with the kept model, and lists the results; a click opens one.

They lie in PROJECT/segmented/MODEL, where a second press goes on with what is not done. Only what is opened comes into
the scene: an archive has hundreds of scans.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import qt
from slicer.i18n import tr as _

from alhvr.core.errors import UserError
from alhvr.core.files import is_plain, read_json
from alhvr.formats.model_folder import is_safe_name
from ALHVRLib.child_events import finite
from ALHVRLib.models import store
from ALHVRLib.models.untrusted_files import folder_name, one_line
from ALHVRLib.scene.errors import SceneError
from ALHVRTrainerLib.cases.case_table import natural
from ALHVRTrainerLib.engine_job import EngineJob, JobEnd
from ALHVRTrainerLib.outcome.result import stamp_of
from ALHVRTrainerLib.outcome.worst_case import ShownResult
from ALHVRTrainerLib.python_setup import chosen_python

if TYPE_CHECKING:
    from ALHVRLib.widgets import BusyBar
    from ALHVRTrainerLib.project_session import ProjectSession

FOLDER, RECORD = "segmented", "alhvr-segment.json"
ENDING = ".seg.nrrd"
MOST_ROWS, MOST_STRUCTURES = 5000, 20
REASON_LETTERS = 300
SHOWN_ROWS, ROW_PX = 6, 22
REDRAW_S = 2.0
"""While it goes on, the list is made anew no more often."""


@dataclass(frozen=True)
class ScanResult:
    """One scan of the archive."""

    name: str
    segmentation: Path | None
    """None where it was not segmented."""
    source: str = ""
    """Name of the scan's file or folder."""
    words: str = ""
    """Its volumes, or why there is no result."""


class ArchiveResults:
    """The part of the section Outcome below the buttons.

    Args:
        ui: has segmentArchiveButton, archiveFrame, archiveLabel, archiveTable, openResultButton, resultsFolderButton.
        session: the open project.
        busy: shows the work, one at a time.
        say: called with a sentence and its kind.
        onChange: called when the work begins or ends; lets refresh() be called.
    """

    def __init__(self, ui: Any, session: ProjectSession, busy: BusyBar, say: Callable[[str, str], None],
                 onChange: Callable[[], None]) -> None:
        self._ui, self._session, self._busy, self._say, self._onChange = ui, session, busy, say, onChange
        self._results: tuple[ScanResult, ...] = ()
        self._failed: dict[Path, tuple[ScanResult, ...]] = {}
        """By folder of results: what could not be segmented when it was tried last here."""
        self._seen: tuple[object, ...] = ()
        self._drawnAt = 0.0
        self._shown = ShownResult()

    def setUp(self) -> None:
        """Connect the widgets."""
        table = self._ui.archiveTable
        table.setColumnCount(2)
        table.setHorizontalHeaderLabels([_("Scan"), _("Result")])
        table.verticalHeader().setVisible(False)
        table.verticalHeader().setDefaultSectionSize(ROW_PX)
        table.horizontalHeader().setSectionResizeMode(0, qt.QHeaderView.ResizeToContents)
        table.horizontalHeader().setSectionResizeMode(1, qt.QHeaderView.Stretch)
        table.connect("itemSelectionChanged()", self._showButtons)
        table.connect("cellDoubleClicked(int,int)", self.onOpen)
        self._ui.segmentArchiveButton.connect("clicked()", self.onSegment)
        self._ui.openResultButton.connect("clicked()", self.onOpen)
        self._ui.resultsFolderButton.connect("clicked()", self.onFolder)

    @property
    def folder(self) -> Path | None:
        """Where the results of the kept model are, or would be; None where no model was kept."""
        project = self._session.project
        kept = None if project is None else project.kept
        return None if kept is None else project.folder / FOLDER / folder_name(kept.model)

    def refresh(self) -> None:
        """Show what there is; the list is read again when it has changed."""
        folder = self.folder
        seen = (folder, None if folder is None else stamp_of(folder / RECORD), self._failed.get(folder))
        if seen != self._seen:
            self._seen, self._drawnAt = seen, time.monotonic()
            done = () if folder is None else read_results(folder)
            names = {result.name for result in done}
            failed = [result for result in self._failed.get(folder, ()) if result.name not in names]
            self._results = (*failed, *done)[:MOST_ROWS]
            self._fill(len(failed))
        self._showButtons()

    def dropScene(self) -> None:
        """The scene goes, with what was opened."""
        self._shown.forget()

    def onSegment(self, *_arguments: object) -> None:
        """Segment what is not done yet; what stands in the way is said."""
        project, folder = self._session.project, self.folder
        missing = project.missing_archive_folders
        model = self._model()
        if missing:
            names = ", ".join(one_line(path.name) for path in missing)
            self._say(_("The archive {names} is not there now: plug in its disk.").format(names=names), "warning")
        elif self._session.isBusy:
            self._say(_("The computer trains: segment the archive when that is done."), "warning")
        elif model is None:
            self._say(_("The kept model {name} is not there any more: keep one again.").format(
                name=one_line(project.kept.model)), "warning")
        elif self._busy.work is None:
            self._say("", "note")
            arguments = ["segment", "--model", model, *project.archive_folders, "--out", folder]
            self._busy.begin(EngineJob(arguments, _("Segmenting the archive"), onProgress=self._onProgress,
                                       onEnd=lambda end: self._onEnd(folder, end), python=chosen_python()))
            self._onChange()

    def onOpen(self, *_arguments: object) -> None:
        """Show the chosen scan with its result, in place of the one that was opened before."""
        result, project = self._chosen(), self._session.project
        if result is None or result.segmentation is None:
            return
        try:
            self._shown.show(result.name, self._scan(result), result.segmentation,
                             (project.folder, *project.archive_folders))
        except SceneError as error:
            self._say(str(error), "error")

    def onFolder(self, *_arguments: object) -> None:
        """Show the results in the file manager."""
        qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(self.folder)))

    def _onProgress(self, text: str, fraction: float | None) -> None:
        self._busy.onProgress(text, fraction)
        if time.monotonic() - self._drawnAt > REDRAW_S:
            self._drawnAt = time.monotonic()
            self.refresh()

    def _onEnd(self, folder: Path, end: JobEnd) -> None:
        self._busy.end()
        self._failed[folder] = failures_in(end.summary)
        self._onChange()
        done = sum(result.segmentation is not None for result in self._results)
        if end.kind == "finished":
            self._say(_("{n} scans of the archive are segmented.").format(n=done), "note")
        elif end.kind == "cancelled":
            self._say(_("Stopped. {n} results are kept; the next press goes on with the rest.").format(n=done), "note")
        else:
            self._say(end.text, "warning")

    def _model(self) -> Path | None:
        """The folder of the kept model: as it is installed, or in its run."""
        project = self._session.project
        installed = store.find(project.kept.model)
        in_run = project.run_folder(project.kept.run) / project.kept.arm / "model"
        if installed is not None and not installed.problem:
            return installed.folder
        return in_run if in_run.is_dir() else None

    def _scan(self, result: ScanResult) -> Path:
        """Where the check found the scan, or where it would be in a folder of the archive; raises SceneError."""
        known = [Path(scan.file) for scan in self._session.table().report.archive
                 if scan.file and one_line(scan.name) == result.name]
        folders = self._session.project.archive_folders if is_safe_name(result.source) else ()
        likely = [folder / part / result.source for folder in folders for part in ("", "images")]
        found = next((path for path in (*known, *likely) if path.exists() and path not in folders), None)
        if found is None:
            raise SceneError(_("The scan of {name} was not found in the archive.").format(name=result.name))
        return found

    def _chosen(self) -> ScanResult | None:
        row = self._ui.archiveTable.currentRow()
        return self._results[row] if 0 <= row < len(self._results) else None

    def _fill(self, nFailed: int) -> None:
        """The rows: first what failed, then the results by name."""
        table = self._ui.archiveTable
        table.setRowCount(len(self._results))
        for row, result in enumerate(self._results):
            for column, text in enumerate((result.name, result.words)):
                item = qt.QTableWidgetItem(text)
                item.setFlags(qt.Qt.ItemIsSelectable | qt.Qt.ItemIsEnabled)
                item.setToolTip(text)
                table.setItem(row, column, item)
        rows = min(len(self._results), SHOWN_ROWS)
        table.setFixedHeight(table.horizontalHeader().sizeHint.height() + ROW_PX * rows + 4)
        self._ui.archiveLabel.text = _("Archive: {n} scans are segmented.").format(n=len(self._results) - nFailed)
        if nFailed:
            self._ui.archiveLabel.text += " " + _("{n} could not be; they stand first.").format(n=nFailed)

    def _showButtons(self, *_arguments: object) -> None:
        project, ui = self._session.project, self._ui
        offered = project is not None and project.kept is not None and bool(project.archive)
        idle = self._busy.work is None
        ui.segmentArchiveButton.setVisible(offered)
        ui.segmentArchiveButton.enabled = offered and idle and not self._session.isReadOnly
        ui.archiveFrame.setVisible(offered and bool(self._results))
        result = self._chosen()
        ui.openResultButton.enabled = result is not None and result.segmentation is not None


def read_results(folder: Path) -> tuple[ScanResult, ...]:
    """What the record of a results folder names and is there, by name; () where there is no record that can be read."""
    try:
        entries = read_json(folder / RECORD)["results"].items()
    except (OSError, UserError, TypeError, KeyError, AttributeError):
        return ()
    found = (_result(folder, file, entry) for file, entry in entries)
    return tuple(sorted((result for result in found if result is not None), key=lambda one: natural(one.name)))


def _result(folder: Path, file: str, entry: Any) -> ScanResult | None:
    good = file.endswith(ENDING) and is_safe_name(file) and "/" not in file and isinstance(entry, dict)
    if not good or not is_plain(folder / file):
        return None
    volumes = entry.get("volumes_ml") if isinstance(entry.get("volumes_ml"), dict) else {}
    words = [_("{structure} {ml:.1f} ml").format(structure=one_line(name), ml=ml)
             for name, ml in volumes.items() if finite(ml) is not None][:MOST_STRUCTURES]
    source = str(entry.get("source", ""))
    return ScanResult(one_line(file.removesuffix(ENDING)), folder / file, source, ", ".join(words))


def failures_in(summary: dict[str, Any]) -> tuple[ScanResult, ...]:
    """The scans of a summary of ``alhvr segment`` that have no result, with the reason."""
    scans = summary.get("scans")
    entries: Iterable[Any] = scans if isinstance(scans, list) else ()
    return tuple(ScanResult(one_line(entry.get("scan")), None, words=one_line(entry.get("reason"), REASON_LETTERS))
                 for entry in entries if isinstance(entry, dict) and entry.get("outcome") == "failed")
