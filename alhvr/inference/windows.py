"""Windows: cut a prepared scan into overlapping windows, and blend what the networks say about them into one map."""

from __future__ import annotations

from collections.abc import Iterator
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

    @property
    def importance(self) -> np.ndarray | None:
        """float32 [*window]: the outer product of ``factors``; None when every pixel counts fully."""
        if self.factors is None:
            return None
        result = self.factors[0]
        for factor in self.factors[1:]:
            result = result[..., None] * factor
        return result


@dataclass(frozen=True)
class Padded:
    """A grid enlarged on all sides, and where the original lies in it."""

    array: np.ndarray
    """[*S] of the enlarged grid."""
    inside: tuple[slice, ...]
    """Range of the original along each axis."""


def starts(size: int, window: int, overlap: float) -> list[int]:
    """First index of each window of side ``window`` along an axis of ``size`` >= ``window`` pixels.

    Neighbours share the fraction ``overlap`` (0 to below 1) of their side; the last window is moved back to end with
    the axis: 140 pixels, window 96, overlap 1/3 (stride 64) give [0, 44].
    """
    stride = max(1, round(window * (1 - overlap)))
    return [*range(0, size - window, stride), size - window]


def pad(array: np.ndarray, smallest: tuple[int, ...]) -> Padded:
    """Centres ``array`` [*S] in a grid of at least ``smallest`` pixels per axis, filled with the array's minimum."""
    missing = [max(0, wanted - size) for wanted, size in zip(smallest, array.shape, strict=True)]
    widths = [(total // 2, total - total // 2) for total in missing]
    inside = tuple(slice(before, before + size) for (before, _), size in zip(widths, array.shape, strict=True))
    if not any(missing):
        return Padded(array, inside)
    return Padded(np.pad(array, widths, constant_values=array.min()), inside)


def tile(shape: tuple[int, ...], window: tuple[int, ...], overlap: float) -> list[Window]:
    """Windows that together cover a grid of ``shape`` pixels, each axis at least as long as the window's side."""
    axes = [_axis(size, side, overlap) for size, side in zip(shape, window, strict=True)]
    alone = all(size == side or side == 1 for size, side in zip(shape, window, strict=True))
    windows = []
    for pieces in product(*axes):
        place = tuple(slice(start, start + len(factor)) for start, factor in pieces)
        windows.append(Window(place, None if alone else tuple(factor for _, factor in pieces)))
    return windows


def blend(total: np.ndarray, values: np.ndarray, window: Window) -> None:
    """Adds ``values`` [..., *window], weighted by importance, to ``total`` [..., *grid] in place (float32)."""
    target = total[(..., *window.place)]
    if window.factors is None:
        target[...] = values
    else:
        target += values * window.importance


def batches(windows: list[Window], size: int) -> Iterator[list[Window]]:
    """``windows`` in groups of ``size``, in order."""
    for first in range(0, len(windows), size):
        yield windows[first:first + size]


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
