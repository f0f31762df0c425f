"""SecondDecoder: another way from an encoder's levels to logits, for methods that compare decoders of one encoder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alhvr.networks.blocks import CONVOLUTION, ConvBlock, Decoded, SegmentationNetwork
from alhvr.networks.norm_act import upsample2x

TRANSPOSED = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
Upsampling = Literal["linear", "nearest", "transposed"]


class SecondDecoder(nn.Module):
    """The U-Net's decoder with an upsampling of its own; takes the levels of any network of the registry."""

    def __init__(self, network: SegmentationNetwork, n_classes: int, upsampling: Upsampling) -> None:
        """``network``: whose levels it decodes; ``n_classes`` counts the background."""
        super().__init__()
        channels, dimensions = network.level_channels, network.dimensions
        steps = list(zip(channels[:0:-1], channels[-2::-1], strict=True))
        self.up = nn.ModuleList(_Upsample(dimensions, deep, skip, upsampling) for deep, skip in steps)
        self.blocks = nn.ModuleList(ConvBlock(dimensions, 2 * skip, skip, dropout=0.0) for _, skip in steps)
        self.head = CONVOLUTION[dimensions](channels[0], n_classes, 3, padding=1)

    def forward(self, levels: Sequence[Tensor]) -> Decoded:
        """Levels [B, F_k, *S / 2^k], full resolution first -> logits [B, C, *S] and features [B, F_0, *S]."""
        x = levels[-1]
        for up, block, skip in zip(self.up, self.blocks, levels[-2::-1], strict=True):
            x = block(torch.cat([skip, up(x)], dim=1))
        return Decoded(logits=self.head(x), features=x)


class _Upsample(nn.Module):
    """[B, channels_in, *S] -> [B, channels_out, *2S]."""

    def __init__(self, dimensions: int, channels_in: int, channels_out: int, upsampling: Upsampling) -> None:
        super().__init__()
        self.upsampling = upsampling
        if upsampling == "transposed":
            self.conv = TRANSPOSED[dimensions](channels_in, channels_out, 2, stride=2)
        else:
            self.conv = CONVOLUTION[dimensions](channels_in, channels_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        if self.upsampling == "transposed":
            return x
        return upsample2x(x) if self.upsampling == "linear" else F.interpolate(x, scale_factor=2, mode="nearest")


def is_upsampled_by_convolution(network: nn.Module) -> bool:
    """Whether the decoder of ``network`` doubles sizes by transposed convolutions."""
    return any(isinstance(part, tuple(TRANSPOSED.values())) for part in network.modules())
