"""Label files for tests: .seg.nrrd with the names of their segments, and others without any."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import SimpleITK as sitk

SHAPE = (4, 12, 16)
SPACING_IJK = (0.8, 0.8, 2.0)


def bars(*values: int) -> np.ndarray:
    """uint8 [K, J, I]: a bar of 3 columns for each value, in their order; background around."""
    array = np.zeros(SHAPE, np.uint8)
    for number, value in enumerate(values):
        array[1:3, 2:10, 1 + 4 * number:4 + 4 * number] = value
    return array


def write_label(path: Path, array: np.ndarray, segments: Mapping[int, str] | Iterable[tuple[str, str]] = (),
                keys: Mapping[str, str] | None = None) -> Path:
    """A label file; ``segments``: value and name, also such as contradict each other."""
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(SPACING_IJK)
    pairs = segments.items() if isinstance(segments, Mapping) else segments
    for number, (value, name) in enumerate(pairs):
        image.SetMetaData(f"Segment{number}_Name", name)
        image.SetMetaData(f"Segment{number}_LabelValue", str(value))
    for key, text in (keys or {}).items():
        image.SetMetaData(key, text)
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(image, str(path), True)
    return path


def write_scan(path: Path, seed: int = 0) -> Path:
    """A scan of noise on the grid of the labels."""
    image = sitk.GetImageFromArray(np.random.default_rng(seed).normal(100, 20, SHAPE).astype(np.float32))
    image.SetSpacing(SPACING_IJK)
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(image, str(path))
    return path


def write_folder(folder: Path, labels: Mapping[str, tuple], names: Mapping | None = None) -> Path:
    """images/ and labels/ with a case for each entry: its file's ending, bars in order, and segments by value."""
    for number, (case, (ending, values, segments)) in enumerate(labels.items()):
        write_scan(folder / "images" / f"{case}.nii.gz", number)
        write_label(folder / "labels" / f"{case}{ending}", bars(*values), segments)
    if names is not None:
        (folder / "labels.json").write_text(json.dumps(names), "utf-8")
    return folder
