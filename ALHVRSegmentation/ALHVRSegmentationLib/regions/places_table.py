"""PlacesTable: the list of uncertain places in the panel; going through it calls back with the place."""

import qt
from slicer.i18n import tr as _

from ALHVRSegmentationLib.regions.texts import number_text, region_name
from ALHVRSegmentationLib.scene.region_nodes import REGION_COLOURS

TEACHER = 4
"""Column that is there only with a teacher map."""
_NEAR = 3


def colour_icon(region, pixels=16):
    """A square in the colour of a region, framed so that it is seen on any background."""
    pixmap = qt.QPixmap(pixels, pixels)
    pixmap.fill(qt.QColor(128, 128, 128))
    painter = qt.QPainter(pixmap)
    painter.fillRect(1, 1, pixels - 2, pixels - 2, qt.QColor(*(round(255 * part) for part in REGION_COLOURS[region])))
    painter.end()
    icon = qt.QIcon(pixmap)
    icon.addPixmap(pixmap, qt.QIcon.Selected)  # the same colour in a selected row
    return icon


class PlacesTable:
    """Shows Parts in a QTableWidget; onChosen(part) when a row becomes the current one."""

    def __init__(self, table, onChosen):
        self._table = table
        self._onChosen = onChosen
        self._parts = ()
        table.setColumnCount(5)
        titles = (_("Sure"), _("ml"), _("Doubt, ml"), _("Near"), _("Teacher"))
        tips = (
            _("How many networks are sure: none, or one of the two."),
            _("Volume of the place in millilitres."),
            _("The list is sorted by this, the volume that is expected to be wrong: over all voxels the sum of "
              "1 - confidence of the surer network."),
            _("Segments at these voxels or beside them, most voxels first."),
            _("How certain the sharpened teacher is here on average; only where neither network is sure."),
        )
        table.setHorizontalHeaderLabels(titles)
        for column, tip in enumerate(tips):
            table.horizontalHeaderItem(column).setToolTip(tip)
            table.horizontalHeader().setSectionResizeMode(column, qt.QHeaderView.ResizeToContents)
        table.horizontalHeader().setSectionResizeMode(_NEAR, qt.QHeaderView.Stretch)
        table.connect("currentCellChanged(int,int,int,int)", self.onCurrentCell)
        table.connect("cellClicked(int,int)", self.onClicked)

    def clear(self):
        """Show nothing."""
        self.fill((), (), 0.0, False)

    def fill(self, parts, touched, voxel_ml, with_teacher):
        """Show Parts; touched: names of segments for each. No row is current, so that no view moves by itself."""
        self._parts = ()
        self._table.setRowCount(0)
        self._table.setRowCount(len(parts))
        for row, (part, names) in enumerate(zip(parts, touched, strict=True)):
            teacher = "" if part.teacher is None else _("{n} %").format(n=round(100 * part.teacher))
            doubt, volume = number_text(part.doubt * voxel_ml), number_text(part.voxels * voxel_ml)
            for column, text in enumerate((region_name(part.region), volume, doubt, ", ".join(names[:2]), teacher)):
                item = qt.QTableWidgetItem(text)
                if column in (1, 2, TEACHER):
                    item.setTextAlignment(qt.Qt.AlignRight | qt.Qt.AlignVCenter)
                self._table.setItem(row, column, item)
            self._table.item(row, 0).setIcon(colour_icon(part.region))
            self._table.item(row, _NEAR).setToolTip(", ".join(names))
        self._table.setColumnHidden(TEACHER, not with_teacher)
        self._parts = tuple(parts)

    def chosen(self):
        """The Part of the current row, or None."""
        row = self._table.currentRow()
        return self._parts[row] if 0 <= row < len(self._parts) else None

    def step(self, rows):
        """Go some rows down (up where negative); from no row to the first."""
        last = len(self._parts) - 1
        if last >= 0:
            row = self._table.currentRow()
            self._table.setCurrentCell(min(max(row + rows, 0), last) if row >= 0 else 0, 0)

    @property
    def isEmpty(self):
        """Whether it shows no place."""
        return not self._parts

    def onCurrentCell(self, row, _column, former_row, _former_column):
        """Another row became the current one."""
        if row != former_row:
            self._tell()

    def onClicked(self, *_arguments):
        """A row was clicked, perhaps the current one again."""
        self._tell()

    def _tell(self):
        part = self.chosen()
        if part is not None:
            self._onChosen(part)
