"""Streaming: windows cut from planes as they are prepared, and blended into planes that are handed on once final."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from alhvr.data.preprocess import PreparedPlanes
from alhvr.inference.windows import PaddedGrid, Window

HandOn = Callable[[Sequence[np.ndarray]], None]
"""Takes the next final plane of the prepared grid: float32 [C, J, I] of each map."""


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
