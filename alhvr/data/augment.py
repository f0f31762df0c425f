"""Augmenter: random changes of a training patch; image and label move together, in one resampling.

Rotation and size share a single interpolation (linear for the image, nearest for the label); mirrors and quarter
turns only rearrange voxels. Every draw comes from the generator given to the call.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from monai.data import get_track_meta, set_track_meta
from monai.transforms import (
    CenterSpatialCropd,
    Compose,
    Flipd,
    OneOf,
    RandAdjustContrastd,
    RandAffined,
    RandFlipd,
    RandGaussianNoised,
    RandGaussianSmoothd,
    Randomizable,
    RandRotate90d,
    RandRotated,
    RandScaleIntensityd,
    Rotate90d,
    Transform,
)

from alhvr.config import AugmentConfig

RESAMPLED_SHARE = 0.5
"""Share of the patches that are rotated and scaled; the others keep their voxels untouched."""
FLAT_PATCH_RATIO = 3
"""A 3-D patch whose first axis is this many times shorter than its longest one is rotated in its plane only."""

_KEYS = ("image", "label")
_TRACKING = threading.Lock()


@dataclass(frozen=True)
class AugmentedPatch:
    """A patch after its random changes."""

    image: np.ndarray
    """float32 [M, *patch_size], M channels."""
    label: np.ndarray | None
    """uint8 [*patch_size], class indices; None for an unlabelled patch."""


class Augmenter:
    """Draws and applies the random changes of ``config`` to patches of one size."""

    def __init__(self, config: AugmentConfig, dimensions: int, patch_size: Sequence[int]) -> None:
        """``patch_size`` has ``dimensions`` (2 or 3) lengths in voxels, slowest axis first."""
        self.patch_size = tuple(int(n) for n in patch_size)
        if len(self.patch_size) != dimensions:
            raise ValueError(f"patch_size {self.patch_size} has not {dimensions} lengths.")
        angles = _rotation_limits(config, self.patch_size)
        self.margin = _margin(self.patch_size, angles, config.scale)
        """Voxels to be read beyond each side of the patch, per axis, so that a turned patch finds real voxels."""
        self._state = np.random.RandomState()
        chosen = _released if config.law == "released" else _transforms
        self._transform = Compose(chosen(config, self.patch_size, angles))
        _share_random_state(self._transform, self._state)

    @property
    def field_size(self) -> tuple[int, ...]:
        """Lengths in voxels of the image that a call expects: the patch and its margin on both sides."""
        return tuple(n + 2 * m for n, m in zip(self.patch_size, self.margin, strict=True))

    def __call__(self, image: np.ndarray, label: np.ndarray | None, rng: np.random.Generator) -> AugmentedPatch:
        """Changes one patch at random.

        ``image`` float32 [M, *S], all channels moved alike, and ``label`` uint8 [*S] (or None) with S = ``field_size``;
        an S equal to ``patch_size`` is accepted too, its border voxels are then repeated outwards. Raises ValueError
        for other S.
        """
        self._check(image, label)
        data = {"image": torch.from_numpy(np.ascontiguousarray(image, dtype=np.float32))}
        if label is not None:
            data["label"] = torch.from_numpy(np.asarray(label, dtype=np.float32)[np.newaxis])
        with _plain_tensors():
            self._state.seed(int(rng.integers(2**32)))
            data = self._transform(data)
        moved = data["label"].numpy()[0].astype(np.uint8) if label is not None else None
        return AugmentedPatch(np.ascontiguousarray(data["image"].numpy()), moved)

    def _check(self, image: np.ndarray, label: np.ndarray | None) -> None:
        if image.shape[1:] not in (self.field_size, self.patch_size):
            raise ValueError(f"image has shape {image.shape}; expected (M, *{self.field_size} or *{self.patch_size}).")
        if label is not None and label.shape != image.shape[1:]:
            raise ValueError(f"label has shape {label.shape}; its image has {image.shape[1:]}.")


def _rotation_limits(config: AugmentConfig, patch_size: tuple[int, ...]) -> tuple[float, ...]:
    """Largest angle in radians: one in 2-D; in 3-D one around each axis, the first turning within the slices."""
    angle = math.radians(config.rotate_degrees)
    if len(patch_size) == 2:
        return (angle,)
    flat = max(patch_size) > FLAT_PATCH_RATIO * patch_size[0]
    return (angle, 0.0, 0.0) if flat else (angle, angle, angle)


def _margin(patch_size: tuple[int, ...], angles: tuple[float, ...], scale: float) -> tuple[int, ...]:
    """Voxels beyond each side that a turned and enlarged patch can reach, per axis; at most half the patch."""
    half = [n / 2 for n in patch_size]
    planes = {0: (0, 1)} if len(half) == 2 else {0: (1, 2), 1: (0, 2), 2: (0, 1)}
    reach = list(half)
    for around, (first, second) in planes.items():
        if around < len(angles):
            sine = math.sin(min(angles[around], math.pi / 2))
            reach[first] += sine * half[second]
            reach[second] += sine * half[first]
    return tuple(min(math.ceil(r * (1 + scale) - h), n // 2) for r, h, n in zip(reach, half, patch_size, strict=True))


def _transforms(config: AugmentConfig, patch_size: tuple[int, ...], angles: tuple[float, ...]) -> list[Transform]:
    """The MONAI transforms in the order applied; the first one cuts the field to the patch."""
    return [
        _resampling(config, patch_size, angles),
        *_rearrangements(config, patch_size),
        *(_intensities() if config.intensity else []),
    ]


def _released(config: AugmentConfig, patch_size: tuple[int, ...], angles: tuple[float, ...]) -> list[Transform]:
    """The released code's law. 2-D: half of the patches are turned by quarters and mirrored along one axis, a quarter
    of them rotated without interpolation. 3-D: each is turned and mirrored, in the plane of its first two axes."""
    crop, plane = CenterSpatialCropd(_KEYS, patch_size, allow_missing_keys=True), (0, 1)
    quarters = range(4) if patch_size[0] == patch_size[1] else (0, 2)
    turn = Compose([
        OneOf([Rotate90d(_KEYS, k=k, spatial_axes=plane, allow_missing_keys=True) for k in quarters]),
        OneOf([Flipd(_KEYS, spatial_axis=axis, allow_missing_keys=True) for axis in plane]),
    ])
    if len(patch_size) == 3:
        return [crop, turn]
    rotate = RandRotated(_KEYS, range_x=angles[0], prob=1.0, mode="nearest", padding_mode="border", keep_size=True,
                         allow_missing_keys=True)
    return [OneOf([Compose([crop, turn]), Compose([rotate, crop]), crop], weights=[0.5, 0.25, 0.25])]


def _resampling(config: AugmentConfig, patch_size: tuple[int, ...], angles: tuple[float, ...]) -> Transform:
    crop = CenterSpatialCropd(_KEYS, patch_size, allow_missing_keys=True)
    if config.rotate_degrees == 0 and config.scale == 0:
        return crop
    affine = RandAffined(
        _KEYS,
        spatial_size=patch_size,
        prob=1.0,
        rotate_range=angles,
        scale_range=[config.scale] * len(patch_size),
        mode=("bilinear", "nearest"),
        padding_mode="border",
        cache_grid=True,
        allow_missing_keys=True,
    )
    return OneOf([affine, crop], weights=[RESAMPLED_SHARE, 1 - RESAMPLED_SHARE])


def _rearrangements(config: AugmentConfig, patch_size: tuple[int, ...]) -> list[Transform]:
    """Mirrors and quarter turns; in a plane that is not square only the half turn keeps the size."""
    axes = range(len(patch_size))
    changes: list[Transform] = []
    if config.mirror:
        changes += [RandFlipd(_KEYS, prob=0.5, spatial_axis=axis, allow_missing_keys=True) for axis in axes]
    if config.quarter_turns:
        plane = tuple(axes)[-2:]
        if patch_size[-2] == patch_size[-1]:
            changes.append(RandRotate90d(_KEYS, prob=0.5, max_k=3, spatial_axes=plane, allow_missing_keys=True))
        else:
            changes.append(RandFlipd(_KEYS, prob=0.5, spatial_axis=plane, allow_missing_keys=True))
    return changes


def _intensities() -> list[Transform]:
    """Blur, brightness, contrast and noise of the image alone.

    MONAI's contrast maps the patch to 0..1 by its own extremes before the power and back after it, so negative
    (z-scored) values are safe. Its ``retain_stats`` is left out: a mean over many voxels depends on the threads.
    """
    blur = (0.5, 1.0)
    return [
        RandGaussianSmoothd("image", prob=0.2, sigma_x=blur, sigma_y=blur, sigma_z=blur),
        RandScaleIntensityd("image", prob=0.15, factors=0.25),
        RandAdjustContrastd("image", prob=0.3, gamma=(0.7, 1.5)),
        RandGaussianNoised("image", prob=0.15, std=0.1),
    ]


def _share_random_state(transform: Compose, state: np.random.RandomState) -> None:
    """One state for all transforms: reseeding it once a call costs 20 us, MONAI's own way 3 ms."""
    Randomizable.set_random_state(transform, state=state)
    for part in transform.transforms:
        if isinstance(part, Compose):
            _share_random_state(part, state)
        elif isinstance(part, Randomizable):
            part.set_random_state(state=state)


@contextmanager
def _plain_tensors() -> Iterator[None]:
    """Switches MONAI's metadata tensors off, for speed, and restores the setting; one caller at a time."""
    with _TRACKING:
        before = get_track_meta()
        set_track_meta(False)
        try:
            yield
        finally:
            set_track_meta(before)
