"""Segmenting with whole arrays, the direct way: one array [C, K, J, I] for everything; judges the streaming engine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from alhvr.bundle.model import InferenceSettings
from alhvr.data.axes import AxisTransform
from alhvr.data.intensity import sample_voxels, scale_of
from alhvr.data.plan import Plan
from alhvr.data.preprocess import axis_transform
from alhvr.data.resampling import SMOOTH_ABOVE, PlaneRescaler, weights
from alhvr.data.scan import Scan
from alhvr.inference.dual_forward import DualForward, fuse
from alhvr.inference.sliding_window import tile

WEIGHT_STEP = 2.0**-20


@dataclass(frozen=True)
class WholeResult:
    """Everything about one scan on its own grid."""

    classes: dict[str, np.ndarray]
    """By rule: uint8 [K, J, I]."""
    confidences: list[np.ndarray]
    """float32 [K, J, I] of networks a and b, and of the teacher they make together; empty without regions."""


@dataclass(frozen=True)
class WholeVolume:
    """Segments with whole arrays."""

    backend: Any
    plan: Plan
    settings: InferenceSettings
    window: Sequence[int]
    """Pixels [K, J, I] of each window."""
    batch: int
    """Windows at once."""

    def segment(self, scan: Scan, rules: Sequence[str] = ("mean",), *, regions: bool = False) -> WholeResult:
        """Prepares, runs and blends every window, restores everything, and only then asks who wins."""
        transform = axis_transform(scan.geometry, self.plan)
        whole = [prepare_whole(scan, self.plan, channel) for channel in range(len(scan.channels))]
        channels, (inside, *_) = zip(*[padded(channel, self.window) for channel in whole], strict=True)
        image = np.stack(channels)
        totals: dict[str, np.ndarray] = {}
        windows = tile(image.shape[1:], tuple(self.window), self.settings.window_overlap)
        run = DualForward(self.backend, self.settings, regions=regions)
        for first in range(0, len(windows), self.batch):
            group = windows[first:first + self.batch]
            stack = np.stack([image[(slice(None), *part.place)] for part in group])
            views = run(stack[:, :, 0] if self.plan.dimensions == 2 else stack)
            found = {rule: fuse(views.probabilities, rule) for rule in rules}
            teacher = [np.maximum(*views.probabilities.values()).max(axis=1)] if regions else []
            found |= {f"confidence {number}": value[:, None]
                      for number, value in enumerate([*views.confidences, *teacher])}
            for name, values in found.items():
                total = totals.setdefault(name, np.zeros((values.shape[1], *image.shape[1:]), np.float32))
                for part, value in zip(group, values, strict=True):
                    blend(total, value.reshape(len(value), *part.shape), part)
        whole = {name: np.stack([restore_whole(channel[inside], transform) for channel in total])
                 for name, total in totals.items()}
        classes = {rule: whole[rule].argmax(axis=0).astype(np.uint8) for rule in rules}
        return WholeResult(classes, [whole[f"confidence {number}"][0] for number in range(3) if regions])


def prepare_whole(scan: Scan, plan: Plan, channel: int = 0) -> np.ndarray:
    """float32 [K, J, I] of one channel on the prepared grid."""
    transform = axis_transform(scan.geometry, plan)
    array = scan.channels[channel].astype(np.float32)
    normalized = scale_of(plan.normalizations[channel], sample_voxels(array)).apply(transform.arrange(array))
    return rescale_whole(normalized, transform.shape, smooth=True)


def restore_whole(values: np.ndarray, transform: AxisTransform) -> np.ndarray:
    """float32 [K, J, I] on the prepared grid to the scan's own grid, linear with clamped edges, corner to corner."""
    restored = rescale_whole(values, transform.arrangement.pick(transform.source_shape))
    unflipped = restored[tuple(slice(None, None, -1 if flip else 1) for flip in transform.arrangement.flipped)]
    return np.ascontiguousarray(np.transpose(unflipped, np.argsort(transform.arrangement.order)))


def rescale_whole(array: np.ndarray, shape: Sequence[int], *, smooth: bool = False) -> np.ndarray:
    """float32 [K, J, I] resampled linearly to ``shape``, the axis that shrinks most first."""
    axes = [axis for axis in range(3) if array.shape[axis] != shape[axis]]
    for axis in sorted(axes, key=lambda axis: shape[axis] / array.shape[axis]):
        old, new = array.shape[axis], shape[axis]
        if smooth and old > SMOOTH_ABOVE * new:
            array = np.moveaxis(np.tensordot(weights(old, new), array, (1, axis)), 0, axis)
        else:
            array = _interpolated(array, axis, new)
    return np.ascontiguousarray(array)


def _interpolated(array: np.ndarray, axis: int, new: int) -> np.ndarray:
    old = array.shape[axis]
    centre = np.clip((np.arange(new) + 0.5) * old / new - 0.5, 0, old - 1)
    lower = np.minimum(centre.astype(np.intp), max(old - 2, 0))
    weight = (np.round((centre - lower) / WEIGHT_STEP) * WEIGHT_STEP).astype(np.float32)
    low, high = np.take(array, lower, axis), np.take(array, np.minimum(lower + 1, old - 1), axis)
    return low + (high - low) * weight.reshape([-1 if a == axis else 1 for a in range(3)])


def padded(array: np.ndarray, smallest: Sequence[int]) -> tuple[np.ndarray, tuple[slice, ...]]:
    """``array`` centred in at least ``smallest`` pixels per axis, filled with its minimum; and where it lies."""
    missing = [max(0, wanted - size) for wanted, size in zip(smallest, array.shape, strict=True)]
    widths = [(total // 2, total - total // 2) for total in missing]
    inside = tuple(slice(before, before + size) for (before, _), size in zip(widths, array.shape, strict=True))
    return np.pad(array, widths, constant_values=array.min()), inside


def blend(total: np.ndarray, values: np.ndarray, window: Any) -> None:
    """Adds ``values`` [C, *window], weighted by importance, to ``total`` [C, *grid] in place."""
    target = total[(slice(None), *window.place)]
    if window.factors is None:
        target[...] = values
        return
    importance = window.factors[0]
    for factor in window.factors[1:]:
        importance = importance[..., None] * factor
    target += values * importance


def restore_by_planes(values: np.ndarray, transform: AxisTransform) -> np.ndarray:
    """What ``restore_whole`` gives, by the steps of the engine."""
    result = np.empty(transform.source_shape, np.float32)
    rescaler = PlaneRescaler(transform.shape, transform.arranged_shape)
    for target, plane in zip(transform.arrange(result), rescaler.stream(values.astype(np.float32)), strict=True):
        target[...] = plane
    return result
