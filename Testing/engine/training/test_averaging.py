"""The mean of the weights follows the networks and their batch statistics."""

from __future__ import annotations

import torch
from torch import nn

from alhvr.training.averaging import WeightAverage


def test_mean_moves_by_one_minus_decay() -> None:
    model = nn.Linear(1, 1)
    nn.init.constant_(model.weight, 0.0)
    average = WeightAverage(model)
    nn.init.constant_(model.weight, 1.0)
    average.update(model, decay=0.75)
    assert average.model.weight.item() == 0.25


def test_decay_zero_copies_the_model() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    average = WeightAverage(model)
    model(torch.randn(4, 1, 8, 8))
    average.update(model, decay=0.0)
    for mean, value in zip(average.model.state_dict().values(), model.state_dict().values(), strict=True):
        torch.testing.assert_close(mean, value)


def test_the_mean_is_a_copy_without_gradients() -> None:
    model = nn.Linear(1, 1)
    average = WeightAverage(model)
    assert average.model.weight.data_ptr() != model.weight.data_ptr()
    assert not average.model.weight.requires_grad
