"""Steps: how one convolution follows another in a U-Net, with all that lies between kept for backward, or little."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from alhvr.networks import recompute
from alhvr.networks.dropout import dropped
from alhvr.networks.norm_act import MAX_POOL, Between, activate, doubled, training_type

LARGE_STEP = 1 << 22
"""Values of the finest level, all images together, from which on memory counts for more than time."""


@dataclass(frozen=True)
class Steps:
    """One way to go from convolution to convolution; all ways give the same values and gradients."""

    convolve_after: Callable[[Between, Tensor, nn.Module], Tensor]
    """Batch norm, activation and dropout of x [B, F, *S], and a convolution of that: [B, G, *S]."""
    convolve_joined: Callable[[Tensor, Tensor, nn.Module], Tensor]
    """A convolution of skip [B, F, *2S] followed by the doubled ``reduced`` [B, F, *S]: [B, G, *2S]."""
    halved: Callable[[Tensor], Tensor]
    """The largest of each 2^n neighbours of [B, F, *2S]: [B, F, *S]."""


def _convolve_after(between: Between, x: Tensor, conv: nn.Module) -> Tensor:
    return conv(dropped(activate(between.norm(x), between.slope), between.mask))


def _convolve_joined(skip: Tensor, reduced: Tensor, conv: nn.Module) -> Tensor:
    """The gradient of a concatenation is a strided slice, on which the backward of doubling is 5 to 10 times slower.

    It is made dense first, in the layout of what was doubled.
    """
    up = doubled(reduced)
    if up.requires_grad:
        layout = torch.contiguous_format
        if not up.is_contiguous():
            layout = torch.channels_last if up.ndim == 4 else torch.channels_last_3d
        up.register_hook(lambda gradient: gradient.contiguous(memory_format=layout))
    return conv(torch.cat([skip, up], dim=1))


def _halved(x: Tensor) -> Tensor:
    return MAX_POOL[x.ndim - 2](x, 2)


PLAIN = Steps(_convolve_after, _convolve_joined, _halved)
"""torch's own: everything is kept."""
LEAN = Steps(recompute.convolve_after, recompute.convolve_joined, recompute.halved)
"""Half the memory, for 3 to 5 percent of the time; for networks in train mode."""


def steps_for(x: Tensor, n_values: int, *, training: bool) -> Steps:
    """LEAN for large steps in float32 on a CPU, the arithmetic of computers without bf16; else PLAIN.

    x: any tensor that the network gets. n_values: of the finest level.
    """
    large = n_values >= LARGE_STEP and training_type(x) == torch.float32
    return LEAN if training and large and x.device.type == "cpu" else PLAIN
