"""Regions: confidence maps of the perturbed networks, gamma and the size of each region for any beta, the regions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from alhvr.core.errors import UserError

if TYPE_CHECKING:
    from alhvr.bundle.description import InferenceSettings
    from alhvr.data.geometry import Geometry

LEVELS = 65535
"""The uint16 value of confidence 1. Thresholds and regions follow from these maps alone, so that a viewer that
compares them with a number finds exactly the regions written here."""

RELIABLE_STABLE, RELIABLE_UNSTABLE, UNRELIABLE_STABLE = 1, 2, 3
"""Values of a region map: both networks confident, one of them, none."""
REGION_NAMES = {RELIABLE_STABLE: "reliable stable", RELIABLE_UNSTABLE: "reliable unstable",
                UNRELIABLE_STABLE: "unreliable stable"}
"""As the paper calls them."""

STEPS = 100
"""Steps of beta from 0 to 1 in a table."""
BETAS = tuple(round(step / STEPS, 2) for step in range(STEPS + 1))
"""The beta values of a table."""

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
    """uint8 [K, J, I], 255 = 1: largest probability of the competing teacher, the more confident network without
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

    def voxels(self, level: int) -> tuple[int, int, int]:
        """How many voxels regions 1, 2 and 3 have at this ``threshold_level``; together all of them."""
        level = min(max(level, 0), LEVELS + 1)
        one_unsure, both_unsure = int(self._smaller_below[level]), int(self._larger_below[level])
        return int(self._counts_below[-1]) - one_unsure, one_unsure - both_unsure, both_unsure

    def table(self) -> dict[float, float]:
        """gamma for beta from 0 to 1 in steps of 0.01."""
        return {beta: self.gamma(beta) for beta in BETAS}


def region_map(con_a: np.ndarray, con_b: np.ndarray, gamma: float) -> np.ndarray:
    """Regions of Eqs. 12 to 14 as uint8 of the shape of the confidences (uint16 or float 0..1).

    1 where both are at least ``gamma``, 2 where exactly one is, 3 where none is.
    """
    region = np.empty(con_a.shape, dtype=np.uint8)
    write_regions(region, con_a, con_b, threshold_level(gamma))
    return region


def regions_at(con_a: np.ndarray, con_b: np.ndarray, level: int) -> np.ndarray:
    """The same of uint16 confidences of any equal shape, for a ``threshold_level``."""
    region = np.less(con_a, level).view(np.uint8)
    region += np.less(con_b, level).view(np.uint8)
    region += RELIABLE_STABLE
    return region


def write_regions(target: np.ndarray, con_a: np.ndarray, con_b: np.ndarray, level: int) -> None:
    """Puts the regions into ``target``, of equal shape and any integer type, without a second array of its size."""
    for part, (level_a, level_b) in _with_chunks(target, con_a, con_b):
        part[:] = regions_at(level_a, level_b, level)


def are_regions(target: np.ndarray, con_a: np.ndarray, con_b: np.ndarray, level: int) -> bool:
    """Whether ``target`` holds the regions of a ``threshold_level``."""
    return all(np.array_equal(part, regions_at(level_a, level_b, level))
               for part, (level_a, level_b) in _with_chunks(target, con_a, con_b))


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
        gamma_table=table, voxels_table={beta: curve.voxels(threshold_level(limit)) for beta, limit in table.items()},
        teacher=teacher, temperature=settings.temperature, fusion=settings.fusion, geometry=geometry)


@dataclass(frozen=True)
class RegionTable:
    """What NAME.regions.json tells of a result; every tuple has an entry for beta 0.00, 0.01, ... 1.00."""

    beta: float
    """Of the region map as it was written."""
    gamma: tuple[float, ...]
    """Threshold of Eq. 11, 0 to 1."""
    level: tuple[int, ...]
    """Smallest uint16 confidence (65535 = 1) that is at least gamma."""
    voxels: tuple[tuple[int, int, int], ...] | None
    """Voxels of regions 1, 2 and 3; None in older results."""
    fusion: str
    """Rule by which the segmentation was fused; "" in older results."""
    temperature: float | None
    """T of Eq. 22; None in older results."""
    nominal: bool
    """True where voxels of 1 mm may stand for an unknown size, so that ml are not to be relied on."""


def step_of(beta: float) -> int:
    """The entry of a table for a beta of 0 to 1: the nearest hundredth."""
    return min(max(round(beta * STEPS), 0), STEPS)


def table_record(maps: RegionMaps) -> dict[str, Any]:
    """Plain values for NAME.regions.json; ``parse_table`` reads them."""
    return {
        "beta": maps.beta,
        "gamma": maps.gamma,
        "fusion": maps.fusion,
        "temperature": maps.temperature,
        "voxel_volume_ml": maps.geometry.voxel_volume_ml,
        "spacing_may_be_nominal": maps.geometry.nominal,
        "confidence_scale": LEVELS,
        "region_names": {str(value): name for value, name in REGION_NAMES.items()},
        "gamma_by_beta": _by_beta(maps.gamma_table),
        "threshold_by_beta": _by_beta(maps.threshold_table),
        "voxels_by_beta": _by_beta(maps.voxels_table),
    }


def parse_table(text: str) -> RegionTable:
    """The table in the text of a NAME.regions.json; raises UserError where it is none."""
    keys = [f"{beta:.2f}" for beta in BETAS]
    try:
        record = json.loads(text)
        counts = record.get("voxels_by_beta")
        table = RegionTable(
            beta=float(record["beta"]),
            gamma=tuple(float(record["gamma_by_beta"][key]) for key in keys),
            level=tuple(int(record["threshold_by_beta"][key]) for key in keys),
            voxels=tuple(tuple(int(count) for count in counts[key]) for key in keys) if counts else None,
            fusion=str(record.get("fusion") or ""),
            temperature=float(record["temperature"]) if record.get("temperature") is not None else None,
            nominal=record.get("spacing_may_be_nominal") is True,
        )
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
        raise UserError(f"The table of the regions is damaged ({error}).", "Segment the scan again.") from error
    if not 0 <= table.beta <= 1 or any(len(counts) != 3 for counts in table.voxels or ()):
        raise UserError("The table of the regions is damaged (numbers out of range).", "Segment the scan again.")
    return table


def _by_beta(table: dict[float, Any]) -> dict[str, Any]:
    return {f"{beta:.2f}": value for beta, value in table.items()}


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


def _with_chunks(target: np.ndarray, con_a: np.ndarray,
                 con_b: np.ndarray) -> Iterator[tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]]:
    """Parts of ``target``, views, with the same parts of both confidences."""
    parts = np.array_split(target.reshape(-1), max(1, -(-target.size // _CHUNK)))
    return zip(parts, _chunks(con_a, con_b), strict=True)
