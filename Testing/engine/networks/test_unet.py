"""The U-Net in 2-D and 3-D: sizes, features, what is random in it (facts 21 and 23 of the method)."""

from __future__ import annotations

import pytest
import torch

from alhvr.networks.unet import UNet

FEATURES = [(8, 64), (4, 32), (1, 16)]


def n_parameters(network: torch.nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize(("n_classes", "expected"), [(4, 1_813_764), (5, 1_813_909)])
def test_the_2d_network_has_the_papers_number_of_parameters(n_classes, expected):
    assert n_parameters(UNet(2, n_classes)) == expected


def test_the_3d_network_is_the_same_but_for_the_third_axis_of_its_kernels():
    flat = {k: v.shape for k, v in UNet(2, 3).state_dict().items()}
    deep = {k: v.shape for k, v in UNet(3, 3).state_dict().items()}
    assert flat.keys() == deep.keys()
    assert all(deep[k] == (*s, s[-1]) if len(s) == 4 else deep[k] == s for k, s in flat.items())


@pytest.mark.parametrize(("stride", "channels"), FEATURES)
@pytest.mark.parametrize(("dimensions", "size"), [(2, (64, 48)), (3, (32, 16, 48))])
def test_logits_have_the_images_size_and_features_their_stride(dimensions, size, stride, channels):
    network = UNet(dimensions, 5, feature_stride=stride).eval()
    decoded = network.decode(network.encode(torch.randn(2, 1, *size)))
    assert decoded.logits.shape == (2, 5, *size)
    assert decoded.features.shape == (2, channels, *(n // stride for n in size))


def test_features_at_stride_8_are_the_1x1_convolution_before_doubling():
    network = UNet(2, 4).eval()
    seen = []
    network.decoder[1].reduce.register_forward_hook(lambda module, inputs, output: seen.append(output))
    features = network.decode(network.encode(torch.randn(2, 1, 64, 64))).features
    assert features is seen[0]
    assert features.shape == (2, 64, 8, 8)


@pytest.mark.parametrize(("dimensions", "size"), [(2, (32, 48)), (3, (16, 32, 16))])
def test_level_shapes_are_those_of_the_encoder(dimensions, size):
    network = UNet(dimensions, 2)
    levels = network.encode(torch.randn(2, 1, *size))
    assert [tuple(x.shape[1:]) for x in levels] == network.level_shapes(size)


def test_two_forwards_in_eval_give_the_same_logits():
    network = UNet(2, 4).eval()
    x = torch.randn(2, 1, 32, 32)
    assert torch.equal(network(x), network(x))


def test_in_train_mode_encoding_is_random_and_decoding_is_not():
    network = UNet(2, 4)
    x = torch.randn(2, 1, 32, 32)
    levels = network.encode(x)
    assert torch.equal(network.decode(levels).logits, network.decode(levels, perturbed=True).logits)
    assert not torch.equal(levels[0], network.encode(x)[0])


def test_zooming_is_linear_with_corners_aligned():
    network = UNet(2, 2).eval()
    inputs = []
    network.decoder[0].block.first.conv.register_forward_hook(lambda module, args, output: inputs.append(args[0]))
    network.decode(levels := network.encode(torch.randn(2, 1, 32, 32)))
    up, coarse = inputs[0][:, 128:], network.decoder[0].reduce(levels[-1])
    torch.testing.assert_close(inputs[0][:, :128], levels[3])
    torch.testing.assert_close(up[..., [0, 0, -1, -1], [0, -1, 0, -1]], coarse[..., [0, 0, -1, -1], [0, -1, 0, -1]])


@pytest.mark.parametrize("shape", [(1, 1, 40, 32), (1, 1, 0, 32), (1, 1, 32, 32, 32), (1, 32, 32)])
def test_sizes_that_16_does_not_divide_are_refused_with_the_shape(shape):
    with pytest.raises(ValueError, match="multiples of 16") as refusal:
        UNet(2, 4).encode(torch.zeros(shape))
    assert str(shape) in str(refusal.value)
