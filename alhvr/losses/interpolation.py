"""Linear upsampling of features that is never carried out: its adjoint, and inner products and norms of its result.

Upsampled features have F channels at full resolution and would be by far the largest tensors of the method. Yet only
sums over a class, inner products with a vector and norms are asked of them, and all three can be had from the small
features. Let U = A_1 x ... x A_D be the interpolation, one matrix A_d [N, n] per spatial axis.

Adjoint. The sum of U f over the pixels of a mask m is <U f, m> = <f, U' m>: the MASK is brought down with the
transposed matrices and meets the features at their own size.

Inner product. <U f, p> = U <f, p>: one map per vector p is interpolated in place of F channels.

Norm. Along one axis, a pixel between samples j and j+1 with weights w and v (w + v = 1) has
    |w f_j + v f_(j+1)|^2 = w^2 |f_j|^2 + v^2 |f_(j+1)|^2 + 2 w v <f_j, f_(j+1)>,
that is, squared norms interpolated with A*A, plus inner products of neighbours interpolated with A[:, j] * A[:, j+1].
Over several axes the choices multiply to 2^D one-channel maps; with several "neighbour" axes, every pair of opposite
corners of the cell counts. An axis of equal size has A = 1 and no second term.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Interpolation:
    """One axis of linear interpolation from n samples to N (half-pixel centres, ends held), constant matrices."""

    weights: Tensor
    """A [N, n]: at most two neighbouring entries per row, sum one."""
    squares: Tensor
    """A * A [N, n]."""
    neighbours: Tensor
    """A[:, j] * A[:, j+1] [N, n-1]."""


@functools.lru_cache(maxsize=64)
def interpolation(size: int, samples: int, dtype: torch.dtype, device: torch.device) -> Interpolation:
    """The matrices from ``samples`` to ``size`` points, those of torch's interpolate with align_corners=False."""
    with torch.inference_mode(False), torch.no_grad():
        centre = (torch.arange(size, dtype=torch.float64) + 0.5) * samples / size - 0.5
        centre = centre.clamp(0, samples - 1)
        distance = (centre.unsqueeze(1) - torch.arange(samples, dtype=torch.float64)).abs()
        weights = (1 - distance).clamp(min=0)
        matrices = (weights, weights.square(), weights[:, :-1] * weights[:, 1:])
        return Interpolation(*(m.to(dtype=dtype, device=device).contiguous() for m in matrices))


def upsample(small: Tensor, size: Sequence[int]) -> Tensor:
    """U: [B, C, *s] to [B, C, *size]."""
    for axis in reversed(range(2, small.ndim)):
        if small.shape[axis] != size[axis - 2]:
            matrices = interpolation(size[axis - 2], small.shape[axis], small.dtype, small.device)
            small = _along(matrices.weights, small, axis)
    return small


def downsample_adjoint(large: Tensor, size: Sequence[int]) -> Tensor:
    """U': [B, C, *S] to [B, C, *size], the transpose of the interpolation from ``size`` to S (a sum, not a mean)."""
    for axis in range(2, large.ndim):
        if large.shape[axis] != size[axis - 2]:
            matrices = interpolation(large.shape[axis], size[axis - 2], large.dtype, large.device)
            large = _along(matrices.weights.T, large, axis)
    return large


def upsampled_square_norm(features: Tensor, size: Sequence[int], *, cancellation: float) -> Tensor:
    """|U f|^2 over the channels: [B, F, *s] to [B, 1, *size].

    Where neighbouring samples point in opposite directions the terms cancel and rounding is all that is left; the
    result is therefore held at ``cancellation`` times the sum of its squared terms or above (no gradient there).
    """
    axes = [a for a in range(2, features.ndim) if 1 < features.shape[a] != size[a - 2]]
    own = _spread(features.square().sum(dim=1, keepdim=True), (), size)
    total = own
    for count in range(1, len(axes) + 1):
        for chosen in itertools.combinations(axes, count):
            total = total + _spread(_opposite_corners(features, chosen), chosen, size)
    return torch.maximum(total, cancellation * own.detach())


def _spread(gram: Tensor, chosen: Sequence[int], size: Sequence[int]) -> Tensor:
    """Inner products [B, 1, *s, one less along ``chosen``] to full size, with the weights of their kind per axis."""
    for axis in reversed(range(2, gram.ndim)):
        samples = gram.shape[axis] + (axis in chosen)
        if samples != size[axis - 2]:
            matrices = interpolation(size[axis - 2], samples, gram.dtype, gram.device)
            gram = _along(matrices.neighbours if axis in chosen else matrices.squares, gram, axis)
    return gram


def _opposite_corners(features: Tensor, axes: Sequence[int]) -> Tensor:
    """<f, f'> summed over all ordered pairs of opposite corners along ``axes``: [B, 1, *s], one less along each."""
    total: Tensor | None = None
    for sides in itertools.product((0, 1), repeat=len(axes) - 1):
        here, there = features, features
        for axis, side in zip(axes, (0, *sides), strict=True):
            length = features.shape[axis] - 1
            here, there = here.narrow(axis, side, length), there.narrow(axis, 1 - side, length)
        product = (here * there).sum(dim=1, keepdim=True)
        total = product if total is None else total + product
    return 2 * total


def _along(matrix: Tensor, tensor: Tensor, axis: int) -> Tensor:
    """``matrix`` [N, n] applied along one axis of length n."""
    if axis == tensor.ndim - 1:
        return tensor @ matrix.T
    shape = tensor.shape
    columns = matrix @ tensor.reshape(*shape[:axis], shape[axis], -1)
    return columns.reshape(*shape[:axis], matrix.shape[0], *shape[axis + 1 :])
