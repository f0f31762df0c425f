"""Stand-in for ctkSliderWidget, a slider with its spin box."""

from __future__ import annotations

from PySide6 import QtCore, QtWidgets
from slicer_stand_in.ctk_numbers import BoundedNumber, ctkDoubleSlider, ctkDoubleSpinBox, number_properties
from slicer_stand_in.stand_in import slot, stand_in, stored


@stand_in
class ctkSliderWidget(BoundedNumber):
    valueChanged = QtCore.Signal(float)
    valueIsChanging = QtCore.Signal(float)
    decimalsChanged = QtCore.Signal(int)

    _high = 99.99
    minimum, maximum, value, singleStep = number_properties()
    pageStep = stored("pageStep", float, 10.0)
    decimals = stored("decimals", int, 2, "_decimals_changed")
    prefix = stored("prefix", str, "", "_show_number")
    suffix = stored("suffix", str, "", "_show_number")
    tickInterval = stored("tickInterval", float, 0.0)
    tickPosition = stored("tickPosition", int, 0)
    synchronizeSiblings = stored("synchronizeSiblings", int, 1)
    spinBoxAlignment = stored("spinBoxAlignment", int, 129)
    tracking = stored("tracking", bool, True)
    spinBoxVisible = stored("spinBoxVisible", bool, True, "_show_number")
    popupSlider = stored("popupSlider", bool, False)
    invertedAppearance = stored("invertedAppearance", bool, False)
    invertedControls = stored("invertedControls", bool, False)

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._slider, self._box = ctkDoubleSlider(), ctkDoubleSpinBox()
        self._slider.objectName, self._box.objectName = "Slider", "SpinBox"
        self._slider.setOrientation(1)
        row = QtWidgets.QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._slider, 1)
        row.addWidget(self._box)
        self._showing, self._dragged_from = False, None
        self._slider.valueChanged.connect(self._by_hand)
        self._box.valueChanged.connect(self._by_hand)
        self._slider.sliderPressed.connect(self._drag_started)
        self._slider.sliderReleased.connect(self._drag_ended)
        self._show_number()

    @slot(int)
    def setDecimals(self, decimals: int) -> None:
        self.decimals = decimals

    @slot(bool)
    def setSpinBoxVisible(self, visible: bool) -> None:
        self.spinBoxVisible = visible

    @slot()
    def reset(self) -> None:
        self._set_number(0.0)

    def _by_hand(self, value: float) -> None:
        if not self._showing:
            self._set_number(value)

    def _drag_started(self) -> None:
        self._dragged_from = None if self.tracking else self._number

    def _drag_ended(self) -> None:
        start, self._dragged_from = self._dragged_from, None
        if start is not None and start != self._number:
            self.valueChanged.emit(self._number)

    def _decimals_changed(self) -> None:
        self._show_number()
        self.decimalsChanged.emit(self.decimals)

    def _number_changed(self) -> None:
        if not self.tracking:
            self.valueIsChanging.emit(self._number)
        if self._dragged_from is None:
            self.valueChanged.emit(self._number)

    def _show_number(self) -> None:
        self._showing = True
        self._box.decimals, self._box.prefix, self._box.suffix = self.decimals, self.prefix, self.suffix
        self._box.setVisible(self.spinBoxVisible)
        for part in (self._slider, self._box):
            part.minimum, part.maximum, part.singleStep = self._low, self._high, self._step
            part.value = self._number
        self._showing = False
