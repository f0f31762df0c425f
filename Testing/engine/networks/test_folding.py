"""Folding: the same function with fewer steps, in a copy."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from alhvr.networks.blocks import BATCH_NORM, SegmentationNetwork
from alhvr.networks.onnx_export import folded
from alhvr.networks.registry import build_network


def seasoned(kind: str, dimensions: int) -> SegmentationNetwork:
    """A network whose batch norms are far from the identity."""
    torch.manual_seed(1)
    network = build_network(kind, dimensions, 3)
    for norm in network.modules():
        if isinstance(norm, tuple(BATCH_NORM.values())):
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.normal_(norm.bias)
            nn.init.normal_(norm.running_mean)
            nn.init.uniform_(norm.running_var, 0.5, 2.0)
    return network


@pytest.mark.parametrize(("kind", "dimensions"), [("unet", 2), ("unet", 3), ("vnet", 3)])
def test_a_folded_network_has_no_batch_norm_and_finds_the_same(kind: str, dimensions: int) -> None:
    network = seasoned(kind, dimensions).eval()
    images = torch.randn(2, 1, *(32, 16, 48)[:dimensions])
    copy = folded(network)
    assert not any(isinstance(module, tuple(BATCH_NORM.values())) for module in copy.modules())
    with torch.no_grad():
        expected = network(images)
        assert (copy(images) - expected).abs().max() < 1e-5 * expected.abs().max()


def test_folding_leaves_the_network_as_it_was() -> None:
    network = seasoned("unet", 2).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    copy = folded(network)
    after = network.state_dict()
    assert network.training and before.keys() == after.keys()
    assert all(torch.equal(value, before[name]) for name, value in after.items())
    assert not copy.training and not any(parameter.requires_grad for parameter in copy.parameters())


def test_a_16_bit_network_is_folded_in_32_bits() -> None:
    copy = folded(seasoned("unet", 2).to(torch.bfloat16))
    assert {parameter.dtype for parameter in copy.parameters()} == {torch.float32}
