"""Planning of spacing, patch and batch, and of the intensities of each channel."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from alhvr.core.errors import UserError
from alhvr.data.axes import arrangement
from alhvr.data.channel_names import Channel, list_channels, name_channels
from alhvr.data.fingerprint import MIN_SLICES, THICK_SLICES, WIDE_STACK, Fingerprint
from alhvr.data.intensity import Normalization, Statistics
from alhvr.networks.registry import DEEPEST_STRIDE, DEFAULT_NETWORK, NETWORKS, STANDARD_WIDTH, is_accepted

if TYPE_CHECKING:
    from alhvr.config import PlanConfig

PATCH_STEP = DEEPEST_STRIDE
"""Patches are multiples of this along each axis: the networks halve them four times."""

_MAX_PATCH_2D = 256
_MAX_PATCH_3D_VOXELS = 128**3
_MAX_VOXELS = 2e9
_BATCHES = {2: (16, 8, 4, 2), 3: (4, 2)}
_BYTES_PER_VOXEL = 5000
"""Training memory of both networks of standard width per voxel of the batch in fp32, measured on 8 patches of 256 x
256."""
_WIDTHLESS_SHARE = 0.25
"""Of this memory, what losses and probabilities take, whatever the width; measured with 4, 8 and 16 channels."""
_BASE_GB = 0.6
"""Memory of the libraries and of both networks themselves."""

AIR_HU = -200
"""Scans that hold intensities below this, other than as padding, are in HU."""


class Decision(NamedTuple):
    """One decision and why it was taken."""

    value: Any
    """What was decided."""
    reason: str
    """Why, as a part of a sentence in plain words."""


class Grid(NamedTuple):
    """How scans are brought to one scale; both None keeps their own grids."""

    target_spacing_mm: tuple[float, float, float] | None
    """(K, J, I) in mm; K is not used in 2-D."""
    in_plane_matrix: tuple[int, int] | None
    """(J, I) pixels that the longer side of a slice fills; 2-D without known spacing only."""


class Axes(NamedTuple):
    """Sizes and spacings of all scans along the prepared axes K, J, I."""

    sizes: np.ndarray
    """[N, 3] voxels."""
    spacings_mm: np.ndarray
    """[N, 3] in mm."""


def decide_dimensions(scans: Sequence[Fingerprint], config: PlanConfig) -> Decision:
    """2 or 3: slices when most scans have thick or few slices; raises UserError when the settings contradict it."""
    flat = sum(scan.flat for scan in scans) * 2 > len(scans)
    dimensions = config.dimensions or (2 if flat else 3)
    reason = "chosen by you" if config.dimensions else _why_dimensions(scans)
    if config.network and not is_accepted(config.network, dimensions):
        others = " or ".join(str(n) for n in NETWORKS[config.network].dimensions)
        raise UserError(f"network is {config.network}, but the plan is {dimensions}-D ({reason}).",
                        f"Leave network out, or set dimensions to {others}.")
    if config.patch_size is not None and len(config.patch_size) != dimensions:
        raise UserError(f"patch-size is {config.patch_size}, but the plan is {dimensions}-D ({reason}).",
                        f"Give {dimensions} numbers, or set dimensions to {len(config.patch_size)}.")
    if dimensions == 3 and np.median([scan.slices for scan in scans]) <= 1:
        raise UserError("dimensions is 3, but the scans have a single slice.", "Leave dimensions out or set it to 2.")
    return Decision(dimensions, reason)


def decide_network(config: PlanConfig, dimensions: int, patch_size: Sequence[int]) -> str:
    """Kind of the networks; raises UserError where the patch leaves too little at the deepest level."""
    kind = config.network or (DEFAULT_NETWORK if dimensions == 2 else config.network_3d)
    if math.prod(n // DEEPEST_STRIDE for n in patch_size) < NETWORKS[kind].smallest_bottleneck:
        raise UserError(f"patch-size is {tuple(patch_size)}; the {NETWORKS[kind].title} needs one side of "
                        f"{2 * DEEPEST_STRIDE} at least.", "Give a larger patch, or choose another network.")
    return kind


def measure_axes(scans: Sequence[Fingerprint], dimensions: int) -> Axes:
    """Sizes and spacings along the prepared axes."""
    arranged = [arrangement(scan.geometry, dimensions) for scan in scans]
    sizes = [a.pick(scan.geometry.shape_kji) for a, scan in zip(arranged, scans, strict=True)]
    spacings = [a.pick(scan.spacing_mm[::-1]) for a, scan in zip(arranged, scans, strict=True)]
    return Axes(np.array(sizes, dtype=float), np.array(spacings, dtype=float))


def decide_grid(scans: Sequence[Fingerprint], axes: Axes, dimensions: int, config: PlanConfig) -> Decision:
    """Target spacing, or in 2-D without known spacing a matrix (its size is settled by decide_batch)."""
    if config.target_spacing_mm is not None:
        return Decision(Grid(tuple(float(s) for s in config.target_spacing_mm), None), "chosen by you")
    medians = np.median(axes.spacings_mm, axis=0)
    if dimensions == 2 and config.stretch:
        side = _nearest_step(min(float(np.median(axes.sizes[:, 1:].max(axis=1))), _MAX_PATCH_2D))
        return Decision(Grid(None, tuple(config.patch_size or (side, side))), "as in the released code")
    if dimensions == 3:
        target = _anisotropic(axes.spacings_mm, medians)
        return Decision(Grid(tuple(float(s) for s in target), None), f"the median of {len(scans)} scans")
    if not _nominal(scans):
        pixel_mm = float(np.median(axes.spacings_mm[:, 1:]))
        return Decision(Grid((float(medians[0]), pixel_mm, pixel_mm), None),
                        f"the median pixel size of {len(scans)} scans")
    if len(np.unique(axes.sizes[:, 1:], axis=0)) == 1:
        return Decision(Grid(None, None), "all slices have the same size, and their spacing in mm is not known")
    side = _nearest_step(min(float(np.median(axes.sizes[:, 1:].max(axis=1))), _MAX_PATCH_2D))
    matrix = tuple(config.patch_size or (side, side))
    return Decision(Grid(None, matrix), "slices differ in size and their spacing in mm is not known")


def prepared_sizes(axes: Axes, grid: Grid, dimensions: int, config: PlanConfig) -> np.ndarray:
    """Median size (K, J, I) of the prepared scans in voxels; raises UserError when a chosen spacing makes no sense."""
    sizes = axes.sizes.copy()
    if grid.in_plane_matrix is not None:
        sizes[:, 1:] = grid.in_plane_matrix
    elif grid.target_spacing_mm is not None:
        first = 1 if dimensions == 2 else 0
        sizes[:, first:] *= axes.spacings_mm[:, first:] / np.array(grid.target_spacing_mm)[first:]
    median = np.median(sizes, axis=0)
    if config.target_spacing_mm is not None and (median[1:].min() < 4 or math.prod(median) > _MAX_VOXELS):
        raise UserError(f"target-spacing-mm is {config.target_spacing_mm}; scans would have {_times(median)} voxels.",
                        "Give spacings near the scans' own, in mm, slowest axis first.")
    return median


def decide_batch(prepared: np.ndarray, dimensions: int, config: PlanConfig, memory_gb: float) -> Decision:
    """(patch size, batch size) that fit the memory: the batch shrinks first, then the patch's longest sides."""
    room = max(0.0, memory_gb - _BASE_GB) * 1e9 / _bytes_per_voxel(config.width or STANDARD_WIDTH)
    patch = tuple(config.patch_size or _largest_patch(prepared[3 - dimensions :]))
    batches = (config.batch_size,) if config.batch_size else _BATCHES[dimensions]
    batch = next((n for n in batches if n * math.prod(patch) <= room), batches[-1])
    wished = patch
    while config.patch_size is None and batch * math.prod(patch) > room and max(patch) > PATCH_STEP:
        patch = _cut(patch)
    if config.patch_size is not None:
        reason = "chosen by you"
    elif patch != wished:
        reason = f"the largest that {memory_gb:.3g} GB of memory allow"
    else:
        reason = f"prepared scans typically measure {_times(prepared[3 - dimensions:])}"
    return Decision((patch, batch), reason)


