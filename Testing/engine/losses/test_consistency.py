"""The losses of the other methods against small examples computed by hand."""

from __future__ import annotations

import math

import pytest
import torch

from alhvr.losses.consistency import (
    mismatch_loss,
    prototype_reliability,
    pseudo_label_loss,
    pseudo_labels,
    relative_entropy,
    squared_difference,
)
from alhvr.losses.evidential import allowed_classes, belief, evidence, evidential_loss

LN2 = math.log(2)


def pixels(*vectors: tuple[float, ...]) -> torch.Tensor:
    """Vectors, one a pixel, as [1, C, 1, N]."""
    return torch.tensor(vectors).T[None, :, None]


def row(*values: float) -> torch.Tensor:
    """One value a pixel, as [1, 1, N]."""
    return torch.tensor([[values]])


def test_the_squared_difference_is_a_mean_over_classes_and_the_pixels_that_count() -> None:
    student, teacher = pixels((0.6, 0.4), (0.1, 0.9)), pixels((0.8, 0.2), (0.9, 0.1))
    assert float(squared_difference(student, teacher, row(1, 0))) == pytest.approx((0.04 + 0.04) / 2)


def test_weights_by_class_are_the_divisor_too() -> None:
    found = squared_difference(pixels((0.2, 0.3)), pixels((0.0, 0.0)), pixels((1.0, 0.5)))
    assert float(found) == pytest.approx((0.04 + 0.5 * 0.09) / 1.5)


def test_where_nothing_counts_the_loss_and_its_gradient_are_zero() -> None:
    student = pixels((0.6, 0.4)).requires_grad_()
    loss = squared_difference(student, pixels((0.8, 0.2)), row(0.0))
    loss.backward()
    assert loss == 0 and torch.equal(student.grad, torch.zeros_like(student))


def test_a_pseudo_label_costs_the_logarithm_of_its_probability() -> None:
    logits, classes = pixels((math.log(3), 0.0), (0.0, 9.0)), pixels((1.0, 0.0), (1.0, 0.0))
    assert float(pseudo_label_loss(logits, classes, row(0.5, 0))) == pytest.approx(math.log(4 / 3))
    by_all = pseudo_label_loss(logits, classes, row(0.5, 0), n_pixels=torch.tensor(2))
    assert float(by_all) == pytest.approx(0.5 * math.log(4 / 3) / 2)


def test_pseudo_labels_are_the_first_of_the_most_probable_and_carry_no_gradient() -> None:
    found = pseudo_labels(pixels((1.0, 1.0, 0.0), (0.0, 0.0, 2.0)).requires_grad_())
    assert torch.equal(found, pixels((1.0, 0.0, 0.0), (0.0, 0.0, 1.0))) and not found.requires_grad


def test_the_entropy_is_a_share_of_the_largest() -> None:
    found = relative_entropy(pixels((0.25, 0.25, 0.25, 0.25), (0.7, 0.1, 0.1, 0.1), (1.0, 0.0, 0.0, 0.0)))
    assert found.flatten().tolist() == pytest.approx([1.0, 0.940448 / math.log(4), 0.0], abs=1e-5)


def test_a_mismatch_costs_the_distance_from_the_label() -> None:
    found = mismatch_loss(pixels((0.6, 0.3, 0.1), (0.2, 0.7, 0.1)), torch.tensor([[[1, 0]]]),
                          torch.tensor([[[True, False]]]), None)
    assert float(found) == pytest.approx((0.36 + 0.49 + 0.01) / 3)


def test_where_a_class_is_missing_it_counts_as_background_in_a_mismatch() -> None:
    found = mismatch_loss(pixels((0.6, 0.3, 0.1), (0.0, 0.0, 1.0)), torch.tensor([[[0, 255]]]),
                          torch.tensor([[[True, True]]]), torch.tensor([[False, True, False]]))
    assert float(found) == pytest.approx((0.01 + 0.0 + 0.01) / 3)  # 0.6 + 0.3 against 1; the second is not annotated


def test_features_bear_out_a_prediction_by_their_cosine_with_the_prototypes() -> None:
    found = prototype_reliability(pixels((3.0, 4.0), (1.0, 0.0)), pixels((0.9, 0.1), (0.2, 0.8)),
                                  torch.ones(1, 1, 2, dtype=torch.bool))
    # prototypes (3, 4) and (1, 0): cosines (1, 0.6) and (0.6, 1)
    assert found.flatten().tolist() == pytest.approx([1 - (0.01 + 0.25) / 2, 1 - (0.16 + 0.04) / 2])


def test_a_class_without_a_pixel_has_a_cosine_of_zero() -> None:
    found = prototype_reliability(pixels((3.0, 4.0)), pixels((0.9, 0.1)), torch.ones(1, 1, 1, dtype=torch.bool))
    assert float(found) == pytest.approx(1 - (0.01 + 0.01) / 2)


def test_evidence_lies_between_two_bounds_and_belief_is_its_share_of_the_dirichlet_sum() -> None:
    found = evidence(pixels((0.0, 100.0, -100.0)))
    assert found.flatten().tolist() == pytest.approx([1.0, math.exp(4), math.exp(-4)])
    assert belief(pixels((1.0, 1.0, 1.0))).flatten().tolist() == pytest.approx([1 / 6] * 3)


ONE = torch.ones(1, 1, 1)


def test_the_evidential_loss_is_digammas_and_the_divergence_of_what_misleads() -> None:
    found, right = pixels((3.0, 1.0, 0.0)), pixels((1.0, 0.0, 0.0))  # alpha (4, 2, 1), sum 7
    fit = 1 / 4 + 1 / 5 + 1 / 6  # digamma(7) - digamma(4)
    # misleading alpha (1, 2, 1), sum 4: lnG(4) - lnG(2) - lnG(3) + (2 - 1)(digamma(2) - digamma(4))
    divergence = math.log(6) - math.log(2) - (1 / 2 + 1 / 3)
    for annealing in (0.0, 0.5, 1.0):
        assert float(evidential_loss(found, right, ONE, annealing)) == pytest.approx(fit + annealing * divergence,
                                                                                    abs=1e-6)


def test_classes_that_may_both_be_right_count_together() -> None:
    labels, missing = torch.tensor([[[0]]]), torch.tensor([[False, True, False]])
    allowed = allowed_classes(labels, 3, missing, torch.float32)
    assert allowed.flatten().tolist() == [1, 1, 0]
    found = evidential_loss(pixels((3.0, 1.0, 0.0)), allowed, ONE, 1.0)
    assert float(found) == pytest.approx(1 / 6, abs=1e-6)  # digamma(7) - digamma(4 + 2), and nothing misleads


def test_a_pixel_of_no_class_leaves_the_evidential_loss_finite() -> None:
    found = evidence(pixels((0.5, -0.5))).requires_grad_()
    loss = evidential_loss(found, pixels((0.0, 0.0)), row(0.0), 1.0)
    loss.backward()
    assert loss == 0 and torch.isfinite(found.grad).all()
