"""Stand-ins for the ctk widgets of texts and choices: combo box, check box, search box, folding text, message box."""

from __future__ import annotations

from PySide6 import QtCore, QtGui, QtWidgets
from slicer_stand_in.stand_in import computed, slot, stand_in, stored


@stand_in
class ctkComboBox(QtWidgets.QComboBox):
    returnRelease = QtCore.Signal()
    NeverScroll, AlwaysScroll, ScrollWithFocus, ScrollWithNoVScrollBar = 0, 1, 2, 4

    defaultText = stored("defaultText", str, "")
    defaultIcon = stored("defaultIcon", QtGui.QIcon, QtGui.QIcon())
    forceDefault = stored("forceDefault", bool, False)
    elideMode = stored("elideMode", int, 3)
    scrollWheelEffect = stored("scrollWheelEffect", int, 1)
    currentUserDataAsString = computed(
        "currentUserDataAsString",
        str,
        lambda w: "" if w.currentData is None else str(w.currentData),
        lambda w, data: w.setCurrentUserDataAsString(data),
    )

    @slot(str)
    def setCurrentUserDataAsString(self, data: str) -> None:
        index = self.findData(data)
        if index >= 0:
            self.setCurrentIndex(index)


@stand_in
class ctkCheckBox(QtWidgets.QCheckBox):
    indicatorIcon = stored("indicatorIcon", QtGui.QIcon, QtGui.QIcon())
    indicatorIconSize = stored("indicatorIconSize", QtCore.QSize, QtCore.QSize())


@stand_in
class ctkSearchBox(QtWidgets.QLineEdit):
    showSearchIcon = stored("showSearchIcon", bool, False)
    searchIcon = stored("searchIcon", QtGui.QIcon, QtGui.QIcon())
    clearIcon = stored("clearIcon", QtGui.QIcon, QtGui.QIcon())


@stand_in
class ctkFittedTextBrowser(QtWidgets.QTextBrowser):
    _full_text = ""

    collapsed = stored("collapsed", bool, True)
    disableMouseScroll = stored("disableMouseScroll", bool, False)
    showDetailsText = stored("showDetailsText", str, "Show details...")
    hideDetailsText = stored("hideDetailsText", str, "Hide details.")

    @slot()
    def collapsibleText(self) -> str:
        return self._full_text

    @slot(str)
    def setCollapsibleText(self, text: str) -> None:
        self._full_text = text
        self.setText(text)

    @slot(str)
    def setCollapsiblePlainText(self, text: str) -> None:
        self._full_text = text
        self.setPlainText(text)

    @slot(str)
    def setCollapsibleHtml(self, text: str) -> None:
        self._full_text = text
        self.setHtml(text)


@stand_in
class ctkMessageBox(QtWidgets.QMessageBox):
    dontShowAgain = stored("dontShowAgain", bool, False)
    dontShowAgainSettingsKey = stored("dontShowAgainSettingsKey", str, "")
    dontShowAgainVisible = stored("dontShowAgainVisible", bool, False)

    @slot(bool)
    def setDontShowAgain(self, dont_show: bool) -> None:
        self.dontShowAgain = dont_show
