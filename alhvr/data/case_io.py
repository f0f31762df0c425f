"""Channels: all images of a case as one scan on one grid; those on other grids are resampled to the first one."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from alhvr.core.errors import UserError
from alhvr.data.cases import Case
from alhvr.data.geometry import Geometry
from alhvr.data.reading import Header, probe, read_scan
from alhvr.data.scan import Scan

_FITTING_BYTES = 9
"""Of each voxel that a channel is resampled to: the result twice, and where it does not reach."""
_REACH_STEPS = 17
"""Voxels along each axis that stand for a grid."""


def read_case(case: Case, *, read: Callable[[Path], Scan] = read_scan) -> Scan:
    """The scan of ``case`` with all its channels, on the grid of the first one.

    A case of one channel is what ``read_scan`` makes of its image. A channel on another grid is resampled linearly, in
    physical space, with a warning; where it does not reach, it takes its own smallest value. ``read`` reads one image,
    such as ``ReadingProcess.read_scan``. Raises UserError as ``read_scan``, and for a channel that shares no voxel with
    the first one.
    """
    first = read(case.image)
    if not case.more_images:
        return first
    arrays, modalities, warnings = [], [], [*first.warnings]
    for path in case.more_images:
        other = read(path)
        warnings += other.warnings
        difference = first.geometry.difference(other.geometry)
        if difference:
            array, told = _fitted(other, first, difference)
            warnings.append(told)
        arrays.append(array if difference else other.array)
        modalities.append(other.modality)
    return Scan(case.name, first.array, first.geometry, first.modality, first.source, tuple(warnings),
                first.n_not_finite, tuple(arrays), tuple(modalities))


def reading_bytes(case: Case, first: Header) -> tuple[int, int]:
    """Memory of one voxel of the scan with all its channels, and of reading it at its peak (0: twice the scan).

    From the headers alone; ``first``: that of the first channel. Raises UserError as ``probe``.
    """
    voxels, voxel_bytes, peak = prod(first.size_ijk), first.voxel_bytes, 0
    for path in case.more_images:
        other = probe(path)
        if first.geometry.difference(other.geometry):
            own = prod(other.size_ijk) * other.voxel_bytes
            peak = max(peak, voxels * voxel_bytes + 2 * own + _FITTING_BYTES * voxels)
            voxel_bytes += np.dtype(np.float32).itemsize
        else:
            voxel_bytes += other.voxel_bytes
    return voxel_bytes, max(peak, 2 * voxels * voxel_bytes) if peak else 0


def resample(array: np.ndarray, geometry: Geometry, target: Geometry) -> np.ndarray:
    """float32 [K, J, I] on the grid ``target``, linearly from ``array`` on ``geometry``; NaN where that does not reach.

    A voxel reaches half its size beyond its centre.
    """
    image = sitk.GetImageFromArray(array)
    geometry.stamp(image)
    resampler = sitk.ResampleImageFilter()
    resampler.SetSize(target.size_ijk)
    resampler.SetOutputSpacing(target.spacing_mm)
    resampler.SetOutputOrigin(target.origin_lps_mm)
    resampler.SetOutputDirection(target.direction)
    resampler.SetOutputPixelType(sitk.sitkFloat32)
    resampler.SetInterpolator(sitk.sitkLinear)
    resampler.SetDefaultPixelValue(float("nan"))
    return sitk.GetArrayFromImage(resampler.Execute(image))


def reach(first: Geometry, other: Geometry) -> float:
    """Share of the grid ``first`` that ``other`` reaches, 0 to 1, from voxels evenly spread over it."""
    steps = np.meshgrid(*[np.linspace(0, size - 1, min(size, _REACH_STEPS)) for size in first.size_ijk])
    index = other.lps_to_index(first.index_to_lps(np.stack([axis.ravel() for axis in steps], axis=1)))
    inside = (index >= -0.5) & (index <= np.array(other.size_ijk) - 0.5)
    return float(inside.all(axis=1).mean())


def _fitted(other: Scan, first: Scan, difference: str) -> tuple[np.ndarray, str]:
    """float32 [K, J, I] of ``other`` on the grid of ``first``, and what was done; raises UserError without overlap."""
    array = resample(other.array, other.geometry, first.geometry)
    outside = np.isnan(array)
    n_outside = int(np.count_nonzero(outside))
    names = f"{other.source.name} lies on another grid than {first.source.name}"
    if n_outside == array.size:
        raise UserError(f"{names} and shares no place with it: {difference}.",
                        "Check that both are of one patient and one examination, and register them first.")
    told = f"{names} ({difference}); it was resampled to it"
    if n_outside:
        array[outside] = other.array.min()
        told += f", and reaches {100 - 100 * n_outside / array.size:.0f} % of it"
    return array, f"{told}."
