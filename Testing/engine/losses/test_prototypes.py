"""Tests of alhvr.losses.prototypes: values and gradients against the direct form, switches, and degenerate input."""

from __future__ import annotations

import pytest
import torch
from direct_losses import direct_cosine, direct_prototypes
from torch.nn import functional

from alhvr.config import MethodConfig
from alhvr.losses.prototypes import broadcast_mean, class_prototypes, prototype_loss, upsampled_cosine
from alhvr.losses.tensors import one_hot

GRIDS = [
    ((4, 5), (32, 40)), ((8, 6), (32, 24)), ((16, 12), (16, 12)), ((2, 3, 2), (16, 24, 16)), ((6, 5, 4), (6, 5, 4)),
]
PAPER = MethodConfig()
DTYPES = [torch.float32, torch.float64]


def world(small, size, dtype=torch.float32, *, channels=8, n_classes=4):
    """Random features [2, channels, *small], prototypes [C, channels] and targets [2, *size]."""
    generator = torch.Generator().manual_seed(7)
    features = torch.randn(2, channels, *small, generator=generator, dtype=dtype)
    prototypes = torch.randn(n_classes, channels, generator=generator, dtype=dtype)
    return features, prototypes, torch.randint(0, n_classes, (2, *size), generator=generator)


def gradients(make, *inputs):
    """Gradients of a fixed random weighing of ``make(*inputs)``."""
    fresh = [x.clone().requires_grad_() for x in inputs]
    result = make(*fresh)
    weights = torch.randn(result.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return torch.autograd.grad((result * weights).sum(), fresh)


def assert_gradients_agree(mine, direct, *inputs):
    for own, plain in zip(gradients(mine, *inputs), gradients(direct, *inputs), strict=True):
        assert (own - plain).norm() <= 1e-5 * plain.norm()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("small", "size"), GRIDS)
def test_prototypes_equal_the_direct_form(small, size, dtype):
    features, _, targets = world(small, size, dtype)
    onehot = one_hot(targets, 4, dtype)
    own = class_prototypes(features, onehot)
    torch.testing.assert_close(own, direct_prototypes(features, targets, 4), rtol=0, atol=1e-6)
    assert_gradients_agree(
        lambda f: class_prototypes(f, onehot), lambda f: direct_prototypes(f, targets, 4), features
    )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("small", "size"), GRIDS)
def test_cosines_equal_the_direct_form(small, size, dtype):
    features, prototypes, _ = world(small, size, dtype)
    own = upsampled_cosine(features, prototypes, size)
    torch.testing.assert_close(own, direct_cosine(features, prototypes, size), rtol=0, atol=1e-6)
    assert_gradients_agree(
        lambda f, p: upsampled_cosine(f, p, size), lambda f, p: direct_cosine(f, p, size), features, prototypes
    )


def test_one_channel_features_that_change_sign_keep_their_cosine_near_one_at_most():
    features = torch.randn(40, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    cosine = upsampled_cosine(features, torch.ones(1, 1), (96, 96))
    assert cosine.abs().max() <= 1.1


@pytest.mark.parametrize("zeroed", ["features", "prototypes"])
def test_zero_vectors_have_cosine_zero_and_a_bounded_gradient(zeroed):
    features, prototypes, _ = world((4, 5), (32, 40))
    inputs = {"features": features, "prototypes": prototypes}
    inputs[zeroed] = torch.zeros_like(inputs[zeroed])
    leaves = [x.requires_grad_() for x in inputs.values()]
    cosine = upsampled_cosine(*leaves, (32, 40))
    cosine.sum().backward()
    assert not cosine.any()
    assert all(x.grad.abs().max() < 1e8 for x in leaves)


@pytest.mark.parametrize("size", [(9, 7), (5, 4, 3)])
def test_the_broadcast_mean_equals_the_explicit_product_of_all_pairs_of_images(size):
    generator = torch.Generator().manual_seed(5)
    ce, mask = torch.rand(4, *size, generator=generator), (torch.rand(4, *size, generator=generator) < 0.2).float()
    explicit = (mask.unsqueeze(1) * ce).sum() / (mask.sum() + 1e-16)
    torch.testing.assert_close(broadcast_mean(ce, mask), explicit, rtol=1e-5, atol=0)


def losses(config=PAPER, *, mask=None, targets=None, requires_grad=False):
    """prototype_loss of a small world; student and source features come back too."""
    student, _, default_targets = world((4, 5), (32, 40))
    source = student.flip(2).clone()
    student.requires_grad_(requires_grad), source.requires_grad_(requires_grad)
    targets = default_targets if targets is None else targets
    mask = torch.rand(2, 32, 40, generator=torch.Generator().manual_seed(2)) < 0.3 if mask is None else mask
    return prototype_loss(student, source, one_hot(targets, 4, student.dtype), mask, config=config), student, source


def test_the_source_learns_only_when_prototypes_are_not_detached():
    kept, _, source = losses(MethodConfig(detach_prototypes=False), requires_grad=True)
    (kept.ce + kept.cosine).backward()
    assert source.grad.abs().sum() > 0
    detached, student, source = losses(MethodConfig(detach_prototypes=True), requires_grad=True)
    (detached.ce + detached.cosine).backward()
    assert source.grad is None
    assert student.grad.abs().sum() > 0


def test_an_absent_class_weighs_in_the_softmax_or_is_left_out_of_it():
    targets = torch.randint(0, 3, (2, 32, 40), generator=torch.Generator().manual_seed(4))
    (kept, student, source), (excluded, _, _) = (
        losses(MethodConfig(absent_class=choice), targets=targets, mask=torch.ones(2, 32, 40, dtype=torch.bool))
        for choice in ("zero", "exclude")
    )
    cosine = direct_cosine(student, direct_prototypes(source, targets, 4), (32, 40))
    torch.testing.assert_close(kept.ce, functional.cross_entropy(cosine, targets))
    torch.testing.assert_close(excluded.ce, functional.cross_entropy(cosine[:, :3], targets))


@pytest.mark.parametrize("absent_class", ["zero", "exclude"])
@pytest.mark.parametrize("detach", [True, False])
def test_classes_absent_everywhere_leave_the_gradient_finite(absent_class, detach):
    config = MethodConfig(absent_class=absent_class, detach_prototypes=detach)
    loss, student, _ = losses(config, targets=torch.ones(2, 32, 40, dtype=torch.int64), requires_grad=True)
    (loss.ce + loss.cosine).backward()
    assert torch.isfinite(loss.ce)
    assert torch.isfinite(student.grad).all()


@pytest.mark.parametrize("alignment", ["aligned", "broadcast"])
@pytest.mark.parametrize("cosine", ["target", "all"])
def test_an_empty_mask_costs_nothing_and_pulls_nowhere(alignment, cosine):
    config = MethodConfig(ce_alignment=alignment, cosine_loss=cosine)
    loss, student, _ = losses(config, mask=torch.zeros(2, 32, 40, dtype=torch.bool), requires_grad=True)
    (loss.ce + loss.cosine).backward()
    assert loss.ce == 0
    assert loss.cosine == 0
    assert not student.grad.any()
