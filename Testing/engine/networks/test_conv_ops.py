"""Steps: torch's own are the chain of modules, gradients reach doubling fast, and only large steps keep little."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from alhvr.networks import conv_ops as room
from alhvr.networks.conv_ops import RECOMPUTE, STANDARD, conv_ops_for
from alhvr.networks.dropout import Mask
from alhvr.networks.norm_act import NormActDropout

WAYS = pytest.mark.parametrize("steps", [STANDARD, RECOMPUTE], ids=["plain", "lean"])


def image(channels: int, side: int) -> torch.Tensor:
    """Double precision, channels last."""
    x = torch.randn(2, channels, side, side, dtype=torch.float64)
    return x.contiguous(memory_format=torch.channels_last).requires_grad_()


def assert_same(ours: torch.Tensor, theirs: torch.Tensor, *leaves: torch.Tensor) -> None:
    torch.testing.assert_close(ours, theirs)
    weight = torch.randn_like(theirs)
    for mine, other in zip(*(torch.autograd.grad((y * weight).sum(), leaves) for y in (ours, theirs)), strict=True):
        torch.testing.assert_close(mine, other)


@WAYS
def test_a_convolution_follows_norm_activation_and_dropout(steps):
    norm, conv, x = nn.BatchNorm2d(3).double(), nn.Conv2d(3, 2, 3, padding=1).double(), image(3, 6)
    keep = (torch.rand(x.shape) < 0.7).contiguous(memory_format=torch.channels_last)
    expected = conv(F.leaky_relu(F.batch_norm(x, None, None, norm.weight, norm.bias, training=True), 0.01) * keep * 2.0)
    found = steps.convolve_after(NormActDropout(norm, 0.01, Mask(keep, 2.0)), x, conv)
    assert_same(found, expected, x, *norm.parameters(), *conv.parameters())


@WAYS
def test_a_convolution_follows_a_skip_and_what_is_doubled(steps):
    conv, skip, reduced = nn.Conv2d(4, 3, 3, padding=1).double(), image(2, 8), image(2, 4)
    upsampled = F.interpolate(reduced, scale_factor=2, mode="bilinear", align_corners=True)
    expected = conv(torch.cat([skip, upsampled], dim=1))
    assert_same(steps.convolve_concat(skip, reduced, conv), expected, skip, reduced, *conv.parameters())


@WAYS
def test_halving_takes_the_largest_of_four(steps):
    x = image(3, 8)
    assert_same(steps.max_pool2x(x), F.max_pool2d(x, 2), x)


def test_the_gradient_reaches_doubling_dense_and_channels_last(monkeypatch):
    made, seen = [], []
    monkeypatch.setattr(room, "upsample2x", lambda x, double=room.upsample2x: made.append(double(x)) or made[0])
    out = STANDARD.convolve_concat(image(4, 8), image(4, 4), nn.Conv2d(8, 3, 3, padding=1).double())
    made[0].grad_fn.register_prehook(lambda gradients: seen.extend(gradients))
    out.square().sum().backward()
    assert seen[0].is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(("size", "count", "expected"), [((256, 256), 4, RECOMPUTE), ((128, 128), 8, STANDARD)])
def test_only_large_steps_keep_little(size, count, expected):
    x = torch.empty(count, 1, *size)
    n_values = 16 * x.numel()
    assert conv_ops_for(x, n_values, training=True) is expected
    assert conv_ops_for(x, n_values, training=False) is STANDARD
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert conv_ops_for(x, n_values, training=True) is STANDARD
