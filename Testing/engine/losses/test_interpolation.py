"""Tests of alhvr.losses.interpolation: the identities against torch's interpolation carried out in full."""

from __future__ import annotations

import pytest
import torch
from direct_losses import upsampled

from alhvr.losses.interpolation import downsample_adjoint, interpolation, upsample, upsampled_square_norm

GRIDS = [
    ((3, 5), (24, 40)),
    ((4, 4), (4, 4)),
    ((5, 7), (13, 7)),
    ((1, 3), (8, 24)),
    ((2, 3, 2), (16, 24, 16)),
    ((3, 2, 4), (3, 9, 16)),
    ((1, 1, 1), (2, 8, 8)),
]


@pytest.mark.parametrize(("small", "size"), GRIDS)
def test_the_matrices_upsample_as_torch_does(small, size):
    x = torch.randn(2, 3, *small, dtype=torch.float64)
    torch.testing.assert_close(upsample(x, size), upsampled(x, size), rtol=0, atol=1e-12)


@pytest.mark.parametrize(("small", "size"), GRIDS)
def test_the_adjoint_moves_the_interpolation_to_the_other_side_of_the_product(small, size):
    x, y = torch.randn(2, 3, *small, dtype=torch.float64), torch.randn(2, 3, *size, dtype=torch.float64)
    torch.testing.assert_close((upsampled(x, size) * y).sum(), (x * downsample_adjoint(y, small)).sum())


@pytest.mark.parametrize(("small", "size"), GRIDS)
def test_the_norm_of_the_upsampled_features_comes_from_small_inner_products(small, size):
    x = torch.randn(2, 6, *small, dtype=torch.float64)
    expected = upsampled(x, size).square().sum(dim=1, keepdim=True)
    torch.testing.assert_close(upsampled_square_norm(x, size, cancellation=0), expected, rtol=1e-9, atol=1e-12)


def test_the_norm_stays_above_rounding_where_opposite_neighbours_cancel():
    x = torch.tensor([1.0, -1.0]).reshape(1, 1, 1, 2)
    norm = upsampled_square_norm(x, (1, 3), cancellation=1e-6)
    torch.testing.assert_close(norm.flatten(), torch.tensor([1.0, 5e-7, 1.0]), rtol=1e-3, atol=0)


def test_matrices_are_made_once_and_usable_in_training_after_inference_mode():
    with torch.inference_mode():
        made = interpolation(23, 3, torch.float32, torch.device("cpu"))
    assert interpolation(23, 3, torch.float32, torch.device("cpu")) is made
    x = torch.randn(1, 1, 3, 3, requires_grad=True)
    upsample(x, (23, 23)).square().sum().backward()
    assert torch.isfinite(x.grad).all()
