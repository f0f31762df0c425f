"""The parts both networks are made of: convolution with batch norm, doubling of size, and what every network offers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx

from alhvr.networks.conv_ops import STANDARD, ConvOps
from alhvr.networks.dropout import Dropout
from alhvr.networks.norm_act import NormActDropout, activate, needs_float32
from alhvr.networks.registry import DEEPEST_STRIDE, FEATURE_STRIDES, N_LEVELS, STANDARD_WIDTH

__all__ = ["STANDARD_WIDTH"]

BATCH_NORM = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
MEMORY_FORMAT = {2: torch.channels_last, 3: torch.channels_last_3d}


class Conv3d(nn.Conv3d):
    """nn.Conv3d that trains in float32 where it must; without gradients nothing is changed."""

    def forward(self, x: Tensor) -> Tensor:
        """[B, channels_in, *S] -> [B, channels_out, *S]."""
        if not needs_float32(x) or not torch.is_grad_enabled():
            return super().forward(x)
        with torch.autocast(x.device.type, enabled=False):
            return super().forward(x.float())


CONVOLUTION = {2: nn.Conv2d, 3: Conv3d}


@dataclass(frozen=True)
class Decoded:
    """What one pass through a decoder gives."""

    logits: Tensor
    """[B, C, *S], before the softmax."""
    features: Tensor
    """[B, F, *S / feature_stride], the features F^d of the prototypes (Eq. 15 and 16)."""


class SegmentationNetwork(nn.Module, ABC):
    """An encoder of five levels (strides 1, 2, 4, 8, 16) and a decoder that may be run more than once on them."""

    dimensions: int
    level_channels: tuple[int, ...]

    def __init__(self, dimensions: int, feature_stride: int, in_channels: int, width: int) -> None:
        """``dimensions`` 2 or 3, ``feature_stride`` 8, 4 or 1, the others 1 or more; else ValueError.

        ``width``: channels at full resolution.
        """
        super().__init__()
        if dimensions not in CONVOLUTION:
            raise ValueError(f"Network has {dimensions} dimensions; accepted: 2, 3.")
        if feature_stride not in FEATURE_STRIDES:
            raise ValueError(f"Feature stride is {feature_stride}; accepted: {FEATURE_STRIDES}.")
        if in_channels < 1:
            raise ValueError(f"Network has {in_channels} input channels; accepted: 1 or more.")
        if width < 1:
            raise ValueError(f"Network has a width of {width}; accepted: 1 or more.")
        self.level_channels = tuple(width << level for level in range(N_LEVELS))
        self.dimensions = dimensions
        self.feature_stride = feature_stride
        self.in_channels = in_channels

    @abstractmethod
    def encode(self, x: Tensor) -> list[Tensor]:
        """x [B, in_channels, *S], S multiples of 16 (ValueError otherwise) -> five levels, full resolution first."""

    @abstractmethod
    def decode(self, levels: Sequence[Tensor], *, perturbed: bool = False) -> Decoded:
        """Five levels [B, F_k, *S / 2^k] -> logits and features; ``perturbed`` tells which of the two passes it is."""

    def forward(self, x: Tensor) -> Tensor:
        """x [B, in_channels, *S] -> logits [B, C, *S] of the clean pass."""
        return self.decode(self.encode(x)).logits

    def level_shapes(self, size: Sequence[int]) -> list[tuple[int, ...]]:
        """Spatial ``size`` S of an input -> [F_k, *S / 2^k] of every level, full resolution first."""
        return [(c, *(n >> k for n in size)) for k, c in enumerate(self.level_channels)]

    @property
    def memory_format(self) -> torch.memory_format:
        """Channels last in the network's number of dimensions: the fast layout for weights and images."""
        return MEMORY_FORMAT[self.dimensions]

    def _check_input(self, x: Tensor) -> None:
        size = tuple(x.shape[2:])
        right = x.ndim == self.dimensions + 2 and x.shape[1] == self.in_channels
        if not right or any(n < DEEPEST_STRIDE or n % DEEPEST_STRIDE for n in size):
            wanted = ("J, I", "K, J, I")[self.dimensions - 2]
            raise ValueError(
                f"Network input has shape {tuple(x.shape)}; accepted: [B, {self.in_channels}, {wanted}] "
                f"with spatial sizes that are multiples of {DEEPEST_STRIDE}. Pad or crop it first."
            )


