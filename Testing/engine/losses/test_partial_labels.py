"""Partial labels: what is not annotated costs nothing, and background may be a structure missing in a case."""

from __future__ import annotations

import math

import pytest
import torch
from direct_losses import random_views
from torch import Tensor

from alhvr.config import MethodConfig
from alhvr.formats import labels as data_labels
from alhvr.losses.supervised import NOT_ANNOTATED, merge_missing, supervised_loss
from alhvr.methods.alhvr import alhvr_objective
from alhvr.presets import OFFICIAL_METHOD

BOTH = MethodConfig(teacher_competition=True)
"""Our own choices, with both of the method's modules on."""

DICE = ("standard", "official")


def logits_of(*pixels: tuple[float, ...]) -> Tensor:
    """[1, C, 1, N] whose softmax is, pixel by pixel, the probabilities given."""
    return torch.tensor(pixels, dtype=torch.float64).T.log()[None, :, None].requires_grad_()


def random_batch(images: int = 3, *, n_classes: int = 4, side: int = 8) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    labels = torch.randint(n_classes, (images, side, side), generator=generator)
    return torch.randn(images, n_classes, side, side, generator=generator).requires_grad_(), labels


def plain_loss(logits: Tensor, labels: Tensor, dice: str) -> tuple[Tensor, Tensor]:
    """Cross-entropy and Dice of fully labelled images, written down directly."""
    log_probability = logits.log_softmax(dim=1)
    ce = -log_probability.gather(1, labels.unsqueeze(1)).mean()
    probability = log_probability.exp()
    onehot = torch.zeros_like(probability).scatter_(1, labels.unsqueeze(1), 1.0)
    overlap = (probability * onehot).sum((0, 2, 3))
    mass = probability.square().sum((0, 2, 3)) + onehot.sum((0, 2, 3))
    per_class = 1 - overlap / (mass + 1e-10) if dice == "official" else 1 - (2 * overlap + 1e-5) / (mass + 1e-5)
    return ce, per_class.mean()


def missing_of(*rows: tuple[int, ...], n_classes: int = 4) -> Tensor:
    """[B, C] bool from the missing classes of each image."""
    missing = torch.zeros(len(rows), n_classes, dtype=torch.bool)
    for image, classes in zip(missing, rows, strict=True):
        image[list(classes)] = True
    return missing


def test_losses_and_data_name_the_same_class_index_not_annotated() -> None:
    assert NOT_ANNOTATED == data_labels.NOT_ANNOTATED


@pytest.mark.parametrize("dice", DICE)
@pytest.mark.parametrize("missing", [None, missing_of((), (), ())])
def test_where_nothing_is_missing_the_loss_and_its_gradient_are_the_plain_ones_to_the_last_bit(dice, missing) -> None:
    logits, labels = random_batch()
    loss = supervised_loss(logits, labels, missing=missing, dice=dice)
    ce, dice_loss = plain_loss(logits, labels, dice)
    assert torch.equal(loss.ce, ce) and torch.equal(loss.dice, dice_loss)
    found, expected = (torch.autograd.grad(total, logits)[0] for total in (loss.total, ce + dice_loss))
    assert torch.equal(found, expected)


def test_a_pixel_that_nobody_annotated_counts_nowhere() -> None:
    """Three pixels; the second, wrongly predicted, is not annotated: by hand from the other two."""
    logits = logits_of((0.5, 0.3, 0.2), (0.1, 0.1, 0.8), (0.2, 0.6, 0.2))
    loss = supervised_loss(logits, torch.tensor([[[0, NOT_ANNOTATED, 1]]]))
    assert loss.ce.item() == pytest.approx(-(math.log(0.5) + math.log(0.6)) / 2)
    background = 1 - (2 * 0.5 + 1e-5) / (0.5**2 + 0.2**2 + 1 + 1e-5)
    first = 1 - (2 * 0.6 + 1e-5) / (0.3**2 + 0.6**2 + 1 + 1e-5)
    second = 1 - 1e-5 / (0.2**2 + 0.2**2 + 1e-5)
    assert loss.dice.item() == pytest.approx((background + first + second) / 3)


def test_background_may_be_a_class_that_is_missing_in_the_image() -> None:
    """Class 2 is missing: background counts 0.5 + 0.2 and 0.1 + 0.8, by hand; class 2 itself gives nothing."""
    logits = logits_of((0.5, 0.3, 0.2), (0.1, 0.1, 0.8), (0.2, 0.6, 0.2))
    loss = supervised_loss(logits, torch.tensor([[[0, 0, 1]]]), missing=missing_of((2,), n_classes=3))
    assert loss.ce.item() == pytest.approx(-(math.log(0.7) + math.log(0.9) + math.log(0.6)) / 3)
    background = 1 - (2 * (0.7 + 0.9) + 1e-5) / (0.7**2 + 0.9**2 + 0.4**2 + 2 + 1e-5)
    first = 1 - (2 * 0.6 + 1e-5) / (0.3**2 + 0.1**2 + 0.6**2 + 1 + 1e-5)
    assert loss.dice.item() == pytest.approx((background + first + 0) / 3)


