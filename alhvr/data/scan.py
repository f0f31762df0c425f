"""Volume, Scan and Segmentation: an array with its place in the patient, as passed between all parts of the engine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from alhvr.core.errors import UserError
from alhvr.data.geometry import Geometry
from alhvr.formats.labels import LabelSet

Modality = Literal["CT", "MR", "other"]


@dataclass(frozen=True)
class Volume:
    """What a file holds, before anything is asked of its values."""

    array: np.ndarray
    """[K, J, I] in the file's own number type, scaled by the file's slope and intercept."""
    geometry: Geometry
    """Where the voxels lie."""
    modality: Modality = "other"
    """From the DICOM tag; "other" where the file does not say."""
    warnings: tuple[str, ...] = ()
    """What was odd while reading, one sentence each."""


@dataclass(frozen=True)
class Scan:
    """One scan as read: intensities in the file's own unit (HU for CT), on its own grid."""

    name: str
    """File name without its known endings, or the name of the series folder."""
    array: np.ndarray
    """[K, J, I] of the first channel, finite: float32, or the file's own integers of 8 or 16 bits; convert before
    calculating."""
    geometry: Geometry
    """Where the voxels lie."""
    modality: Modality
    """Of the first channel, from the DICOM tag; "other" where the file does not say."""
    source: Path
    """The file or series folder that the first channel came from."""
    warnings: tuple[str, ...] = ()
    """What was odd or changed while reading, one sentence each."""
    n_not_finite: int = 0
    """Voxels of the first channel that were NaN or infinite in the file."""
    more: tuple[np.ndarray, ...] = ()
    """The other channels in order, each as ``array`` and on the same grid."""
    more_modalities: tuple[Modality, ...] = ()
    """Of the other channels; empty where nobody knows."""

    def __post_init__(self) -> None:
        """Raises UserError when an array and the grid do not fit."""
        for channel in self.channels:
            _require_fit(self.name, channel, self.geometry)

    @property
    def channels(self) -> tuple[np.ndarray, ...]:
        """All channels in order."""
        return (self.array, *self.more)

    @property
    def modalities(self) -> tuple[Modality, ...]:
        """Of all channels in order."""
        return (self.modality, *(self.more_modalities or ("other",) * len(self.more)))


@dataclass(frozen=True)
class Segmentation:
    """Labels of one scan, on the scan's own grid."""

    name: str
    """Name of the scan."""
    array: np.ndarray
    """uint8 or uint16 [K, J, I] of label values as in the files; 0 is background."""
    geometry: Geometry
    """Where the voxels lie."""
    labels: LabelSet
    """What the values mean."""

    def __post_init__(self) -> None:
        """Raises UserError when array and grid do not fit."""
        _require_fit(self.name, self.array, self.geometry)


def _require_fit(name: str, array: np.ndarray, geometry: Geometry) -> None:
    """Raises UserError unless the array has one voxel per grid point."""
    if array.shape != geometry.shape_kji:
        raise UserError(f"{name}: the array has shape {array.shape} (K, J, I), its grid {geometry.shape_kji}.")
