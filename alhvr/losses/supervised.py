"""supervised_loss: cross-entropy and Dice of the labelled images (Eqs. 3 and 4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from alhvr.losses.precision import in_full_precision

STANDARD_SMOOTHING = 1e-5
OFFICIAL_SMOOTHING = 1e-10


@dataclass(frozen=True)
class SupervisedLoss:
    """The two halves of L_s, scalars."""

    ce: Tensor
    """Cross-entropy, mean over all labelled pixels."""
    dice: Tensor
    """Dice loss, mean over all classes, background included."""

    @property
    def total(self) -> Tensor:
        """L_s: both with weight one."""
        return self.ce + self.dice


@in_full_precision
def supervised_loss(
    logits: Tensor, labels: Tensor, *, dice: Literal["standard", "official"] = "standard"
) -> SupervisedLoss:
    """L_s of one network (Eqs. 3 and 4).

    logits: [B, C, *S], any float type. labels: [B, *S] int64, class indices 0..C-1.
    """
    log_probability = logits.log_softmax(dim=1)
    index = labels.unsqueeze(1)
    ce = -log_probability.gather(1, index).mean()
    onehot = torch.zeros_like(log_probability).scatter_(1, index, 1.0)
    per_class = dice_per_class(log_probability.exp(), onehot, dice=dice)
    return SupervisedLoss(ce=ce, dice=per_class.mean())


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
