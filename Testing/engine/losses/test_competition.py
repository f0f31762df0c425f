"""Tests of alhvr.losses.competition: teacher, sharpening and its gradient at the ends, mask and means."""

from __future__ import annotations

import pytest
import torch

from alhvr.losses.competition import competition_loss, sharpen, teacher


def vector(*values: float, dtype=torch.float32) -> torch.Tensor:
    """One pixel's probabilities as [1, C, 1, 1]."""
    return torch.tensor(values, dtype=dtype).reshape(1, -1, 1, 1)


@pytest.mark.parametrize("mode", ["binary", "normalized"])
@pytest.mark.parametrize("temperature", [1.0, 0.5, 0.1, 0.001])
def test_sharpening_has_finite_values_and_gradients_at_exactly_zero_and_one(mode, temperature):
    p = torch.cat([vector(0, 1, 0), vector(0.5, 0.5, 0), vector(1 / 3, 1 / 3, 1 / 3)]).requires_grad_()
    sharp = sharpen(p, temperature, mode)
    (sharp * vector(1, 2, 3)).sum().backward()
    assert torch.isfinite(sharp).all()
    assert torch.isfinite(p.grad).all()


@pytest.mark.parametrize("mode", ["binary", "normalized"])
def test_the_gradient_of_sharpening_is_the_numeric_one(mode):
    p = torch.rand(1, 3, 1, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64).softmax(1)
    assert torch.autograd.gradcheck(lambda x: sharpen(x, 0.3, mode), p.requires_grad_())


def test_sharpening_keeps_the_order_of_the_classes():
    sharp = sharpen(vector(0.5, 0.3, 0.2), 0.1).flatten()
    assert sharp[0] > sharp[1] > sharp[2]


def test_the_normalized_form_sums_to_one():
    p = torch.rand(2, 5, 3, 3, generator=torch.Generator().manual_seed(2)).softmax(1)
    torch.testing.assert_close(sharpen(p, 0.1, "normalized").sum(1), torch.ones(2, 3, 3))


def test_each_pixel_has_its_own_teacher():
    a = torch.cat([vector(0.9, 0.1), vector(0.6, 0.4)], dim=3)
    b = torch.cat([vector(0.2, 0.8), vector(0.3, 0.7)], dim=3)
    expected = torch.cat([vector(0.9, 0.1), vector(0.3, 0.7)], dim=3)
    assert torch.equal(teacher(a, b), expected)


def pixels(seed: int) -> torch.Tensor:
    return torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(seed)).softmax(1).requires_grad_()


def test_the_masked_entropy_mean_is_the_whole_one_divided_by_the_masked_share():
    clean, perturbed, mask = pixels(1), pixels(2), torch.zeros(2, 4, 5, dtype=torch.bool)
    mask[:, :2] = True
    whole = competition_loss(clean, perturbed, pixels(3), mask, entropy_mean="all")
    masked = competition_loss(clean, perturbed, pixels(3), mask, entropy_mean="masked")
    torch.testing.assert_close(masked.entropy, whole.entropy / 0.5)
    assert masked.mse == whole.mse


@pytest.mark.parametrize("entropy_mean", ["all", "masked"])
def test_an_empty_region_costs_nothing_and_pulls_nowhere(entropy_mean):
    clean, perturbed, mask = pixels(1), pixels(2), torch.zeros(2, 4, 5, dtype=torch.bool)
    loss = competition_loss(clean, perturbed, pixels(3), mask, entropy_mean=entropy_mean)
    loss.total.backward()
    assert loss.total == 0
    assert not clean.grad.any()
    assert not perturbed.grad.any()


def test_pixels_outside_the_region_receive_no_gradient():
    clean, perturbed, mask = pixels(1), pixels(2), torch.zeros(2, 4, 5, dtype=torch.bool)
    mask[0, 0, 0] = True
    competition_loss(clean, perturbed, pixels(3).detach(), mask).total.backward()
    assert clean.grad[0, :, 0, 0].any()
    assert not clean.grad[1].any()
    assert not perturbed.grad[0, :, 1:].any()
