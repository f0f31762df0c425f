"""The mean of the weights follows the networks, and gets batch-norm statistics that belong to it."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
import torch
from torch import nn

from alhvr.networks.registry import build_network
from alhvr.training.loop import WeightAverage, measure_statistics


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


def test_running_statistics_are_never_averaged() -> None:
    model = nn.BatchNorm2d(1)
    average = WeightAverage(model)
    model.running_mean.fill_(8.0)
    average.update(model, decay=0.75)
    assert average.model.running_mean.item() == 8.0


def test_the_mean_is_a_copy_without_gradients() -> None:
    model = nn.Linear(1, 1)
    average = WeightAverage(model)
    assert average.model.weight.data_ptr() != model.weight.data_ptr()
    assert not average.model.weight.requires_grad


def measured(network: nn.Module, batches: list[torch.Tensor]) -> nn.Module:
    network.eval()
    measure_statistics([network], batches, nullcontext())
    return network


def norm_of(batches: list[torch.Tensor]) -> nn.BatchNorm2d:
    return measured(nn.Sequential(nn.BatchNorm2d(1)), batches)[0]


def test_measured_statistics_are_the_mean_over_the_batches() -> None:
    batches = [torch.randn(4, 1, 8, 8) + shift for shift in (0.0, 3.0, 9.0)]
    norm = norm_of(batches)
    assert norm.running_mean.item() == pytest.approx(float(torch.stack([b.mean() for b in batches]).mean()), rel=1e-5)
    assert norm.running_var.item() == pytest.approx(float(torch.stack([b.var() for b in batches]).mean()), rel=1e-5)


def test_what_was_there_before_leaves_no_trace() -> None:
    batches = [torch.randn(4, 1, 8, 8)]
    first = norm_of(batches).running_mean.clone()
    odd = nn.Sequential(nn.BatchNorm2d(1))
    odd[0].running_mean.fill_(100.0)
    assert torch.equal(measured(odd, batches)[0].running_mean, first)


def test_momentum_and_mode_are_as_before() -> None:
    norm = norm_of([torch.randn(4, 1, 8, 8)])
    assert norm.momentum == 0.1 and not norm.training


@pytest.mark.parametrize(("kind", "dimensions"), [("unet", 2), ("unet", 3), ("vnet", 3)])
def test_dropout_is_off_so_that_two_measurements_are_alike(kind: str, dimensions: int) -> None:
    network = build_network(kind, dimensions, 2, width=2)
    batches = [torch.randn(2, 1, *[32] * dimensions)]
    first = {name: value.clone() for name, value in measured(network, batches).state_dict().items()}
    assert all(torch.equal(first[name], value) for name, value in measured(network, batches).state_dict().items())


@pytest.mark.parametrize(("kind", "dimensions"), [("unet", 2), ("vnet", 3)])
def test_a_network_with_measured_statistics_answers_as_it_does_in_training(kind: str, dimensions: int) -> None:
    network = build_network(kind, dimensions, 2, width=2)
    batch = torch.randn(4, 1, *[32] * dimensions)
    found = measured(network, [batch])(batch)
    for module in network.modules():
        if isinstance(module, (nn.BatchNorm2d, nn.BatchNorm3d)):
            module.train()
    expected = network(batch)  # its variance is that of the batch, ours the estimate from it: they differ by a little
    assert (found - expected).norm() < 0.1 * expected.norm()


def test_a_network_without_batch_norm_stays_as_it_is() -> None:
    measured(nn.Linear(2, 2), [])
