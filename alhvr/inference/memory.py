"""Memory: how much is free on this computer, how much segmenting a scan takes, and refusing before the work begins."""

from __future__ import annotations

from dataclasses import dataclass, fields
from math import ceil, prod

from alhvr.data.preprocess import KEPT_BYTES
from alhvr.errors import UserError
from alhvr.inference.free_memory import available_bytes
from alhvr.inference.postprocess import SLAB_VOXELS
from alhvr.inference.windows import pad, starts

_NETWORK_BYTES = {"torch": 900, "onnxruntime": 2500, "openvino": 1700}
"""What both networks take for each pixel of a batch, by backend; measured with windows of 256 x 256 to 96 x 96 x 96."""
_OTHER_NETWORK_BYTES = 2500
_FREED_AT_ONCE = {"torch"}
"""Backends that give this memory back after each batch; the others keep it for the next one."""
_LIBRARY_BYTES = 120 * 2**20
"""What the libraries add once they work, whatever the scan."""
_FEW_PLANES = 8
"""Planes in work between the scan's grid and the prepared one."""


@dataclass(frozen=True)
class Work:
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
    voxel_bytes: int
    """Of the scan."""
    label_bytes: int
    """Of the segmentation."""
    regions: bool
    backend: str
    """Name of it."""
    pixels_before: int
    """Pixels of the largest batch that the backend has seen so far."""


@dataclass(frozen=True)
class MemoryForecast:
    """Bytes that segmenting a scan takes at its peak, beside what the program takes before."""

    scan: int
    """The voxels as read."""
    results: int
    """Segmentation, confidences and regions."""
    networks: int
    """Both networks at work on a batch, beside what they hold from batches before."""
    stream: int
    """What is under way between the scan and the results."""

    @property
    def total(self) -> int:
        """All of them; reading takes the scan twice where that is more."""
        return max(sum(getattr(self, part.name) for part in fields(self)), 2 * self.scan)


def forecast(work: Work) -> MemoryForecast:
    """The peak of reading a scan, segmenting it, and having the results before they are written."""
    voxels, window_pixels = prod(work.shape), prod(work.window)
    maps = work.n_classes + (2 if work.regions else 0)
    grid = pad(work.prepared_shape, work.window).shape
    plane = prod(grid[1:])
    held = _held_planes(work, grid) * plane
    if grid != work.prepared_shape and work.shape != work.prepared_shape:
        held += _kept_voxels(work.prepared_shape)
    alone = all(size == side or side == 1 for size, side in zip(grid, work.window, strict=True))
    sums = 0 if alone else (work.window[0] + 1) * plane * maps
    batch = work.batch * window_pixels * (4 * work.n_classes + 4)
    few = _FEW_PLANES * max(plane, prod(work.shape[1:])) * maps
    region_bytes = voxels if work.regions else 0
    return MemoryForecast(
        scan=voxels * work.voxel_bytes,
        results=voxels * (work.label_bytes + (4 if work.regions else 0)),
        networks=_network_bytes(work),
        stream=max(4 * (held + sums + batch + few), region_bytes, 16 * min(SLAB_VOXELS, voxels)),
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


def _network_bytes(work: Work) -> int:
    """What both networks take beyond what they hold."""
    pixels = work.batch * prod(work.window)
    held = 0 if work.backend in _FREED_AT_ONCE else work.pixels_before
    libraries = 0 if work.pixels_before else _LIBRARY_BYTES
    return libraries + _NETWORK_BYTES.get(work.backend, _OTHER_NETWORK_BYTES) * max(0, pixels - held)


def _held_planes(work: Work, grid: tuple[int, ...]) -> int:
    """Prepared planes that are held while windows are cut from them."""
    per_row = prod(len(starts(size, side, work.overlap)) for size, side in zip(grid[1:], work.window[1:], strict=True))
    stride = max(1, round(work.window[0] * (1 - work.overlap)))
    rows = 0 if work.batch == 1 else ceil(work.batch / per_row)
    return min(grid[0], work.window[0] + rows * stride)


def _kept_voxels(shape: tuple[int, ...]) -> int:
    voxels = prod(shape)
    return voxels if 4 * voxels <= KEPT_BYTES else 0