def _bytes_per_voxel(width: int) -> float:
    """Training memory of both networks per voxel of the batch."""
    return _BYTES_PER_VOXEL * (_WIDTHLESS_SHARE + (1 - _WIDTHLESS_SHARE) * width / STANDARD_WIDTH)


def _why_dimensions(scans: Sequence[Fingerprint]) -> str:
    slices = float(np.median([scan.slices for scan in scans]))
    if slices < MIN_SLICES:
        return f"scans typically have {slices:.0f} slices; volumes need {MIN_SLICES}"
    if _nominal(scans):
        ratio, limit = float(np.median([scan.width_ratio for scan in scans])), WIDE_STACK
        seen = f"1 mm is stated in every direction, and slices are {ratio:.1f} times as wide as the stack is high"
    else:
        ratio, limit = float(np.median([scan.thickness_ratio for scan in scans])), THICK_SLICES
        seen = f"slices are {ratio:.1f} times as far apart as pixels are"
    return f"{seen} (median of {len(scans)} scans); slice by slice is for more than {limit:g} times"


def _nominal(scans: Sequence[Fingerprint]) -> bool:
    """True when most scans state 1 mm in every direction, which may be a placeholder."""
    return sum(scan.nominal for scan in scans) * 2 > len(scans)


def _anisotropic(spacings_mm: np.ndarray, medians: np.ndarray) -> np.ndarray:
    """Median per axis; an axis over three times coarser than the others takes its 10th percentile."""
    target, worst = medians.copy(), int(np.argmax(medians))
    others = float(np.delete(medians, worst).max())
    if medians[worst] > THICK_SLICES * others:
        target[worst] = max(float(np.percentile(spacings_mm[:, worst], 10)), others)
    return target


