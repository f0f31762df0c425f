"""Dual-teacher competition (DTCT): the more confident network teaches where both are unsure (Eqs. 7, 8, 21 to 25)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable

from alhvr.losses.tensors import in_full_precision

ENTROPY_EPSILON = 1e-6


@dataclass(frozen=True)
class CompetitionLoss:
    """L_mh of one network, scalars."""

    mse: Tensor
    """L_mse: distance from the sharpened teacher, summed over classes, mean over Omega 3."""
    entropy: Tensor
    """H of the clean plus H of the perturbed prediction, within Omega 3."""

    @property
    def total(self) -> Tensor:
        """L_mh: all with weight one."""
        return self.mse + self.entropy


@in_full_precision
def teacher(clean_a: Tensor, clean_b: Tensor, *, tie: Literal["a", "b"] = "a") -> Tensor:
    """y_t (Eq. 21): per pixel the whole probability vector of the network with the larger maximum.

    clean_a, clean_b: [B_u, C, *S] probabilities. ``tie`` names the one taken where both maxima are equal.
    """
    confidence_a = clean_a.detach().amax(dim=1, keepdim=True)
    confidence_b = clean_b.detach().amax(dim=1, keepdim=True)
    takes_a = confidence_a >= confidence_b if tie == "a" else confidence_a > confidence_b
    return torch.lerp(clean_b, clean_a, takes_a.to(clean_a.dtype))  # exact at weights 0 and 1, six times where's pace


@in_full_precision
def sharpen(probability: Tensor, temperature: float, mode: Literal["binary", "normalized"] = "binary") -> Tensor:
    """y_sp (Eq. 22): probabilities [B_u, C, *S] moved towards 0 and 1.

    temperature: above 0 and at most 1, which changes nothing.

    ``binary``: each class against the rest, p^(1/T) / (p^(1/T) + (1-p)^(1/T)); for C > 2 the sum may be below one.
    ``normalized``: p^(1/T) / sum over classes, which sums to one; the same for two classes.
    The powers of ``normalized`` are taken of ratios to the largest term, so they never underflow in all terms at once.
    """
    power = 1.0 / temperature
    if mode == "binary":
        return _BinarySharpening.apply(probability, power)
    share = (probability / probability.detach().amax(dim=1, keepdim=True)).pow(power)
    return share / share.sum(dim=1, keepdim=True)


class _BinarySharpening(torch.autograd.Function):
    """sigmoid(log(p / (1-p)) / T), a third of the passes of two powers; its gradient is zero at exactly 0 and 1."""

    @staticmethod
    def forward(ctx: FunctionCtx, probability: Tensor, power: float) -> Tensor:
        sharpened = torch.logit(probability).mul_(power).sigmoid_()
        ctx.save_for_backward(probability, sharpened)
        ctx.power = power
        return sharpened

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[Tensor, None]:
        probability, sharpened = ctx.saved_tensors
        smallest = torch.finfo(gradient.dtype).tiny
        slope = sharpened * (1 - sharpened) / (probability * (1 - probability)).clamp(min=smallest)
        return gradient * slope * ctx.power, None


@in_full_precision
def competition_loss(
    clean: Tensor, perturbed: Tensor, target: Tensor, mask: Tensor, *,
    entropy_mean: Literal["all", "masked"] = "all", n_pixels: Tensor | None = None,
) -> CompetitionLoss:
    """L_mh of one network (Eqs. 23 to 25), in the region Omega 3.

    clean, perturbed, target: [B_u, C, *S] probabilities: the network's own two predictions and the sharpened teacher.
    mask: [B_u, *S] bool. An empty mask gives zero with zero gradient. n_pixels: of "all"; None for those of the mask's
    array, where all of them are unlabelled.
    """
    weights = mask.to(perturbed.dtype)
    pixels = weights.sum().clamp(min=1)
    mse = ((perturbed - target).square().sum(dim=1) * weights).sum() / pixels
    everything = mask.numel() if n_pixels is None else n_pixels.clamp(min=1)
    divisor = pixels if entropy_mean == "masked" else everything
    entropy = ((pixel_entropy(clean) + pixel_entropy(perturbed)) * weights).sum() / divisor
    return CompetitionLoss(mse=mse, entropy=entropy)


def pixel_entropy(probability: Tensor) -> Tensor:
    """-sum_c y log(y + 1e-6) of probabilities [B, C, *S]: [B, *S], in nats."""
    return -(probability * (probability + ENTROPY_EPSILON).log()).sum(dim=1)
