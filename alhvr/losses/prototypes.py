"""Prototype consistency (CG-CPCL): class prototypes, cosine logits and the two losses (Eqs. 5, 6, 15 to 20).

The features are never upsampled; ``interpolation.py`` says how, and tests hold the results against the direct form.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from alhvr.config import MethodConfig
from alhvr.losses.interpolation import downsample_adjoint, upsample, upsampled_square_norm
from alhvr.losses.tensors import in_full_precision

COUNT_EPSILON = 1e-5
SMALLEST_NORM = 1e-4
CANCELLATION = 1e-6
OUT_OF_THE_SOFTMAX = -1e4
"""In place of a cosine: its exponential is zero, and unlike that of minus infinity its product with zero is too."""


@dataclass(frozen=True)
class PrototypeLoss:
    """The two halves of L_pc of one network, scalars, before any weight."""

    ce: Tensor
    """L_ce: cross-entropy of the cosines against the other network's classes (Eq. 19)."""
    cosine: Tensor
    """L_cos: one minus the cosine (Eq. 20)."""


@in_full_precision
def class_prototypes(features: Tensor, onehot: Tensor, mean: Literal["images", "pixels"] = "images") -> Tensor:
    """p_c (Eq. 15): mean upsampled feature of each class's pixels, [C, F].

    features: [B, F, *s] at their own size. onehot: [B, C, *S], all zero in padding. mean: "images", the mean over the
    images of each image's mean, as released; "pixels", over all pixels of the batch, as in the paper's text (row 4).
    An image without the class adds a zero vector to the mean over images, which leaves the direction to the others; a
    class that is nowhere has the zero prototype.
    """
    counts = onehot.flatten(2).sum(dim=2, keepdim=True)
    if mean == "pixels":
        counts = counts.sum(dim=0, keepdim=True)
    weights = downsample_adjoint(onehot, features.shape[2:]).flatten(2) / (counts + COUNT_EPSILON)
    total = torch.einsum("bcn,bfn->cf", weights, features.flatten(2))
    return total / len(features) if mean == "images" else total


@in_full_precision
def upsampled_cosine(features: Tensor, prototypes: Tensor, size: Sequence[int]) -> Tensor:
    """s_c (Eq. 16): cosine of every upsampled feature and every prototype, [B, C, *size], -1..1.

    features: [B, F, *s] at their own size (s = size needs no upsampling). prototypes: [C, F]. Norms below 1e-4 count
    as 1e-4, so zero features and zero prototypes give a cosine of zero and a finite gradient.
    """
    shortest = SMALLEST_NORM**2
    unit = prototypes * prototypes.square().sum(dim=1, keepdim=True).clamp(min=shortest).rsqrt()
    small = torch.matmul(unit, features.flatten(2)).unflatten(2, features.shape[2:])
    norm = upsampled_square_norm(features, size, cancellation=CANCELLATION).clamp(min=shortest)
    return upsample(small, size) * norm.rsqrt()


@in_full_precision
def prototype_loss(
    student_features: Tensor, source_features: Tensor, source_classes: Tensor, mask: Tensor, *, config: MethodConfig,
    n_pixels: Tensor | None = None,
) -> PrototypeLoss:
    """L_ce and L_cos of one network, the student, that learns from the other, the source (Eqs. 19 and 20).

    student_features: [B_u, F, *s], perturbed. source_features: [B_u, F, *s], clean. source_classes: [B_u, C, *S], the
    source's most probable classes, one-hot, all zero in padding. mask: [B_u, *S] bool, where the student learns. An
    empty mask gives zero with zero gradient. n_pixels: what a mean over everything divides by; None for all pixels of
    the mask. ``config``: ce_alignment, cosine_loss, absent_class, detach_prototypes, prototype_mean.
    """
    source = source_features.detach() if config.detach_prototypes else source_features
    cosine = upsampled_cosine(student_features, class_prototypes(source, source_classes, config.prototype_mean),
                              source_classes.shape[2:])
    logits = cosine
    if config.absent_class == "exclude":
        logits = cosine.masked_fill(_absent(source_classes), OUT_OF_THE_SOFTMAX)
    ce = -(logits.log_softmax(dim=1) * source_classes).sum(dim=1)
    weights = mask.to(cosine.dtype)
    return PrototypeLoss(
        ce=_masked_mean(ce, weights) if config.ce_alignment == "aligned" else broadcast_mean(ce, weights),
        cosine=_cosine_loss(cosine, source_classes, weights, config, n_pixels),
    )


def broadcast_mean(values: Tensor, weights: Tensor) -> Tensor:
    """The released code's masked mean, scalar: EVERY image's mask weighs EVERY image's values (row 1).

    values, weights: [B, *S]. There, a mask [B, 1, *S] times values [B, *S] spreads to [B, B, *S]; its sum over both
    image axes is, per pixel, (sum of the masks) times (sum of the values), so the large product is not needed.
    """
    return (weights.sum(dim=0) * values.sum(dim=0)).sum() / weights.sum().clamp(min=1)


def _masked_mean(values: Tensor, weights: Tensor) -> Tensor:
    """Mean of ``values`` [B, *S] where ``weights`` are one; zero where none are."""
    return (weights * values).sum() / weights.sum().clamp(min=1)


def _cosine_loss(cosine: Tensor, classes: Tensor, weights: Tensor, config: MethodConfig,
                 n_pixels: Tensor | None) -> Tensor:
    """L_cos (Eq. 20): of the target class over the mask, or of all classes with the mean over everything (row 2)."""
    if config.cosine_loss == "all":
        n_values = cosine.shape[1] * (weights.numel() if n_pixels is None else n_pixels.clamp(min=1))
        return ((1 - cosine) * weights.unsqueeze(1)).sum() / n_values
    return _masked_mean(1 - (cosine * classes).sum(dim=1), weights)


def _absent(onehot: Tensor) -> Tensor:
    """Which classes have no pixel in the whole batch: bool [1, C, 1, ...] for [B, C, *S]."""
    pixels = [axis for axis in range(onehot.ndim) if axis != 1]
    return onehot.sum(pixels, keepdim=True) == 0
