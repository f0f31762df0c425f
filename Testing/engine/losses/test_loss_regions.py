"""Tests of alhvr.losses.regions: gamma against a sort, and the regions as a partition."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from alhvr.losses.regions import SAMPLE, _threshold_on_device, confidence_threshold, split_regions


def confidences(seed: int = 0) -> torch.Tensor:
    return torch.rand(2, 16, 16, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("beta", [0.001, 0.3, 0.5, 0.8, 1.0])
def test_gamma_is_the_mean_of_the_lowest_share_of_all_pixels_on_cpu_and_on_a_device(beta):
    values = confidences()
    count = max(1, int(beta * values.numel()))
    expected = values.flatten().sort().values[:count].double().mean()
    assert confidence_threshold(values, beta).item() == pytest.approx(expected.item(), abs=6e-8)
    assert _threshold_on_device(values.flatten(), count).item() == pytest.approx(expected.item(), abs=1e-12)


def distributions(count: int) -> dict[str, torch.Tensor]:
    """Confidences as they come: spread, crowded near one, equal to one for the most part, smooth, of two values."""
    values = torch.rand(count, generator=torch.Generator().manual_seed(count))
    return {"spread": values, "crowded": values.pow(0.05), "mostly one": (values + 0.8).clamp(max=1.0),
            "few ones": (values + 0.1).clamp(max=1.0), "smooth": torch.linspace(0, 60, count).sin().square(),
            "two values": 0.5 + 0.5 * (values > 0.3), "ascending": values.sort().values}


@pytest.mark.parametrize("beta", [1e-4, 0.1, 0.5, 0.8, 0.97, 1.0])
@pytest.mark.parametrize("count", [1, 2, 1000, 20_011, 262_144])
def test_gamma_is_exact_however_the_confidences_are_spread(count, beta):
    lowest = max(1, int(beta * count))
    for name, values in distributions(count).items():
        expected = values.double().sort().values[:lowest].mean()
        assert confidence_threshold(values, beta) == expected.float(), name


def test_gamma_is_exact_where_the_sample_misleads():
    values = np.full(60_000, 0.9, dtype=np.float32)
    values[:: values.size // SAMPLE | 1] = np.linspace(0, 0.5, 8572, dtype=np.float32)
    for beta in (0.05, 0.1, 0.2, 0.9):
        expected = np.sort(values)[: int(beta * values.size)].mean(dtype=np.float64)
        assert float(confidence_threshold(torch.from_numpy(values), beta)) == np.float32(expected)


def test_at_least_one_pixel_counts_when_the_share_is_smaller_than_a_pixel():
    assert confidence_threshold(torch.tensor([0.9, 0.6, 0.8]), 0.1) == torch.tensor(0.6)


def test_gamma_carries_no_gradient():
    values = confidences().requires_grad_()
    assert not confidence_threshold(values, 0.8).requires_grad


def test_gamma_leaves_the_confidences_as_they_are():
    values = confidences()
    before = values.clone()
    confidence_threshold(values, 0.5)
    assert torch.equal(values, before)


@pytest.mark.parametrize("value", [0.7, 1.0, 1 / 3])
def test_equal_confidences_are_all_confident(value):
    same = torch.full((3, 37, 41), value)
    regions = split_regions(same, same, confidence_threshold(same, 0.8))
    assert regions.reliable_stable.all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_gamma_is_at_least_float32(dtype):
    assert confidence_threshold(confidences().to(dtype), 0.8).dtype == torch.float32


def test_the_fractions_sum_to_one():
    a, b = confidences(1), confidences(2)
    fractions = split_regions(a, b, confidence_threshold((a + b) / 2, 0.8)).fractions()
    assert list(fractions) == ["reliable_stable", "reliable_unstable", "unreliable_stable"]
    assert sum(float(f) for f in fractions.values()) == pytest.approx(1)
