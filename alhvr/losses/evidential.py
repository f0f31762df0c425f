"""Evidential learning: logits as evidence of a Dirichlet distribution, its loss and its uncertainty (EVIL)."""

from __future__ import annotations

import torch
from torch import Tensor

from alhvr.losses.consistency import weighted_mean
from alhvr.losses.supervised import NOT_ANNOTATED
from alhvr.losses.tensors import in_full_precision, one_hot

SCALE = 0.25
"""Divides the squashed logits, so that the evidence of a class lies between e^-4 and e^4."""


@in_full_precision
def evidence(logits: Tensor) -> Tensor:
    """exp(tanh(z) / 0.25): [B, C, *S], 0.018 to 54.6; the Dirichlet parameters are this plus one."""
    return (logits.tanh() / SCALE).exp()


@in_full_precision
def belief(found: Tensor) -> Tensor:
    """Evidence over the sum of the Dirichlet parameters, [B, C, *S]; its softmax is the prediction."""
    return found / (found.sum(dim=1, keepdim=True) + found.shape[1])


@in_full_precision
def evidential_loss(found: Tensor, allowed: Tensor, weights: Tensor, annealing: float) -> Tensor:
    """Mean over pixels of digamma(S) - digamma(alpha of what is allowed) + annealing * KL(misleading evidence), scalar.

    found: evidence [B, C, *S]. allowed: [B, C, *S], one where the class may be the right one; one-hot gives the loss of
    the paper, several ones the same for the classes taken together, whose Dirichlet parameters add up. weights: [B, *S]
    bool or 0 and more. annealing: 0 to 1, weight of the divergence from no evidence, of the classes not allowed.
    """
    alpha = found + 1
    total, right = alpha.sum(dim=1), (alpha * allowed).sum(dim=1)
    right = torch.where(allowed.sum(dim=1) > 0, right, total)  # a pixel of no class carries a weight of zero
    fit = torch.digamma(total) - torch.digamma(right)
    return weighted_mean(fit + annealing * _divergence(found * (1 - allowed) + 1), weights)


def _divergence(alpha: Tensor) -> Tensor:
    """KL(Dir(alpha) || Dir(1)) of [B, C, *S]: [B, *S]."""
    total = alpha.sum(dim=1)
    constant = torch.lgamma(torch.tensor(float(alpha.shape[1]), dtype=alpha.dtype, device=alpha.device))
    spread = (alpha - 1) * (torch.digamma(alpha) - torch.digamma(total).unsqueeze(1))
    return torch.lgamma(total) - torch.lgamma(alpha).sum(dim=1) - constant + spread.sum(dim=1)


def allowed_classes(labels: Tensor, n_classes: int, missing: Tensor | None, dtype: torch.dtype) -> Tensor:
    """Classes that a labelled pixel may be of, zeros and ones [B, C, *S]; none where it is not annotated.

    labels: [B, *S] int64. missing: bool [B, C], classes that background may be as well in an image; None for none.
    """
    onehot = one_hot(labels, n_classes, dtype)
    if missing is None:
        return onehot
    also = missing.reshape(*missing.shape, *[1] * (labels.ndim - 1)) & (labels == 0).unsqueeze(1)
    return torch.maximum(onehot, also.to(dtype))


def annotated(labels: Tensor) -> Tensor:
    """Bool like ``labels`` [B, *S]: the pixels that have a label."""
    return labels != NOT_ANNOTATED
