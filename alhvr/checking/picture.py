"""Picture: a thumbnail of one slice and of its label, right way up for a reader, and a histogram of the scan."""

from __future__ import annotations

import numpy as np

from alhvr.data.axes import Arrangement, AxisTransform, arrangement, slice_axis
from alhvr.data.geometry import Geometry
from alhvr.data.intensity import Statistics, sample_voxels
from alhvr.data.resampling import rescale

LONGER_SIDE = 64
"""Pixels of a thumbnail's longer side."""
N_BINS = 64
_CLEARLY = 1.5
"""How much thicker or shorter than the others an axis is for slices to be shown across it."""
_HEADWARD = 2
"""Of the patient's directions left, posterior and superior: the one that runs against reading."""


def best_slice(label: np.ndarray | None, geometry: Geometry) -> int:
    """The slice to show, counted along the axis that is looked along: the one with most of the label, else the middle.

    ``label``: bool [K, J, I] of the labelled voxels.
    """
    axis = _view(geometry).order[0]
    middle = geometry.shape_kji[axis] // 2
    if label is None:
        return middle
    counts = np.count_nonzero(label, axis=tuple(other for other in range(3) if other != axis))
    return int(counts.argmax()) if counts.any() else middle


def thumbnail(array: np.ndarray, geometry: Geometry, index: int, intensity: Statistics) -> np.ndarray:
    """uint8 [<= 64, <= 64] of slice ``index`` of [K, J, I]; 0 to 255 is the 0.5th to the 99.5th percentile.

    Columns run to the patient's left (or posterior), rows to posterior or inferior; pixels are square.
    """
    plane = np.array(_upright(array, geometry, index), dtype=np.float32)
    small = rescale(plane[np.newaxis], (1, *_size(plane.shape, geometry)), smooth=True)[0]
    width = intensity.upper - intensity.lower
    shown = (small - intensity.lower) / width if width > 0 else np.zeros_like(small)
    return np.rint(np.clip(shown, 0.0, 1.0) * 255).astype(np.uint8)


def outline(label: np.ndarray, geometry: Geometry, index: int) -> np.ndarray:
    """uint8 of label values (255 at most) on the pixels of ``thumbnail``, the nearest voxel of each."""
    plane = _upright(label, geometry, index)
    size = _size(plane.shape, geometry)
    rows, columns = (((np.arange(n) + 0.5) * full / n).astype(int) for n, full in zip(size, plane.shape, strict=True))
    return np.clip(plane[np.ix_(rows, columns)], 0, 255).astype(np.uint8)


def histogram(array: np.ndarray, intensity: Statistics) -> tuple[int, ...]:
    """Counts of an even sample of voxels in N_BINS equal bins between the 0.5th and the 99.5th percentile."""
    counts, _ = np.histogram(sample_voxels(array), bins=N_BINS, range=(intensity.lower, intensity.upper))
    return tuple(int(count) for count in counts)


def _view(geometry: Geometry) -> Arrangement:
    """Along the thick or the short axis, as the scan was taken; from the feet where all axes are about alike."""
    axis = slice_axis(geometry)
    others = [other for other in range(3) if other != axis]
    spacing, shape = geometry.spacing_mm[::-1], geometry.shape_kji
    thick = spacing[axis] > _CLEARLY * max(spacing[other] for other in others)
    short = shape[axis] * _CLEARLY < min(shape[other] for other in others)
    return arrangement(geometry, 2 if thick or short else 3)


def _upright(array: np.ndarray, geometry: Geometry, index: int) -> np.ndarray:
    """Slice ``index`` of [K, J, I] as a view [rows, columns]."""
    plain = _view(geometry)
    whole = AxisTransform(geometry.shape_kji, plain, plain.pick(geometry.shape_kji)).arrange(array)
    plane = whole[len(whole) - 1 - index if plain.flipped[0] else index]
    return plane[::-1] if _rows_run_headward(plain, geometry) else plane


def _rows_run_headward(plain: Arrangement, geometry: Geometry) -> bool:
    """True when the rows of an arranged slice run to the head, which is down on paper."""
    column = np.reshape(geometry.direction, (3, 3))[:, 2 - plain.order[1]]
    return int(np.abs(column).argmax()) == _HEADWARD


def _size(shape: tuple[int, ...], geometry: Geometry) -> tuple[int, int]:
    """Rows and columns of square pixels for a slice of ``shape`` voxels; no more than the slice itself has."""
    plain = _view(geometry)
    spacing = [geometry.spacing_mm[::-1][axis] for axis in plain.order[1:]]
    extents = [n * s for n, s in zip(shape, spacing, strict=True)]
    longer = min(LONGER_SIDE, max(shape))
    rows, columns = (max(1, round(longer * extent / max(extents))) for extent in extents)
    return rows, columns
