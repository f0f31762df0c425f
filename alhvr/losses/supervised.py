"""supervised_loss: cross-entropy and Dice of the labelled images (Eqs. 3 and 4), of what is annotated of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from alhvr.losses.tensors import in_full_precision, one_hot

STANDARD_SMOOTHING = 1e-5
OFFICIAL_SMOOTHING = 1e-10
NOT_ANNOTATED = 255
"""Class index of a pixel of which nobody said what it is."""


@dataclass(frozen=True)
class SupervisedLoss:
    """The two halves of L_s, scalars."""

    ce: Tensor
    """Cross-entropy, mean over all annotated pixels of the labelled images; zero without any."""
    dice: Tensor
    """Dice loss, mean over all classes, background included."""

    @property
    def total(self) -> Tensor:
        """L_s: both with weight one."""
        return self.ce + self.dice


@in_full_precision
def supervised_loss(
    logits: Tensor, labels: Tensor, *, missing: Tensor | None = None,
    dice: Literal["standard", "official"] = "standard",
) -> SupervisedLoss:
    """L_s of one network (Eqs. 3 and 4), of what is annotated.

    logits: [B, C, *S], any float type. labels: [B, *S] int64, class indices 0..C-1, or NOT_ANNOTATED for a pixel that
    takes no part. missing: [B, C] bool, the classes that are not annotated in an image; None for none. What is
    background there may be background or any of these classes: their probabilities are added up before the logarithm,
    and count as one class in Dice, to which the image gives nothing for the missing classes themselves.
    Nothing missing and everything annotated gives the plain loss to the last bit.
    """
    onehot = one_hot(labels, logits.shape[1], logits.dtype)
    annotated = (labels != NOT_ANNOTATED).to(logits.dtype)
    log_probability = logits.log_softmax(dim=1)
    probability = log_probability.exp() * annotated.unsqueeze(1)
    log_likelihood = (log_probability * onehot).sum(dim=1)
    if missing is not None:
        log_likelihood = torch.where(labels == 0, _log_background(log_probability, missing), log_likelihood)
        probability, onehot = merge_missing(probability, missing), merge_missing(onehot, missing)
    ce = -log_likelihood.sum() / annotated.sum().clamp(min=1)
    return SupervisedLoss(ce=ce, dice=dice_per_class(probability, onehot, dice=dice).mean())


def dice_per_class(
    probability: Tensor, onehot: Tensor, *, dice: Literal["standard", "official"] = "standard"
) -> Tensor:
    """Dice loss [C] of each class, over all pixels of the batch together, with squared denominator.

    probability: [B, C, *S], values 0..1. onehot: [B, C, *S], zeros and ones.
    ``standard``: 1 - (2I + e) / (P + G + e), zero for a perfect class and for an absent class that nobody predicts.
    ``official``: 1 - I / (P + G + e), a half for a perfect class, and one without gradient for an absent class.
    """
    pixels = [axis for axis in range(probability.ndim) if axis != 1]
    overlap = (probability * onehot).sum(pixels)
    mass = probability.square().sum(pixels) + onehot.sum(pixels)
    if dice == "official":
        return 1 - overlap / (mass + OFFICIAL_SMOOTHING)
    return 1 - (2 * overlap + STANDARD_SMOOTHING) / (mass + STANDARD_SMOOTHING)


def merge_missing(values: Tensor, missing: Tensor) -> Tensor:
    """``values`` [B, C, *S] with those of the ``missing`` classes [B, C] added to the background's, and zero after."""
    spatial = [1] * (values.ndim - 2)
    of_missing = values * missing.reshape(*missing.shape, *spatial)
    background = values[:, :1] + of_missing.sum(dim=1, keepdim=True)
    return torch.cat([background, (values - of_missing)[:, 1:]], dim=1)


def _log_background(log_probability: Tensor, missing: Tensor) -> Tensor:
    """log(p_0 + sum of p_c over the ``missing`` classes [B, C]) of [B, C, *S]: [B, *S]; log p_0 itself for none."""
    counted = missing.clone()
    counted[:, 0] = True
    spatial = [1] * (log_probability.ndim - 2)
    masked = log_probability.masked_fill(~counted.reshape(*counted.shape, *spatial), -torch.inf)
    alone = (counted.sum(dim=1) == 1).reshape(-1, *spatial)
    return torch.where(alone, log_probability[:, 0], masked.logsumexp(dim=1))
