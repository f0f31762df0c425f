"""For the scripts that take screenshots: a module in a scene of its own, and pictures of its panel beside the views."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import stat
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
MODULE_FILE = ROOT / "ALHVRSegmentation" / "ALHVRSegmentation.py"
TRAINER_FILE = ROOT / "ALHVRTrainer" / "ALHVRTrainer.py"
PANEL_WIDTH, LEAST_HEIGHT = 520, 760
"""Pixels at 100 %."""
GAP = 6
PATIENCE_S = 900.0
RUNNERS = ("onnxruntime", "openvino")
"""What runs networks on the processor."""
SECTIONS = ("Sample", "Setup", "Segment", "Regions", "Models", "Export")
CAMERA = ((0.25, 1.0, 0.2), (0.0, 0.0, 1.0))
"""Where the 3-D view looks from (RAS, from the middle), and what is up there."""
NEARER = 1.15


class Studio:
    """The module loaded in a scene of its own, with folders of its own.

    Args:
        folder: where the user's models, settings and temporary files go.
        out: where the pictures go.
        module_file: the module, by default that which segments.
        prefix: how the names of the pictures begin.
    """

    def __init__(self, folder: Path, out: Path, module_file: Path = MODULE_FILE, prefix: str = "slicer") -> None:
        self.out, self._prefix = out, prefix
        out.mkdir(parents=True, exist_ok=True)
        put_python_slicer_on_path(folder)
        sys.path[:0] = [str(ROOT / "Testing" / "support"), str(ROOT / "Testing"),
                         *(str(file.parent) for file in (MODULE_FILE, TRAINER_FILE))]
        from slicer_stand_in.boot import boot

        self.app = boot(folder)
        from slicer_stand_in.module_widgets import load_module

        from ALHVRLib import paths

        paths.user_folder = lambda: folder / "ALHVR"
        with without(*RUNNERS):
            self.widget = load_module(module_file).widgetRepresentation()
            self.widget.show()
            self.widget.enter()
        self.panel = self.widget.self().panel
        if module_file == TRAINER_FILE:  # whose pictures begin with everything installed
            self.panel.follow(self.parameters)

    @property
    def parameters(self) -> Any:
        """The module's parameter node."""
        return self.panel.parameters

    def section(self, name: str) -> Any:
        """A section by the first word of its class."""
        return next(one for one in self.panel.sections if type(one).__name__ == f"{name}Section")

    def unfold(self, *names: str) -> None:
        """Open some sections and close the others."""
        for name in SECTIONS:
            if hasattr(self.section(name).frame, "collapsed"):
                self.section(name).frame.collapsed = name not in names

    def wait(self, condition: Callable[[], object], what: str) -> None:
        """Let Qt work until a condition holds; RuntimeError with what the panel says when it never does."""
        end = time.monotonic() + PATIENCE_S
        while not condition():
            if time.monotonic() > end:
                raise RuntimeError(f"{what} does not happen; the panel says: {self.panel.message}")
            self.app.processEvents()
            time.sleep(0.02)

    def settle(self, seconds: float) -> None:
        """Let Qt work for a while."""
        end = time.monotonic() + seconds
        self.wait(lambda: time.monotonic() > end, "waiting")

    def take(self, name: str, *, dark: bool = False, scale: float = 1.0,
             views: Callable[[int], np.ndarray] | None = None) -> None:
        """Write a picture of the panel beside the views, or beside what ``views`` draws, as high as the panel."""
        from slicer_stand_in import pictures

        with pictures.look(self.widget, dark=dark, scale=scale):
            width = round(PANEL_WIDTH * scale)
            for _settled in range(3):
                self.widget.resize(width, max(LEAST_HEIGHT, self.widget.sizeHint.height()))
                self.app.processEvents()
            panel = pictures.panel_image(self.widget)
        views = self.views(panel.shape[0]) if views is None else views(panel.shape[0])
        gap = np.full((panel.shape[0], GAP, 3), pictures.BACKGROUND, np.uint8)
        save(pictures.beside(panel, gap, views), self.out / f"{self._prefix}-{name}.png")

    def views(self, height: int) -> np.ndarray:
        """The four views, together as high as the panel."""
        from slicer_stand_in import pictures

        side = (height - GAP) // 2
        for view in self.app.layoutManager()._views().values():
            offset = view.logic.GetSliceOffset() if hasattr(view.logic, "GetSliceOffset") else None
            view.window.SetSize(side, side)
            if offset is not None:
                view.fit()
                view.logic.SetSliceOffset(offset)
        line = np.full((GAP, 2 * side + GAP, 3), pictures.BACKGROUND, np.uint8)
        column = np.full((side, GAP, 3), pictures.BACKGROUND, np.uint8)
        image = pictures.view_image
        above = pictures.beside(image("Red"), column, image("3D"))
        below = pictures.beside(image("Green"), column, image("Yellow"))
        return np.vstack([above, line, below])

    def look_at_all(self) -> None:
        """Show the whole scan in the slices, and the organs in 3-D."""
        layout = self.app.layoutManager()
        layout.resetSliceViews()
        layout.resetThreeDViews()
        camera = layout._views()["3D"].renderer.GetActiveCamera()
        middle, distance = np.array(camera.GetFocalPoint()), camera.GetDistance()
        direction = np.array(CAMERA[0]) / np.linalg.norm(CAMERA[0])
        camera.SetPosition(*(middle + distance * direction))
        camera.SetViewUp(*CAMERA[1])
        camera.Dolly(NEARER)
        layout._views()["3D"].renderer.ResetCameraClippingRange()


def save(image: np.ndarray, path: Path) -> None:
    """Write uint8 [rows, columns, 3] as a PNG file that is as small as it can be."""
    from PySide6.QtGui import QImage

    pixels = np.ascontiguousarray(image)
    rows, columns, _ = pixels.shape
    if not QImage(pixels.data, columns, rows, 3 * columns, QImage.Format_RGB888).save(str(path), "PNG", 0):
        raise OSError(f"{path} could not be written")


def put_python_slicer_on_path(folder: Path) -> None:
    """What Slicer calls PythonSlicer: here the Python that runs this."""
    launcher = folder / "bin" / "PythonSlicer"
    launcher.parent.mkdir(parents=True)
    launcher.write_text(f'#!/bin/sh\n"{sys.executable}" "$@"\nexit $?\n')
    launcher.chmod(launcher.stat().st_mode | stat.S_IXUSR)
    os.environ["PATH"] = f"{launcher.parent}{os.pathsep}{os.environ['PATH']}"


@contextlib.contextmanager
def without(*packages: str) -> Iterator[None]:
    """As if packages were not installed."""
    find = importlib.util.find_spec

    def look(name: str, *more: Any) -> Any:
        return None if name.partition(".")[0] in packages else find(name, *more)

    with mock.patch.object(importlib.util, "find_spec", look):
        yield
