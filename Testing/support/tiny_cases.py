"""Tiny scans with labels, written to a test's own folder, and plans for them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import SimpleITK

from alhvr.core.progress import SilentReporter
from alhvr.data.cases import Case
from alhvr.data.intensity import Normalization
from alhvr.data.plan import ChannelPlan, Plan
from alhvr.formats.labels import LabelSet

LABELS = LabelSet.from_names({1: "liver", 3: "spleen"})
"""Values 1 and 3, class indices 1 and 2."""


class Listener(SilentReporter):
    """Remembers warnings and notes."""

    def __init__(self) -> None:
        self.warnings: list[str] = []
        self.notes: list[str] = []

    def warning(self, message: str) -> None:
        self.warnings.append(message)

    def note(self, message: str) -> None:
        self.notes.append(message)


def write_case(folder: Path, name: str, shape: tuple[int, int, int], *, label: bool = False, seed: int = 0) -> Case:
    """A noisy scan of ``shape`` (K, J, I) at 1 mm; its label, when wanted, is a box of value 1 beside one of 3."""
    rng = np.random.default_rng(seed)
    array = rng.normal(100, 20, shape).astype(np.float32)
    image = folder / "images" / f"{name}.nrrd"
    _write(array, image)
    if not label:
        return Case(name, image, None)
    marked = np.zeros(shape, dtype=np.uint8)
    middle = tuple(slice(n // 4, n - n // 4) for n in shape[:2])
    marked[(*middle, slice(2, shape[2] // 2))] = 1
    marked[(*middle, slice(shape[2] // 2, shape[2] - 2))] = 3
    _write(marked, folder / "labels" / f"{name}.nrrd")
    return Case(name, image, folder / "labels" / f"{name}.nrrd")


def damage(case: Case) -> None:
    """Cuts the scan's file short: its header can be read, its voxels cannot."""
    case.image.write_bytes(case.image.read_bytes()[:-200])


def tiny_plan(dimensions: int, patch_size: tuple[int, ...], *, labeled: int = 2, unlabeled: int = 2) -> Plan:
    """A plan that keeps the scans' own grids and scales intensities to 0..1."""
    return Plan(dimensions=dimensions, network="unet", target_spacing_mm=None, in_plane_matrix=None,
                patch_size=patch_size, batch_size=labeled + unlabeled, labeled_batch_size=labeled, modality="MR",
                normalization=Normalization("percentile"))


def with_channels(plan: Plan, *names: str) -> Plan:
    """``plan`` for scans of several channels, all treated alike."""
    return replace(plan, channels=tuple(ChannelPlan(name, plan.modality, plan.normalization) for name in names))


def _write(array: np.ndarray, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(array), str(path), useCompression=False)
