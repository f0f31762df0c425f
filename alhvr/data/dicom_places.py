"""Places of DICOM slices along their normal: gaps, doubles, and files that hold one image twice."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from alhvr.core.files import shown
from alhvr.data.dicom_slice import SliceHeader

_SAME_PLACE_MM = 0.01
"""Slices nearer than this lie at the same place."""
_UNEVEN = 1.5
"""A gap this many times the usual one, or a fraction as small, means that slices are missing or too many."""


def is_even(slices: Sequence[SliceHeader]) -> bool:
    """Whether the slices follow each other at much the same distance, none at the place of another."""
    gaps_mm = gaps(slices)
    if not len(gaps_mm):
        return True
    usual = _usual(gaps_mm)
    return bool(gaps_mm.min() >= max(_SAME_PLACE_MM, usual / _UNEVEN) and gaps_mm.max() <= usual * _UNEVEN)


def gaps(slices: Sequence[SliceHeader]) -> np.ndarray:
    """Distances [K - 1] in mm from slice to slice along their normal, in the order of their places."""
    return np.diff(np.sort(_heights(slices)))


def _usual(gaps_mm: np.ndarray) -> float:
    """The median, of an even number the lower one: of two gaps, one of which holds a missing slice, the true one."""
    return float(np.sort(gaps_mm)[(len(gaps_mm) - 1) // 2])


def why_uneven(slices: Sequence[SliceHeader]) -> str:
    """Where and how much the slices are not even, as a sentence without its subject."""
    heights = _heights(slices)
    order = np.argsort(heights, kind="stable")
    gaps_mm, names = np.diff(heights[order]), [shown(slices[index].path.name) for index in order]
    double = np.flatnonzero(gaps_mm < _SAME_PLACE_MM)
    if len(double):
        first = int(double[0])
        return (f"has several images at the same place: {len(double)} of {len(slices)} lie where another does; the "
                f"first are {names[first]} and {names[first + 1]}")
    usual = _usual(gaps_mm)
    widest, least = int(np.argmax(gaps_mm)), int(np.argmin(gaps_mm))
    at = widest if gaps_mm[widest] > usual * _UNEVEN else least
    what = "a hole" if at == widest else "slices too near to each other"
    return (f"has {what}: {gaps_mm[at]:.4g} mm between {names[at]} and {names[at + 1]}, where {usual:.4g} mm "
            "are usual")


def _heights(slices: Sequence[SliceHeader]) -> np.ndarray:
    """Places [K] in mm along the normal of the first slice."""
    row, column = np.reshape(slices[0].orientation, (2, 3))
    normal = np.cross(row, column)
    return np.array([item.position_lps_mm for item in slices]) @ (normal / np.linalg.norm(normal))


def has_doubles(slices: Sequence[SliceHeader]) -> bool:
    """Whether several slices lie at the same place."""
    return len(slices) > 1 and gaps(slices).min() < _SAME_PLACE_MM


def without_copies(slices: list[SliceHeader], *, same_instance: bool) -> tuple[list[SliceHeader], tuple[str, ...]]:
    """Each image once, and what was left out: copies at the same place, of one SOPInstanceUID where that is asked."""
    if len(slices) < 2:
        return slices, ()
    heights = _heights(slices)
    kept: list[SliceHeader] = []
    copies: set[Path] = set()
    last_mm = -np.inf
    here: list[SliceHeader] = []
    for index in np.argsort(heights, kind="stable"):
        item = slices[index]
        here = here if heights[index] - last_mm < _SAME_PLACE_MM else []
        last_mm = heights[index]
        if any((not same_instance or item.instance_uid == other.instance_uid) and _is_copy(item, other)
               for other in here):
            copies.add(item.path)
        else:
            here.append(item)
    kept = [item for item in slices if item.path not in copies]
    first = next((shown(item.path.name) for item in slices if item.path in copies), "")
    return kept, ((f"images that are there twice were taken once: {len(copies)}, the first {first}",) if copies else ())


def _is_copy(one: SliceHeader, other: SliceHeader) -> bool:
    """Whether two files at one place hold the same voxels."""
    if np.abs(np.subtract(one.position_lps_mm, other.position_lps_mm)).max() >= _SAME_PLACE_MM:
        return False
    try:
        if one.path.read_bytes() == other.path.read_bytes():
            return True
        import pydicom

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            here, there = (pydicom.dcmread(item.path, force=True) for item in (one, other))
            return all(here.get(tag) == there.get(tag) for tag in ("PixelData", "RescaleSlope", "RescaleIntercept"))
    except Exception:  # noqa: BLE001 - a file that cannot be read whole is no copy of another; reading it tells why
        return False