def _largest_patch(prepared: np.ndarray) -> tuple[int, ...]:
    """Median prepared size to the nearest multiple of 16, within the caps of 2-D or 3-D."""
    if len(prepared) == 2:
        return tuple(_nearest_step(min(float(n), _MAX_PATCH_2D)) for n in prepared)
    patch = tuple(_nearest_step(float(n)) for n in prepared)
    while math.prod(patch) > _MAX_PATCH_3D_VOXELS:
        patch = _cut(patch)
    return patch


def _nearest_step(size: float) -> int:
    return max(PATCH_STEP, PATCH_STEP * math.floor(size / PATCH_STEP + 0.5))


def _cut(patch: tuple[int, ...]) -> tuple[int, ...]:
    """One step less along the longest sides."""
    return tuple(n - PATCH_STEP if n == max(patch) else n for n in patch)


def _times(sizes: np.ndarray) -> str:
    return " x ".join(f"{size:.0f}" for size in sizes)


class ChannelDecision(NamedTuple):
    """What was decided for one channel."""

    name: str
    """As people call it; empty where nobody does."""
    modality: str
    """CT, MR or other."""
    normalization: Decision
    """How its intensities are brought to one scale."""


def decide_channels(scans: Sequence[Fingerprint], channels: Sequence[Channel], config: PlanConfig,
                    ) -> list[ChannelDecision]:
    """Modality and normalisation of each channel; one channel without a name has the name "".

    Raises UserError when the scans do not all have as many channels.
    """
    counts = sorted({len(scan.channels) for scan in scans})
    if len(counts) > 1 or len(channels) not in (0, counts[0]):
        raise UserError(f"The scans have {' or '.join(map(str, counts))} channels; needed: "
                        f"{list_channels(channels or counts[0])}.", "Give all scans the same channels.")
    if counts[0] == 1:
        modality = decide_modality(scans, config)
        name = channels[0].name if channels else ""
        return [ChannelDecision(name, modality, decide_normalization(scans, modality, config))]
    found = []
    for number, channel in enumerate(channels or name_channels(counts[0])):
        prints = [scan.channels[number] for scan in scans]
        modality = channel.modality
        if modality == "other":
            modality = decide_modality(prints, config) if number == 0 else _seen_modality(prints)
        found.append(ChannelDecision(channel.name, modality, decide_normalization(prints, modality, config)))
    return found


def decide_modality(scans: Sequence[Fingerprint], config: PlanConfig) -> str:
    """CT or MR when all scans whose modality is known agree, else other."""
    known = {scan.modality for scan in scans} - {"other"}
    return config.modality or (known.pop() if len(known) == 1 else "other")


def decide_normalization(scans: Sequence[Fingerprint], modality: str, config: PlanConfig) -> Decision:
    """HU bounds for CT, measured inside the labelled structures where there are labels; else scan by scan."""
    kind = config.normalization or ("ct" if modality == "CT" else "zscore")
    chosen = "chosen by you" if config.normalization else ""
    if kind != "ct":
        return Decision(Normalization(kind), chosen or "the intensities of such scans have no common unit")
    inside = [scan.foreground for scan in scans if scan.foreground is not None]
    measured = inside or [scan.intensity for scan in scans if scan.intensity is not None]
    if not measured:
        raise UserError("CT normalization needs intensities, but no scan was measured.", "Add a labelled case.")
    where = "inside the labelled structures" if inside else "over whole scans"
    return Decision(_pool(measured), chosen or f"CT has one unit (HU); the range was measured {where}")


def _seen_modality(prints: Sequence[Fingerprint]) -> str:
    """What the headers say of one channel where they agree, else CT where most scans hold HU of air."""
    known = {seen.modality for seen in prints} - {"other"}
    airy = sum(seen.intensity is not None and seen.intensity.lower < AIR_HU for seen in prints)
    return known.pop() if len(known) == 1 else "CT" if not known and airy * 2 > len(prints) else "other"


def _pool(measured: Sequence[Statistics]) -> Normalization:
    """Median bounds of all scans; mean and deviation of their voxels together, each scan counted alike."""
    lower, upper = (float(np.median([getattr(s, name) for s in measured])) for name in ("lower", "upper"))
    mean = float(np.mean([s.mean for s in measured]))
    variance = float(np.mean([s.std**2 + s.mean**2 for s in measured])) - mean**2
    return Normalization("ct", lower, max(upper, lower + 1.0), mean, max(math.sqrt(max(variance, 0.0)), 1.0))
