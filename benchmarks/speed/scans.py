"""Generated scans for the measurements: ellipsoids of a few intensities in noise, with labels where wanted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK

from alhvr.data.cases import Case
from alhvr.data.intensity import Normalization
from alhvr.data.plan import Plan
from alhvr.formats.labels import LabelSet

LABELS = LabelSet.from_names({1: "liver", 2: "spleen", 3: "pancreas"})
"""Three structures, four classes."""


def write_scan(folder: Path, name: str, shape: tuple[int, int, int], *, label: bool = False, ending: str = ".nrrd",
               ) -> Case:
    """A scan of ``shape`` (K, J, I) at 1 mm, int16; ``name`` seeds it, so that no two are alike."""
    rng = np.random.default_rng(list(name.encode()))
    marked = np.zeros(shape, dtype=np.uint8)
    axes = [np.linspace(-1, 1, n, dtype=np.float32).reshape([-1 if a == d else 1 for d in range(3)])
            for a, n in enumerate(shape)]
    for value in (1, 2, 3):
        centre, radius = rng.uniform(-0.4, 0.4, 3), rng.uniform(0.2, 0.5, 3)
        marked[sum(((x - c) / r) ** 2 for x, c, r in zip(axes, centre, radius, strict=True)) < 1] = value
    image = (rng.integers(-60, 60, shape, dtype=np.int16) + np.int16(200) * marked).astype(np.int16)
    return Case(name, _write(image, folder / "images" / f"{name}{ending}"),
                _write(marked, folder / "labels" / f"{name}{ending}") if label else None)


def plan_for(patch_size: tuple[int, ...], *, network: str = "unet", batch_size: int) -> Plan:
    """A plan that keeps the scans' own grids; half of a batch is labelled."""
    return Plan(dimensions=len(patch_size), network=network, target_spacing_mm=None, in_plane_matrix=None,
                patch_size=patch_size, batch_size=batch_size, labeled_batch_size=batch_size // 2, modality="MR",
                normalization=Normalization("zscore"))


def _write(array: np.ndarray, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(array), str(path), useCompression=path.suffix == ".gz")
    return path
