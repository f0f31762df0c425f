"""Regions: confidence maps of the perturbed networks, gamma and the size of each region for any beta, the regions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from alhvr.bundle.description import InferenceSettings
    from alhvr.data.geometry import Geometry

LEVELS = 65535
"""The uint16 value of confidence 1. Thresholds and regions follow from these maps alone, so that a viewer that
compares them with a number finds exactly the regions written here."""

RELIABLE_STABLE, RELIABLE_UNSTABLE, UNRELIABLE_STABLE = 1, 2, 3
"""Values of a region map: both networks confident, one of them, none."""

BETAS = tuple(round(0.01 * step, 2) for step in range(101))
"""The beta values of a gamma table."""

TEACHER_LEVELS = 255
"""The uint8 value of a teacher's certainty 1."""

_CHUNK = 1 << 20
"""Pixels looked at at once; bounds the memory beside the maps themselves."""


@dataclass(frozen=True)
class RegionMaps:
    """Where two networks stay confident under perturbation, on the scan's own grid."""

    confidence_a: np.ndarray
    """uint16 [K, J, I], 65535 = 1: largest class probability of network a under perturbation."""
    confidence_b: np.ndarray
    """The same of network b."""
    beta: float
    """Share of the least confident voxels whose mean is gamma."""
    gamma: float
    """Threshold of Eq. 11 over the whole scan, 1/C to 1."""
    gamma_table: dict[float, float]
    """beta 0.00, 0.01, ... 1.00 to gamma."""
    voxels_table: dict[float, tuple[int, int, int]]
    """beta 0.00, 0.01, ... 1.00 to the voxels of regions 1, 2 and 3."""
    teacher: np.ndarray
    """uint8 [K, J, I], 255 = 1: largest probability of the competing teacher, the surer of both networks without
    perturbation (Eq. 21), sharpened by ``temperature`` (Eq. 22)."""
    temperature: float
    """Sharpening temperature T."""
    fusion: str
    """Rule by which the segmentation beside these maps was fused."""
    geometry: Geometry
    """Where the voxels lie: the scan's own grid."""

    @property
    def region(self) -> np.ndarray:
        """uint8 [K, J, I]: 1 reliable stable, 2 reliable unstable, 3 unreliable stable, at ``beta``.

        Made anew each time: what is needed for writing alone does not lie beside the scan.
        """
        return region_map(self.confidence_a, self.confidence_b, self.gamma)

    @property
    def threshold_table(self) -> dict[float, int]:
        """beta 0.00, 0.01, ... 1.00 to the smallest uint16 confidence that is at least gamma."""
        return {beta: threshold_level(gamma) for beta, gamma in self.gamma_table.items()}


class GammaCurve:
    """gamma (Eq. 11) and the size of each region for any beta, from one pass over the confidences of a scan."""

    def __init__(self, con_a: np.ndarray, con_b: np.ndarray) -> None:
        """Counts the sums, the smaller and the larger of both confidences, uint16 or float 0..1, any equal shape."""
        counts = np.zeros(2 * LEVELS + 1, dtype=np.int64)
        smaller, larger = np.zeros((2, LEVELS + 1), dtype=np.int64)
        for level_a, level_b in _chunks(con_a, con_b):
            counts += np.bincount(level_a.astype(np.intp) + level_b, minlength=len(counts))
            smaller += np.bincount(np.minimum(level_a, level_b), minlength=len(smaller))
            larger += np.bincount(np.maximum(level_a, level_b), minlength=len(larger))
        self._smaller_below, self._larger_below = (np.concatenate([[0], np.cumsum(c)]) for c in (smaller, larger))
        self._counts_below = np.concatenate([[0], np.cumsum(counts)])
        self._sums_below = np.concatenate([[0], np.cumsum(counts * np.arange(len(counts)))])

    def gamma(self, beta: float) -> float:
        """Mean of the K = floor(beta * N) smallest values of (con_a + con_b) / 2, exact in float64.

        At least one value is taken: beta 0 gives the smallest mean confidence.
        """
        n_smallest = max(1, int(beta * self._counts_below[-1] + 1e-6))
        last = int(np.searchsorted(self._counts_below, n_smallest)) - 1
        partial = (n_smallest - int(self._counts_below[last])) * last
        return (int(self._sums_below[last]) + partial) / n_smallest / (2 * LEVELS)

    def voxels(self, gamma: float) -> tuple[int, int, int]:
        """How many voxels regions 1, 2 and 3 have at this threshold; together all of them."""
        level = threshold_level(gamma)
        one_unsure, both_unsure = int(self._smaller_below[level]), int(self._larger_below[level])
        return int(self._counts_below[-1]) - one_unsure, one_unsure - both_unsure, both_unsure

    def table(self) -> dict[float, float]:
        """gamma for beta from 0 to 1 in steps of 0.01."""
        return {beta: self.gamma(beta) for beta in BETAS}


