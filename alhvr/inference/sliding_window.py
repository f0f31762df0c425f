"""Sliding windows over a scan: where they lie, and how their outputs are blended."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from alhvr.data.preprocess import PreparedPlanes

HandOn = Callable[[Sequence[np.ndarray]], None]
"""Takes the next final plane of the prepared grid: float32 [C, J, I] of each map."""

MULTIPLE = 16
"""Every window side is a multiple of this: the networks halve their input four times."""

SIGMA_FRACTION = 1 / 8
"""Standard deviation of the Gaussian importance as a fraction of the window's side."""


class WindowSource:
    """Cuts windows, in the order of K, from a prepared scan within its padding; holds only planes still needed."""

    def __init__(self, planes: PreparedPlanes, grid: PaddedGrid, check: Callable[[], None]) -> None:
        """``grid``: the prepared grid, centred in one that is filled with each channel's smallest prepared value.

        ``check`` is called often while that is looked for, and may raise.
        """
        self._grid, self._padded = grid, grid.shape != planes.shape
        self._n_channels = planes.n_channels
        self._lowest = planes.lowest(check) if self._padded else None
        self._arriving = iter(planes)
        self._held: dict[int, np.ndarray] = {}
        self._next = 0

    def cut(self, windows: Sequence[Window]) -> np.ndarray:
        """float32 [N, M, *window]: the voxels of ``windows``, of which none begins before one that was cut earlier."""
        stack = np.empty((len(windows), self._n_channels, *windows[0].shape), dtype=np.float32)
        for target, window in zip(stack, windows, strict=True):
            along_k, *in_plane = window.place
            for offset, k in enumerate(range(along_k.start, along_k.stop)):
                target[:, offset] = self._plane(k)[(slice(None), *in_plane)]
        return stack

    def forget(self, before: int) -> None:
        """Drops the planes before this place along K of the padded grid."""
        for k in [k for k in self._held if k < before]:
            del self._held[k]

    def _plane(self, k: int) -> np.ndarray:
        """float32 [M, J, I]: plane ``k`` of the padded grid."""
        while self._next <= k:
            self._held[self._next] = self._prepare(self._next)
            self._next += 1
        return self._held[k]

    def _prepare(self, k: int) -> np.ndarray:
        along_k, *in_plane = self._grid.inside
        inside = along_k.start <= k < along_k.stop
        if inside and not self._padded:
            return next(self._arriving)
        plane = np.empty((self._n_channels, *self._grid.shape[1:]), dtype=np.float32)
        plane[...] = self._lowest[:, np.newaxis, np.newaxis]
        if inside:
            plane[(slice(None), *in_plane)] = next(self._arriving)
        return plane


class Blender:
    """Adds windows, in the order of K, into planes, and hands each plane on as soon as no window can reach it."""

    def __init__(self, grid: PaddedGrid, hand_on: HandOn) -> None:
        """``hand_on`` gets the planes of the prepared grid, without the padding, one by one in their order."""
        self._grid, self._hand_on = grid, hand_on
        self._planes: dict[int, list[np.ndarray]] = {}
        self._next = 0

    def add(self, window: Window, maps: Sequence[np.ndarray]) -> None:
        """Adds each of ``maps`` float32 [C, *window], weighted by importance; a window that is alone is kept as is."""
        along_k, *in_plane = window.place
        self._finish(along_k.start)
        for offset, k in enumerate(range(along_k.start, along_k.stop)):
            if window.factors is None:
                self._planes[k] = [values[:, offset] for values in maps]
                continue
            if k not in self._planes:
                self._planes[k] = [np.zeros((len(values), *self._grid.shape[1:]), np.float32) for values in maps]
            importance = window.importance(offset)
            for total, values in zip(self._planes[k], maps, strict=True):
                total[(slice(None), *in_plane)] += values[:, offset] * importance

    def finish(self) -> None:
        """Hands on what is left; no window may follow."""
        self._finish(self._grid.shape[0])

    def _finish(self, before: int) -> None:
        along_k, *in_plane = self._grid.inside
        for k in range(self._next, before):
            maps = self._planes.pop(k)
            if along_k.start <= k < along_k.stop:
                self._hand_on([values[(slice(None), *in_plane)] for values in maps])
        self._next = max(self._next, before)


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