@pytest.mark.parametrize("dice", DICE)
def test_a_missing_class_is_neither_pushed_down_nor_up_against_background(dice) -> None:
    logits, labels = random_batch(1)
    labels = labels.masked_fill(labels == 2, 0)
    loss = supervised_loss(logits, labels, missing=missing_of((2,)), dice=dice)
    moved = logits.detach().clone()
    p = moved.softmax(dim=1)
    moved[:, 0] = ((p[:, 0] + p[:, 2]) * 0.3).log()
    moved[:, 2] = ((p[:, 0] + p[:, 2]) * 0.7).log()
    for other in (1, 3):
        moved[:, other] = p[:, other].log()
    torch.testing.assert_close(supervised_loss(moved, labels, missing=missing_of((2,)), dice=dice).total, loss.total)


def test_each_image_of_a_batch_has_its_own_gaps() -> None:
    logits, labels = random_batch()
    labels[0, :3] = NOT_ANNOTATED
    labels[1][labels[1] == 3] = 0
    missing = missing_of((), (3,), ())
    whole = supervised_loss(logits, labels, missing=missing)
    counts = [5 * 8, 64, 64]
    parts = [supervised_loss(logits[n:n + 1], labels[n:n + 1], missing=missing[n:n + 1]).ce for n in range(3)]
    expected = sum(part * count for part, count in zip(parts, counts, strict=True)) / sum(counts)
    torch.testing.assert_close(whole.ce, expected)


def test_a_voxel_of_a_structure_that_is_declared_missing_is_believed() -> None:
    logits = logits_of((0.5, 0.3, 0.2))
    loss = supervised_loss(logits, torch.tensor([[[2]]]), missing=missing_of((2,), n_classes=3))
    assert loss.ce.item() == pytest.approx(-math.log(0.2))


@pytest.mark.parametrize("dice", DICE)
def test_images_without_any_annotation_cost_nothing_and_leave_no_nan(dice) -> None:
    logits, labels = random_batch(1)
    loss = supervised_loss(logits, torch.full_like(labels, NOT_ANNOTATED), missing=missing_of((1, 2, 3)), dice=dice)
    gradient, = torch.autograd.grad(loss.total, logits)
    assert loss.ce.item() == 0 and torch.isfinite(loss.dice) and not gradient.any()


def test_merging_adds_the_missing_classes_to_the_background() -> None:
    values = torch.tensor([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]]).reshape(2, 3, 1, 1)
    merged = merge_missing(values, missing_of((1, 2), (), n_classes=3))
    assert merged.flatten(1).tolist() == [[6, 0, 0], [1, 2, 3]]


def test_background_of_images_with_a_missing_class_learns_from_the_labels_alone() -> None:
    """Two networks that both miss the structure would agree that it is background, and never learn it."""
    views = random_views((16, 16), images=(1, 3))
    labels = torch.zeros(2, 16, 16, dtype=torch.int64)
    labels[1, :8] = NOT_ANNOTATED
    alhvr_objective(views, labels, 0.1, BOTH, missing=missing_of((), (2,))).total.backward()
    assert not views.a.perturbed_logits.grad[0, :, 8:].any() and views.a.perturbed_logits.grad[0, :, :8].any()


@pytest.mark.parametrize("config", [BOTH, OFFICIAL_METHOD])
def test_of_partly_labelled_images_only_pixels_that_nobody_annotated_learn_without_labels(config) -> None:
    """Two labelled images, the second annotated by half, and two unlabelled ones."""
    views = random_views((16, 16), images=(1, 3))
    labels = torch.randint(4, (2, 16, 16), generator=torch.Generator().manual_seed(1))
    labels[1, :8] = NOT_ANNOTATED
    objective = alhvr_objective(views, labels, 0.1, config)
    objective.total.backward()
    perturbed = views.a.perturbed_logits.grad
    assert not perturbed[0, :, 8:].any() and perturbed[0, :, :8].any() and perturbed[1:].any()
    assert sum(objective.region_fractions.values()).item() == pytest.approx(1)


def test_gamma_is_of_the_unlabelled_pixels_alone() -> None:
    views = random_views((16, 16), images=(1, 3))
    labels = torch.zeros(2, 16, 16, dtype=torch.int64)
    labels[1, :8] = NOT_ANNOTATED
    found = alhvr_objective(views, labels, 0.1, MethodConfig(beta=1.0)).gamma
    confidence = sum(v.perturbed_logits.softmax(dim=1).amax(dim=1) for v in (views.a, views.b)).detach() / 2
    torch.testing.assert_close(found, torch.cat([confidence[0, :8].flatten(), confidence[1:].flatten()]).mean())


def test_a_batch_in_which_nothing_is_unlabelled_has_no_gamma_and_stays_finite() -> None:
    views = random_views((16, 16), images=(1, 1))
    objective = alhvr_objective(views, torch.zeros(2, 16, 16, dtype=torch.int64), 0.1, BOTH)
    assert objective.gamma.item() == 0 and torch.isfinite(objective.total) and objective.terms["unsupervised"] == 0
