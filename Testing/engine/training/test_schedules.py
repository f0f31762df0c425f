"""Lambda, learning rate and the decay of the weight mean, against the numbers of the method."""

from __future__ import annotations

import pytest

from alhvr.config import MethodConfig, TrainingConfig
from alhvr.presets import OFFICIAL_METHOD
from alhvr.training.loop import ema_decay, learning_rate, unsupervised_weight


@pytest.mark.parametrize(("step", "expected"), [(0, 6.737947e-4), (149, 6.737947e-4), (150, 7.082524e-4),
                                                (7500, 0.00600547), (14999, 0.02793960), (30000, 0.1)])
def test_official_lambda_climbs_in_steps_of_150_iterations(step: int, expected: float) -> None:
    assert unsupervised_weight(0.0, OFFICIAL_METHOD, step) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("step", "expected"), [(7500, 0.02865048), (15000, 0.1)])
def test_paper_lambda_climbs_smoothly_to_its_largest_value(step: int, expected: float) -> None:
    found = unsupervised_weight(step / 15000, MethodConfig(warmup_fraction=1.0), step)
    assert found == pytest.approx(expected, rel=1e-5)


def test_lambda_stays_at_its_largest_value_after_a_short_warm_up() -> None:
    config = MethodConfig(warmup_fraction=0.25)
    assert unsupervised_weight(0.25, config, 0) == unsupervised_weight(1.0, config, 0) == pytest.approx(0.1)


def test_lambda_never_falls() -> None:
    values = [unsupervised_weight(0.0, OFFICIAL_METHOD, 60 * i) for i in range(501)]
    assert values == sorted(values)


def test_constant_learning_rate_never_changes() -> None:
    config = TrainingConfig(learning_rate_decay="constant", learning_rate_warmup=0.0)
    assert {learning_rate(p, config) for p in (0.0, 0.5, 1.0)} == {0.001}


def test_polynomial_learning_rate_falls_to_zero() -> None:
    config = TrainingConfig(learning_rate_decay="poly", learning_rate_warmup=0.0)
    assert learning_rate(0.0, config) == 0.001
    assert learning_rate(0.5, config) == pytest.approx(0.001 * 0.5**0.9)
    assert learning_rate(1.0, config) == 0.0


def test_the_learning_rate_rises_over_the_warm_up() -> None:
    config = TrainingConfig(learning_rate_decay="constant", learning_rate=1.0, learning_rate_warmup=0.2)
    assert [learning_rate(p, config) for p in (0.0, 0.1, 0.2, 0.9)] == pytest.approx([0.01, 0.5, 1.0, 1.0])


@pytest.mark.parametrize(("step", "expected"), [(0, 0.0), (1, 0.5), (9, 0.9), (99, 0.99), (5000, 0.99)])
def test_weight_mean_forgets_quickly_at_first(step: int, expected: float) -> None:
    assert ema_decay(step, TrainingConfig(ema_decay=0.99)) == pytest.approx(expected)
