"""RTSTRUCT: contours in the patient become voxels of a scan: those whose centre lies inside, by the even-odd rule."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from alhvr.core.errors import UserError
from alhvr.core.files import open_plain, shown
from alhvr.data.dicom_file import read_header
from alhvr.data.geometry import Geometry

_MOST_POINTS = 20_000_000
_PLANAR = ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR")
_FLAT = 0.25
"""A contour may rise this share of a slice distance out of its plane: rounding, and slices that are a little turned."""
_SAME_PLANE = 0.02
"""Contours nearer than this share of a slice distance lie in one plane."""
_EDGES_AT_ONCE = 20_000


@dataclass
class Contours:
    """Of one structure."""

    polygons: list[np.ndarray] = field(default_factory=list)
    """Each LPS mm [n, 3], closed."""
    n_others: int = 0
    """Points and open lines, which enclose nothing."""


@dataclass(frozen=True)
class Painted:
    """Structures as voxels."""

    array: np.ndarray
    """uint16 [K, J, I]."""
    warnings: tuple[str, ...]


def contours_of(path: Path) -> dict[int, Contours]:
    """The contours of each structure by its ROI number, also where it has none; raises UserError for too many."""
    with open_plain(path) as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        header = read_header(file, ("StructureSetROISequence", "ROIContourSequence"), large=True).values
        found = {int(item.ROINumber): Contours() for item in header.get("StructureSetROISequence") or ()}
        left = _MOST_POINTS
        for roi in header.get("ROIContourSequence") or ():
            of_roi = found.setdefault(int(roi.ReferencedROINumber), Contours())
            for contour in roi.get("ContourSequence") or ():
                kind = str(contour.get("ContourGeometricType") or "")
                if kind not in _PLANAR:
                    of_roi.n_others += 1
                    continue
                points = _points(path, contour)
                left -= len(points)
                if left < 0:
                    raise UserError(f"{shown(path.name)} has more than {_MOST_POINTS} contour points.")
                of_roi.polygons.append(points)
    return found


def _points(path: Path, contour: object) -> np.ndarray:
    """LPS mm [n, 3]; raises UserError for what are no points."""
    raw = contour.get_item("ContourData")
    value = getattr(raw, "value", None)
    parts = value.split(b"\\") if isinstance(value, bytes) else list(value or ())
    try:
        points = np.array([float(part) for part in parts]).reshape(-1, 3)
    except ValueError:
        points = np.full((1, 3), np.nan)
    if not np.isfinite(points).all():
        raise UserError(f"{shown(path.name)} has a contour whose points are no triples of numbers.", "Export it again.")
    return points


def paint_structures(file: str, structures: Mapping[int, Contours], names: Mapping[int, str],
                     grid: Geometry) -> Painted:
    """The structures, by their values, on ``grid``; where several overlap, the smaller one has the voxels.

    Raises UserError where contours do not lie in the slices of the grid, or none lies within it.
    """
    told, masks = [], {}
    for value, contours in structures.items():
        name = f'{shown(file)}: the contours of "{shown(names.get(value, str(value)))}"'
        mask, said = _mask(name, contours, grid)
        told += said
        if mask is not None:
            masks[value] = mask
    if not any(mask.any() for mask in masks.values()):
        raise UserError(f"{shown(file)} has no contour within its scan.",
                        "Check that both are of one patient and one examination.")
    array, overlaps = np.zeros(grid.shape_kji, np.uint16), 0
    for value, mask in sorted(masks.items(), key=lambda entry: -np.count_nonzero(entry[1])):
        overlaps += int(np.count_nonzero(array[mask]))
        array[mask] = value
    if overlaps:
        told.append(f"{shown(file)}: {overlaps} voxels belong to several structures; the smaller one has them.")
    return Painted(array, tuple(told))


def _mask(name: str, contours: Contours, grid: Geometry) -> tuple[np.ndarray | None, list[str]]:
    """bool [K, J, I] of one structure, None where it has no closed contour, and what is said of it."""
    told = [f"{name}: {contours.n_others} points or open lines enclose nothing and were left out."
            ] if contours.n_others else []
    if not contours.polygons:
        return None, told
    planes = _planes(name, [grid.lps_to_index(points) for points in contours.polygons])
    heights = np.array(sorted(planes))
    gap = float(np.median(np.diff(heights))) if len(heights) > 1 else 1.0
    reach = max(0.5, gap / 2) + _SAME_PLANE
    off = np.abs(heights - np.rint(heights)).max()
    if gap > 1 + _SAME_PLANE or gap < 1 - _SAME_PLANE and len(heights) > 1 or off > 0.1:
        told.append(f"{name} do not lie in the slices of the scan (one every {gap:.3g} slices, up to {off:.2g} off); "
                    "each slice takes the nearest.")
    mask, count = np.zeros(grid.shape_kji, bool), 0
    for k in range(max(0, int(np.ceil(heights[0] - reach))), min(len(mask) - 1, int(heights[-1] + reach)) + 1):
        nearest = heights[np.abs(heights - k).argmin()]
        if abs(nearest - k) <= reach:
            mask[k] = fill_even_odd(planes[nearest], mask.shape[1:])
            count += 1
    return mask, told


def _planes(name: str, polygons: Sequence[np.ndarray]) -> dict[float, list[np.ndarray]]:
    """The polygons, each as (I, J) indices [n, 2], by their place along K; raises UserError where they lie across."""
    found: dict[float, list[np.ndarray]] = {}
    for points in sorted(polygons, key=lambda points: float(points[:, 2].mean())):
        if np.ptp(points[:, 2]) > 2 * _FLAT:
            raise UserError(f"{name} do not lie in planes along the slices of its scan.",
                            "Give the series that they were drawn on.")
        height = float(points[:, 2].mean())
        last = next(reversed(found), None)
        found.setdefault(last if last is not None and height - last < _SAME_PLANE else height, []).append(points[:, :2])
    return found


def fill_even_odd(polygons: Sequence[np.ndarray], shape: tuple[int, int]) -> np.ndarray:
    """bool [J, I]: pixels whose centre an odd number of the closed polygons, (I, J) indices [n, 2] each, encloses."""
    turns = np.zeros((shape[0], shape[1] + 1), np.int32)
    edges = np.concatenate([np.column_stack([points, np.roll(points, -1, axis=0)]) for points in polygons])
    for begin in range(0, len(edges), _EDGES_AT_ONCE):
        x0, y0, x1, y1 = edges[begin:begin + _EDGES_AT_ONCE].T
        low, high = np.ceil(np.minimum(y0, y1)), np.ceil(np.maximum(y0, y1))
        low, high = (np.clip(rows, 0, shape[0]).astype(np.int64) for rows in (low, high))
        counts = high - low
        which = np.repeat(np.arange(len(counts)), counts)
        rows = low[which] + np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts, counts)
        x = x0[which] + (rows - y0[which]) * (x1 - x0)[which] / (y1 - y0)[which]
        np.add.at(turns, (rows, np.clip(np.ceil(x), 0, shape[1]).astype(np.int64)), 1)
    return np.cumsum(turns[:, :-1], axis=1) % 2 == 1
