"""The networks' training steps made of torch's own modules, each keeping what it likes: what lean ones are held to."""

from __future__ import annotations

import pytest
import torch.nn.functional as F
from torch import Tensor, nn

from alhvr.networks import blocks, unet
from alhvr.networks.lean import Between, joined


def plain_after(between: Between, x: Tensor, conv: nn.Module) -> Tensor:
    """The chain of modules that ``convolve_after`` stands for."""
    y = F.leaky_relu(between.norm(x), between.slope)
    if between.mask is not None:
        y = y * between.mask.keep * between.mask.scale
    return conv(y)


def plain_joined(skip: Tensor, reduced: Tensor, conv: nn.Module) -> Tensor:
    """The convolution of a concatenation that is kept."""
    return conv(joined(skip, reduced))


def plain_halved(x: Tensor) -> Tensor:
    """Max-pooling with its indices."""
    return (F.max_pool2d if x.ndim == 4 else F.max_pool3d)(x, 2)


def use_plain_steps(patch: pytest.MonkeyPatch) -> None:
    """Every U-Net trains with the plain steps from here on."""
    patch.setattr(blocks, "convolve_after", plain_after)
    patch.setattr(unet, "convolve_after", plain_after)
    patch.setattr(blocks, "convolve_joined", plain_joined)
    patch.setattr(unet, "halved", plain_halved)

