"""Stand-ins for the ctk widgets that choose a file or folder: ctkPathLineEdit and ctkDirectoryButton."""

from __future__ import annotations

import os.path

from PySide6 import QtCore, QtGui, QtWidgets
from slicer_stand_in.ctk_buttons import ctkPushButton
from slicer_stand_in.stand_in import Flags, computed, slot, stand_in, stored

HISTORY_LENGTH = 5
ELIDE_MIDDLE, ELIDE_NONE = 2, 3
ELIDED_PX = 50


class Filters(Flags):
    """The numbers of QDir::Filter."""

    Dirs = 0x001
    Files = 0x002
    Drives = 0x004
    NoSymLinks = 0x008
    AllEntries = 0x007
    Readable = 0x010
    Writable = 0x020
    Executable = 0x040
    Modified = 0x080
    Hidden = 0x100
    System = 0x200
    AllDirs = 0x400
    CaseSensitive = 0x800
    NoDot = 0x2000
    NoDotDot = 0x4000
    NoDotAndDotDot = 0x6000


class Options(Flags):
    """The numbers of QFileDialog::Option."""

    ShowDirsOnly = 0x01
    DontResolveSymlinks = 0x02
    DontConfirmOverwrite = 0x04
    DontUseNativeDialog = 0x10
    ReadOnly = 0x20
    HideNameFilterDetails = 0x40


DEFAULT_FILTERS = Filters(24663)


def with_values(enumeration: type[Flags]):  # noqa: ANN201
    """Class decorator: the values of an enum as attributes of the class, as C++ has them."""

    def decorate(cls: type) -> type:
        for name, value in enumeration.__members__.items():
            setattr(cls, name, value)
        return cls

    return decorate


@stand_in
@with_values(Filters)
@with_values(Options)
class ctkPathLineEdit(QtWidgets.QWidget):
    currentPathChanged = QtCore.Signal(str)
    validInputChanged = QtCore.Signal(bool)
    Filters = Filters
    Options = Options

    filters = stored("filters", Filters, DEFAULT_FILTERS)
    options = stored("options", Options, Options(0))
    currentPath = computed("currentPath", str, lambda w: w._path, lambda w, path: w._combo.setEditText(path))
    nameFilters = stored("nameFilters", "QStringList", ())
    label = stored("label", str, "")
    settingKey = computed("settingKey", str, lambda w: w._key, lambda w, key: w._set_key(key))
    showBrowseButton = stored("showBrowseButton", bool, True, "_show_buttons")
    showHistoryButton = stored("showHistoryButton", bool, True)
    sizeAdjustPolicy = stored("sizeAdjustPolicy", int, 2)
    minimumContentsLength = stored("minimumContentsLength", int, 0)

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._path, self._key = "", ""
        self._combo, self._button = QtWidgets.QComboBox(), QtWidgets.QToolButton()
        self._combo.setEditable(True)
        self._combo.setInsertPolicy(QtWidgets.QComboBox.NoInsert)
        self._button.text = "…"
        row = QtWidgets.QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._combo, 1)
        row.addWidget(self._button)
        self._combo.editTextChanged.connect(self._edited)
        self._button.connect("clicked()", self.browse)

    @slot(str)
    def setCurrentPath(self, path: str) -> None:
        self._combo.setEditText(path)

    @slot()
    def comboBox(self) -> QtWidgets.QComboBox:
        return self._combo

    @slot()
    def browse(self) -> None:
        dialog = QtWidgets.QFileDialog
        only_folders = self.filters & Filters.Dirs and not self.filters & Filters.Files
        if only_folders:
            path = dialog.getExistingDirectory(self, "Select a folder", self._path)
        elif self.filters & Filters.Writable:
            path = dialog.getSaveFileName(self, "Select a file to save", self._path, ";;".join(self.nameFilters))
        else:
            path = dialog.getOpenFileName(self, "Open a file", self._path, ";;".join(self.nameFilters))
        if path:
            self._combo.setEditText(path)
            self.addCurrentPathToHistory()

    @slot()
    def addCurrentPathToHistory(self) -> None:
        if self._path and self._key:
            history = [self._path] + [path for path in self._history() if path != self._path]
            QtCore.QSettings().setValue(self._key, history[:HISTORY_LENGTH])

    @slot()
    def retrieveHistory(self) -> None:
        history = self._history()
        if history:
            self._combo.setEditText(history[0])

    def _history(self) -> list[str]:
        kept = QtCore.QSettings().value(self._key) or []
        return [kept] if isinstance(kept, str) else list(kept)

    def _set_key(self, key: str) -> None:
        if key != self._key:
            self._key = key
            self.retrieveHistory()

    def _show_buttons(self) -> None:
        self._button.setVisible(self.showBrowseButton)

    def _edited(self, path: str) -> None:
        was_empty, self._path = not self._path, path
        if path:  # an empty path is told by validInputChanged alone
            self.currentPathChanged.emit(path)
        if was_empty == bool(path):
            self.validInputChanged.emit(bool(path))


@stand_in
@with_values(Options)
class ctkDirectoryButton(QtWidgets.QWidget):
    directoryChanged = QtCore.Signal(str)
    directorySelected = QtCore.Signal(str)
    Options = Options

    directory = computed("directory", str, lambda w: w._directory, lambda w, path: w._set_directory(path))
    caption = stored("caption", str, "")
    text = stored("text", str, "", "_show")
    icon = stored("icon", QtGui.QIcon, QtGui.QIcon())
    acceptMode = stored("acceptMode", int, 0)
    elideMode = computed("elideMode", int, lambda w: w._button.elideMode, lambda w, mode: w._set_elide_mode(mode))
    options = stored("options", Options, Options.ShowDirsOnly)

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._directory = "."
        self._button = ctkPushButton()
        self._set_elide_mode(ELIDE_MIDDLE)
        row = QtWidgets.QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._button)
        self._button.connect("clicked()", self.browse)
        self._show()

    @slot()
    def browse(self) -> str:
        path = QtWidgets.QFileDialog.getExistingDirectory(self, self.caption, self._directory)
        if path:
            self._set_directory(path)
        return path

    def _set_directory(self, path: str) -> None:
        cleaned = os.path.normpath(path or ".")
        changed, self._directory = cleaned != self._directory, cleaned
        self._show()
        self.directorySelected.emit(cleaned)
        if changed:
            self.directoryChanged.emit(cleaned)

    def _set_elide_mode(self, mode: int) -> None:
        """A path that may be elided lets the button be as narrow as three dots; else all of it has to be seen."""
        self._button.elideMode = mode
        self._button.setMinimumWidth(0 if mode == ELIDE_NONE else ELIDED_PX)

    def _show(self) -> None:
        self._button.text = self.text or os.path.abspath(self._directory)
