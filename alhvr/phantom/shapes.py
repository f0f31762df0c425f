"""Shapes of the phantom: signed distances of ellipsoids and tubes, smooth random waves, and the grid they lie on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

Region = tuple[slice, slice, slice]


@dataclass(frozen=True)
class Waves:
    """A smooth random function of space: a sum of cosines with random directions, lengths and phases."""

    vectors: np.ndarray
    """[N, 3] wave vectors in radians per mm."""
    phases: np.ndarray
    """[N] phases in radians."""

    @classmethod
    def draw(cls, rng: np.random.Generator, lengths_mm: tuple[float, float], count: int = 10) -> Waves:
        """``count`` waves in even directions whose lengths lie between the two given, in mm."""
        directions = rng.normal(size=(count, 3))
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        lengths_mm_each = np.exp(rng.uniform(*np.log(lengths_mm), size=(count, 1)))
        return cls(directions * (2 * np.pi / lengths_mm_each), rng.uniform(0, 2 * np.pi, size=count))

    def on(self, affine: np.ndarray, shape_kji: tuple[int, int, int]) -> np.ndarray:
        """Values [K, J, I] float32 of standard deviation about 1 on the grid with this (4, 4) index-to-mm matrix.

        On an affine grid each wave is a product of three one-dimensional ones, so one matrix product gives the sum.
        """
        steps = self.vectors @ affine[:3, :3]
        offset = self.vectors @ affine[:3, 3] + self.phases
        along = [np.exp(1j * np.outer(np.arange(n), steps[:, axis])) for axis, n in enumerate(shape_kji[::-1])]
        along[2] = along[2] * np.exp(1j * offset)
        slices = (along[2][:, None] * along[1][None]).astype(np.complex64)
        waves = (slices @ along[0].T.astype(np.complex64)).real
        return (waves * np.sqrt(2 / len(self.phases))).astype(np.float32)


@dataclass(frozen=True)
class Ellipsoid:
    """An ellipsoid in body coordinates (L, P, S mm)."""

    center: tuple[float, float, float]
    """Centre in mm."""
    radii: tuple[float, float, float]
    """Half axes in mm, before turning."""
    turn_degrees: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Turns about L, P and S, in degrees."""

    @property
    def reach(self) -> tuple[np.ndarray, float]:
        """Centre and radius (mm) of a ball that holds the shape."""
        return np.array(self.center), max(self.radii)

    def distance(self, points: np.ndarray) -> np.ndarray:
        """Signed distance in mm (negative inside, first order) of points [3, K, J, I] float32."""
        axes = rotation(self.turn_degrees).T.astype(np.float32)
        offset = points - np.array(self.center, np.float32)[:, None, None, None]
        if any(self.turn_degrees):
            offset = np.tensordot(axes, offset, axes=1)
        scaled = offset / np.array(self.radii, np.float32)[:, None, None, None]
        level = np.sqrt((scaled * scaled).sum(axis=0))
        scaled /= np.array(self.radii, np.float32)[:, None, None, None]
        slope = np.sqrt((scaled * scaled).sum(axis=0))
        return level * (level - 1) / np.maximum(slope, 1e-6)


@dataclass(frozen=True)
class Tube:
    """A bent tube of changing width through points in body coordinates (L, P, S mm)."""

    path: tuple[tuple[float, float, float], ...]
    """Points of the middle line in mm."""
    radii: tuple[float, ...]
    """Radius in mm at each point."""

    @property
    def reach(self) -> tuple[np.ndarray, float]:
        """Centre and radius (mm) of a ball that holds the shape."""
        path = np.array(self.path)
        center = (path.min(axis=0) + path.max(axis=0)) / 2
        return center, float(np.linalg.norm(path - center, axis=1).max()) + max(self.radii)

    def distance(self, points: np.ndarray) -> np.ndarray:
        """Signed distance in mm (negative inside) of points [3, K, J, I] float32."""
        path = np.array(self.path, np.float32)
        nearest = np.full(points.shape[1:], np.inf, np.float32)
        for start, end, radius_a, radius_b in zip(path, path[1:], self.radii, self.radii[1:], strict=False):
            line = end - start
            offset = points - start[:, None, None, None]
            share = np.clip(np.tensordot(line / (line @ line), offset, axes=1), 0, 1)
            offset -= line[:, None, None, None] * share
            apart = np.sqrt((offset * offset).sum(axis=0))
            np.minimum(nearest, apart - radius_a - (radius_b - radius_a) * share, out=nearest)
        return nearest


Shape = Ellipsoid | Tube


def rotation(turn_degrees: tuple[float, float, float]) -> np.ndarray:
    """(3, 3) matrix of the turns about L, then P, then S, in degrees."""
    matrix = np.eye(3)
    for axis, angle in enumerate(np.deg2rad(turn_degrees)):
        a, b = [other for other in range(3) if other != axis]
        turn = np.eye(3)
        turn[a, a] = turn[b, b] = np.cos(angle)
        turn[a, b], turn[b, a] = -np.sin(angle), np.sin(angle)
        matrix = turn @ matrix
    return matrix


def union(first: np.ndarray, second: np.ndarray, blend_mm: float = 0.0) -> np.ndarray:
    """Signed distance of the union; the seam is rounded over ``blend_mm``."""
    if blend_mm <= 0:
        return np.minimum(first, second)
    overlap = np.maximum(blend_mm - np.abs(first - second), 0) / blend_mm
    return np.minimum(first, second) - overlap * overlap * (blend_mm / 4)


@dataclass(frozen=True)
class BodyGrid:
    """The voxel grid of a scan seen from inside a body: every voxel's body coordinates after a smooth bending."""

    shape_kji: tuple[int, int, int]
    """Voxels along K, J, I."""
    affine: np.ndarray
    """(4, 4) index (I, J, K) to unbent body coordinates (L, P, S mm)."""
    bend_mm: float
    """Standard deviation of the bending along each axis, in mm."""
    bends: tuple[Waves, Waves, Waves]
    """The bending along L, P and S."""

    @cached_property
    def points(self) -> np.ndarray:
        """[3, K, J, I] float32: body coordinates (L, P, S mm) of every voxel centre."""
        axes = [np.arange(n, dtype=np.float64) for n in self.shape_kji[::-1]]
        values = np.empty((3, *self.shape_kji), np.float32)
        for row in range(3):
            along = [self.affine[row, axis] * axes[axis] for axis in range(3)]
            plane = along[2][:, None] + along[1][None] + self.affine[row, 3]
            values[row] = plane[..., None].astype(np.float32) + along[0].astype(np.float32)
            values[row] += self.bend_mm * self.bends[row].on(self.affine, self.shape_kji)
        return values

    def near(self, reach: tuple[np.ndarray, float], margin_mm: float = 0.0) -> Region | None:
        """Slices (K, J, I) that hold every voxel within the ball ``reach``; None when it lies outside the grid."""
        center, radius = reach
        inverse = np.linalg.inv(self.affine)
        index = inverse[:3, :3] @ center + inverse[:3, 3]
        half = np.linalg.norm(inverse[:3, :3], axis=1) * (radius + margin_mm + 3.5 * self.bend_mm)
        low = np.maximum(np.floor(index - half).astype(int), 0)
        high = np.minimum(np.ceil(index + half).astype(int) + 1, self.shape_kji[::-1])
        if (low >= high).any():
            return None
        k, j, i = [slice(int(a), int(b)) for a, b in zip(low[::-1], high[::-1], strict=True)]
        return k, j, i
