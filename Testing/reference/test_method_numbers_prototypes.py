"""Facts 10 to 15 of docs/method.md: prototypes, cosines and their losses; computed outside this package."""

from __future__ import annotations

import pytest
import torch
from method_numbers import close, pixels
from torch.nn import functional

from alhvr.config import MethodConfig
from alhvr.losses.prototypes import broadcast_mean, class_prototypes, prototype_loss, upsampled_cosine
from alhvr.losses.tensors import one_hot


def test_fact_10_prototypes_are_the_mean_of_the_images_means():
    features = torch.zeros(2, 2, 1, 10)
    features[0, 0], features[1, 1] = 1.0, 1.0
    targets = torch.zeros(2, 1, 10, dtype=torch.int64)
    targets[0, 0, :1] = 1
    targets[1, 0, :9] = 1
    prototype = class_prototypes(features, one_hot(targets, 2, torch.float32))[1]
    close(prototype / prototype.norm(), [0.7071, 0.7071], 1e-4)


def test_fact_11_a_class_absent_in_one_image_halves_the_prototype_and_keeps_its_direction():
    features = torch.tensor([5.0, 8.0]).reshape(2, 1, 1, 1) * torch.tensor([0.0, 1.0]).reshape(1, 2, 1, 1)
    targets = torch.zeros(2, 1, 3, dtype=torch.int64)
    targets[1] = 1
    close(class_prototypes(features.expand(2, 2, 1, 3), one_hot(targets, 2, torch.float32))[1], [0.0, 3.99998667], 1e-6)


def test_fact_11_a_class_absent_in_all_images_has_cosine_zero_and_gradient_zero():
    features = torch.randn(2, 3, 2, 2, generator=torch.Generator().manual_seed(1)).requires_grad_()
    prototypes = class_prototypes(features, one_hot(torch.zeros(2, 16, 16, dtype=torch.int64), 2, torch.float32))
    cosine = upsampled_cosine(features.detach(), prototypes, (16, 16))[:, 1]
    cosine.sum().backward()
    assert not prototypes[1].any()
    assert not cosine.any()
    assert not features.grad.any()


FACT_12 = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])


def test_fact_12_cosines_of_one_feature_with_three_prototypes():
    cosine = upsampled_cosine(pixels((3.0, 4.0)), FACT_12, (1, 1))
    close(cosine.flatten(), [0.6, 0.8, 0.0])
    scales = torch.tensor([[2.0], [0.1], [5.0]])
    torch.testing.assert_close(upsampled_cosine(7 * pixels((3.0, 4.0)), scales * FACT_12, (1, 1)), cosine)


@pytest.mark.parametrize(("target", "expected"), [(0, 1.018925), (1, 0.818925), (2, 1.618925)])
def test_fact_12_cross_entropy_of_the_cosines(target, expected):
    cosine = upsampled_cosine(pixels((3.0, 4.0)), FACT_12, (1, 1))
    close(functional.cross_entropy(cosine, torch.full((1, 1, 1), target)), expected)


def prototype_ce(directions: torch.Tensor) -> torch.Tensor:
    """L_ce of image i with classes i everywhere, whose features are ``directions[i]`` [C, F], against themselves."""
    n = len(directions)
    features = directions.reshape(n, -1, 1, 1)
    targets = torch.arange(n).reshape(n, 1, 1).expand(n, 8, 8)
    mask = torch.ones(n, 8, 8, dtype=torch.bool)
    return prototype_loss(features, features, one_hot(targets, n, features.dtype), mask, config=MethodConfig()).ce


@pytest.mark.parametrize(("n_classes", "floor"), [(2, 0.313262), (4, 0.743668), (5, 0.904832)])
def test_fact_13_perfectly_separated_classes_keep_a_cross_entropy(n_classes, floor):
    close(prototype_ce(torch.eye(n_classes)), floor)


@pytest.mark.parametrize(("n_classes", "floor"), [(2, 0.126928), (4, 0.340753), (5, 0.432653)])
def test_fact_13_opposite_prototypes_keep_one_too(n_classes, floor):
    prototypes = torch.full((n_classes, 1), -1.0)
    prototypes[0] = 1.0
    cosine = upsampled_cosine(pixels((1.0,)), prototypes, (1, 1))
    close(functional.cross_entropy(cosine, torch.zeros(1, 1, 1, dtype=torch.int64)), floor)


def test_fact_13_equal_cosines_give_the_logarithm_of_the_number_of_classes():
    close(prototype_ce(torch.ones(4, 3)), 1.3862944)


@pytest.mark.parametrize(("kind", "expected"), [("target", 0.2), ("all", 0.266667)])
def test_fact_14_cosine_loss_of_two_pixels(kind, expected):
    student = pixels((0.6, 0.8, 0.0), (1.0, 0.0, 0.0))
    source = pixels((0.0, 1.0, 0.0), (1.0, 0.0, 0.0))
    loss = prototype_loss(
        student, source, one_hot(torch.tensor([[[1, 0]]]), 3, student.dtype), torch.tensor([[[True, False]]]),
        config=MethodConfig(cosine_loss=kind),
    )
    close(loss.cosine, expected)


def test_fact_15_the_broadcast_mean_counts_every_image_under_every_mask():
    ce = torch.arange(1.0, 9.0).reshape(2, 2, 2)
    mask = torch.zeros(2, 2, 2)
    mask[0, 0, 0] = 1
    close(broadcast_mean(ce, mask), 6.0)


def fact_15_loss(alignment: str, mask: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    features = torch.randn(len(mask), 6, 4, 4, generator=torch.Generator().manual_seed(2))
    config = MethodConfig(ce_alignment=alignment)
    return prototype_loss(features, features.flip(1), one_hot(targets, 4, features.dtype), mask, config=config).ce


def random_mask_and_targets(n_images: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    mask = torch.rand(n_images, 32, 32, generator=generator) < 0.05
    return mask, torch.randint(0, 4, (n_images, 32, 32), generator=generator)


def test_fact_15_the_broadcast_is_about_as_many_times_larger_as_there_are_images():
    mask, targets = random_mask_and_targets(8)
    ratio = fact_15_loss("broadcast", mask, targets) / fact_15_loss("aligned", mask, targets)
    assert float(ratio) == pytest.approx(8, rel=0.02)


def test_fact_15_with_one_image_both_are_the_same():
    mask, targets = random_mask_and_targets(1)
    close(fact_15_loss("broadcast", mask, targets) / fact_15_loss("aligned", mask, targets), 1.0)


def test_fact_15_features_where_the_mask_is_zero_never_change_the_aligned_loss():
    mask, targets = random_mask_and_targets(2)
    mask[1] = False
    source = torch.randn(2, 6, 4, 4, generator=torch.Generator().manual_seed(2))
    changed = source.clone()
    changed[1] += 1
    values = [
        prototype_loss(student, source, one_hot(targets, 4, source.dtype), mask, config=MethodConfig()).ce
        for student in (source, changed)
    ]
    torch.testing.assert_close(*values)
