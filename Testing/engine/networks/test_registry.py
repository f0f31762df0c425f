"""Building networks by name: their weights' names, and that layout and precision change rounding only."""

from __future__ import annotations

import pytest
import torch

from alhvr.networks.registry import NETWORKS, STANDARD_WIDTH, build_network, is_accepted

EACH = pytest.mark.parametrize(("kind", "dimensions"),
                               [(kind, n) for kind, about in NETWORKS.items() for n in about.dimensions])


def trained_a_little(kind: str, dimensions: int) -> torch.nn.Module:
    torch.manual_seed(0)
    network = build_network(kind, dimensions, 3)
    with torch.no_grad():
        for _ in range(4):
            network(2 + 3 * torch.randn(2, 1, *[32] * dimensions))
    return network


@EACH
def test_names_of_weights_say_where_they_sit(kind, dimensions):
    names = set(build_network(kind, dimensions, 2).state_dict())
    deepest = {"unet": "encoder.4.second.norm.running_var", "vnet": "encoder.4.2.norm.running_var",
               "dynunet": "encoder.4.conv2.conv.weight"}[kind]
    assert {deepest, "head.weight", "head.bias"} <= names
    assert {n.split(".")[0] for n in names} <= {"encoder", "down", "up", "decoder", "head"}


@EACH
def test_channels_last_and_bf16_change_rounding_only(kind, dimensions):
    network = trained_a_little(kind, dimensions).eval()
    x = torch.randn(1, 1, *[32] * dimensions)
    with torch.no_grad():
        expected = network(x)
        network.to(memory_format=network.memory_format)
        torch.testing.assert_close(network(x), expected, rtol=1e-4, atol=1e-4)
        with torch.autocast("cpu", torch.bfloat16):
            rough = network(x)
    assert rough.dtype == torch.bfloat16
    assert (rough.float() - expected).norm() < 0.03 * expected.norm()


def test_the_seed_alone_decides_the_first_weights():
    first, again = ([torch.manual_seed(s), build_network("unet", 2, 2)][1].head.weight for s in (4, 4))
    assert torch.equal(first, again)


def test_more_input_channels_can_be_asked_for():
    assert build_network("vnet", 3, 2, in_channels=4).encoder[0][0].conv.weight.shape[1] == 4
    with pytest.raises(ValueError, match=r"accepted: \[B, 2, J, I\]"):
        build_network("unet", 2, 2, in_channels=2)(torch.zeros(1, 1, 16, 16))
    with pytest.raises(ValueError, match="0 input channels"):
        build_network("unet", 2, 2, in_channels=0)


@EACH
@pytest.mark.parametrize("stride", [8, 4, 1])
def test_every_level_is_as_wide_as_was_asked_for(kind, dimensions, stride):
    network = build_network(kind, dimensions, 3, width=4, feature_stride=stride).eval()
    levels = network.encode(torch.zeros(1, 1, *[32] * dimensions))
    assert tuple(level.shape[1] for level in levels) == network.level_channels == (4, 8, 16, 32, 64)
    assert network.decode(levels).logits.shape == (1, 3, *[32] * dimensions)


@EACH
def test_the_width_is_the_papers_unless_asked_for(kind, dimensions):
    state = [build_network(kind, dimensions, 2, **options).state_dict() for options in ({}, {"width": STANDARD_WIDTH})]
    assert STANDARD_WIDTH == 16
    assert {name: value.shape for name, value in state[0].items()} == {n: v.shape for n, v in state[1].items()}


def test_a_network_is_refused_where_there_is_none_of_its_kind():
    assert is_accepted("vnet") and is_accepted("vnet", 3) and not is_accepted("vnet", 2)
    with pytest.raises(ValueError, match="'vnet' in 2-D; accepted there: unet, dynunet"):
        build_network("vnet", 2, 3)


def test_a_width_of_nothing_is_refused():
    with pytest.raises(ValueError, match="width of 0"):
        build_network("unet", 2, 2, width=0)


@pytest.mark.parametrize(("kind", "dimensions"), [("vnet", 2), ("resnet", 3), ("unet", 4)])
def test_an_unknown_network_is_refused(kind, dimensions):
    with pytest.raises(ValueError, match="accepted"):
        build_network(kind, dimensions, 2)


def test_an_unknown_feature_stride_is_refused():
    with pytest.raises(ValueError, match="stride is 2"):
        build_network("unet", 2, 2, feature_stride=2)
