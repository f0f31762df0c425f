"""ScanTable: the ranked scans as rows with a map of where the model is unsure, drawn one after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import qt
from slicer.i18n import tr as _

from alhvr.formats.region_tables import UNRELIABLE_STABLE
from ALHVRLib.scene.errors import SceneError
from ALHVRLib.scene.label_images import read_nrrd
from ALHVRLib.scene.region_colours import REGION_COLOURS
from ALHVRTrainerLib.review.record import RankedScan

SIDE = 56
"""Pixels of a map."""
SEGMENT, NOTHING = (150, 150, 150), (40, 40, 40)
PAUSE_MS = 30
"""Between two maps, so that the panel stays awake."""


class ScanTable:
    """Fills a QTableWidget; onChosen() when another row is the current one."""

    def __init__(self, table: qt.QTableWidget, onChosen: Callable[[], None]) -> None:
        self._table, self._onChosen = table, onChosen
        self._scans: tuple[RankedScan, ...] = ()
        self._todo: list[int] = []
        self._maps: dict[tuple, qt.QPixmap] = {}
        self._filling = False
        self._timer = qt.QTimer()
        self._timer.setInterval(PAUSE_MS)
        self._timer.connect("timeout()", self._drawNext)

    def setUp(self) -> None:
        """Titles and columns."""
        table = self._table
        table.setColumnCount(4)
        table.setHorizontalHeaderLabels([_("Map"), _("Scan"), _("Score"), _("Why")])
        table.verticalHeader().setVisible(False)
        table.verticalHeader().setDefaultSectionSize(SIDE + 4)
        header = table.horizontalHeader()
        for column, mode in ((0, "Fixed"), (1, "Interactive"), (2, "ResizeToContents"), (3, "Stretch")):
            header.setSectionResizeMode(column, getattr(qt.QHeaderView, mode))
        table.setColumnWidth(0, SIDE + 6)
        table.setColumnWidth(1, 110)
        table.setIconSize(qt.QSize(SIDE, SIDE))
        table.setWordWrap(True)
        table.connect("itemSelectionChanged()", self._onSelection)

    def fill(self, scans: Sequence[RankedScan]) -> None:
        """Show these; nothing happens where they are there already."""
        scans = tuple(scans)
        if scans == self._scans:
            return
        chosen = self.chosen()
        self._filling, self._scans = True, scans
        self._table.setRowCount(len(scans))
        for row, scan in enumerate(scans):
            for column, text in enumerate(("", scan.case, f"{scan.score:.2f}", scan.reason)):
                item = qt.QTableWidgetItem(text)
                item.setFlags(qt.Qt.ItemIsSelectable | qt.Qt.ItemIsEnabled)
                item.setToolTip(scan.case if column == 1 else scan.reason)
                self._table.setItem(row, column, item)
        self._filling = False
        names = [scan.case for scan in scans]
        if scans:
            self._table.setCurrentCell(names.index(chosen.case) if chosen and chosen.case in names else 0, 1)
        self._todo = list(range(len(scans)))
        self._timer.start()
        self._onChosen()

    def chosen(self) -> RankedScan | None:
        """The scan of the current row."""
        row = self._table.currentRow()
        return self._scans[row] if 0 <= row < len(self._scans) else None

    def stop(self) -> None:
        """Draw no more maps."""
        self._timer.stop()

    def _onSelection(self, *_arguments: object) -> None:
        if not self._filling:
            self._onChosen()

    def _drawNext(self) -> None:
        if not self._todo:
            self._timer.stop()
            return
        row = self._todo.pop(0)
        scan = self._scans[row]
        try:
            key = (scan.segmentation, scan.segmentation.stat().st_mtime_ns)
            if key not in self._maps:
                self._maps[key] = map_of(scan)
            self._table.item(row, 0).setIcon(qt.QIcon(self._maps[key]))
        except (OSError, SceneError):
            self._table.item(row, 0).setText(_("none"))


def map_of(scan: RankedScan) -> qt.QPixmap:
    """The slice in which the model is least sure: its segments in grey, the unsure regions in their colours.

    Raises SceneError and OSError where the draft cannot be read.
    """
    labels = read_nrrd(scan.segmentation)
    regions = np.zeros_like(labels) if scan.regions is None else read_nrrd(scan.regions)
    if regions.shape != labels.shape:
        raise SceneError(_("The regions do not fit the draft."))
    unsure = regions == UNRELIABLE_STABLE
    plane = int((unsure if unsure.any() else labels > 0).sum(axis=(1, 2)).argmax())
    colours = np.full((*labels.shape[1:], 3), NOTHING, np.uint8)
    colours[labels[plane] > 0] = SEGMENT
    for region, colour in REGION_COLOURS.items():
        if region > 1:
            colours[regions[plane] == region] = [round(255 * part) for part in colour]
    return _pixmap(colours)


def _pixmap(colours: np.ndarray) -> qt.QPixmap:
    """A picture of uint8 [rows, columns, 3], thinned out to SIDE."""
    step = max(1, -(-max(colours.shape[:2]) // SIDE))
    small = colours[::step, ::step]
    rows, columns = small.shape[:2]
    pixmap = qt.QPixmap(columns, rows)
    painter = qt.QPainter(pixmap)
    values, where = np.unique(small.reshape(-1, 3), axis=0, return_inverse=True)
    where = where.reshape(rows, columns)
    for number, colour in enumerate(values.tolist()):
        for row in range(rows):
            for column in np.flatnonzero(where[row] == number).tolist():
                painter.fillRect(column, row, 1, 1, qt.QColor(*colour))
    painter.end()
    return pixmap.scaled(SIDE, SIDE, qt.Qt.KeepAspectRatio)
