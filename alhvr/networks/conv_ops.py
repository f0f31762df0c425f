"""ConvOps: the operations between the convolutions of a U-Net, with activations stored for backward or recomputed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from alhvr.networks import recompute
from alhvr.networks.dropout import dropped
from alhvr.networks.norm_act import MAX_POOL, NormActDropout, activate, training_type, upsample2x

LARGE_STEP = 1 << 22
"""Values of the finest level, all images together, from which on memory counts for more than time."""


@dataclass(frozen=True)
class ConvOps:
    """One way to go from convolution to convolution; all ways give the same values and gradients."""

    convolve_after: Callable[[NormActDropout, Tensor, nn.Module], Tensor]
    """Batch norm, activation and dropout of x [B, F, *S], and a convolution of that: [B, G, *S]."""
    convolve_concat: Callable[[Tensor, Tensor, nn.Module], Tensor]
    """A convolution of skip [B, F, *2S] followed by the doubled ``reduced`` [B, F, *S]: [B, G, *2S]."""
    max_pool2x: Callable[[Tensor], Tensor]
    """The largest of each 2^n neighbours of [B, F, *2S]: [B, F, *S]."""


def _convolve_after(after_conv: NormActDropout, x: Tensor, conv: nn.Module) -> Tensor:
    return conv(dropped(activate(after_conv.norm(x), after_conv.slope), after_conv.mask))


def _convolve_concat(skip: Tensor, reduced: Tensor, conv: nn.Module) -> Tensor:
    """The gradient of a concatenation is a strided slice, on which the backward of doubling is 5 to 10 times slower.

    It is made dense first, in the layout of what was doubled.
    """
    up = upsample2x(reduced)
    if up.requires_grad:
        layout = torch.contiguous_format
        if not up.is_contiguous():
            layout = torch.channels_last if up.ndim == 4 else torch.channels_last_3d
        up.register_hook(lambda gradient: gradient.contiguous(memory_format=layout))
    return conv(torch.cat([skip, up], dim=1))


def _max_pool2x(x: Tensor) -> Tensor:
    return MAX_POOL[x.ndim - 2](x, 2)


STANDARD = ConvOps(_convolve_after, _convolve_concat, _max_pool2x)
"""torch's own: everything is kept."""
RECOMPUTE = ConvOps(recompute.convolve_after, recompute.convolve_concat, recompute.max_pool2x)
"""Half the memory, for 3 to 5 percent of the time; for networks in train mode."""


def conv_ops_for(x: Tensor, n_values: int, *, training: bool) -> ConvOps:
    """RECOMPUTE for large steps in float32 on a CPU, the arithmetic of computers without bf16; else STANDARD.

    x: any tensor that the network gets. n_values: of the finest level.
    """
    large = n_values >= LARGE_STEP and training_type(x) == torch.float32
    return RECOMPUTE if training and large and x.device.type == "cpu" else STANDARD
