"""The table of uncertain components in the panel, and the numbers and names in it as people read them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import qt
from slicer.i18n import tr as _

from alhvr.formats.region_tables import UNRELIABLE_STABLE, RegionTable
from ALHVRLib.scene.region_colours import REGION_COLOURS

if TYPE_CHECKING:
    from ALHVRLib.places.components import Component, Components

FIRST = 20
"""Places that people may look through in one sitting."""
TEACHER_COLUMN = 4
"""Column that is there only with a teacher map."""
_NEAR_COLUMN = 3


def number_text(ml: float) -> str:
    """A volume in ml, with three digits that matter."""
    if 0 < ml < 0.001:
        return "< 0.001"
    digits = 1 if ml >= 10 else 2 if ml >= 1 else 3
    return f"{ml:.{digits}f}"


def volume_text(ml: float | None) -> str:
    """A volume with its unit; "" for None."""
    return "" if ml is None else _("{volume} ml").format(volume=number_text(ml))


def region_name(region: int) -> str:
    """How many networks are sure in region 2 or 3, for the list."""
    return _("none") if region == UNRELIABLE_STABLE else _("one")


def result_text(table: RegionTable) -> str:
    """What fusion and T were for a result, and what they do."""
    fusions = {"mean": _("the mean of both networks"), "competition": _("the more confident network")}
    told = []
    if table.fusion:
        rule = fusions.get(table.fusion, table.fusion)
        told.append(_("Where the networks differ, {rule} chose the label (fusion).").format(rule=rule))
    if table.temperature is not None:
        temperature = f"{table.temperature:g}"
        told.append(_("Where neither is sure, T = {number} sharpened the teacher.").format(number=temperature))
    if told:
        told.append(_("To change them, set them above and segment again."))
    if table.nominal:
        told.append(_("The scan may not state its true voxel size: 1 ml stands for 1,000 voxels here."))
    return " ".join(told)


def places_text(found: Components) -> str:
    """What stands above the list of places: how much of all doubt a look at the first of them covers."""
    n_parts = len(found.parts)
    if not n_parts:
        return _("Both networks are sure everywhere at this beta.")
    if n_parts <= FIRST and found.is_all:
        return _("All places, worst first:")
    first = min(FIRST, n_parts)
    percent = round(100 * found.share(first))
    text = _("The {n} worst places, worst first. The first {first} hold {percent} % of the doubt.")
    return text.format(n=n_parts, first=first, percent=percent)


def colour_icon(region: int, pixels: int = 16) -> qt.QIcon:
    """A square in the colour of a region, framed so that it is seen on any background."""
    pixmap = qt.QPixmap(pixels, pixels)
    pixmap.fill(qt.QColor(128, 128, 128))
    painter = qt.QPainter(pixmap)
    painter.fillRect(1, 1, pixels - 2, pixels - 2, qt.QColor(*(round(255 * part) for part in REGION_COLOURS[region])))
    painter.end()
    icon = qt.QIcon(pixmap)
    icon.addPixmap(pixmap, qt.QIcon.Selected)  # the same colour in a selected row
    return icon


class ComponentTable:
    """Shows Parts in a QTableWidget; onChosen(part) when a row becomes the current one."""

    def __init__(self, table: qt.QTableWidget, onChosen: Callable[[Component], None]) -> None:
        self._table = table
        self._onChosen = onChosen
        self._parts = ()
        table.setColumnCount(5)
        titles = (_("Sure"), _("ml"), _("Doubt, ml"), _("Near"), _("Teacher"))
        tips = (
            _("How many networks are sure: none, or one of the two."),
            _("Volume of the place in millilitres."),
            _("The list is sorted by this, the volume that is expected to be wrong: over all voxels the sum of "
              "1 - confidence of the more confident network."),
            _("Segments at these voxels or beside them, most voxels first."),
            _("How certain the sharpened teacher is here on average; only where neither network is sure."),
        )
        table.setHorizontalHeaderLabels(titles)
        for column, tip in enumerate(tips):
            table.horizontalHeaderItem(column).setToolTip(tip)
            table.horizontalHeader().setSectionResizeMode(column, qt.QHeaderView.ResizeToContents)
        table.horizontalHeader().setSectionResizeMode(_NEAR_COLUMN, qt.QHeaderView.Stretch)
        table.connect("currentCellChanged(int,int,int,int)", self.onCurrentCell)
        table.connect("cellClicked(int,int)", self.onClicked)

    def clear(self) -> None:
        """Show nothing."""
        self.fill((), (), 0.0, False)

    def fill(self, parts: Sequence[Component], touched: Sequence[Sequence[str]], voxel_ml: float,
             with_teacher: bool) -> None:
        """Show Parts; touched: names of segments for each. No row is current, so that no view moves by itself."""
        self._parts = ()
        self._table.setRowCount(0)
        self._table.setRowCount(len(parts))
        for row, (part, names) in enumerate(zip(parts, touched, strict=True)):
            teacher = "" if part.teacher is None else _("{n} %").format(n=round(100 * part.teacher))
            uncertainty, volume = number_text(part.uncertainty * voxel_ml), number_text(part.voxels * voxel_ml)
            texts = (region_name(part.region), volume, uncertainty, ", ".join(names[:2]), teacher)
            for column, text in enumerate(texts):
                item = qt.QTableWidgetItem(text)
                if column in (1, 2, TEACHER_COLUMN):
                    item.setTextAlignment(qt.Qt.AlignRight | qt.Qt.AlignVCenter)
                self._table.setItem(row, column, item)
            self._table.item(row, 0).setIcon(colour_icon(part.region))
            self._table.item(row, _NEAR_COLUMN).setToolTip(", ".join(names))
        self._table.setColumnHidden(TEACHER_COLUMN, not with_teacher)
        self._parts = tuple(parts)

    def chosen(self) -> Component | None:
        """The Part of the current row, or None."""
        row = self._table.currentRow()
        return self._parts[row] if 0 <= row < len(self._parts) else None

    def step(self, rows: int) -> None:
        """Go some rows down (up where negative); from no row to the first."""
        last = len(self._parts) - 1
        if last >= 0:
            row = self._table.currentRow()
            self._table.setCurrentCell(min(max(row + rows, 0), last) if row >= 0 else 0, 0)

    @property
    def isEmpty(self) -> bool:
        """Whether it shows no place."""
        return not self._parts

    def onCurrentCell(self, row: int, _column: int, former_row: int, _former_column: int) -> None:
        """Another row became the current one."""
        if row != former_row:
            self._tell()

    def onClicked(self, *_arguments: object) -> None:
        """A row was clicked, perhaps the current one again."""
        self._tell()

    def _tell(self) -> None:
        part = self.chosen()
        if part is not None:
            self._onChosen(part)