def gamma_table(con_a: np.ndarray, con_b: np.ndarray) -> dict[float, float]:
    """gamma (Eq. 11) for beta 0.00, 0.01, ... 1.00, from confidences as uint16 (65535 = 1) or float 0..1."""
    return GammaCurve(con_a, con_b).table()


def region_map(con_a: np.ndarray, con_b: np.ndarray, gamma: float) -> np.ndarray:
    """Regions of Eqs. 12 to 14 as uint8 of the shape of the confidences (uint16 or float 0..1).

    1 where both are at least ``gamma``, 2 where exactly one is, 3 where none is.
    """
    level = threshold_level(gamma)
    region = np.empty(con_a.shape, dtype=np.uint8)
    targets = np.array_split(region.reshape(-1), max(1, -(-region.size // _CHUNK)))
    for target, (level_a, level_b) in zip(targets, _chunks(con_a, con_b), strict=True):
        np.add(level_a < level, level_b < level, out=target, dtype=np.uint8)
        target += RELIABLE_STABLE
    return region


def threshold_level(gamma: float) -> int:
    """The smallest uint16 confidence that is at least ``gamma``; a tie counts as confident."""
    return int(np.ceil(gamma * LEVELS - 1e-6))


def quantize(confidence: np.ndarray) -> np.ndarray:
    """Confidences 0..1 as uint16, 65535 = 1, rounded; uint16 passes unchanged."""
    if confidence.dtype == np.uint16:
        return confidence
    scaled = confidence * LEVELS
    scaled += 0.5
    return np.clip(scaled, 0, LEVELS, out=scaled).astype(np.uint16)


def make_region_maps(con_a: np.ndarray, con_b: np.ndarray, teacher: np.ndarray, settings: InferenceSettings,
                     geometry: Geometry) -> RegionMaps:
    """Everything about regions for one scan, from maps [K, J, I] on its own grid.

    ``con_a``, ``con_b``: both confidences, 0..1 or uint16; ``teacher``: see RegionMaps.
    """
    level_a, level_b = quantize(con_a), quantize(con_b)
    curve = GammaCurve(level_a, level_b)
    gamma, table = curve.gamma(settings.beta), curve.table()
    return RegionMaps(
        confidence_a=level_a, confidence_b=level_b, beta=settings.beta, gamma=gamma,
        gamma_table=table, voxels_table={beta: curve.voxels(limit) for beta, limit in table.items()},
        teacher=teacher, temperature=settings.temperature, fusion=settings.fusion, geometry=geometry)


def sharpen(probability: np.ndarray, temperature: float) -> np.ndarray:
    """Probabilities 0..1 of any shape moved towards 0 and 1, each against the rest (Eq. 22).

    That is p^(1/T) / (p^(1/T) + (1-p)^(1/T)). It keeps their order, so the largest of the sharpened ones is the
    sharpened largest one. temperature: above 0 and at most 1, which changes nothing.
    """
    rest = 1 - probability
    largest = np.maximum(probability, rest)
    share, others = (probability / largest) ** (1 / temperature), (rest / largest) ** (1 / temperature)
    return share / (share + others)


def certainty_levels(temperature: float) -> np.ndarray:
    """uint8 [65536]: for each uint16 confidence of the teacher its certainty after sharpening, 255 = 1."""
    sharpened = sharpen(np.arange(LEVELS + 1) / LEVELS, temperature)
    return np.rint(sharpened * TEACHER_LEVELS).astype(np.uint8)


def _chunks(con_a: np.ndarray, con_b: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Both confidences in memory order as flat uint16 arrays, a part at a time."""
    parts = max(1, -(-con_a.size // _CHUNK))
    for part_a, part_b in zip(*(np.array_split(con.reshape(-1), parts) for con in (con_a, con_b)), strict=True):
        yield quantize(part_a), quantize(part_b)
