"""Memory-saving conv blocks: cheap activations are recomputed in the backward pass instead of stored.

The arithmetic is that of the plain modules in train mode, under autocast too. A gradient cannot be differentiated
once more (RuntimeError).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx, once_differentiable

from alhvr.networks.dropout import Mask
from alhvr.networks.norm_act import MAX_POOL, NormActDropout, activate, training_type, upsample2x

_MAX_POOL_BACKWARD = {2: torch.ops.aten.max_pool2d_with_indices_backward,
                      3: torch.ops.aten.max_pool3d_with_indices_backward}
_Gradients = tuple[Tensor | None, ...]


def convolve_after(after_conv: NormActDropout, x: Tensor, conv: nn.Conv2d | nn.Conv3d) -> Tensor:
    """x [B, F, *S], the output of a convolution -> [B, G, *S]; keeps ``x`` and the mask only.

    Running statistics go on as in ``nn.BatchNorm``.
    """
    norm, mask = after_conv.norm, after_conv.mask
    if norm.track_running_stats:
        norm.num_batches_tracked.add_(1)
    keep = mask.keep if mask else None
    weight, bias = conv.weight.to(x.dtype), conv.bias.to(x.dtype)
    return _NormActDropout.apply(after_conv, x, keep, norm.weight, norm.bias, weight, bias)


def convolve_concat(skip: Tensor, reduced: Tensor, conv: nn.Conv2d | nn.Conv3d) -> Tensor:
    """Convolution [B, G, *2S] of ``joined(skip, reduced)``; keeps these two, not what they make together."""
    kind = training_type(skip)
    return _ConcatUpsampled.apply(skip.to(kind), reduced.to(kind), conv.weight.to(kind), conv.bias.to(kind))


def max_pool2x(x: Tensor) -> Tensor:
    """[B, F, *2S] -> [B, F, *S], the largest of each 2^n neighbours; keeps ``x``, not where the largest were."""
    return _MaxPool2x.apply(x)


def concat_upsampled(skip: Tensor, reduced: Tensor) -> Tensor:
    """skip [B, F, *2S] followed by ``upsample2x(reduced)``, reduced [B, F, *S] -> [B, 2F, *2S]."""
    return torch.cat([skip, upsample2x(reduced)], dim=1)


class _NormActDropout(torch.autograd.Function):
    """Batch norm, activation, dropout and convolution; all that is large is made again from the first one's input."""

    @staticmethod
    def forward(ctx: FunctionCtx, after_conv: NormActDropout, x: Tensor, keep: Tensor | None,
                *parameters: Tensor) -> Tensor:
        gamma, beta, weight, bias = parameters
        norm, mask = after_conv.norm, after_conv.mask
        running = (norm.running_mean, norm.running_var) if norm.track_running_stats else (None, None)
        y, mean, inverse_deviation = torch.native_batch_norm(x, gamma, beta, *running, True, norm.momentum, norm.eps)
        ctx.slope, ctx.eps, ctx.scale = after_conv.slope, norm.eps, mask.scale if mask else 1.0
        ctx.save_for_backward(x, keep, gamma, beta, weight, mean, inverse_deviation)
        return _convolved(_activated(y, ctx.slope, keep, ctx.scale), weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, gradient: Tensor) -> _Gradients:
        x, keep, gamma, beta, weight, mean, inverse_deviation = ctx.saved_tensors
        y = _normalised(x, gamma * inverse_deviation, beta, mean)
        y = _activated(y, ctx.slope, keep, ctx.scale)
        gradient, of_weight, of_bias = _convolution_backward(gradient, y, weight)
        if keep is not None:
            Mask(keep, ctx.scale).apply_(gradient)
        _through_activation_(gradient, y, ctx.slope)
        del y
        of_norm = torch.ops.aten.native_batch_norm_backward(
            gradient, x, gamma, None, None, mean, inverse_deviation, True, ctx.eps, [True, True, True])
        of_x, of_gamma, of_beta = of_norm
        return None, of_x, None, of_gamma, of_beta, of_weight, of_bias


class _ConcatUpsampled(torch.autograd.Function):
    """Convolution of a skip and of what comes from below; backward goes through each half on its own."""

    @staticmethod
    def forward(ctx: FunctionCtx, skip: Tensor, reduced: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(skip, reduced, weight)
        return _convolved(concat_upsampled(skip, reduced), weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, gradient: Tensor) -> _Gradients:
        skip, reduced, weight = ctx.saved_tensors
        upper, lower = weight.split([skip.shape[1], reduced.shape[1]], dim=1)
        of_skip, of_upper, of_bias = _convolution_backward(gradient, skip, upper)
        with torch.enable_grad():
            up = upsample2x(small := reduced.detach().requires_grad_())
        of_up, of_lower, _ = _convolution_backward(gradient, up.detach(), lower)
        (of_reduced,) = torch.autograd.grad(up, small, of_up)
        return of_skip, of_reduced, torch.cat([of_upper, of_lower], dim=1), of_bias


class _MaxPool2x(torch.autograd.Function):
    """Max-pooling by two, whose backward looks for the largest values again."""

    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        with torch.autocast(x.device.type, enabled=False):
            return MAX_POOL[x.ndim - 2](x, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, gradient: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        n = x.ndim - 2
        _, where = MAX_POOL[n](x, 2, return_indices=True)
        return _MAX_POOL_BACKWARD[n](gradient, x, [2] * n, [2] * n, [0] * n, [1] * n, False, where)


def _normalised(x: Tensor, factor: Tensor, beta: Tensor, mean: Tensor) -> Tensor:
    """``(x - mean) * factor + beta`` per channel, by the kernel of batch norm itself, so that no bit differs."""
    return F.batch_norm(x, mean, torch.ones_like(mean), factor, beta, training=False, eps=0.0)


def _activated(y: Tensor, slope: float, keep: Tensor | None, scale: float) -> Tensor:
    """Activation and dropout, written over ``y``."""
    activate(y, slope)
    return y if keep is None else Mask(keep, scale).apply_(y)


def _through_activation_(gradient: Tensor, y: Tensor, slope: float) -> None:
    """Writes the gradient before the activation over that after it; dropout may have zeroed some of ``y`` since."""
    if slope:
        torch.ops.aten.leaky_relu_backward.grad_input(gradient, y, slope, True, grad_input=gradient)
    else:
        torch.ops.aten.threshold_backward.grad_input(gradient, y, 0, grad_input=gradient)


def _convolved(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Convolution that keeps the spatial size, in the type of its arguments whatever autocast wants."""
    with torch.autocast(x.device.type, enabled=False):
        return torch.convolution(x, weight, bias, *_geometry(weight))


def _convolution_backward(gradient: Tensor, x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of ``x``, ``weight`` and bias."""
    return torch.ops.aten.convolution_backward(gradient, x, weight, [weight.shape[0]], *_geometry(weight),
                                               [True, True, True])


def _geometry(weight: Tensor) -> tuple:
    """Stride, padding, dilation, transposed, output padding and groups of a convolution that keeps the size."""
    size = weight.shape[2:]
    return [1] * len(size), [n // 2 for n in size], [1] * len(size), False, [0] * len(size), 1
