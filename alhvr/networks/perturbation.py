"""Noise or dropout on an encoder's levels: drawn with numpy, applied to arrays and tensors alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

DROPOUT_SHARE = (0.7, 0.9)
NOISE_RANGE = 0.3


@dataclass(frozen=True)
class Perturbation:
    """One kind of perturbation for all levels of one network, shared by the images of a batch."""

    kind: Literal["dropout", "noise"]
    thresholds: tuple[float, ...] | None = None
    """Dropout: per level, the share u in [0.7, 0.9) of the largest activation above which sites are removed."""
    noises: tuple[np.ndarray, ...] | None = None
    """Noise: per level, float32 [F_k, *S_k] in [-0.3, 0.3), the relative change of each value."""


@dataclass(frozen=True)
class DualPerturbation:
    """The independent perturbations of the two networks."""

    a: Perturbation
    b: Perturbation


def draw_perturbation(rng: np.random.Generator, level_shapes: Sequence[Sequence[int]], *,
                      channels_last: bool = True) -> Perturbation:
    """One coin picks dropout or noise for all levels; ``level_shapes`` are [F_k, *S_k], full resolution first.

    ``channels_last`` is how the levels lie in memory; noise of their layout is added 3 to 4 times faster.
    """
    if rng.random() < 0.5:
        return Perturbation("dropout", thresholds=tuple(float(rng.uniform(*DROPOUT_SHARE)) for _ in level_shapes))
    return Perturbation("noise", noises=tuple(_draw_noise(rng, shape, channels_last) for shape in level_shapes))


def draw_dual_perturbation(rng: np.random.Generator, level_shapes: Sequence[Sequence[int]]) -> DualPerturbation:
    """Perturbations of networks a and b, drawn one after the other; ``level_shapes`` are [F_k, *S_k]."""
    return DualPerturbation(a=draw_perturbation(rng, level_shapes), b=draw_perturbation(rng, level_shapes))


def apply_perturbation(levels: Sequence[Any], perturbation: Perturbation) -> list[Any]:
    """Levels [B, F_k, *S_k], numpy arrays or torch tensors -> perturbed levels of the same shapes and types.

    Raises ValueError when the perturbation was drawn for other shapes.
    """
    change, drawn = {
        "dropout": (_drop_most_active, perturbation.thresholds),
        "noise": (_add_noise, perturbation.noises),
    }[perturbation.kind]
    if drawn is None or len(drawn) != len(levels):
        raise ValueError(f"Perturbation has {len(drawn or ())} levels of {perturbation.kind}; expected {len(levels)}.")
    return [change(level, value) for level, value in zip(levels, drawn, strict=True)]


def _draw_noise(rng: np.random.Generator, shape: Sequence[int], channels_last: bool) -> np.ndarray:
    """Float32 [F, *S]; the values are the same in both layouts."""
    channels, *size = shape
    noise = rng.random((*size, channels), dtype=np.float32)
    noise -= np.float32(0.5)
    noise *= np.float32(2 * NOISE_RANGE)
    noise = np.moveaxis(noise, -1, 0)
    return noise if channels_last else np.ascontiguousarray(noise)


def _drop_most_active(level: Any, share: float) -> Any:
    """Zeros the sites whose mean over channels reaches ``share`` of its largest value in the image [B, F, *S]."""
    plain = level.detach() if hasattr(level, "detach") else level
    activity = plain.mean(1)
    flat = activity.reshape(len(activity), -1)
    largest = (flat.amax if hasattr(flat, "amax") else flat.max)(1)
    threshold = (largest * share).reshape(-1, *[1] * (activity.ndim - 1))
    return level * (activity < threshold)[:, None]


def _add_noise(level: Any, noise: np.ndarray) -> Any:
    if tuple(level.shape[1:]) != noise.shape:
        raise ValueError(f"Noise was drawn for a level of shape {noise.shape}; the level is {tuple(level.shape[1:])}.")
    change = level.new_tensor(noise) if hasattr(level, "new_tensor") else noise
    return level * (change + 1)
