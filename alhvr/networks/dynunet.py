"""The residual U-Net of MONAI (DynUNet), in 2-D and 3-D: instance norm, strided convolutions, no deep supervision."""

from __future__ import annotations

from collections.abc import Sequence

from monai.networks.nets import DynUNet
from torch import Tensor, nn

from alhvr.networks.blocks import STANDARD_WIDTH, Decoded, SegmentationNetwork

STAGE_OF_STRIDE = {8: 0, 4: 1, 1: 3}
"""Stage of the decoder whose output is the features, by their stride."""


class ResidualUNet(SegmentationNetwork):
    """W to 16 W channels. No dropout; instance norm, so that a batch tells nothing about its images.

    Features: stride 8 [B, 8 W, *S/8], 4 [B, 4 W, *S/4] and 1 [B, W, *S] are the outputs of decoder stages 0, 1 and 3.
    """

    def __init__(self, dimensions: int, n_classes: int, *, in_channels: int = 1, feature_stride: int = 8,
                 clean_dropout: bool = False, width: int = STANDARD_WIDTH) -> None:
        """``n_classes`` C counts the background, ``width`` W; raises ValueError for what there is not.

        ``clean_dropout`` changes nothing: there is no dropout.
        """
        super().__init__(dimensions, feature_stride, in_channels, width)
        strides = (1, *[2] * (len(self.level_channels) - 1))
        parts = DynUNet(dimensions, in_channels, n_classes, kernel_size=[3] * len(strides), strides=strides,
                        upsample_kernel_size=strides[1:], filters=self.level_channels, res_block=True,
                        norm_name=("instance", {"affine": True}), deep_supervision=False)
        self.encoder = nn.ModuleList([parts.input_block, *parts.downsamples, parts.bottleneck])
        self.decoder = parts.upsamples
        self.head = parts.output_block.conv.conv

    def encode(self, x: Tensor) -> list[Tensor]:
        """x [B, in_channels, *S], S multiples of 16 (ValueError otherwise) -> x0 .. x4, full resolution first."""
        self._check_input(x)
        levels = [self.encoder[0](x)]
        for block in self.encoder[1:]:
            levels.append(block(levels[-1]))
        return levels

    def decode(self, levels: Sequence[Tensor], *, perturbed: bool = False) -> Decoded:
        """Levels x0 .. x4 -> logits [B, C, *S] and features; both passes are the same here."""
        x, features = levels[-1], None
        for number, (stage, skip) in enumerate(zip(self.decoder, levels[-2::-1], strict=True)):
            x = stage(x, skip)
            if number == STAGE_OF_STRIDE[self.feature_stride]:
                features = x
        return Decoded(logits=self.head(x), features=features)
