"""The V-Net: sizes, features, and the dropout that is drawn anew in each pass (facts 21 and 23, row 17)."""

from __future__ import annotations

import pytest
import torch

from alhvr.networks.vnet import VNet


def test_the_network_has_the_papers_number_of_parameters():
    assert sum(p.numel() for p in VNet(3, 2).parameters()) == 9_448_866


@pytest.mark.parametrize(("stride", "channels"), [(8, 128), (4, 64), (1, 16)])
def test_logits_have_the_images_size_and_features_their_stride(stride, channels):
    network = VNet(3, 3, feature_stride=stride).eval()
    decoded = network.decode(network.encode(torch.randn(1, 1, 32, 16, 48)))
    assert decoded.logits.shape == (1, 3, 32, 16, 48)
    assert decoded.features.shape == (1, channels, 32 // stride, 16 // stride, 48 // stride)


def test_features_at_stride_8_are_the_relu_output_of_the_first_stage_up():
    network = VNet(3, 2)
    seen = []
    network.decoder[0].register_forward_hook(lambda module, inputs, output: seen.append(output))
    features = network.decode(network.encode(torch.randn(1, 1, 32, 32, 32))).features
    assert features is seen[0]
    assert features.shape == (1, 128, 4, 4, 4)
    assert features.min() >= 0


def test_level_shapes_are_those_of_the_encoder():
    network = VNet(3, 2)
    levels = network.encode(torch.randn(2, 1, 16, 32, 16))
    assert [tuple(x.shape[1:]) for x in levels] == network.level_shapes((16, 32, 16))


def test_two_forwards_in_eval_give_the_same_logits():
    network = VNet(3, 2).eval()
    x = torch.randn(1, 1, 16, 16, 16)
    assert torch.equal(network(x), network(x))


def test_two_clean_decodes_differ_in_train_mode():
    network = VNet(3, 2)
    levels = network.encode(torch.randn(2, 1, 16, 16, 16))
    assert not torch.equal(network.decode(levels).logits, network.decode(levels).logits)


def test_without_clean_dropout_only_perturbed_decodes_differ():
    network = VNet(3, 2, clean_dropout=False)
    levels = network.encode(torch.randn(2, 1, 16, 16, 16))
    assert torch.equal(network.decode(levels).logits, network.decode(levels).logits)
    perturbed = [network.decode(levels, perturbed=True).logits for _ in range(2)]
    assert not torch.equal(*perturbed)


def test_training_drops_whole_channels_of_the_deepest_level():
    torch.manual_seed(0)
    deepest = VNet(3, 2).encode(torch.randn(2, 1, 32, 32, 32))[-1].flatten(2)
    silent = (deepest == 0).all(dim=2).float().mean().item()
    assert 0.4 < silent < 0.6


def test_features_are_taken_before_the_dropout():
    network = VNet(3, 2, feature_stride=1)
    levels = network.encode(torch.randn(2, 1, 16, 16, 16))
    assert torch.equal(network.decode(levels).features, network.decode(levels).features)


def test_a_flat_image_is_refused():
    with pytest.raises(ValueError, match=r"\(1, 1, 32, 32\)"):
        VNet(3, 2).encode(torch.zeros(1, 1, 32, 32))
