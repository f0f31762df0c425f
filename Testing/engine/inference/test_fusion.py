"""Two networks' logits become one probability vector per pixel."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from alhvr.core.errors import UserError
from alhvr.formats.region_tables import sharpen
from alhvr.inference.dual_forward import competing_confidence, confidence, fuse, softmax
from alhvr.losses import competition


def _pixels(*vectors: tuple[float, ...]) -> np.ndarray:
    """float32 [1, C, N] of one probability vector per pixel."""
    return np.array(vectors, np.float32).T[None]


def test_softmax_sums_to_one_and_survives_large_logits():
    probabilities = softmax(_pixels((1000, 0, -1000), (0, 0, 0)))
    np.testing.assert_allclose(probabilities[0].T, [[1, 0, 0], [1 / 3, 1 / 3, 1 / 3]], atol=1e-7)


def test_confidence_is_the_largest_probability():
    logits = np.random.default_rng(0).normal(0, 3, (2, 4, 5, 6)).astype(np.float32)
    np.testing.assert_allclose(confidence(logits.copy()), softmax(logits).max(axis=1), rtol=1e-6)


def test_the_teachers_confidence_is_the_largest_probability_of_the_fused_vector():
    a, b = (softmax(np.random.default_rng(seed).normal(0, 3, (2, 4, 5, 6)).astype(np.float32)) for seed in (0, 1))
    both = {"a": a, "b": b}
    np.testing.assert_array_equal(competing_confidence(both), fuse(both, "competition").max(axis=1))


@pytest.mark.parametrize("temperature", [1.0, 0.5, 0.1, 1e-3])
def test_sharpening_is_that_of_training(temperature: float):
    probability = np.linspace(0, 1, 1001)
    expected = competition.sharpen(torch.from_numpy(probability), temperature).numpy()
    np.testing.assert_allclose(sharpen(probability, temperature), expected, atol=1e-6)


def test_sharpening_has_the_worked_values():
    found = sharpen(np.array([0.0, 0.2, 0.3, 0.4, 0.5, 0.6, 1.0]), 0.1)
    np.testing.assert_allclose(found, [0, 9.536734e-7, 2.0899763e-4, 0.01704593, 0.5, 0.98295407, 1], rtol=1e-6)


def test_mean_is_the_mean_of_both_networks():
    fused = fuse({"a": _pixels((0.8, 0.2)), "b": _pixels((0.4, 0.6))}, "mean")
    np.testing.assert_allclose(fused, _pixels((0.6, 0.4)), atol=1e-7)


def test_competition_takes_the_whole_vector_of_the_surer_network():
    both = {"a": _pixels((0.8, 0.1, 0.1), (0.5, 0.5, 0)), "b": _pixels((0, 0.3, 0.7), (0, 0.1, 0.9))}
    fused = fuse(both, "competition")
    np.testing.assert_allclose(fused, _pixels((0.8, 0.1, 0.1), (0, 0.1, 0.9)))


def test_competition_gives_a_tie_to_network_a():
    fused = fuse({"a": _pixels((0.7, 0.3)), "b": _pixels((0.3, 0.7))}, "competition")
    np.testing.assert_allclose(fused, _pixels((0.7, 0.3)))


def test_one_network_can_answer_alone():
    prob_a, prob_b = _pixels((0.9, 0.1)), _pixels((0.2, 0.8))
    assert fuse({"a": prob_a, "b": prob_b}, "a") is prob_a
    assert fuse({"a": prob_a, "b": prob_b}, "b") is prob_b


def test_fusing_leaves_both_inputs_as_they_were():
    prob_a, prob_b = _pixels((0.8, 0.2)), _pixels((0.4, 0.6))
    for rule in ("mean", "competition"):
        fuse({"a": prob_a, "b": prob_b}, rule)
    np.testing.assert_array_equal(prob_a, _pixels((0.8, 0.2)))
    np.testing.assert_array_equal(prob_b, _pixels((0.4, 0.6)))


def test_an_unknown_rule_is_refused_with_the_known_ones():
    with pytest.raises(UserError, match="fusion is 'vote'.*mean, competition"):
        fuse({"a": _pixels((1.0, 0.0)), "b": _pixels((1.0, 0.0))}, "vote")
