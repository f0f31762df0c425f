"""Stand-ins for the ctk widgets of two numbers: ctkRangeWidget and ctkDoubleRangeSlider."""

from __future__ import annotations

from PySide6 import QtCore, QtWidgets
from slicer_stand_in.stand_in import computed, slot, stand_in, stored


class BoundedRange(QtWidgets.QWidget):
    """Two numbers in order, kept within two bounds."""

    _low = 0.0
    _high = 99.0
    _first = 0.0
    _second = 99.0

    @slot(float, float)
    def setValues(self, first: float, second: float) -> None:
        self._set_values(first, second)

    @slot(float, float)
    def setRange(self, low: float, high: float) -> None:
        self._set_bounds(min(low, high), max(low, high))

    @slot(float)
    def setMinimumValue(self, value: float) -> None:
        self._set_first(value)

    @slot(float)
    def setMaximumValue(self, value: float) -> None:
        self._set_second(value)

    def _set_bounds(self, low: float, high: float) -> None:
        if (low, high) != (self._low, self._high):
            self._low, self._high = low, high
            self._set_values(self._first, self._second)
            self.rangeChanged.emit(low, high)

    def _set_values(self, first: float, second: float) -> None:
        first, second = (min(max(value, self._low), self._high) for value in sorted((first, second)))
        before = self._first, self._second
        self._first, self._second = first, second
        if before != (first, second):
            self._values_changed(*before)

    def _values_changed(self, first: float, second: float) -> None:
        self.valuesChanged.emit(self._first, self._second)
        if self._first != first:
            self.minimumValueChanged.emit(self._first)
        if self._second != second:
            self.maximumValueChanged.emit(self._second)

    def _set_first(self, value: float) -> None:
        self._set_values(min(value, self._second), self._second)

    def _set_second(self, value: float) -> None:
        self._set_values(self._first, max(value, self._first))


def range_properties() -> tuple[QtCore.Property, ...]:
    """minimum, maximum, minimumValue and maximumValue, for each class anew."""
    return (
        computed("minimum", float, lambda w: w._low, lambda w, value: w._set_bounds(value, max(value, w._high))),
        computed("maximum", float, lambda w: w._high, lambda w, value: w._set_bounds(min(value, w._low), value)),
        computed("minimumValue", float, lambda w: w._first, lambda w, value: w._set_first(value)),
        computed("maximumValue", float, lambda w: w._second, lambda w, value: w._set_second(value)),
    )


@stand_in
class ctkRangeWidget(BoundedRange):
    valuesChanged = QtCore.Signal(float, float)
    minimumValueChanged = QtCore.Signal(float)
    maximumValueChanged = QtCore.Signal(float)
    minimumValueIsChanging = QtCore.Signal(float)
    maximumValueIsChanging = QtCore.Signal(float)
    rangeChanged = QtCore.Signal(float, float)

    minimum, maximum, minimumValue, maximumValue = range_properties()
    singleStep = stored("singleStep", float, 1.0)
    decimals = stored("decimals", int, 2)
    prefix = stored("prefix", str, "")
    suffix = stored("suffix", str, "")
    tickInterval = stored("tickInterval", float, 0.0)
    autoSpinBoxWidth = stored("autoSpinBoxWidth", bool, True)
    spinBoxTextAlignment = stored("spinBoxTextAlignment", int, 129)
    spinBoxAlignment = stored("spinBoxAlignment", int, 128)
    tracking = stored("tracking", bool, True)
    symmetricMoves = stored("symmetricMoves", bool, False)
    customSpinBoxesLimitsMin = computed("customSpinBoxesLimitsMin", float, lambda w: 1.7976931348623157e308)
    customSpinBoxesLimitsMax = computed("customSpinBoxesLimitsMax", float, lambda w: 0.0)

    @slot(int)
    def setDecimals(self, decimals: int) -> None:
        self.decimals = decimals

    @slot()
    def reset(self) -> None:
        self._set_values(self._low, self._high)

    def _values_changed(self, first: float, second: float) -> None:
        self.valuesChanged.emit(self._first, self._second)
        if self._first != first:
            self.minimumValueIsChanging.emit(self._first)
            self.minimumValueChanged.emit(self._first)
        if self._second != second:
            self.maximumValueChanged.emit(self._second)


@stand_in
class ctkDoubleRangeSlider(BoundedRange):
    valuesChanged = QtCore.Signal(float, float)
    positionsChanged = QtCore.Signal(float, float)
    minimumValueChanged = QtCore.Signal(float)
    maximumValueChanged = QtCore.Signal(float)
    rangeChanged = QtCore.Signal(float, float)
    sliderPressed = QtCore.Signal()
    sliderReleased = QtCore.Signal()

    minimum, maximum, minimumValue, maximumValue = range_properties()
    minimumPosition = computed("minimumPosition", float, lambda w: w._first, lambda w, value: w._set_first(value))
    maximumPosition = computed("maximumPosition", float, lambda w: w._second, lambda w, value: w._set_second(value))
    singleStep = stored("singleStep", float, 1.0)
    tracking = stored("tracking", bool, True)
    orientation = stored("orientation", int, 2)
    tickInterval = stored("tickInterval", float, 0.0)
    tickPosition = stored("tickPosition", int, 0)
    symmetricMoves = stored("symmetricMoves", bool, False)
