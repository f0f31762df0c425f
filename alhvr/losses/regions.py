"""The high-value regions: threshold gamma, the three regions, and who learns from whom (Eqs. 11 to 14, 17, 18)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from alhvr.losses.precision import in_full_precision


@dataclass(frozen=True)
class Regions:
    """Boolean masks [B_u, *S] of the unlabelled pixels. The first three cover every pixel exactly once."""

    reliable_stable: Tensor
    """Omega 1: both networks stay confident under perturbation; no loss acts here."""
    reliable_unstable: Tensor
    """Omega 2: one network stays confident; the other learns from it (CG-CPCL)."""
    unreliable_stable: Tensor
    """Omega 3: neither is confident; the more confident one teaches both (DTCT)."""
    learn_a: Tensor
    """Mask_a: the part of Omega 2 in which network a is unsure and learns from b."""
    learn_b: Tensor
    """Mask_b: the part of Omega 2 in which network b is unsure and learns from a."""

    def fractions(self) -> dict[str, Tensor]:
        """Share of the pixels in each of the three regions, scalars 0..1 that sum to one."""
        names = ("reliable_stable", "reliable_unstable", "unreliable_stable")
        return {name: getattr(self, name).float().mean() for name in names}


@torch.no_grad()
@in_full_precision
def confidence_threshold(confidence: Tensor, beta: float) -> Tensor:
    """gamma (Eq. 11): mean of the K = floor(beta * N) smallest of all N confidences, at least one; scalar, no gradient.

    confidence: any shape, values 0..1: the mean of both networks' confidences over the WHOLE unlabelled batch, so that
    an image on which both are sure keeps more pixels than one on which they are not. beta: above 0 and at most 1.
    """
    flat = confidence.detach().flatten()
    count = max(1, int(beta * flat.numel()))
    if flat.device.type == "cpu":
        smallest = np.partition(flat.numpy(), count - 1)[:count]
        return torch.tensor(smallest.mean(dtype=np.float64), dtype=flat.dtype)
    return _threshold_on_device(flat, count).to(flat.dtype)


def _threshold_on_device(flat: Tensor, count: int) -> Tensor:
    """The same without waiting for the device: picks the smaller side of the split and never sorts it."""
    exact = torch.float32 if flat.device.type == "mps" else torch.float64
    rest = flat.numel() - count
    if count <= rest:
        return flat.topk(count, largest=False, sorted=False).values.to(exact).mean()
    largest = flat.topk(rest, largest=True, sorted=False).values.to(exact).sum()
    return (flat.to(exact).sum() - largest) / count


def split_regions(confidence_a: Tensor, confidence_b: Tensor, gamma: Tensor) -> Regions:
    """The three regions and both learning masks from the perturbed confidences (Eqs. 12 to 14, 17, 18).

    confidence_a, confidence_b: [B_u, *S], values 0..1, largest class probability of the perturbed predictions.
    Reaching gamma exactly counts as confident, which closes the gaps that the paper's inequalities leave at ties.
    """
    sure_a = confidence_a >= gamma
    sure_b = confidence_b >= gamma
    return Regions(
        reliable_stable=sure_a & sure_b,
        reliable_unstable=sure_a ^ sure_b,
        unreliable_stable=~(sure_a | sure_b),
        learn_a=~sure_a & sure_b,
        learn_b=sure_a & ~sure_b,
    )
