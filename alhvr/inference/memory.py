"""Memory: how much is free on this computer, how much segmenting a scan takes, and refusing before the work begins."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, prod

from alhvr.core.errors import UserError
from alhvr.core.system import available_bytes
from alhvr.data.preprocess import KEPT_BYTES
from alhvr.inference.postprocess import SLAB_VOXELS
from alhvr.inference.sliding_window import pad, starts
from alhvr.networks.registry import STANDARD_WIDTH

_WIDTHLESS_SHARE = 0.1
"""Of these bytes, what does not shrink with narrower networks."""
_LIBRARY_BYTES = 120 * 2**20
"""What the libraries add once they work, whatever the scan."""
_COMPONENT_BYTES = 16
"""Of each voxel of a slab in which components are looked for."""
_FEW_PLANES = 8
"""Planes in work between the scan's grid and the prepared one."""


@dataclass(frozen=True)
class NetworkMemory:
    """What two networks of standard width take for each pixel of a batch, in bytes, by a backend.

    The most that was measured with windows of 256 x 256 to 1024 x 1024 and 64 x 64 x 64 to 128 x 128 x 96, and a little
    more.
    """

    slices: tuple[int, int]
    """In 2-D, without and with regions."""
    volumes: tuple[int, int]
    """In 3-D, likewise."""
    graphs_for_regions: bool = False
    """Regions are decoded in graphs of their own, so that mirrored copies take theirs beside them."""
    freed_at_once: bool = False
    """This memory is given back after each batch; else most of it is kept for the next one."""


UNMEASURED = NetworkMemory(slices=(650, 1350), volumes=(650, 1300), graphs_for_regions=True)
"""Of a backend that does not say."""


@dataclass(frozen=True)
class SegmentWorkload:
    """What decides how much memory segmenting a scan takes. Shapes are [K, J, I]."""

    shape: tuple[int, ...]
    """Of the scan, axes in the order of the prepared grid."""
    prepared_shape: tuple[int, ...]
    window: tuple[int, ...]
    batch: int
    """Windows at once."""
    overlap: float
    """Of neighbouring windows, 0 to below 1."""
    n_classes: int
    n_channels: int
    """Of the scan."""
    voxel_bytes: int
    """Of the scan, all channels together."""
    label_bytes: int
    """Of the segmentation."""
    regions: bool
    mirror: bool
    """Whether mirrored copies are segmented too."""
    largest_component: bool
    """Whether components are looked for afterwards."""
    width: int
    """Channels of the networks at full resolution."""
    memory: NetworkMemory
    """Of the backend."""
    memory_factor: float
    """Of the kind of the networks, see ``alhvr.networks.registry``."""
    pixels_before: int
    """Pixels of the largest batch that the backend has seen so far."""
    reading_bytes: int = 0
    """What reading takes at its peak, where that is known to be more than twice the scan."""


@dataclass(frozen=True)
class MemoryForecast:
    """Bytes that segmenting a scan takes at its peak, beside what the program takes before."""

    scan: int
    """The voxels as read."""
    results: int
    """Segmentation, confidences of both networks and the teacher."""
    networks: int
    """Both networks at work on a batch, beside what they hold from earlier ones."""
    stream: int
    """What is under way between the scan and the results."""
    reading: int
    """Reading, which is over before the rest begins."""

    @property
    def total(self) -> int:
        """All that is there together; reading alone where that is more."""
        return max(self.scan + self.results + self.networks + self.stream, self.reading)


def forecast(work: SegmentWorkload) -> MemoryForecast:
    """The peak of reading a scan, segmenting it, and having the results before they are written."""
    voxels = prod(work.shape)
    after_the_stream = _COMPONENT_BYTES * min(SLAB_VOXELS, voxels) if work.largest_component else 0
    return MemoryForecast(
        scan=voxels * work.voxel_bytes,
        results=voxels * (work.label_bytes + (5 if work.regions else 0)),
        networks=_network_bytes(work),
        stream=max(4 * _streamed_numbers(work), after_the_stream),
        reading=max(2 * voxels * work.voxel_bytes, work.reading_bytes),
    )


def require(needed: MemoryForecast, shape: tuple[int, ...], *, advice: str) -> None:
    """Raises UserError with the figures when less is free than ``needed`` for a scan of ``shape`` [K, J, I]."""
    free = available_bytes()
    if free is not None and needed.total > free:
        size = " x ".join(str(side) for side in reversed(shape))
        raise UserError(f"Segmenting {size} voxels takes about {in_gb(needed.total)} of memory; {in_gb(free)} are "
                        "free.", advice)


def in_gb(n_bytes: int) -> str:
    """"3.4 GB", of 10**9 bytes."""
    return f"{n_bytes / 1e9:.1f} GB"


def _network_bytes(work: SegmentWorkload) -> int:
    """What both networks take beyond what they hold."""
    held = 0 if work.memory.freed_at_once else work.pixels_before
    libraries = 0 if work.pixels_before else _LIBRARY_BYTES
    plain, with_regions = work.memory.slices if work.window[0] == 1 else work.memory.volumes
    beside = plain if work.mirror and work.memory.graphs_for_regions else 0
    per_pixel = with_regions + beside if work.regions else plain
    relative = work.width / STANDARD_WIDTH
    per_pixel *= work.memory_factor * max(relative, _WIDTHLESS_SHARE + (1 - _WIDTHLESS_SHARE) * relative)
    return libraries + round(per_pixel) * max(0, _batch(work) * prod(work.window) - held)


def _streamed_numbers(work: SegmentWorkload) -> int:
    """float32 numbers under way between the scan and the results: planes prepared, windows, planes blended."""
    maps = work.n_classes + (3 if work.regions else 0)
    grid = pad(work.prepared_shape, work.window).shape
    plane = prod(grid[1:])
    rows = 0 if _batch(work) == 1 else ceil(_batch(work) / prod(_windows_by_axis(work)[1:]))
    stride = max(1, round(work.window[0] * (1 - work.overlap)))
    prepared = work.n_channels * plane * min(grid[0], work.window[0] + rows * stride)
    if grid != work.prepared_shape and work.shape != work.prepared_shape:
        kept = work.n_channels * prod(work.prepared_shape)
        prepared += kept if 4 * kept <= KEPT_BYTES else 0
    alone = all(size == side or side == 1 for size, side in zip(grid, work.window, strict=True))
    blended = 0 if alone else plane * maps * (work.window[0] + 1)
    windows = _batch(work) * prod(work.window) * (4 * work.n_classes + (4 if work.regions else 3) + work.n_channels)
    in_work = _FEW_PLANES * max(maps, work.n_channels) * max(plane, prod(work.shape[1:]))
    return prepared + windows + blended + in_work


def _batch(work: SegmentWorkload) -> int:
    """Windows at once; no more than there are."""
    return min(work.batch, prod(_windows_by_axis(work)))


def _windows_by_axis(work: SegmentWorkload) -> list[int]:
    grid = pad(work.prepared_shape, work.window).shape
    return [len(starts(size, side, work.overlap)) for size, side in zip(grid, work.window, strict=True)]
