"""Stand-ins for the ctk widgets of one number: ctkDoubleSlider and ctkDoubleSpinBox."""

from __future__ import annotations

from PySide6 import QtCore, QtWidgets
from slicer_stand_in.qt_signals import overload
from slicer_stand_in.stand_in import computed, slot, stand_in, stored

STEPS = 10000


class BoundedNumber(QtWidgets.QWidget):
    """A number that is kept within two bounds and is never rounded to the decimals that are shown."""

    _low = 0.0
    _high = 99.0
    _number = 0.0
    _step = 1.0

    @slot(float)
    def setValue(self, value: float) -> None:
        self._set_number(value)

    def _set_low(self, value: float) -> None:
        self._set_bounds(value, max(value, self._high))

    def _set_high(self, value: float) -> None:
        self._set_bounds(min(value, self._low), value)

    def _set_bounds(self, low: float, high: float) -> None:
        if (low, high) == (self._low, self._high):
            return
        self._low, self._high = low, high
        self._set_number(self._number)
        self._bounds_changed()
        self._show_number()

    def _set_number(self, value: float) -> None:
        value = min(max(value, self._low), self._high)
        if value != self._number:
            self._number = value
            self._show_number()
            self._number_changed()

    def _set_step(self, value: float) -> None:
        if value > 0:
            self._step = value
            self._show_number()

    def _bounds_changed(self) -> None:
        """For those with a signal for it."""

    def _number_changed(self) -> None:
        self.valueChanged.emit(self._number)

    def _show_number(self) -> None:
        """For those with parts to update."""


def number_properties() -> tuple[QtCore.Property, ...]:
    """minimum, maximum, value and singleStep, for each class anew: PySide binds a property to one class."""
    minimum = computed("minimum", float, lambda w: w._low, lambda w, value: w._set_low(value))
    maximum = computed("maximum", float, lambda w: w._high, lambda w, value: w._set_high(value))
    value = computed("value", float, lambda w: w._number, lambda w, value: w._set_number(value))
    step = computed("singleStep", float, lambda w: w._step, lambda w, value: w._set_step(value))
    return minimum, maximum, value, step


@stand_in
class ctkDoubleSlider(BoundedNumber):
    valueChanged = QtCore.Signal(float)
    sliderMoved = QtCore.Signal(float)
    sliderPressed = QtCore.Signal()
    sliderReleased = QtCore.Signal()
    rangeChanged = QtCore.Signal(float, float)

    minimum, maximum, value, singleStep = number_properties()
    sliderPosition = computed("sliderPosition", float, lambda w: w._number, lambda w, value: w._set_number(value))
    pageStep = stored("pageStep", float, 10.0)
    tickInterval = stored("tickInterval", float, 0.0)
    tickPosition = stored("tickPosition", int, 0)
    tracking = stored("tracking", bool, True)
    orientation = stored("orientation", int, 2, "_turn")
    handleToolTip = stored("handleToolTip", str, "")
    invertedAppearance = stored("invertedAppearance", bool, False)
    invertedControls = stored("invertedControls", bool, False)

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._bar = QtWidgets.QSlider(QtCore.Qt.Vertical)
        self._bar.setRange(0, STEPS)
        row = QtWidgets.QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._bar)
        self._bar.actionTriggered.connect(self._by_hand)
        self._bar.sliderPressed.connect(lambda: self.sliderPressed.emit())
        self._bar.sliderReleased.connect(lambda: self.sliderReleased.emit())

    @slot(int)
    def setOrientation(self, orientation: int) -> None:
        self.orientation = orientation

    def _by_hand(self, *_: object) -> None:
        value = self._low + self._bar.sliderPosition / STEPS * (self._high - self._low)
        self.sliderMoved.emit(value)
        self._set_number(value)

    def _turn(self) -> None:
        self._bar.setOrientation(QtCore.Qt.Orientation(self.orientation))

    def _bounds_changed(self) -> None:
        self.rangeChanged.emit(self._low, self._high)

    def _show_number(self) -> None:
        span = self._high - self._low
        self._bar.setValue(round(STEPS * (self._number - self._low) / span) if span else 0)


@stand_in
class ctkDoubleSpinBox(BoundedNumber):
    valueChanged = QtCore.Signal((float,), (str,))
    decimalsChanged = QtCore.Signal(int)
    editingFinished = QtCore.Signal()
    DecimalsByShortcuts, ReplaceDecimals = 0x01, 0x10

    _high = 99.99
    minimum, maximum, value, singleStep = number_properties()
    alignment = stored("alignment", int, 129)
    frame = stored("frame", bool, True)
    readOnly = stored("readOnly", bool, False, "_show_number")
    prefix = stored("prefix", str, "", "_show_number")
    suffix = stored("suffix", str, "", "_show_number")
    decimals = stored("decimals", int, 2, "_decimals_changed")
    decimalsOption = stored("decimalsOption", int, 9)
    setMode = stored("setMode", int, 1)
    sizeHintPolicy = stored("sizeHintPolicy", int, 0)
    invertedControls = stored("invertedControls", bool, False)
    cleanText = computed("cleanText", str, lambda w: w._text)
    isSettingValue = computed("isSettingValue", bool, lambda w: False)

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._text = ""
        self._box = QtWidgets.QDoubleSpinBox()
        row = QtWidgets.QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._box)
        self._showing = False
        self._box.valueChanged.connect(self._typed)
        self._box.editingFinished.connect(lambda: self.editingFinished.emit())
        self._show_number()
        self._text = ""

    @slot(float)
    def setValueIfDifferent(self, value: float) -> None:
        self._set_number(value)

    @slot(int)
    def setDecimals(self, decimals: int) -> None:
        self.decimals = decimals

    @slot(bool)
    def setReadOnly(self, read_only: bool) -> None:
        self.readOnly = read_only

    @slot()
    def stepUp(self) -> None:
        self._set_number(self._number + self._step)

    @slot()
    def stepDown(self) -> None:
        self._set_number(self._number - self._step)

    def _typed(self, value: float) -> None:
        if not self._showing:
            self._set_number(value)

    def _decimals_changed(self) -> None:
        self._show_number()
        self.decimalsChanged.emit(self.decimals)

    def _number_changed(self) -> None:
        self.valueChanged.emit(self._number)
        overload(self.valueChanged, str).emit(self._text)

    def _show_number(self) -> None:
        self._showing = True
        self._box.setDecimals(self.decimals)
        self._box.setRange(self._low, self._high)
        self._box.setSingleStep(self._step)
        self._box.setPrefix(self.prefix)
        self._box.setSuffix(self.suffix)
        self._box.setReadOnly(self.readOnly)
        self._box.setValue(self._number)
        self._text = self._box.cleanText
        self._showing = False
