"""TableView: the labelled cases as a table, with a picture, a tick for each structure, and what is wrong."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import qt
from slicer.i18n import tr as _

from ALHVRTrainerLib.cases.case_table import ABSENT, ANNOTATED, NOT_ANNOTATED, CaseRow, CaseTable

TICKS = {ANNOTATED: "\u2713", NOT_ANNOTATED: "\u2013", ABSENT: ""}
UNKNOWN = "\u2026"
WORDS = {ANNOTATED: _("annotated here"), NOT_ANNOTATED: _("not annotated in this case: nothing is learnt of it here"),
         ABSENT: _("absent: the patient has none, it is learnt as background")}
PICTURE_PX, FAULT_PX = 40, 20
FIRST_TICK = 2
"""Column of the first structure; what must be seen comes before, the rest after."""
MOST_ROWS_HIGH = 7
"""So many cases are seen without scrolling."""
FULL, OUTLINED = 255, 0.55


class TableView:
    """Shows a CaseTable in a QTableWidget.

    Args:
        table: the widget.
        onTick: called with the row and the name of a structure whose tick is to change.
        onHeldOut: called with the row whose holding out is to change.
        onAnnotator: called with the row and a name that was typed.
    """

    def __init__(self, table: qt.QTableWidget, *, onTick: Callable[[CaseRow, str], None],
                 onHeldOut: Callable[[CaseRow], None], onAnnotator: Callable[[CaseRow, str], None]) -> None:
        self._table, self._onTick, self._onHeldOut, self._onAnnotator = table, onTick, onHeldOut, onAnnotator
        self._shown: CaseTable | None = None
        self._canWrite = True
        self._filling = False
        table.setSelectionBehavior(qt.QAbstractItemView.SelectItems)
        table.setSelectionMode(qt.QAbstractItemView.SingleSelection)
        table.verticalHeader().hide()
        table.setIconSize(qt.QSize(PICTURE_PX, PICTURE_PX))
        table.setHorizontalScrollMode(qt.QAbstractItemView.ScrollPerPixel)
        table.connect("cellClicked(int,int)", self.onClicked)
        table.connect("cellChanged(int,int)", self.onChanged)

    def show(self, cases: CaseTable, canWrite: bool) -> None:
        """Show the cases; nothing happens where they are those that are shown."""
        if cases is self._shown and canWrite == self._canWrite:
            return
        row, column = self._table.currentRow(), self._table.currentColumn()
        self._filling = True
        try:
            self._fill(cases, canWrite)
        finally:
            self._filling = False
        if cases.rows:
            self._table.setCurrentCell(max(0, min(row, len(cases.rows) - 1)), max(0, column))

    @property
    def current(self) -> CaseRow | None:
        """The case of the row that is chosen."""
        row = self._table.currentRow()
        there = self._shown is not None and 0 <= row < len(self._shown.rows)
        return self._shown.rows[row] if there else None

    def tickCurrent(self) -> None:
        """Change the tick in the chosen cell, as a click does."""
        self.onClicked(self._table.currentRow(), self._table.currentColumn())

    def onClicked(self, row: int, column: int) -> None:
        """A cell with a tick was clicked."""
        if self._shown is None or not self._canWrite or not 0 <= row < len(self._shown.rows):
            return
        names, case = self._shown.names, self._shown.rows[row]
        if FIRST_TICK <= column < FIRST_TICK + len(names):
            self._onTick(case, names[column - FIRST_TICK])
        elif column == len(names) + 2:
            self._onHeldOut(case)

    def onChanged(self, row: int, column: int) -> None:
        """A name was typed."""
        if not self._filling and self._shown is not None and column == len(self._shown.names) + 4:
            self._onAnnotator(self._shown.rows[row], self._table.item(row, column).text().strip())

    def _fill(self, cases: CaseTable, canWrite: bool) -> None:
        self._shown, self._canWrite = cases, canWrite
        table, names = self._table, cases.names
        titles = (_("Case"), "!", *names, _("Held out"), _("Slices"), _("Annotator"), _("On"))
        table.setColumnCount(len(titles))
        table.setHorizontalHeaderLabels([title if len(title) <= 14 else title[:13] + UNKNOWN for title in titles])
        for column, title in enumerate(titles):
            table.horizontalHeaderItem(column).setToolTip(title if column != 1 else _("What the check found"))
            table.horizontalHeader().setSectionResizeMode(column, qt.QHeaderView.ResizeToContents)
        table.setRowCount(len(cases.rows))
        for number, case in enumerate(cases.rows):
            for column, item in enumerate(self._items(case, cases)):
                table.setItem(number, column, item)
            table.setRowHeight(number, PICTURE_PX + 4)
        rows = max(1, min(len(cases.rows), MOST_ROWS_HIGH))
        table.setFixedHeight(rows * (PICTURE_PX + 4) + table.horizontalHeader().sizeHint.height() + 20)

    def _items(self, case: CaseRow, cases: CaseTable) -> list[qt.QTableWidgetItem]:
        first = _item(case.name, _("{name}: {image}, {label}").format(
            name=case.name, image=case.image.name, label=case.label.name))
        found = cases.report.cases.get(case.name)
        if found is not None and found.picture is not None:
            first.setIcon(qt.QIcon(picture_of(found.picture, found.outline)))
        ticks = [_tick(case, name) for name in cases.names]
        slices = _item("" if case.nSlices is None else str(case.nSlices), _("Slices in which anything is annotated."))
        held = _item(TICKS[ANNOTATED] if case.heldOut else "", _("Held out for scoring: nothing is learnt from it."))
        for item in (slices, held):
            item.setTextAlignment(qt.Qt.AlignCenter)
        fault = _item("", case.fault or _("Nothing was found."))
        if case.fault:
            kind = qt.QStyle.SP_MessageBoxCritical if case.stopsTraining else qt.QStyle.SP_MessageBoxWarning
            fault.setIcon(qt.QIcon(self._table.style().standardIcon(kind).pixmap(FAULT_PX, FAULT_PX)))
        annotator = _item(case.annotator, _("Who drew the label: double-click to write it."), editable=self._canWrite)
        items = [first, fault, *ticks, held, slices, annotator, _item(case.annotatedOn, "")]
        if case.leftOut:
            for item in items:
                font = qt.QFont(item.font())
                font.setStrikeOut(True)
                item.setFont(font)
                item.setToolTip(_("Left out: not used."))
        return items


def _tick(case: CaseRow, name: str) -> qt.QTableWidgetItem:
    state = case.structures.get(name)
    word = WORDS.get(state, _("not known before the check has read the label"))
    text = UNKNOWN if state is None else TICKS[state]
    item = _item(text, f"{name}, {case.name}: {word}")
    item.setTextAlignment(qt.Qt.AlignCenter)
    return item


def _item(text: str, tip: str, *, editable: bool = False) -> qt.QTableWidgetItem:
    item = qt.QTableWidgetItem(text)
    item.setToolTip(tip)
    if not editable:
        item.setFlags(qt.Qt.ItemIsSelectable | qt.Qt.ItemIsEnabled)
    return item


def picture_of(grey: np.ndarray, outline: np.ndarray | None) -> qt.QPixmap:
    """A small picture of a slice [rows, columns] with its label tinted."""
    rgb = np.repeat(grey[..., None], 3, axis=2).astype(np.float32)
    if outline is not None and outline.shape == grey.shape:
        marked = outline != 0
        rgb[marked] = OUTLINED * rgb[marked] + (1 - OUTLINED) * np.array([255.0, 140.0, 0.0])
    pixels = np.dstack([rgb.astype(np.uint8), np.full(grey.shape, FULL, np.uint8)])
    rows, columns = grey.shape
    image = qt.QImage(columns, rows, qt.QImage.Format_ARGB32)
    image.loadFromData(_bmp(np.ascontiguousarray(pixels[..., [2, 1, 0, 3]])))
    return qt.QPixmap.fromImage(image).scaled(PICTURE_PX, PICTURE_PX, qt.Qt.KeepAspectRatio, qt.Qt.SmoothTransformation)


def _bmp(bgra: np.ndarray) -> bytes:
    """An uncompressed picture file of pixels [rows, columns, 4], which every Qt reads."""
    rows, columns, _four = bgra.shape
    data = bgra[::-1].tobytes()
    head = 54
    size = (head + len(data)).to_bytes(4, "little")
    info = b"".join(number.to_bytes(4, "little") for number in (40, columns, rows))
    return (b"BM" + size + bytes(4) + head.to_bytes(4, "little") + info + (1).to_bytes(2, "little")
            + (32).to_bytes(2, "little") + bytes(4) + len(data).to_bytes(4, "little") + bytes(16) + data)
