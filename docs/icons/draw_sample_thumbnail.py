"""Draws the picture of the sample for Slicer's Sample Data: three planes of its first scan, the true labels as lines.

    python docs/icons/draw_sample_thumbnail.py      writes ALHVRSegmentation/Resources/Icons/ALHVRSample.png
"""

from __future__ import annotations

import os
import pathlib

import numpy as np

from alhvr.phantom.sample import LABELED, SCANS, SEED
from alhvr.phantom.study import make_phantom

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
ROOT = pathlib.Path(__file__).resolve().parents[2]
TARGET = ROOT / "ALHVRSegmentation" / "Resources" / "Icons" / "ALHVRSample.png"
WIDTH, HEIGHT, GAP = 260, 280, 6
WINDOW_HU = (-150.0, 250.0)
COLOURS = np.array([[0, 0, 0], [230, 159, 0], [0, 158, 115], [204, 121, 167], [240, 228, 66]], np.uint8)
"""Background, liver, kidneys, spleen, pancreas, as the sample model has them."""


def main() -> None:
    """Write the picture."""
    from PySide6 import QtGui

    phantom = make_phantom(SEED, SCANS[LABELED])
    array, label = np.asarray(phantom.scan.array), np.asarray(phantom.label)
    spacing = phantom.geometry.spacing_mm[::-1]
    middle = [int(np.round(np.nonzero(label)[axis].mean())) for axis in range(3)]
    tile = (WIDTH - GAP) // 2
    picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    shapes = ((0, 0, HEIGHT - GAP - 100, WIDTH), (HEIGHT - 100, 0, 100, tile), (HEIGHT - 100, tile + GAP, 100, tile))
    for axis, (top, left, rows, columns) in enumerate(shapes):
        plane = drawn(np.take(array, middle[axis], axis), np.take(label, middle[axis], axis), axis > 0)
        down, across = [spacing[other] for other in range(3) if other != axis]
        picture[top : top + rows, left : left + columns] = fitted(plane, down / across, (rows, columns))
    image = QtGui.QImage(picture.tobytes(), WIDTH, HEIGHT, 3 * WIDTH, QtGui.QImage.Format_RGB888)
    if not image.save(str(TARGET)):
        raise SystemExit(f"{TARGET} cannot be written")


def drawn(plane: np.ndarray, label: np.ndarray, upside_down: bool) -> np.ndarray:
    """Grey values with the labels' outlines, uint8 [rows, columns, 3]; head up."""
    grey = np.clip((plane - WINDOW_HU[0]) / (WINDOW_HU[1] - WINDOW_HU[0]), 0, 1) * 255
    rgb = np.repeat(grey.astype(np.uint8)[..., None], 3, axis=2)
    edge = np.zeros(label.shape, bool)
    edge[1:] |= label[1:] != label[:-1]
    edge[:, 1:] |= label[:, 1:] != label[:, :-1]
    filled = label > 0
    rgb[filled] = (0.65 * rgb[filled] + 0.35 * COLOURS[label[filled] % len(COLOURS)]).astype(np.uint8)
    rgb[edge & filled] = COLOURS[label[edge & filled] % len(COLOURS)]
    return rgb[::-1] if upside_down else rgb


def fitted(plane: np.ndarray, aspect: float, size: tuple[int, int]) -> np.ndarray:
    """The plane with square pixels as large as `size` (rows, columns) allows, in the middle of black."""
    rows, columns = plane.shape[0] * aspect, plane.shape[1]
    scale = min(size[0] / rows, size[1] / columns)
    height, width = int(rows * scale), int(columns * scale)
    down = (np.arange(height) * plane.shape[0] / height).astype(int)
    across = (np.arange(width) * plane.shape[1] / width).astype(int)
    result = np.zeros((*size, 3), np.uint8)
    top, left = (size[0] - height) // 2, (size[1] - width) // 2
    result[top : top + height, left : left + width] = plane[down][:, across]
    return result


if __name__ == "__main__":
    main()
