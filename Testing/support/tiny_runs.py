"""Small studies that a network can learn in a minute, and the arguments of short runs on them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK

from alhvr.data.geometry import Geometry

NAMES = {"1": "liver", "3": "spleen"}
SHAPE = (4, 32, 32)
OBLIQUE = Geometry((32, 32, 4), (1.5, 1.25, 8.0), (-31.5, 20.25, 7.125),
                   (0.96, -0.28, 0.0, 0.28, 0.96, 0.0, 0.0, 0.0, 1.0))
"""Turned in the plane of its thick slices."""


def make_scan(seed: int, shape: tuple[int, int, int] = SHAPE) -> tuple[np.ndarray, np.ndarray]:
    """A noisy scan float32 [K, J, I] with a bright box and a brighter one beside it, and their label (1 and 3)."""
    rng = np.random.default_rng(seed)
    label = np.zeros(shape, dtype=np.uint8)
    row, column = rng.integers(4, 9, size=2)
    label[:, row:row + 16, column:column + 8] = 1
    label[:, row:row + 16, column + 8:column + 16] = 3
    image = rng.normal(100, 8, shape) + 60.0 * (label == 1) + 120.0 * (label == 3)
    return image.astype(np.float32), label


def write_scan(path: Path, array: np.ndarray, geometry: Geometry = OBLIQUE) -> Path:
    """Writes ``array`` [K, J, I] in a grid of the geometry's directions; the ending chooses the format."""
    image = SimpleITK.GetImageFromArray(array)
    Geometry(array.shape[::-1], geometry.spacing_mm, geometry.origin_lps_mm, geometry.direction).stamp(image)
    path.parent.mkdir(parents=True, exist_ok=True)
    SimpleITK.WriteImage(image, str(path))
    return path


def write_study(folder: Path, *, labeled: int = 3, archive: int = 3, ending: str = ".nii.gz") -> Path:
    """Writes ``labeled``/ with labels and names, and ``archive``/ without, into ``folder``."""
    for index in range(labeled):
        image, label = make_scan(index)
        write_scan(folder / "labeled" / "images" / f"case{index}{ending}", image)
        write_scan(folder / "labeled" / "labels" / f"case{index}{ending}", label)
    (folder / "labeled" / "labels.json").write_text(json.dumps(NAMES))
    for index in range(archive):
        write_scan(folder / "archive" / f"scan{index}{ending}", make_scan(100 + index)[0])
    return folder


def short_run(study: Path, out: Path, *options: Any, **training: Any) -> list[Any]:
    """Arguments of ``alhvr train`` on a study of write_study; ``training`` are settings, ``options`` come last."""
    config = out.parent / f"{out.name}.json"
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text(json.dumps({"training": {"threads": 1, "precision": "fp32", "validations": 2, **training}}))
    return ["train", "--labeled", study / "labeled", "--unlabeled", study / "archive", "--out", out, "--config", config,
            "--patch-size", "32,32", "--batch-size", "4", *options]
