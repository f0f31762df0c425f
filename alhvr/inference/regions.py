"""Regions: confidence maps of the perturbed networks, the threshold gamma for any beta, and the high-value regions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from alhvr.data.geometry import Geometry

LEVELS = 65535
"""The uint16 value of confidence 1. Thresholds and regions follow from these maps alone, so that a viewer that
compares them with a number finds exactly the regions written here."""

RELIABLE_STABLE, RELIABLE_UNSTABLE, UNRELIABLE_STABLE = 1, 2, 3
"""Values of a region map: both networks confident, one of them, none."""

BETAS = tuple(round(0.01 * step, 2) for step in range(101))
"""The beta values of a gamma table."""

_CHUNK = 1 << 20
"""Pixels looked at at once; bounds the memory beside the maps themselves."""


@dataclass(frozen=True)
class RegionMaps:
    """Where two networks stay confident under perturbation, on the scan's own grid."""

    confidence_a: np.ndarray
    """uint16 [K, J, I], 65535 = 1: largest class probability of network a under perturbation."""
    confidence_b: np.ndarray
    """The same of network b."""
    region: np.ndarray
    """uint8 [K, J, I]: 1 reliable stable, 2 reliable unstable, 3 unreliable stable, at ``beta``."""
    beta: float
    """Share of the least confident voxels whose mean is gamma."""
    gamma: float
    """Threshold of Eq. 11 over the whole scan, 1/C to 1."""
    gamma_table: dict[float, float]
    """beta 0.00, 0.01, ... 1.00 to gamma."""
    geometry: Geometry
    """Where the voxels lie: the scan's own grid."""

    @property
    def threshold_table(self) -> dict[float, int]:
        """beta 0.00, 0.01, ... 1.00 to the smallest uint16 confidence that is at least gamma."""
        return {beta: threshold_level(gamma) for beta, gamma in self.gamma_table.items()}


class GammaCurve:
    """gamma for any beta from one pass over the confidences of a scan (Eq. 11)."""

    def __init__(self, con_a: np.ndarray, con_b: np.ndarray) -> None:
        """Counts the sums of both confidences, uint16 or float 0..1, any equal shape."""
        counts = np.zeros(2 * LEVELS + 1, dtype=np.int64)
        for level_a, level_b in _chunks(con_a, con_b):
            counts += np.bincount(level_a.astype(np.intp) + level_b, minlength=len(counts))
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


def make_region_maps(con_a: np.ndarray, con_b: np.ndarray, beta: float, geometry: Geometry) -> RegionMaps:
    """Everything about regions for one scan, from both confidences [K, J, I] on its own grid, 0..1 or uint16."""
    level_a, level_b = quantize(con_a), quantize(con_b)
    curve = GammaCurve(level_a, level_b)
    gamma = curve.gamma(beta)
    return RegionMaps(confidence_a=level_a, confidence_b=level_b, region=region_map(level_a, level_b, gamma),
                      beta=beta, gamma=gamma, gamma_table=curve.table(), geometry=geometry)


def _chunks(con_a: np.ndarray, con_b: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Both confidences in memory order as flat uint16 arrays, a part at a time."""
    parts = max(1, -(-con_a.size // _CHUNK))
    for part_a, part_b in zip(*(np.array_split(con.reshape(-1), parts) for con in (con_a, con_b)), strict=True):
        yield quantize(part_a), quantize(part_b)
