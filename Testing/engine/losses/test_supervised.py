"""Tests of alhvr.losses.supervised: cross-entropy and Dice against torch and against the formulas."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from alhvr.losses.supervised import supervised_loss

SIZES = [(6, 8), (4, 6, 5)]


def batch(size: tuple[int, ...], n_classes: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    logits = torch.randn(2, n_classes, *size, generator=generator)
    return logits, torch.randint(0, n_classes, (2, *size), generator=generator)


@pytest.mark.parametrize("size", SIZES)
def test_cross_entropy_is_torchs_mean_over_all_pixels(size):
    logits, labels = batch(size)
    torch.testing.assert_close(supervised_loss(logits, labels).ce, functional.cross_entropy(logits, labels))


@pytest.mark.parametrize("size", SIZES)
def test_the_official_dice_is_half_of_one_plus_the_standard_one(size):
    logits, labels = batch(size)
    standard = supervised_loss(logits, labels, dice="standard").dice
    torch.testing.assert_close(supervised_loss(logits, labels, dice="official").dice, 0.5 * (1 + standard))


def test_the_total_is_the_sum_of_both_with_weight_one():
    loss = supervised_loss(*batch((6, 8)))
    assert loss.total == loss.ce + loss.dice


@pytest.mark.parametrize("dice", ["standard", "official"])
def test_saturated_predictions_and_absent_classes_leave_value_and_gradient_finite(dice):
    logits = torch.tensor([300.0, -300.0, 0.0]).reshape(1, 3, 1, 1).repeat(1, 1, 4, 4).requires_grad_()
    loss = supervised_loss(logits, torch.ones(1, 4, 4, dtype=torch.int64), dice=dice)
    loss.total.backward()
    assert torch.isfinite(loss.total)
    assert torch.isfinite(logits.grad).all()


def test_a_perfect_prediction_of_an_image_without_foreground_costs_nothing():
    logits = torch.tensor([200.0, -200.0]).reshape(1, 2, 1, 1).repeat(1, 1, 4, 4)
    assert supervised_loss(logits, torch.zeros(1, 4, 4, dtype=torch.int64)).total == 0
