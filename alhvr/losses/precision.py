"""in_full_precision: runs a loss in float32 whatever precision the networks run in."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import torch
from torch import Tensor

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def widen(tensor: Tensor) -> Tensor:
    """Half-precision floats as float32, all floats in plain (not channels-last) order; other types unchanged."""
    if tensor.is_floating_point():
        dtype = torch.promote_types(tensor.dtype, torch.float32)
        return tensor.to(dtype=dtype, memory_format=torch.contiguous_format)
    return tensor


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
