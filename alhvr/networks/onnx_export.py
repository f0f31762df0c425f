"""Networks as ONNX files, with batch norm folded into the convolutions."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from alhvr.networks.blocks import BATCH_NORM, SegmentationNetwork
from alhvr.networks.group import NetworkGroup
from alhvr.networks.registry import N_LEVELS

OPSET = 17
LEVELS = tuple(f"level{number}" for number in range(N_LEVELS))
_EXAMPLE_SIDE = 32


class _Encoder(nn.Module):
    def __init__(self, network: SegmentationNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.network.encode(image))


class _Decoder(nn.Module):
    def __init__(self, network: SegmentationNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, *levels: Tensor) -> Tensor:
        return self.network.decode(levels).logits


def export_networks(networks: NetworkGroup) -> dict[str, bytes]:
    """The graphs of all networks by name: a_encoder, a_decoder, b_encoder, b_decoder for networks a and b.

    ``networks`` stay as they are. Needs the package onnx.
    """
    graphs = {}
    for name, learned in networks.items():
        network = folded(learned).cpu()
        image = torch.zeros(1, network.in_channels, *[_EXAMPLE_SIDE] * network.dimensions)
        with torch.no_grad():
            levels = network.encode(image)
        graphs[f"{name}_encoder"] = _export(_Encoder(network), (image,), ("image",), LEVELS)
        graphs[f"{name}_decoder"] = _export(_Decoder(network), levels, LEVELS, ("logits",))
    return graphs


def _export(module: nn.Module, inputs: Sequence[Tensor], names_in: Sequence[str], names_out: Sequence[str]) -> bytes:
    """One graph; every input's batch and spatial axes have names of their own, so that nothing is assumed of them."""
    axes = {
        name: {0: "n", **{axis: f"{name}_axis{axis}" for axis in range(2, value.ndim)}}
        for name, value in zip(names_in, inputs, strict=True)
    }
    stream = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # the exporter's own deprecation, and the tracer's remark on _check_input
        torch.onnx.export(module.eval(), tuple(inputs), stream, input_names=list(names_in), dynamo=False,
                          output_names=list(names_out), dynamic_axes=axes, opset_version=OPSET)
    return stream.getvalue()


def folded(network: SegmentationNetwork) -> SegmentationNetwork:
    """A float32 copy of ``network`` in eval mode, on its device, without batch norm and without gradients."""
    copy = deepcopy(network).eval().requires_grad_(False).float()
    for block in copy.modules():
        conv, norm = getattr(block, "conv", None), getattr(block, "norm", None)
        if isinstance(norm, tuple(BATCH_NORM.values())):
            block.conv = fuse_conv_bn_eval(conv, norm, transpose=isinstance(conv, nn.ConvTranspose3d))
            block.norm = nn.Identity()
    return copy
