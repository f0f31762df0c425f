"""SettingRow: one setting in the panel, as its description says: title, field, unit, reset arrow and a sentence.

PreviewRow: the choice of a scan by its name, as which scans there are is known from the project alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import qt
from slicer.i18n import tr as _

from alhvr.formats.settings_description import SettingDescription

ARROW = "\u21ba"
MOST_LETTERS = 60
BELOW = 8
"""Pixels between a sentence and the next setting."""
MOST_SCANS = 2000
"""In one list."""
PREVIEWS = (
    SettingDescription("preview", "held_out", "Held-out case to show", "Shown while it trains, redrawn with its "
                       "segmentation and regions whenever the training is scored.", "choice",
                       words={None: "the first one"}),
    SettingDescription("preview", "archive", "Scan of the archive to show", "The same of a scan without a label; "
                       "choose one that you know.", "choice", words={None: "the first one"}),
)
"""Which scans a training shows; what it learns is the same with any of them."""


class SettingRow:
    """The widgets of a setting; nothing else knows which kind of field it has.

    Args:
        setting: what is shown.
        parent: the widget that holds it.
        onChange: called with the setting and its new value when the user changed it, None where it is left open.
    """

    def __init__(self, setting: SettingDescription, parent: qt.QWidget,
                 onChange: Callable[[SettingDescription, Any], None]) -> None:
        self.setting = setting
        self._onChange = onChange
        self._showing = False
        self._default: Any = None
        self.title = qt.QLabel(_(setting.title), parent)
        self.field = self._made(parent)
        self.unit = qt.QLabel(_(setting.unit), parent)
        self.reset = qt.QToolButton(parent)
        self.reset.text = ARROW
        self.reset.connect("clicked()", self.onReset)
        self.sentence = qt.QLabel(_(setting.sentence), parent)
        self.sentence.setWordWrap(True)
        self.sentence.setContentsMargins(0, 0, 0, BELOW)
        self.field.toolTip = _(setting.sentence)
        self.field.setAccessibleName(_(setting.title))
        self.title.setBuddy(self.field)
        for widget in (self.title, self.unit, self.sentence):
            widget.setTextFormat(qt.Qt.PlainText)

    def addTo(self, grid: qt.QGridLayout) -> None:
        """Put it below what is there: a line of fields, and a line with the sentence."""
        line = grid.rowCount()
        for column, widget in enumerate((self.title, self.field, self.unit, self.reset)):
            grid.addWidget(widget, line, column)
        grid.addWidget(self.sentence, line + 1, 0, 1, 4)

    def show(self, value: Any, default: Any, editable: bool) -> None:
        """Show a value beside the default to which the arrow leads."""
        self._showing, self._default = True, default
        try:
            self._put(value)
        finally:
            self._showing = False
        self.field.setEnabled(editable)
        self.reset.setEnabled(editable and value != default)
        self.reset.toolTip = _("Back to the default: {value}").format(value=self._words(default))
        self.reset.setAccessibleName(_("{setting} back to the default").format(setting=_(self.setting.title)))

    def onReset(self, *_arguments: object) -> None:
        """Back to the default."""
        self._onChange(self.setting, self._default)

    def onEdited(self, *_arguments: object) -> None:
        """The user changed the field."""
        if not self._showing:
            self._onChange(self.setting, self._got())

    def _made(self, parent: qt.QWidget) -> qt.QWidget:
        setting = self.setting
        if setting.kind == "choice":
            box = qt.QComboBox(parent)
            for value in setting.choices:
                box.addItem(_(setting.words[value]))
            box.connect("currentIndexChanged(int)", self.onEdited)
            box.setSizeAdjustPolicy(qt.QComboBox.AdjustToMinimumContentsLengthWithIcon)
            box.setMinimumContentsLength(12)
            return box
        if setting.kind == "sizes":
            line = qt.QLineEdit(parent)
            line.setPlaceholderText(_(setting.automatic))
            line.setMaxLength(MOST_LETTERS)
            line.connect("editingFinished()", self.onEdited)
            return line
        box = qt.QDoubleSpinBox(parent)
        box.setDecimals(setting.decimals)
        box.setSingleStep(setting.step)
        box.setRange(setting.low - setting.step if setting.automatic else setting.low, setting.high)
        box.setSpecialValueText(_(setting.automatic))
        box.setKeyboardTracking(False)
        box.connect("valueChanged(double)", self.onEdited)
        return box

    def _put(self, value: Any) -> None:
        if self.setting.kind == "choice":
            known = self.setting.choices
            self.field.setCurrentIndex(known.index(value) if value in known else -1)
        elif self.setting.kind == "sizes":
            self.field.setText("" if value is None else ", ".join(map(str, value)))
        else:
            self.field.setValue(self.field.minimum if value is None else value)

    def _got(self) -> Any:
        if self.setting.kind == "choice":
            return self.setting.choices[self.field.currentIndex] if self.field.currentIndex >= 0 else None
        if self.setting.kind == "sizes":
            return sizes_in(self.field.text)
        if self.setting.automatic and self.field.value < self.setting.low:
            return None
        return int(self.field.value) if self.setting.kind == "whole" else round(self.field.value, self.setting.decimals)

    def _words(self, value: Any) -> str:
        if self.setting.kind == "choice":
            return _(self.setting.words.get(value, ""))
        if value is None:
            return _(self.setting.automatic)
        return ", ".join(map(str, value)) if isinstance(value, tuple) else f"{value:g}"


class PreviewRow:
    """A list of scans, the first entry leaving the choice to the engine.

    Args:
        setting: one of PREVIEWS.
        box: the list in the panel.
        onChange: as that of SettingRow.
    """

    def __init__(self, setting: SettingDescription, box: qt.QComboBox,
                 onChange: Callable[[SettingDescription, Any], None]) -> None:
        self.setting, self._box, self._onChange = setting, box, onChange
        self._offered: tuple[str | None, ...] = ()
        self._showing = False
        box.toolTip = _(setting.sentence)
        box.setAccessibleName(_(setting.title))
        box.connect("currentIndexChanged(int)", self.onChosen)

    def show(self, names: Sequence[str], value: object) -> None:
        """Offer these names; a value that is none of them stays the choice, and is said to be missing."""
        names = tuple(dict.fromkeys(names))[:MOST_SCANS]
        value = value if isinstance(value, str) and value else None
        offered = (None, *names, *(() if value is None or value in names else (value,)))
        self._showing = True
        if offered != self._offered:
            self._offered = offered
            self._box.clear()
            for name in offered:
                self._box.addItem(self._words(name, names))
        self._box.setCurrentIndex(offered.index(value))
        self._showing = False

    def onChosen(self, place: int) -> None:
        """Another one was chosen."""
        if not self._showing and 0 <= place < len(self._offered):
            self._onChange(self.setting, self._offered[place])

    def _words(self, name: str | None, names: Sequence[str]) -> str:
        if name is None:
            return _(self.setting.words[None])
        return name if name in names else _("{name} (not there)").format(name=name[:MOST_LETTERS])


def sizes_in(text: str) -> tuple[int, ...] | str | None:
    """The whole numbers of a text such as "96, 96"; None for nothing; the text itself where it holds others."""
    parts = text.replace("x", " ").replace(",", " ").split()
    if not parts:
        return None
    return tuple(map(int, parts)) if all(part.isascii() and part.isdigit() for part in parts) else text
