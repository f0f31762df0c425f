"""One door to the networks: kind, dimensions and classes in, a freshly initialised network out."""

from __future__ import annotations

from typing import Literal

from alhvr.networks.blocks import SegmentationNetwork
from alhvr.networks.unet import UNet
from alhvr.networks.vnet import VNet

NetworkKind = Literal["unet", "vnet"]


def build_network(
    kind: NetworkKind,
    dimensions: Literal[2, 3],
    n_classes: int,
    *,
    in_channels: int = 1,
    feature_stride: int = 8,
    clean_dropout: bool = True,
) -> SegmentationNetwork:
    """A network with torch's default initialisation, drawn from torch's generator.

    ``n_classes`` counts the background. Raises ValueError for an unknown kind and for a V-Net in 2-D.
    """
    if kind == "unet":
        return UNet(dimensions, n_classes, in_channels=in_channels, feature_stride=feature_stride)
    if kind == "vnet" and dimensions == 3:
        return VNet(n_classes, in_channels=in_channels, feature_stride=feature_stride, clean_dropout=clean_dropout)
    raise ValueError(f"No {kind!r} in {dimensions}-D; accepted: 'unet' in 2-D and 3-D, 'vnet' in 3-D.")
