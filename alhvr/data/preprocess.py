"""Preprocess: from a scan's own grid and intensities to what the networks see, plane by plane."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod

import numpy as np

from alhvr.core.errors import UserError
from alhvr.data.axes import Arrangement, AxisTransform, arrangement
from alhvr.data.channel_names import list_channels
from alhvr.data.geometry import Geometry
from alhvr.data.intensity import sample_voxels, scale_of
from alhvr.data.plan import Plan
from alhvr.data.resampling import PlaneRescaler
from alhvr.data.scan import Scan

KEPT_BYTES = 256 * 2**20
"""Prepared planes up to this size together are kept when they are needed twice, and prepared twice above it."""


@dataclass(frozen=True)
class Prepared:
    """A scan as the networks see it, and the way back."""

    array: np.ndarray
    """float32 [M, K, J, I] on the prepared grid, one array for each channel, normalised."""
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


class PreparedPlanes:
    """The planes of a prepared scan in the order of K, each made when its turn comes: no array holds them all."""

    def __init__(self, scan: Scan, plan: Plan) -> None:
        """Nothing is prepared yet, apart from the statistics of the scan's intensities.

        Raises UserError when the scan has not the plan's number of channels.
        """
        _require_channels(scan, plan)
        self.transform = axis_transform(scan.geometry, plan)
        self._arrays = scan.channels
        self._scales = [scale_of(rule, sample_voxels(array))
                        for rule, array in zip(plan.normalizations, self._arrays, strict=True)]
        self._kept: list[np.ndarray] = []

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape [K, J, I] of the prepared grid."""
        return self.transform.shape

    @property
    def n_channels(self) -> int:
        """Channels M of the scan."""
        return len(self._arrays)

    def __iter__(self) -> Iterator[np.ndarray]:
        """float32 [M, J, I], one after the other; whoever gets a plane may keep it but must not change it."""
        if self._kept:
            yield from self._kept
        elif self.n_channels == 1:
            yield from (plane[np.newaxis] for plane in self._planes_of(0))
        else:
            yield from map(np.stack, zip(*map(self._planes_of, range(self.n_channels)), strict=True))

    def lowest(self, check: Callable[[], None] = lambda: None) -> np.ndarray:
        """float32 [M]: the smallest value of each channel in all planes.

        Where the grid changes it makes all planes, calling ``check`` for each.
        """
        if self.transform.arranged_shape == self.shape:
            return np.array([scale.apply(array.min(keepdims=True)).item()
                             for scale, array in zip(self._scales, self._arrays, strict=True)], dtype=np.float32)
        kept: list[np.ndarray] | None = [] if 4 * self.n_channels * prod(self.shape) <= KEPT_BYTES else None
        lowest = np.full(self.n_channels, np.inf, dtype=np.float32)
        for plane in self:
            check()
            np.minimum(lowest, plane.min(axis=(1, 2)), out=lowest)
            if kept is not None:
                kept.append(plane)
        self._kept = kept or []
        return lowest

    def _planes_of(self, channel: int) -> Iterator[np.ndarray]:
        """float32 [J, I] of one channel, one after the other."""
        scale = self._scales[channel]
        rescaler = PlaneRescaler(self.transform.arranged_shape, self.shape, smooth=True)
        for block in self.transform.arranged_blocks(self._arrays[channel]):
            for plane in block:
                yield from rescaler.add(scale.apply(plane))


def prepare(scan: Scan, plan: Plan) -> Prepared:
    """Permutes, flips, normalises and rescales a scan; Prepared.array is float32 [M, K, J, I] on the prepared grid.

    Raises UserError when the scan has not the plan's number of channels.
    """
    planes = PreparedPlanes(scan, plan)
    array = np.empty((planes.n_channels, *planes.shape), dtype=np.float32)
    for k, plane in enumerate(planes):
        array[:, k] = plane
    return Prepared(array, planes.transform.prepared_geometry(scan.geometry), scan.geometry, planes.transform)


def prepare_label(array: np.ndarray, geometry: Geometry, plan: Plan) -> np.ndarray:
    """uint8 [K, J, I] of class indices on the scan's own grid to the prepared grid.

    Each class is resampled linearly and the largest share wins, ties go to the lowest index; where no axis changes
    its size the label is only permuted and flipped. Raises UserError when the label does not fit the grid.
    """
    return axis_transform(geometry, plan).forward_label(array)


def _require_channels(scan: Scan, plan: Plan) -> None:
    if len(scan.channels) != plan.n_channels:
        raise UserError(f"{scan.name} has {list_channels(len(scan.channels))}; needed: "
                        f"{list_channels(plan.named_channels or 1)}.", "Give these channels in this order.")


def _prepared_shape(geometry: Geometry, arranged: Arrangement, plan: Plan) -> tuple[int, int, int]:
    """Shape [K, J, I] of the prepared grid: every changed axis at least one voxel, extent in mm kept."""
    sizes = arranged.pick(geometry.shape_kji)
    spacing = arranged.pick(geometry.spacing_mm[::-1])
    if plan.stretch:
        return (sizes[0], *plan.patch_size)
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
