"""Stand-ins for the ctk buttons and for the two frames that fold: ctkCollapsibleButton and ctkCollapsibleGroupBox."""

from __future__ import annotations

from PySide6 import QtCore, QtGui, QtWidgets
from slicer_stand_in.stand_in import Flags, computed, slot, stand_in, stored

HEADER_PX = 29
UNLIMITED_PX = 16777215


class ColorDialogOptions(Flags):
    """The numbers of ctkColorPickerButton::ColorDialogOption."""

    ShowAlphaChannel = 1
    NoButtons = 2
    DontUseNativeDialog = 4
    UseCTKColorDialog = 12


@stand_in
class ctkCollapsibleButton(QtWidgets.QAbstractButton):
    contentsCollapsed = QtCore.Signal(bool)

    collapsed = computed("collapsed", bool, lambda w: not w.isChecked(), lambda w, folded: w.setChecked(not folded))
    collapsedHeight = stored("collapsedHeight", int, 14)
    flat = stored("flat", bool, False)
    contentsFrameShape = stored("contentsFrameShape", int, 0)
    contentsFrameShadow = stored("contentsFrameShadow", int, 16)
    contentsLineWidth = stored("contentsLineWidth", int, 1)
    contentsMidLineWidth = stored("contentsMidLineWidth", int, 0)
    buttonTextAlignment = stored("buttonTextAlignment", int, 129)
    indicatorAlignment = stored("indicatorAlignment", int, 129)

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._was_shown, self._folded_away = False, []
        self.setCheckable(True)
        self.setChecked(True)
        self.setContentsMargins(0, HEADER_PX, 0, 0)
        self.setSizePolicy(QtWidgets.QSizePolicy.Minimum, QtWidgets.QSizePolicy.Preferred)
        self.toggled.connect(self._fold)

    def _fold(self, *_: object) -> None:
        self._hide_or_show()
        self.contentsCollapsed.emit(self.collapsed)

    def _hide_or_show(self) -> None:
        """What is hidden for another reason stays so; before the first show nothing is hidden at all."""
        if not self._was_shown:
            return
        self.setMaximumHeight(HEADER_PX if self.collapsed else UNLIMITED_PX)
        if self.collapsed:
            widgets = [child for child in self.children() if child.isWidgetType() and not child.isHidden()]
            self._folded_away += widgets
        else:
            widgets, self._folded_away = self._folded_away, []
        for widget in widgets:
            widget.setVisible(not self.collapsed)

    def showEvent(self, event: QtGui.QShowEvent) -> None:
        self._was_shown = True
        if self.collapsed:
            self._hide_or_show()

    def hitButton(self, position: QtCore.QPoint) -> bool:
        return position.y() < HEADER_PX

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:
        painter, option = QtWidgets.QStylePainter(self), QtWidgets.QStyleOptionButton()
        option.initFrom(self)
        option.rect = QtCore.QRect(0, 0, self.width, HEADER_PX - 5)
        option.text = ("▸ " if self.collapsed else "▾ ") + self.text
        painter.drawControl(QtWidgets.QStyle.CE_PushButton, option)


@stand_in
class qMRMLCollapsibleButton(ctkCollapsibleButton):
    _vtk_signals = ("mrmlSceneChanged(vtkMRMLScene*)",)
    mrmlSceneChanged = QtCore.Signal(object)
    _scene = None

    @slot("vtkMRMLScene")
    def setMRMLScene(self, scene: object) -> None:
        if scene is not self._scene:
            self._scene = scene
            self.mrmlSceneChanged.emit(scene)


@stand_in
class ctkCollapsibleGroupBox(QtWidgets.QGroupBox):
    collapsed = computed("collapsed", bool, lambda w: not w.isChecked(), lambda w, folded: w.setChecked(not folded))
    collapsedHeight = stored("collapsedHeight", int, 14)

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.setCheckable(True)
        self.setChecked(True)


@stand_in
class ctkPushButton(QtWidgets.QPushButton):
    buttonTextAlignment = stored("buttonTextAlignment", int, 132)
    iconAlignment = stored("iconAlignment", int, 129)
    elideMode = stored("elideMode", int, 3)


@stand_in
class ctkCheckablePushButton(ctkPushButton):
    checkBoxToggled = QtCore.Signal(bool)
    checkStateChanged = QtCore.Signal(int)

    indicatorAlignment = stored("indicatorAlignment", int, 129)
    checkState = stored("checkState", int, 0, "_state_changed")
    checkBoxControlsButton = stored("checkBoxControlsButton", bool, True)
    checkBoxControlsButtonToggleState = stored("checkBoxControlsButtonToggleState", bool, False)
    checkBoxUserCheckable = stored("checkBoxUserCheckable", bool, True)

    def _state_changed(self) -> None:
        on = bool(self.checkState)
        if self.checkBoxControlsButtonToggleState and self.isCheckable():
            self.setChecked(on)
        self.checkStateChanged.emit(self.checkState)
        self.checkBoxToggled.emit(on)


@stand_in
class ctkMenuButton(QtWidgets.QPushButton):
    pass


@stand_in
class ctkExpandButton(QtWidgets.QToolButton):
    orientation = stored("orientation", int, 1)
    mirrorOnExpand = stored("mirrorOnExpand", bool, False)

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.setCheckable(True)


@stand_in
class ctkColorPickerButton(QtWidgets.QPushButton):
    colorChanged = QtCore.Signal(QtGui.QColor)
    colorNameChanged = QtCore.Signal(str)
    ColorDialogOptions = ColorDialogOptions
    _color = QtGui.QColor(0, 0, 0)

    color = computed("color", QtGui.QColor, lambda w: QtGui.QColor(w._color), lambda w, color: w._set_color(color))
    colorName = stored("colorName", str, "")
    displayColorName = stored("displayColorName", bool, True)
    dialogOptions = stored("dialogOptions", ColorDialogOptions, ColorDialogOptions(0))

    @slot(QtGui.QColor)
    def setColor(self, color: QtGui.QColor) -> None:
        self._set_color(color)

    @slot(bool)
    def setDisplayColorName(self, display: bool) -> None:
        self.displayColorName = display

    @slot()
    def changeColor(self) -> None:
        color = QtWidgets.QColorDialog.getColor(self._color, self)
        if color.isValid():
            self._set_color(color)

    def _set_color(self, color: QtGui.QColor) -> None:
        if color != self._color:
            self._color = QtGui.QColor(color)
            self.colorChanged.emit(self._color)
