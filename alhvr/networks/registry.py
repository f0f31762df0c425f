"""The registry of networks: what there is, and what everybody else has to know of it; and the one door to them.

A new network is one file with a SegmentationNetwork and one line here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, TypedDict, Unpack

if TYPE_CHECKING:
    from alhvr.networks.blocks import SegmentationNetwork

N_LEVELS = 5
"""Levels of every encoder: full resolution, and four times half of it."""
DEEPEST_STRIDE = 2 ** (N_LEVELS - 1)
"""Sides of an image must be multiples of this."""
STANDARD_WIDTH = 16
"""Channels at full resolution, as in the paper; each level below has twice as many as the one above."""
FEATURE_STRIDES = (8, 4, 1)
"""Levels of the decoder whose features the prototypes may be drawn from."""
WIDTHS = (2, 64)
"""Fewest and most channels at full resolution."""


@dataclass(frozen=True)
class NetworkType:
    """What is known of a kind of network without building it."""

    title: str
    """Its name for people."""
    dimensions: tuple[int, ...]
    """Spatial axes that it can have."""
    source: str
    """The class that builds it, "package.file:Class"; imported when a network is built, as it needs torch."""
    smallest_bottleneck: int = 1
    """Pixels that the deepest level needs: more than one where each image is normalised by itself."""
    memory_factor: float = 1.0
    """What it takes for each pixel while it segments, as a multiple of the U-Net: the most that was measured."""


NETWORKS: Mapping[str, NetworkType] = MappingProxyType({
    "unet": NetworkType("U-Net", (2, 3), "alhvr.networks.unet:UNet"),
    "vnet": NetworkType("V-Net", (3,), "alhvr.networks.vnet:VNet"),
    "dynunet": NetworkType("residual U-Net", (2, 3), "alhvr.networks.dynunet:ResidualUNet", smallest_bottleneck=2,
                           memory_factor=1.3),
})
"""By the name that settings and models use."""
DEFAULT_NETWORK = "unet"


def accepted(dimensions: int | None = None) -> str:
    """The names of the networks for images of so many ``dimensions``, for a message; None: of all."""
    return ", ".join(name for name, kind in NETWORKS.items() if dimensions is None or dimensions in kind.dimensions)


def is_accepted(name: str, dimensions: int | None = None) -> bool:
    """Whether there is a network of this name for images of so many ``dimensions``; None: for any."""
    return name in NETWORKS and (dimensions is None or dimensions in NETWORKS[name].dimensions)


class NetworkOptions(TypedDict, total=False):
    """What of a network may be left out."""

    in_channels: int
    """Channels M of the images, 1 if left out."""
    feature_stride: int
    """Decoder level of the features F^d: 8 (if left out), 4 or 1."""
    clean_dropout: bool
    """The last dropout of the V-Net also acts on the clean output; so it does if left out. Others have none there."""
    width: int
    """Channels at full resolution, 16 if left out; each level below has twice as many as the one above."""


def build_network(kind: str, dimensions: int, n_classes: int, **options: Unpack[NetworkOptions]) -> SegmentationNetwork:
    """A network with torch's default initialisation, drawn from torch's generator.

    ``n_classes`` counts the background. Raises ValueError for a kind that is not there in so many ``dimensions``.
    """
    if not is_accepted(kind, dimensions):
        raise ValueError(f"No {kind!r} in {dimensions}-D; accepted there: {accepted(dimensions)}.")
    module, _, name = NETWORKS[kind].source.partition(":")
    return getattr(import_module(module), name)(dimensions, n_classes, **options)
