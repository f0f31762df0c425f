"""Pictures of panels and views, also of both side by side, as arrays: uint8 [rows, columns, 3], first row on top."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import slicer
from PySide6 import QtGui, QtWidgets

BACKGROUND = 32


@contextlib.contextmanager
def look(widget: QtWidgets.QWidget, *, dark: bool = False, scale: float = 1.0) -> Iterator[None]:
    """Show a panel as on another desktop: in dark colours, with letters larger by a factor."""
    palette, font = QtGui.QPalette(widget.palette), QtGui.QFont(widget.font)
    larger = QtGui.QFont(font)
    larger.setPointSizeF(font.pointSizeF() * scale)
    widget.setFont(larger)
    if dark:
        widget.setPalette(dark_palette())
    slicer.app.processEvents()
    try:
        yield
    finally:
        widget.setFont(font)
        widget.setPalette(palette)
        slicer.app.processEvents()


def dark_palette() -> QtGui.QPalette:
    """Light letters on dark grey."""
    roles = QtGui.QPalette
    palette = QtGui.QPalette(QtGui.QColor(53, 53, 53))
    for role, grey in ((roles.Base, 35), (roles.AlternateBase, 53), (roles.Text, 235), (roles.WindowText, 235)):
        palette.setColor(role, QtGui.QColor(grey, grey, grey))
    palette.setColor(roles.ButtonText, QtGui.QColor(235, 235, 235))
    palette.setColor(roles.Highlight, QtGui.QColor(42, 130, 218))
    return palette


def panel_image(widget: QtWidgets.QWidget) -> np.ndarray:
    """What a widget shows."""
    picture = widget.grab().toImage().convertToFormat(QtGui.QImage.Format_RGB888)
    rows, columns, stride = picture.height(), picture.width(), picture.bytesPerLine()
    pixels = np.frombuffer(picture.constBits(), np.uint8)[: rows * stride].reshape(rows, stride)
    return pixels[:, : columns * 3].reshape(rows, columns, 3).copy()


def view_image(name: str) -> np.ndarray:
    """What a view shows: "Red", "Green", "Yellow" or "3D"."""
    return slicer.app.layoutManager()._views()[name].image()


def four_views() -> np.ndarray:
    """The four views as in the four-up layout: axial and 3-D above coronal and sagittal."""
    return np.vstack(
        [beside(view_image("Red"), view_image("3D")), beside(view_image("Green"), view_image("Yellow"))]
    )


def beside(*images: np.ndarray) -> np.ndarray:
    """Images in a row, the lower ones filled up below."""
    rows = max(image.shape[0] for image in images)
    return np.hstack([_filled(image, rows) for image in images])


def _filled(image: np.ndarray, rows: int) -> np.ndarray:
    padding = ((0, rows - image.shape[0]), (0, 0), (0, 0))
    return np.pad(image, padding, constant_values=BACKGROUND)


def drag(slider: Any, *values: float) -> None:
    """Move a ctkSliderWidget as with the mouse: press, move through the values, let go."""
    handle = slider.findChild("ctkDoubleSlider", "Slider")
    handle.sliderPressed.emit()
    for value in values:
        handle.setValue(value)
    handle.sliderReleased.emit()
