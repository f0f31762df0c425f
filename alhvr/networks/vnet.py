"""The V-Net of the paper (without residual connections), 3-D only."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from alhvr.networks.blocks import (
    BATCH_NORM,
    CONVOLUTION,
    STANDARD_WIDTH,
    ConvNorm,
    Decoded,
    SegmentationNetwork,
)
from alhvr.networks.norm_act import activate

ENCODER_CONVS = (1, 2, 3, 3, 3)
DECODER_CONVS = (3, 3, 2, 1)
DROPOUT = 0.5
STAGE_OF_STRIDE = {8: 0, 4: 1, 1: 3}
"""Stage of the decoder whose output is the features, by their stride."""


class Resample(nn.Module):
    """A convolution of size and stride 2 (``up``: transposed), batch norm and ReLU: halves or doubles the size."""

    def __init__(self, channels_in: int, channels_out: int, *, up: bool) -> None:
        super().__init__()
        kind = nn.ConvTranspose3d if up else CONVOLUTION[3]
        self.conv = kind(channels_in, channels_out, 2, stride=2)
        self.norm = BATCH_NORM[3](channels_out)

    def forward(self, x: Tensor) -> Tensor:
        """[B, channels_in, *S] -> [B, channels_out, *S / 2] or [B, channels_out, *2S]."""
        return activate(self.norm(self.conv(x)), 0.0)


class VNet(SegmentationNetwork):
    """W filters at full resolution; skips are added; whole channels are dropped at the bottom and before the head.

    Features: stride 8 [B, 8 W, *S/8], 4 [B, 4 W, *S/4] and 1 [B, W, *S] are the outputs of decoder stages 0, 1 and 3,
    before the dropout. The dropout before the head is drawn anew in each pass; ``clean_dropout=False`` leaves it out
    of the clean one (row 17).
    """

    def __init__(self, dimensions: int, n_classes: int, *, in_channels: int = 1, feature_stride: int = 8,
                 clean_dropout: bool = True, width: int = STANDARD_WIDTH) -> None:
        """``n_classes`` C counts the background, ``width`` W; raises ValueError for what there is not."""
        if dimensions != 3:
            raise ValueError(f"V-Net has {dimensions} dimensions; accepted: 3.")
        super().__init__(3, feature_stride, in_channels, width)
        self.clean_dropout = clean_dropout
        channels = self.level_channels
        self.encoder = nn.ModuleList(
            _convs(i, o, n) for i, o, n in zip((in_channels, *channels[1:]), channels, ENCODER_CONVS, strict=True)
        )
        self.down = nn.ModuleList(Resample(i, o, up=False) for i, o in pairwise(channels))
        self.up = nn.ModuleList(Resample(i, o, up=True) for i, o in pairwise(reversed(channels)))
        self.decoder = nn.ModuleList(_convs(w, w, n) for w, n in zip(channels[-2::-1], DECODER_CONVS, strict=True))
        self.head = CONVOLUTION[3](width, n_classes, 1)

    def encode(self, x: Tensor) -> list[Tensor]:
        """x [B, in_channels, K, J, I], sizes multiples of 16 (ValueError otherwise) -> x1 .. x5, fine to coarse."""
        self._check_input(x)
        levels = [self.encoder[0](x)]
        for down, block in zip(self.down, self.encoder[1:], strict=True):
            levels.append(block(down(levels[-1])))
        levels[-1] = F.dropout3d(levels[-1], DROPOUT, self.training)
        return levels

    def decode(self, levels: Sequence[Tensor], *, perturbed: bool = False) -> Decoded:
        """Levels x1 .. x5 -> logits [B, C, K, J, I] and features."""
        x = levels[-1]
        features = None
        for number, (up, block, skip) in enumerate(zip(self.up, self.decoder, levels[-2::-1], strict=True)):
            x = block(up(x) + skip)
            if number == STAGE_OF_STRIDE[self.feature_stride]:
                features = x
        dropped = F.dropout3d(x, DROPOUT, self.training and (perturbed or self.clean_dropout))
        return Decoded(logits=self.head(dropped), features=features)


def _convs(channels_in: int, channels_out: int, count: int) -> nn.Sequential:
    ins = (channels_in, *[channels_out] * (count - 1))
    return nn.Sequential(*(ConvNorm(3, i, channels_out, slope=0.0) for i in ins))
