"""Fingerprint: what the plan needs to know of one scan, its grid and a few intensity statistics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from alhvr.data.axes import slice_axis
from alhvr.data.geometry import Geometry
from alhvr.data.intensity import Statistics, measure, sample_voxels
from alhvr.data.scan import Modality, Scan

THICK_SLICES = 3.0
"""Slices further apart than this many pixels are too thick for a 3-D network."""

WIDE_STACK = 4.0
"""Where no spacing is known: images this many times wider than the stack is high are taken for thick slices."""

MIN_SLICES = 8
"""A stack of fewer slices is too low for a 3-D network."""


@dataclass(frozen=True)
class Fingerprint:
    """One scan in a few numbers."""

    geometry: Geometry
    """The scan's own grid."""
    modality: Modality
    """CT, MR or other."""
    intensity: Statistics | None = None
    """Of an even sample of all voxels; None when only the header was read."""
    foreground: Statistics | None = None
    """Of the labelled voxels; None without a label or with an empty one."""
    more: tuple[Fingerprint, ...] = ()
    """The other channels of the scan in order."""

    @property
    def channels(self) -> tuple[Fingerprint, ...]:
        """All channels in order."""
        return (self, *self.more)

    @property
    def size_ijk(self) -> tuple[int, int, int]:
        """Voxels along I, J, K."""
        return self.geometry.size_ijk

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance of voxel centres along I, J, K in mm."""
        return self.geometry.spacing_mm

    @property
    def nominal(self) -> bool:
        """True when the stated spacing of 1 mm may be a placeholder."""
        return self.geometry.nominal

    @property
    def slices(self) -> int:
        """Number of slices along the slice axis."""
        return self.geometry.shape_kji[slice_axis(self.geometry)]

    @property
    def thickness_ratio(self) -> float:
        """Distance of slices divided by the pixel size within them."""
        axis = slice_axis(self.geometry)
        spacing = list(self.geometry.spacing_mm[::-1])
        return spacing.pop(axis) / float(np.mean(spacing))

    @property
    def width_ratio(self) -> float:
        """Mean size of a slice divided by the number of slices, in voxels."""
        sizes = list(self.geometry.shape_kji)
        slices = sizes.pop(slice_axis(self.geometry))
        return float(np.mean(sizes)) / slices

    @property
    def flat(self) -> bool:
        """True when the slices are too thick or too few for a 3-D network."""
        if self.slices < MIN_SLICES:
            return True
        if not self.nominal:
            return self.thickness_ratio > THICK_SLICES
        return self.width_ratio > WIDE_STACK


def fingerprint(scan: Scan, label: np.ndarray | None, *, not_annotated: int | None = None) -> Fingerprint:
    """Measures one scan; ``label`` is [K, J, I] of values on the same grid, 0 is background.

    Voxels labelled ``not_annotated`` do not count as foreground.
    """
    marked = None
    if label is not None:
        marked = label > 0 if not_annotated is None else (label > 0) & (label != not_annotated)
    return join_channels([_measured(array, marked, scan.geometry, modality)
                          for array, modality in zip(scan.channels, scan.modalities, strict=True)])


def join_channels(prints: Sequence[Fingerprint]) -> Fingerprint:
    """One scan from the fingerprints of its channels in order."""
    return replace(prints[0], more=tuple(prints[1:]))


def _measured(array: np.ndarray, marked: np.ndarray | None, geometry: Geometry, modality: Modality) -> Fingerprint:
    """One channel; ``marked``: bool [K, J, I] of the labelled voxels."""
    inside = array[marked] if marked is not None else ()
    return Fingerprint(geometry, modality, measure(sample_voxels(array)), measure(inside) if len(inside) else None)
