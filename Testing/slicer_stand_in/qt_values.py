"""Calls of Qt whose results or arguments PythonQt treats otherwise than PySide: tuples, file names, ints as enums."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from PySide6 import QtCore, QtGui, QtWidgets
from slicer_stand_in.qt_properties import QtProperty, to_python

# Methods that hand over a QList or QStringList.
LISTS: dict[type, tuple[str, ...]] = {
    QtCore.QObject: ("children", "dynamicPropertyNames", "property"),
    QtCore.QSettings: ("allKeys", "childKeys", "childGroups", "value"),
    QtCore.QDir: ("entryList", "entryInfoList", "nameFilters"),
    QtCore.QMimeData: ("formats", "urls"),
    QtCore.QProcess: ("arguments",),
    QtCore.QProcessEnvironment: ("keys", "toStringList"),
    QtCore.QCoreApplication: ("arguments", "libraryPaths"),
    QtCore.QItemSelectionModel: ("selectedIndexes", "selectedRows", "selectedColumns"),
    QtGui.QStandardItemModel: ("findItems", "takeRow"),
    QtWidgets.QApplication: ("allWidgets", "topLevelWidgets"),
    QtWidgets.QButtonGroup: ("buttons",),
    QtWidgets.QFileDialog: ("selectedFiles", "selectedUrls", "nameFilters"),
    QtWidgets.QListWidget: ("findItems", "selectedItems"),
    QtWidgets.QSplitter: ("sizes",),
    QtWidgets.QTableWidget: ("findItems", "selectedItems", "selectedRanges"),
    QtWidgets.QTreeWidget: ("findItems", "selectedItems"),
    QtWidgets.QWidget: ("actions",),
}
BARE_RESULTS = {
    QtWidgets.QFileDialog: ("getOpenFileName", "getOpenFileNames", "getSaveFileName"),
    QtWidgets.QInputDialog: ("getText", "getInt", "getDouble", "getItem", "getMultiLineText"),
}
# Setters of enums without a Q_PROPERTY of that name; those with one are found by their property.
ENUM_SETTERS = {QtWidgets.QCheckBox: {"setCheckState": QtCore.Qt.CheckState}}
WITH_EXEC = (QtWidgets.QDialog, QtWidgets.QMenu, QtCore.QEventLoop, QtCore.QCoreApplication, QtCore.QThread)


def _as_tuple(method: Callable) -> Callable:
    def call(*arguments: object) -> object:
        return to_python(method(*arguments))

    return call


def _without_filter(function: Callable) -> Callable:
    def call(*arguments: object) -> object:
        result = function(*arguments)
        return to_python(result[0]) if isinstance(result, tuple) else result

    return staticmethod(call)


def _converting(method: Callable, kind: type) -> Callable:
    def call(instance: object, *values: object) -> object:
        if len(values) == 1 and (kind is bool or type(values[0]) is int):
            return method(instance, kind(values[0]))
        return method(instance, *values)

    return call


def _setters(classes: list[type]) -> Iterator[tuple[type, str, type]]:
    """The setters that take anything as a bool, and those of enums, which take ints."""
    for cls in classes:
        for member in list(vars(cls).values()):
            if not isinstance(member, QtProperty):
                continue
            kind = bool if member.type_name == "bool" else member.enumeration
            setter = "set" + member.name[0].upper() + member.name[1:]
            if kind is not None and type(vars(cls).get(setter)).__name__ == "method_descriptor":
                yield cls, setter, kind
    for cls, setters in ENUM_SETTERS.items():
        for setter, enumeration in setters.items():
            yield cls, setter, enumeration


def install_values(classes: list[type]) -> None:
    """Wrap the calls; to be done after the properties are in their places."""
    for cls, names in LISTS.items():
        for name in names:
            raw = vars(cls)[name]
            if type(raw).__name__ != "method_descriptor":
                setattr(cls, name, staticmethod(_as_tuple(getattr(cls, name))))
            else:
                setattr(cls, name, _as_tuple(raw))
    for cls, names in BARE_RESULTS.items():
        for name in names:
            setattr(cls, name, _without_filter(getattr(cls, name)))
    for cls, setter, kind in list(_setters(classes)):
        setattr(cls, setter, _converting(vars(cls)[setter], kind))
    for cls in WITH_EXEC:
        cls.exec_ = cls.exec
