"""Renders the extension's icon: python docs/icons/render_icon.py writes ALHVR.png from docs/icons/ALHVR.svg."""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtGui import QGuiApplication, QImage, QPainter
from PySide6.QtSvg import QSvgRenderer

ROOT = Path(__file__).resolve().parents[2]
SOURCE, TARGET = Path(__file__).with_name("ALHVR.svg"), ROOT / "ALHVR.png"
PIXELS = 128
"""Width and height that Slicer recommends for an extension's icon."""


def render(source: Path, target: Path, pixels: int = PIXELS) -> None:
    """Draw an SVG file into a PNG file of a width and height, with Qt as Slicer does."""
    if QGuiApplication.instance() is None:
        render.application = QGuiApplication(sys.argv[:1])  # has to outlive what is drawn
    image = QImage(pixels, pixels, QImage.Format.Format_ARGB32_Premultiplied)
    image.fill(0)
    painter = QPainter(image)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    QSvgRenderer(str(source)).render(painter)
    painter.end()
    if not image.save(str(target)):
        raise OSError(f"{target} could not be written")


if __name__ == "__main__":
    render(SOURCE, TARGET)
