"""The high-value regions: threshold gamma, the three regions, and who learns from whom (Eqs. 11 to 14, 17, 18)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from alhvr.config import MethodConfig
from alhvr.losses.tensors import in_full_precision

SAMPLE = 8192
"""About as many values are sorted to find out where gamma's last one lies."""


@dataclass(frozen=True)
class Regions:
    """Boolean masks [B_u, *S] of the unlabelled pixels. The first three cover each of these exactly once."""

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
    n_pixels: Tensor
    """Number of the unlabelled pixels, scalar."""

    def fractions(self) -> dict[str, Tensor]:
        """Share of the unlabelled pixels in each of the three regions, scalars 0..1 that sum to one."""
        names = ("reliable_stable", "reliable_unstable", "unreliable_stable")
        counts = {name: getattr(self, name).sum() for name in names}
        return {name: count / self.n_pixels.clamp(min=1) for name, count in counts.items()}


@torch.no_grad()
@in_full_precision
def confidence_threshold(confidence: Tensor, beta: float) -> Tensor:
    """gamma (Eq. 11): mean of the K = floor(beta * N) smallest of all N confidences, at least one; scalar, no gradient.

    confidence: any shape, values 0..1: the mean of both networks' confidences over the WHOLE unlabelled batch, so that
    an image on which both are sure keeps more pixels than one on which they are not; zero for no value at all.
    beta: above 0 and at most 1.
    """
    flat = confidence.detach().flatten()
    if not flat.numel():
        return flat.new_zeros(())
    count = max(1, int(beta * flat.numel()))
    if flat.device.type == "cpu":
        return torch.tensor(_mean_of_smallest(flat.numpy(), count), dtype=flat.dtype)
    return _threshold_on_device(flat, count).to(flat.dtype)


def region_threshold(confidence: Tensor, config: MethodConfig, *, unlabelled: Tensor | None = None) -> Tensor:
    """gamma for ``split_regions``: one for the whole batch (scalar), or one for each image [B_u, 1, ...].

    confidence: [B_u, *S], mean of both networks' confidences. unlabelled: bool [B_u, *S], the pixels that count; None
    for all. ``config``: beta, threshold_scope (row 6).
    """
    if config.threshold_scope == "batch":
        return confidence_threshold(confidence if unlabelled is None else confidence[unlabelled], config.beta)
    images = confidence if unlabelled is None else [c[u] for c, u in zip(confidence, unlabelled, strict=True)]
    gammas = torch.stack([confidence_threshold(image, config.beta) for image in images])
    return gammas.view(-1, *[1] * (confidence.ndim - 1))


def _mean_of_smallest(values: np.ndarray, count: int) -> float:
    """Mean of the ``count`` smallest of ``values`` [N], 1 <= count <= N, in float64.

    Two values of a sorted sample enclose the largest of them but for bad luck, so that only what lies between the two,
    a few percent, is partitioned: a third of the time of numpy's partition of them all, which is the way out.
    """
    low, high = _enclosing(values, count)
    below, not_above = values < low, values < high
    between = np.compress(below ^ not_above, values)
    wanted = count - np.count_nonzero(below)
    if wanted > len(between) and wanted - len(between) <= np.count_nonzero(values == high):
        between = np.append(between, np.full(wanted - len(between), high))
    if not 0 < wanted <= len(between):
        return np.partition(values, count - 1)[:count].mean(dtype=np.float64)
    lowest = np.partition(between, wanted - 1)[:wanted].sum(dtype=np.float64)
    return ((values * below).sum(dtype=np.float64) + lowest) / count


def _enclosing(values: np.ndarray, count: int) -> tuple[np.floating, np.floating]:
    """Two of ``values``, three standard deviations of the sample's error either side of the ``count``-th smallest."""
    share = count / values.size
    sample = np.sort(values[:: values.size // SAMPLE | 1])
    place, slack = share * len(sample), 3 * math.sqrt(len(sample) * share * (1 - share)) + 1
    return sample[max(0, int(place - slack))], sample[min(len(sample) - 1, int(place + slack))]


def _threshold_on_device(flat: Tensor, count: int) -> Tensor:
    """The same without waiting for the device: picks the smaller side of the split and never sorts it."""
    exact = torch.float32 if flat.device.type == "mps" else torch.float64
    rest = flat.numel() - count
    if count <= rest:
        return flat.topk(count, largest=False, sorted=False).values.to(exact).mean()
    largest = flat.topk(rest, largest=True, sorted=False).values.to(exact).sum()
    return (flat.to(exact).sum() - largest) / count


def split_regions(
    confidence_a: Tensor, confidence_b: Tensor, gamma: Tensor, *, unlabelled: Tensor | None = None
) -> Regions:
    """The three regions and both learning masks from the perturbed confidences (Eqs. 12 to 14, 17, 18).

    confidence_a, confidence_b: [B_u, *S], values 0..1, largest class probability of the perturbed predictions.
    gamma: scalar, or [B_u, 1, ...] for one threshold an image.
    Reaching gamma exactly counts as confident, which closes the gaps that the paper's inequalities leave at ties.
    unlabelled: bool [B_u, *S], the pixels that any region may hold; None for all.
    """
    sure_a = confidence_a >= gamma
    sure_b = confidence_b >= gamma
    n_pixels = torch.full((), confidence_a.numel(), device=confidence_a.device)
    masks = {
        "reliable_stable": sure_a & sure_b,
        "reliable_unstable": sure_a ^ sure_b,
        "unreliable_stable": ~(sure_a | sure_b),
        "learn_a": ~sure_a & sure_b,
        "learn_b": sure_a & ~sure_b,
    }
    if unlabelled is not None:
        masks = {name: mask & unlabelled for name, mask in masks.items()}
        n_pixels = unlabelled.sum()
    return Regions(**masks, n_pixels=n_pixels)
