"""Classes as one plane of zeros and ones each: the form in which every loss takes them."""

from __future__ import annotations

import torch
from torch import Tensor


def one_hot(classes: Tensor, n_classes: int, dtype: torch.dtype) -> Tensor:
    """Class indices [B, *S] as [B, C, *S] of zeros and ones; all zeros where the index is not one of the C."""
    every = torch.arange(n_classes, dtype=classes.dtype, device=classes.device)
    return (classes.unsqueeze(1) == every.view(1, -1, *[1] * (classes.ndim - 1))).to(dtype)


def most_probable(probability: Tensor) -> Tensor:
    """The class with the largest of the probabilities [B, C, *S], the lowest index of equal ones: [B, C, *S], one-hot.

    Compares with the maximum instead of asking for its index, for which torch takes ten times as long.
    """
    largest = probability == probability.amax(dim=1, keepdim=True)
    taken = largest[:, 0].clone()
    for candidate in largest.unbind(dim=1)[1:]:
        candidate &= ~taken
        taken |= candidate
    return largest.to(probability.dtype)
