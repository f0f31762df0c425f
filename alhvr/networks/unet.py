"""The U-Net of the paper, in 2-D and, with the same parts, in 3-D."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from torch import Tensor, nn

from alhvr.networks.blocks import (
    CONVOLUTION,
    STANDARD_WIDTH,
    ConvBlock,
    Decoded,
    SegmentationNetwork,
)
from alhvr.networks.conv_ops import conv_ops_for

ENCODER_DROPOUT = (0.05, 0.1, 0.2, 0.3, 0.5)
REDUCTION_OF_STRIDE = {8: 1, 4: 2}
"""Stage of the decoder whose 1x1 convolution gives the features, by their stride; 1 takes the last stage's output."""


class UpStage(nn.Module):
    """One step up: 1x1 convolution to the skip's width, doubling, concatenation after the skip, ConvBlock."""

    def __init__(self, dimensions: int, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.reduce = CONVOLUTION[dimensions](channels_in, channels_out, 1)
        self.block = ConvBlock(dimensions, 2 * channels_out, channels_out, dropout=0.0)


class UNet(SegmentationNetwork):
    """W to 16 W channels; dropout in the encoder only, so that both decodes of one encoding share it.

    Features: stride 8 [B, 4 W, *S/8] and 4 [B, 2 W, *S/4] are outputs of a stage's 1x1 convolution, before doubling;
    stride 1 [B, W, *S] is the input of the head.
    """

    def __init__(self, dimensions: int, n_classes: int, *, in_channels: int = 1, feature_stride: int = 8,
                 clean_dropout: bool = False, width: int = STANDARD_WIDTH) -> None:
        """``n_classes`` C counts the background, ``width`` W; raises ValueError for what there is not.

        ``clean_dropout`` changes nothing: there is no dropout near the head.
        """
        super().__init__(dimensions, feature_stride, in_channels, width)
        channels = self.level_channels
        ins = (in_channels, *channels[:-1])
        self.encoder = nn.ModuleList(
            ConvBlock(dimensions, i, o, dropout=p) for i, o, p in zip(ins, channels, ENCODER_DROPOUT, strict=True)
        )
        self.decoder = nn.ModuleList(
            UpStage(dimensions, deep, skip) for deep, skip in zip(channels[:0:-1], channels[-2::-1], strict=True)
        )
        self.head = CONVOLUTION[dimensions](width, n_classes, 3, padding=1)

    def encode(self, x: Tensor) -> list[Tensor]:
        """x [B, in_channels, *S], S multiples of 16 (ValueError otherwise) -> x0 .. x4, full resolution first."""
        self._check_input(x)
        conv_ops = conv_ops_for(x, len(x) * self.level_channels[0] * prod(x.shape[2:]), training=self.training)
        levels = [self.encoder[0](x, conv_ops)]
        for block in self.encoder[1:]:
            levels.append(block(conv_ops.max_pool2x(levels[-1]), conv_ops))
        return levels

    def decode(self, levels: Sequence[Tensor], *, perturbed: bool = False) -> Decoded:
        """Levels x0 .. x4 -> logits [B, C, *S] and features; both passes are the same here."""
        conv_ops = conv_ops_for(levels[0], levels[0].numel(), training=self.training)
        reductions = [self.decoder[0].reduce(levels[-1])]
        for stage, skip, below in zip(self.decoder, levels[-2:0:-1], self.decoder[1:], strict=False):
            x = stage.block.until_last_conv(skip, reductions[-1], conv_ops)
            reductions.append(conv_ops.convolve_after(stage.block.second.after_conv, x, below.reduce))
        last = self.decoder[-1].block
        x = last.until_last_conv(levels[0], reductions[-1], conv_ops)
        if self.feature_stride in REDUCTION_OF_STRIDE:
            features = reductions[REDUCTION_OF_STRIDE[self.feature_stride]]
            return Decoded(logits=conv_ops.convolve_after(last.second.after_conv, x, self.head), features=features)
        features = last.second.norm_act(x)
        return Decoded(logits=self.head(features), features=features)
