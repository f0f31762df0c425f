"""The parts: doubling, the tail of a batch, and running statistics that can be left alone."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from alhvr.networks.blocks import ConvNorm, frozen_running_statistics, tail_of_batch
from alhvr.networks.norm_act import upsample2x
from alhvr.networks.unet import UNet

LAYOUTS = pytest.mark.parametrize(
    ("shape", "layout"),
    [
        ((3, 4, 6, 5), torch.contiguous_format),
        ((3, 4, 6, 5), torch.channels_last),
        ((3, 4, 6, 5, 7), torch.channels_last_3d),
    ],
)


@LAYOUTS
def test_doubling_is_torchs_interpolation(shape, layout):
    x = torch.randn(shape, dtype=torch.float64).contiguous(memory_format=layout)
    mode = {4: "bilinear", 5: "trilinear"}[len(shape)]
    expected = F.interpolate(x, scale_factor=2, mode=mode, align_corners=True)
    assert torch.equal(upsample2x(x), expected) and upsample2x(x).stride() == expected.stride()


@LAYOUTS
def test_the_gradient_of_a_batchs_tail_is_exact_and_keeps_the_layout(shape, layout):
    x = torch.randn(shape).contiguous(memory_format=layout).requires_grad_()
    weight = torch.randn_like(x)
    (gradient,) = torch.autograd.grad((tail_of_batch(x, 2) * weight[2:]).sum(), x)
    assert torch.equal(tail_of_batch(x, 2), x[2:])
    assert torch.equal(gradient[2:], weight[2:]) and not gradient[:2].any()
    assert gradient.stride() == x.stride()


def test_frozen_statistics_normalise_with_the_batch_and_stay_untouched():
    norm = nn.BatchNorm2d(3)
    x = 5 + 2 * torch.randn(8, 3, 6, 6)
    expected = nn.BatchNorm2d(3)(x)
    with frozen_running_statistics(norm):
        out = norm(x)
    assert torch.equal(out, expected)
    assert torch.equal(norm.running_mean, torch.zeros(3)) and torch.equal(norm.running_var, torch.ones(3))
    assert norm.num_batches_tracked == 0


def test_statistics_run_again_after_the_block_even_when_it_raises():
    network = UNet(2, 2)
    with pytest.raises(RuntimeError, match="stop"), frozen_running_statistics(network):
        raise RuntimeError("stop")
    network(torch.randn(2, 1, 16, 16))
    assert {int(v) for k, v in network.state_dict().items() if k.endswith("num_batches_tracked")} == {1}


def test_frozen_statistics_do_not_change_eval_mode():
    network = UNet(2, 2)
    network(torch.randn(4, 1, 16, 16))
    network.eval()
    x = torch.randn(2, 1, 16, 16)
    expected = network(x)
    with frozen_running_statistics(network):
        assert torch.equal(network(x), expected)


def test_conv_norm_is_convolution_batch_norm_and_activation():
    part = ConvNorm(2, 1, 4, slope=0.01)
    x = torch.randn(2, 1, 8, 8)
    normal = F.batch_norm(F.conv2d(x, part.conv.weight, part.conv.bias, padding=1), None, None, training=True)
    torch.testing.assert_close(part(x), F.leaky_relu(normal, 0.01))
