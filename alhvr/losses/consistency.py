"""Agreement of two predictions on unlabelled pixels, and what it is weighted by: the losses of the other methods.

Every mean is over the pixels that count; where there is none it is zero, with a gradient of zero.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from alhvr.losses.competition import pixel_entropy
from alhvr.losses.supervised import NOT_ANNOTATED, merge_missing
from alhvr.losses.tensors import in_full_precision, most_probable, one_hot

SMALLEST_MASS = 1e-6
"""A sum of weights below counts as this, so that nothing is divided by zero."""


@in_full_precision
def weighted_mean(values: Tensor, weights: Tensor) -> Tensor:
    """sum(weights * values) / sum(weights), scalar; both [B, *S], the weights bool or 0 and more."""
    weights = weights.to(values.dtype)
    return (values * weights).sum() / weights.sum().clamp(min=SMALLEST_MASS)


@in_full_precision
def squared_difference(student: Tensor, teacher: Tensor, weights: Tensor) -> Tensor:
    """Mean of (student - teacher)^2 over pixels and classes, scalar.

    student, teacher: [B, C, *S] probabilities; the caller detaches what is not to learn. weights: [B, *S] for each
    pixel or [B, C, *S] for each class too, bool or 0 and more.
    """
    weights = weights.to(student.dtype)
    if weights.ndim < student.ndim:
        weights = weights.unsqueeze(1).expand_as(student)
    return weighted_mean((student - teacher).square(), weights)


@in_full_precision
def pseudo_label_loss(logits: Tensor, classes: Tensor, weights: Tensor, *, n_pixels: Tensor | None = None) -> Tensor:
    """Cross-entropy of ``logits`` [B, C, *S] against one-hot ``classes`` [B, C, *S], weighted mean, scalar.

    weights: [B, *S], bool or 0 and more. n_pixels: what the weighted sum is divided by; None for the sum of weights.
    """
    weights = weights.to(logits.dtype)
    ce = -(logits.log_softmax(dim=1) * classes).sum(dim=1)
    divisor = weights.sum().clamp(min=SMALLEST_MASS) if n_pixels is None else n_pixels.clamp(min=1)
    return (ce * weights).sum() / divisor


@in_full_precision
def pseudo_labels(logits: Tensor) -> Tensor:
    """The most probable class of each pixel, one-hot [B, C, *S], without gradient; logits [B, C, *S]."""
    return most_probable(logits.detach())


@in_full_precision
def relative_entropy(probability: Tensor) -> Tensor:
    """Entropy [B, *S] of probabilities [B, C, *S] as a share of the largest there is, ln C: 0 to 1, no gradient."""
    return pixel_entropy(probability.detach()) / math.log(probability.shape[1])


@in_full_precision
def mismatch_loss(probability: Tensor, labels: Tensor, differs: Tensor, missing: Tensor | None) -> Tensor:
    """Mean of (probability - label)^2 over classes and the annotated pixels where two networks differ, scalar.

    probability: [B, C, *S]. labels: [B, *S] int64, class indices or NOT_ANNOTATED. differs: bool [B, *S]. missing:
    bool [B, C], classes that are not annotated in an image and count as background there; None for none.
    """
    onehot = one_hot(labels, probability.shape[1], probability.dtype)
    if missing is not None:
        probability, onehot = merge_missing(probability, missing), merge_missing(onehot, missing)
    return squared_difference(probability, onehot, differs & (labels != NOT_ANNOTATED))


@torch.no_grad()
@in_full_precision
def prototype_reliability(features: Tensor, probability: Tensor, inside: Tensor) -> Tensor:
    """How well a network's features bear out its own prediction: mean over classes of 1 - (cosine - p)^2, [B, *S].

    features: [B, F, *S]. probability: [B, C, *S]. inside: bool [B, *S], the pixels that prototypes are made of. The
    prototype of a class is the mean feature of its most probable pixels in each image; the cosine is zero for a class
    that has none. No gradient.
    """
    flat = features.flatten(2)
    members = (most_probable(probability) * inside.unsqueeze(1)).flatten(2)
    mean = torch.einsum("bcn,bfn->bcf", members, flat) / members.sum(dim=2, keepdim=True).clamp(min=1)
    unit, direction = _unit(mean, dim=2), _unit(flat, dim=1)
    cosine = torch.einsum("bcf,bfn->bcn", unit, direction).view_as(probability)
    return (1 - (cosine - probability).square()).mean(dim=1)


def _unit(vectors: Tensor, dim: int) -> Tensor:
    """``vectors`` of length one along ``dim``; those shorter than 1e-4 stay short."""
    return vectors / vectors.norm(dim=dim, keepdim=True).clamp(min=1e-4)
