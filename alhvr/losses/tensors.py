"""What all losses share: one-hot labels, and arithmetic in float32."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

CHANNELS_LAST = {4: torch.channels_last, 5: torch.channels_last_3d}
"""By the number of axes, batch and channels included."""

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


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


def widen(tensor: Tensor) -> Tensor:
    """Half-precision floats as float32, all floats in plain (not channels-last) order; other types unchanged.

    The gradient comes back in the type and order of ``tensor``; left in plain order it would take all layers of a
    channels-last network through slower paths.
    """
    if not tensor.is_floating_point():
        return tensor
    dtype = torch.promote_types(tensor.dtype, torch.float32)
    return tensor if tensor.dtype == dtype and tensor.is_contiguous() else _Widened.apply(tensor, dtype)


class _Widened(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, tensor: Tensor, dtype: torch.dtype) -> Tensor:
        ctx.dtype, ctx.layout = tensor.dtype, torch.contiguous_format
        channels_last = CHANNELS_LAST.get(tensor.ndim)
        if channels_last and tensor.is_contiguous(memory_format=channels_last):
            ctx.layout = channels_last
        return tensor.to(dtype=dtype, memory_format=torch.contiguous_format)

    @staticmethod
    def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient.to(dtype=ctx.dtype, memory_format=ctx.layout), None


def without_autocast(device_type: str) -> contextlib.AbstractContextManager[Any]:
    """A block in which autocast, if the caller turned it on, does nothing."""
    if torch.amp.autocast_mode.is_autocast_available(device_type):
        return torch.autocast(device_type, enabled=False)
    return contextlib.nullcontext()


def in_full_precision(loss: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Widens every tensor that ``loss`` receives and turns autocast off while it runs.

    The confidences lie so near 1 that half precision cannot tell them apart (float16 steps by 4.9e-4 there), and the
    small constants that guard divisions would vanish. ``loss`` must receive at least one tensor by position.
    """

    @functools.wraps(loss)
    def full(*arguments: Arguments.args, **options: Arguments.kwargs) -> Result:
        device = next(a.device for a in arguments if isinstance(a, Tensor))
        with without_autocast(device.type):
            return loss(*(widen(a) if isinstance(a, Tensor) else a for a in arguments), **options)

    return full
