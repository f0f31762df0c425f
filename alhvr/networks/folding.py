"""Batch norm folded into the convolution before it: the same function in eval mode, with fewer steps."""

from __future__ import annotations

from copy import deepcopy

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from alhvr.networks.blocks import BATCH_NORM, SegmentationNetwork


def folded(network: SegmentationNetwork) -> SegmentationNetwork:
    """A float32 copy of ``network`` in eval mode, on its device, without batch norm and without gradients."""
    copy = deepcopy(network).eval().requires_grad_(False).float()
    for block in copy.modules():
        conv, norm = getattr(block, "conv", None), getattr(block, "norm", None)
        if isinstance(norm, tuple(BATCH_NORM.values())):
            block.conv = fuse_conv_bn_eval(conv, norm, transpose=isinstance(conv, nn.ConvTranspose3d))
            block.norm = nn.Identity()
    return copy
