"""One door to the networks: kind, dimensions and classes in, a freshly initialised network out."""

from __future__ import annotations

from typing import Literal, TypedDict, Unpack

from alhvr.networks.blocks import SegmentationNetwork
from alhvr.networks.unet import UNet
from alhvr.networks.vnet import VNet

NetworkKind = Literal["unet", "vnet"]


class NetworkOptions(TypedDict, total=False):
    """What of a network may be left out."""

    in_channels: int
    """Channels M of the images, 1 if left out."""
    feature_stride: int
    """Decoder level of the features F^d: 8 (if left out), 4 or 1."""
    clean_dropout: bool
    """The last dropout of the V-Net also acts on the clean output; so it does if left out."""
    width: int
    """Channels at full resolution, 16 if left out; each level below has twice as many as the one above."""


def build_network(kind: NetworkKind, dimensions: Literal[2, 3], n_classes: int,
                  **options: Unpack[NetworkOptions]) -> SegmentationNetwork:
    """A network with torch's default initialisation, drawn from torch's generator.

    ``n_classes`` counts the background. Raises ValueError for an unknown kind and for a V-Net in 2-D.
    """
    if kind == "unet":
        return UNet(dimensions, n_classes, **{name: options[name] for name in options if name != "clean_dropout"})
    if kind == "vnet" and dimensions == 3:
        return VNet(n_classes, **options)
    raise ValueError(f"No {kind!r} in {dimensions}-D; accepted: 'unet' in 2-D and 3-D, 'vnet' in 3-D.")