class ConvNorm(nn.Module):
    """Convolution of size 3, batch norm and activation; keeps the spatial size."""

    def __init__(self, dimensions: int, channels_in: int, channels_out: int, *, slope: float) -> None:
        """``slope`` of the activation below zero: 0 is ReLU."""
        super().__init__()
        self.conv = CONVOLUTION[dimensions](channels_in, channels_out, 3, padding=1)
        self.norm = BATCH_NORM[dimensions](channels_out)
        self.slope = slope

    def forward(self, x: Tensor) -> Tensor:
        """[B, channels_in, *S] -> [B, channels_out, *S]."""
        return self.norm_act(self.conv(x))

    def norm_act(self, x: Tensor) -> Tensor:
        """The convolution's output [B, channels_out, *S] -> batch norm and activation of it."""
        return activate(self.norm(x), self.slope)

    @property
    def after_conv(self) -> NormActDropout:
        """What comes after this convolution and before the next."""
        return NormActDropout(self.norm, self.slope)


class ConvBlock(nn.Module):
    """Two ConvNorm with leaky ReLU (0.01) and dropout between them."""

    def __init__(self, dimensions: int, channels_in: int, channels_out: int, *, dropout: float) -> None:
        super().__init__()
        self.first = ConvNorm(dimensions, channels_in, channels_out, slope=0.01)
        self.dropout = Dropout(dropout)
        self.second = ConvNorm(dimensions, channels_out, channels_out, slope=0.01)

    def forward(self, x: Tensor, conv_ops: ConvOps = STANDARD) -> Tensor:
        """[B, channels_in, *S] -> [B, channels_out, *S]."""
        return self.second.norm_act(self._second(self.first.conv(x), conv_ops))

    def until_last_conv(self, skip: Tensor, reduced: Tensor, conv_ops: ConvOps = STANDARD) -> Tensor:
        """What ``second.norm_act`` makes into the block's output [B, channels_out, *S] for a skip and what lies below.

        skip [B, F, *S], reduced [B, F, *S / 2] with 2F = channels_in; the latter is doubled and goes after the former.
        """
        return self._second(conv_ops.convolve_concat(skip, reduced, self.first.conv), conv_ops)

    def _second(self, x: Tensor, conv_ops: ConvOps) -> Tensor:
        """The second convolution's output from the first one's."""
        after_conv = NormActDropout(self.first.norm, self.first.slope, self.dropout.draw(x))
        return conv_ops.convolve_after(after_conv, x, self.second.conv)


def tail_of_batch(x: Tensor, start: int) -> Tensor:
    """``x[start:]`` of [B, F, *S], whose gradient keeps the layout of ``x`` (torch's own would lose channels last)."""
    return _Tail.apply(x, start) if start else x


class _Tail(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, start: int) -> Tensor:
        ctx.save_for_backward(x[:start])
        return x[start:]

    @staticmethod
    def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[Tensor, None]:
        (head,) = ctx.saved_tensors
        return torch.cat([torch.zeros_like(head), gradient]), None


@contextmanager
def frozen_running_statistics(network: nn.Module) -> Iterator[None]:
    """Inside, a network in train mode normalises with each batch's own statistics and leaves the running ones alone.

    A network in eval mode is not affected.
    """
    norms = [m for m in network.modules() if isinstance(m, tuple(BATCH_NORM.values())) and m.track_running_stats]
    for norm in norms:
        norm.track_running_stats = False
    try:
        yield
    finally:
        for norm in norms:
            norm.track_running_stats = True
