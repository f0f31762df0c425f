"""Drag and drop: drags files from outside onto a widget as the file manager does, through Qt's own delivery."""

from __future__ import annotations

import pathlib
from collections.abc import Sequence
from typing import Any

import slicer
from PySide6 import QtCore, QtGui, QtWidgets

COPY = QtCore.Qt.CopyAction
LEFT = QtCore.Qt.LeftButton
NO_KEY = QtCore.Qt.NoModifier


def drop(widget: QtWidgets.QWidget, paths: Sequence[pathlib.Path | str]) -> bool:
    """Drag paths, or addresses such as "https://...", over a widget and let go; whether anyone took them."""
    data = QtCore.QMimeData()
    data.setUrls([QtCore.QUrl(str(path)) if "://" in str(path) else QtCore.QUrl.fromLocalFile(str(path))
                  for path in paths])
    return drop_data(widget, data)


def drop_data(widget: QtWidgets.QWidget, data: QtCore.QMimeData) -> bool:
    """Drag anything over a widget and let go. As in Qt, nothing is dropped where entering was not accepted."""
    middle = QtCore.QPoint(widget.width // 2, widget.height // 2)
    enter = QtGui.QDragEnterEvent(middle, COPY, data, LEFT, NO_KEY)
    taken = _send(widget, enter)
    if taken:
        _send(widget, QtGui.QDragMoveEvent(middle, COPY, data, LEFT, NO_KEY))
        taken = _send(widget, QtGui.QDropEvent(QtCore.QPointF(middle), COPY, data, LEFT, NO_KEY))
    slicer.app.processEvents()
    return taken


def _send(widget: QtWidgets.QWidget, event: Any) -> bool:
    event.ignore()
    QtWidgets.QApplication.sendEvent(widget, event)
    return event.isAccepted()
