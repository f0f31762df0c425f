"""Intensities: cheap statistics of a scan's voxels and bringing them to one scale."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from alhvr.core.errors import UserError

LOWER_PERCENT, UPPER_PERCENT = 0.5, 99.5
"""Percentiles that stand for the darkest and the brightest voxel, so that a few odd ones do not matter."""

KINDS = ("ct", "zscore", "percentile", "minmax", "nonzero")
_NONZERO_PERCENT = 99.9
_SAMPLE_VOXELS = 200_000
_AIR_SHARE = 0.05
"""Voxels in the lowest 5 % of a scan's robust range are taken for air or padding."""


@dataclass(frozen=True)
class Statistics:
    """Intensities of a set of voxels, in the scan's own unit (HU for CT)."""

    lower: float
    """0.5th percentile."""
    median: float
    """50th percentile."""
    upper: float
    """99.5th percentile."""
    mean: float
    """Mean of the values clipped to the two percentiles."""
    std: float
    """Standard deviation of the values clipped to the two percentiles."""


@dataclass(frozen=True)
class Normalization:
    """How intensities are brought to one scale.

    ``ct``: clip to lower..upper, then (x - mean) / std, the same for every scan. ``zscore``: per scan, clip to its
    0.5th..99.5th percentile and use mean and deviation of its voxels above air. ``percentile``: per scan, its
    0.5th..99.5th percentile to 0..1. ``minmax``: per scan, its extremes to 0..1. ``nonzero``: per scan, clip to its
    99.9th percentile and use mean and deviation of its voxels above 0. The last two are those of the released code.
    """

    kind: Literal["ct", "zscore", "percentile", "minmax", "nonzero"]
    """Which of these; the numbers below serve ``ct`` only."""
    lower: float = 0.0
    """Smallest intensity kept, in the scan's unit (HU)."""
    upper: float = 1.0
    """Largest intensity kept, in the scan's unit (HU)."""
    mean: float = 0.0
    """Intensity that becomes 0."""
    std: float = 1.0
    """Intensity difference that becomes 1, above 0."""

    def __post_init__(self) -> None:
        """Checks kind and ranges; raises UserError."""
        if self.kind not in KINDS:
            raise UserError(f"normalization is {self.kind!r}.", f"Accepted: {', '.join(KINDS)}.")
        if self.kind == "ct" and not (self.lower < self.upper and self.std > 0):
            raise UserError(f"CT normalization has range {self.lower} to {self.upper} and deviation {self.std}.",
                            "The upper bound must exceed the lower one and the deviation must be above 0.")


@dataclass(frozen=True)
class Scale:
    """What one scan's intensities go through, voxel by voxel; a larger one never becomes a smaller one."""

    lower: float
    """Smallest intensity kept."""
    upper: float
    """Largest intensity kept."""
    shift: float
    """Intensity that becomes 0."""
    factor: float
    """What one unit of intensity becomes, above 0."""

    def apply(self, array: np.ndarray) -> np.ndarray:
        """A contiguous float32 copy of ``array`` (float32, or integers of 8 or 16 bits), clipped and scaled."""
        result = np.empty(array.shape, dtype=np.float32)
        np.clip(array, np.float32(self.lower), np.float32(self.upper), out=result)
        result -= np.float32(self.shift)
        result *= np.float32(self.factor)
        return result


def measure(values: np.ndarray) -> Statistics:
    """Statistics of a one-dimensional, non-empty array of finite intensities."""
    values = np.asarray(values, dtype=np.float32)
    lower, median, upper = (float(v) for v in np.percentile(values, (LOWER_PERCENT, 50, UPPER_PERCENT)))
    clipped = np.clip(values, lower, upper)
    return Statistics(lower, median, upper, float(clipped.mean(dtype=float)), float(clipped.std(dtype=float)))


def sample_voxels(array: np.ndarray) -> np.ndarray:
    """About 200,000 voxels of [K, J, I] as float32 (all when fewer), evenly spread and always the same ones."""
    step = max(1, array.size // _SAMPLE_VOXELS)
    while any(math.gcd(step, size) > 1 for size in array.shape[1:] if size > 1):
        step += 1
    return np.asarray(array.reshape(-1)[::step], dtype=np.float32)


def scale_of(normalization: Normalization, sample: np.ndarray) -> Scale:
    """How the scan from which ``sample`` was drawn (sample_voxels) is brought to one scale with all others."""
    if normalization.kind == "ct":
        lower, upper = normalization.lower, normalization.upper
        shift, deviation = normalization.mean, normalization.std
    elif normalization.kind in ("percentile", "minmax"):
        lower, upper = _range(sample) if normalization.kind == "percentile" else _extremes(sample)
        shift, deviation = lower, upper - lower
    elif normalization.kind == "nonzero":
        lower, upper, shift, deviation = _nonzero(sample)
    else:
        lower, upper, shift, deviation = _zscore(sample)
    return Scale(lower, upper, shift, 1.0 / deviation if deviation > 0 else 1.0)


def _zscore(sample: np.ndarray) -> tuple[float, float, float, float]:
    """Lower and upper bound, mean and deviation of one scan, air and padding left out of the last three."""
    lower, upper = _range(sample)
    body = sample[sample > lower + _AIR_SHARE * (upper - lower)]
    if len(body) < 0.01 * len(sample):
        body = sample
    upper = max(upper, float(np.percentile(body, UPPER_PERCENT)))
    clipped = np.clip(body, lower, upper)
    return lower, upper, float(clipped.mean(dtype=float)), float(clipped.std(dtype=float))


def _nonzero(sample: np.ndarray) -> tuple[float, float, float, float]:
    """Lower and upper bound, and mean and deviation of the voxels above 0, of one scan."""
    lower, upper = float(sample.min()), float(np.percentile(sample, _NONZERO_PERCENT))
    body = np.minimum(sample[sample > 0], upper) if (sample > 0).any() else sample
    return lower, max(lower, upper), float(body.mean(dtype=float)), float(body.std(dtype=float))


def _extremes(sample: np.ndarray) -> tuple[float, float]:
    return float(sample.min()), float(sample.max())


def _range(sample: np.ndarray) -> tuple[float, float]:
    """0.5th and 99.5th percentile, or the extremes when nearly all voxels are alike."""
    lower, upper = (float(v) for v in np.percentile(sample, (LOWER_PERCENT, UPPER_PERCENT)))
    return (lower, upper) if upper > lower else _extremes(sample)
