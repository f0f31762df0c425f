"""Windows: where the overlapping windows of a prepared scan lie, and how much each of their pixels counts."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np

MULTIPLE = 16
"""Every window side is a multiple of this: the networks halve their input four times."""

SIGMA_FRACTION = 1 / 8
"""Standard deviation of the Gaussian importance as a fraction of the window's side."""


@dataclass(frozen=True)
class Window:
    """One window of a grid: where it lies and how much each of its pixels counts there."""

    place: tuple[slice, ...]
    """Range along each spatial axis of the grid, slowest axis first."""
    factors: tuple[np.ndarray, ...] | None
    """Importance along each axis, float32 [side]; their outer product sums to 1 over the windows of a grid.
    None when one window covers the grid."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Pixels along each axis."""
        return tuple(part.stop - part.start for part in self.place)

    def importance(self, plane: int) -> np.ndarray:
        """float32 [j, i]: how much the pixels of the window's plane ``plane`` count; the window needs factors."""
        along_k, along_j, along_i = self.factors
        return (along_k[plane] * along_j)[:, None] * along_i


@dataclass(frozen=True)
class PaddedGrid:
    """A grid enlarged on all sides, and where the original lies in it."""

    shape: tuple[int, ...]
    """Pixels of the enlarged grid along each axis."""
    inside: tuple[slice, ...]
    """Range of the original along each axis."""


def starts(size: int, window: int, overlap: float) -> list[int]:
    """First index of each window of side ``window`` along an axis of ``size`` >= ``window`` pixels.

    Neighbours share the fraction ``overlap`` (0 to below 1) of their side; the last window is moved back to end with
    the axis: 140 pixels, window 96, overlap 1/3 (stride 64) give [0, 44].
    """
    stride = max(1, round(window * (1 - overlap)))
    return [*range(0, size - window, stride), size - window]


def pad(shape: tuple[int, ...], smallest: tuple[int, ...]) -> PaddedGrid:
    """Centres a grid of ``shape`` pixels in one of at least ``smallest`` pixels per axis."""
    padded = tuple(max(size, wanted) for size, wanted in zip(shape, smallest, strict=True))
    before = [(whole - size) // 2 for whole, size in zip(padded, shape, strict=True)]
    return PaddedGrid(padded, tuple(slice(first, first + size) for first, size in zip(before, shape, strict=True)))


def tile(shape: tuple[int, ...], window: tuple[int, ...], overlap: float) -> list[Window]:
    """Windows that together cover a grid of ``shape`` pixels [K, J, I], each axis at least as long as the window's.

    They are sorted by where they start: along K first, then along J, then along I.
    """
    axes = [_axis(size, side, overlap) for size, side in zip(shape, window, strict=True)]
    alone = all(size == side or side == 1 for size, side in zip(shape, window, strict=True))
    windows = []
    for pieces in product(*axes):
        place = tuple(slice(start, start + len(factor)) for start, factor in pieces)
        windows.append(Window(place, None if alone else tuple(factor for _, factor in pieces)))
    return windows


def gaussian(side: int) -> np.ndarray:
    """float64 [side]: importance along one axis of a window, 1 at the centre, above zero at the ends."""
    offset = np.arange(side) - (side - 1) / 2
    return np.exp(-0.5 * (offset / (side * SIGMA_FRACTION)) ** 2)


def _axis(size: int, side: int, overlap: float) -> list[tuple[int, np.ndarray]]:
    """Start and importance [side] of each window along one axis; at every pixel the importances sum to 1."""
    weights = gaussian(side)
    total = np.zeros(size)
    first = starts(size, side, overlap)
    for start in first:
        total[start:start + side] += weights
    return [(start, (weights / total[start:start + side]).astype(np.float32)) for start in first]
