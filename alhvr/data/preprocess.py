"""Preprocess: from a scan's own grid and intensities to what the networks see, and from their output back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from alhvr.data.axes import Arrangement, AxisTransform, arrangement
from alhvr.data.geometry import Geometry
from alhvr.data.intensity import normalize, sample_voxels
from alhvr.data.plan import Plan
from alhvr.data.resample import rescale
from alhvr.data.scan import Scan


@dataclass(frozen=True)
class Prepared:
    """A scan as the networks see it, and the way back."""

    array: np.ndarray
    """float32 [K, J, I] on the prepared grid, normalised."""
    geometry: Geometry
    """Where the prepared grid lies in the patient."""
    source: Geometry
    """The scan's own grid."""
    transform: AxisTransform
    """Between the two, in index space."""


def axis_transform(geometry: Geometry, plan: Plan) -> AxisTransform:
    """The way from a scan's own grid to its prepared grid; needs the header only. ``.shape`` is the prepared shape.

    3-D: K, J, I run closest to superior, posterior, left. 2-D: K is the slice axis and keeps its size.
    """
    arranged = arrangement(geometry, plan.dimensions)
    return AxisTransform(geometry.shape_kji, arranged, _prepared_shape(geometry, arranged, plan))


def prepare(scan: Scan, plan: Plan) -> Prepared:
    """Permutes, flips, normalises and rescales a scan; Prepared.array is float32 [K, J, I] on the prepared grid."""
    transform = axis_transform(scan.geometry, plan)
    arranged = transform.arrange(scan.array)
    normalized = normalize(arranged, plan.normalization, sample_voxels(scan.array))
    array = rescale(normalized, transform.shape, smooth=True)
    return Prepared(array, transform.prepared_geometry(scan.geometry), scan.geometry, transform)


def prepare_label(array: np.ndarray, geometry: Geometry, plan: Plan) -> np.ndarray:
    """uint8 [K, J, I] of class indices on the scan's own grid to the prepared grid.

    Each class is resampled linearly and the largest share wins, ties go to the lowest index; where no axis changes
    its size the label is only permuted and flipped. Raises UserError when the label does not fit the grid.
    """
    return axis_transform(geometry, plan).forward_label(array)


def restore(values: np.ndarray, prepared: Prepared) -> np.ndarray:
    """float32 [K, J, I] on the prepared grid to the scan's own grid, linear with clamped edges, corner to corner.

    Ones give ones everywhere; an axis of equal size comes back bit by bit. Raises UserError on another shape.
    """
    return prepared.transform.backward(values)


def _prepared_shape(geometry: Geometry, arranged: Arrangement, plan: Plan) -> tuple[int, int, int]:
    """Shape [K, J, I] of the prepared grid: every changed axis at least one voxel, extent in mm kept."""
    sizes = arranged.pick(geometry.shape_kji)
    spacing = arranged.pick(geometry.spacing_mm[::-1])
    if plan.in_plane_matrix is not None:
        extent = [n * s for n, s in zip(sizes[1:], spacing[1:], strict=True)]
        scale = min(m / e for m, e in zip(plan.in_plane_matrix, extent, strict=True))
        return (sizes[0], *(max(1, round(e * scale)) for e in extent))
    if plan.target_spacing_mm is None:
        return sizes
    factors = [s / t for s, t in zip(spacing, plan.target_spacing_mm, strict=True)]
    if plan.dimensions == 2:
        factors[0] = 1.0
    return tuple(max(1, round(n * f)) for n, f in zip(sizes, factors, strict=True))
