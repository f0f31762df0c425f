"""Padding beyond a scan takes no part in any loss, in gamma, in the regions or in the prototypes."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from direct_losses import random_views

from alhvr.config import MethodConfig
from alhvr.losses.supervised import NOT_ANNOTATED
from alhvr.methods.alhvr import DualViews, alhvr_objective
from alhvr.methods.base import Objective
from alhvr.presets import OFFICIAL_METHOD, PAPER_METHOD

SIZE = (32, 40)
CONFIGS = [MethodConfig(teacher_competition=True), PAPER_METHOD, OFFICIAL_METHOD,
           MethodConfig(teacher_competition=True, cross_pseudo_regions=(1, 2, 3))]
PADDED = torch.zeros(4, *SIZE, dtype=torch.bool)
PADDED[:, :, 30:] = True
"""Two labelled and two unlabelled images, a quarter of each beyond the scan."""


def labels_with_padding() -> torch.Tensor:
    labels = torch.randint(0, 4, (2, *SIZE), generator=torch.Generator().manual_seed(11))
    return labels.masked_fill(PADDED[:2], NOT_ANNOTATED)


def objective_of(views: DualViews, config: MethodConfig) -> Objective:
    return alhvr_objective(views, labels_with_padding(), 0.1, config, inside=~PADDED)


def with_other_padding(views: DualViews, shift: float) -> DualViews:
    """The same views with other logits in the padding."""
    extra = torch.zeros(4, 4, *SIZE)
    extra[:, 2][PADDED] = shift
    return DualViews(*(replace(v, clean_logits=v.clean_logits.detach() + extra,
                               perturbed_logits=v.perturbed_logits.detach() + extra[2:])
                       for v in (views.a, views.b)))


@pytest.mark.parametrize("config", CONFIGS, ids=["standard", "paper", "official", "cross pseudo"])
def test_what_the_networks_say_in_padding_changes_nothing(config: MethodConfig) -> None:
    views = random_views(SIZE, stride=config.feature_stride)
    first, other = objective_of(views, config), objective_of(with_other_padding(views, 9.0), config)
    assert first.gamma == other.gamma and first.region_fractions == other.region_fractions
    for name, value in first.terms.items():
        torch.testing.assert_close(other.terms[name], value, msg=name)


@pytest.mark.parametrize("config", CONFIGS, ids=["standard", "paper", "official", "cross pseudo"])
def test_nothing_is_learnt_in_padding(config: MethodConfig) -> None:
    views = random_views(SIZE, stride=config.feature_stride)
    objective_of(views, config).total.backward()
    for network in (views.a, views.b):
        clean, perturbed = network.clean_logits.grad, network.perturbed_logits.grad
        assert not clean.movedim(1, -1)[PADDED].any() and clean.movedim(1, -1)[~PADDED].any()
        assert not perturbed.movedim(1, -1)[PADDED[2:]].any()


@pytest.mark.parametrize("config", CONFIGS, ids=["standard", "paper", "official", "cross pseudo"])
def test_a_mask_of_no_padding_is_no_mask(config: MethodConfig) -> None:
    views = random_views(SIZE, stride=config.feature_stride)
    labels = torch.randint(0, 4, (2, *SIZE), generator=torch.Generator().manual_seed(11))
    plain = alhvr_objective(views, labels, 0.1, config)
    masked = alhvr_objective(views, labels, 0.1, config, inside=torch.ones(4, *SIZE, dtype=torch.bool))
    torch.testing.assert_close(plain.total, masked.total, rtol=1e-6, atol=1e-6)


def test_gamma_is_that_of_the_scan_alone() -> None:
    """Sure padding, as beside a slice in the middle of a square, made beta 0.8 act like a far larger one."""
    config, views = CONFIGS[0], random_views(SIZE)
    cropped = DualViews(*(replace(v, clean_logits=v.clean_logits[..., :30],
                                  perturbed_logits=v.perturbed_logits[..., :30])
                          for v in (views.a, views.b)))
    found = objective_of(with_other_padding(views, 50.0), config).gamma
    torch.testing.assert_close(found, alhvr_objective(cropped, labels_with_padding()[..., :30], 0.1, config).gamma)


def test_images_that_are_all_padding_cost_nothing_and_leave_no_nan() -> None:
    views = random_views(SIZE)
    labels = torch.full((2, *SIZE), NOT_ANNOTATED)
    for config in CONFIGS[:1] + CONFIGS[2:]:
        objective = alhvr_objective(views, labels, 0.1, config, inside=torch.zeros(4, *SIZE, dtype=torch.bool))
        assert all(torch.isfinite(value) for value in objective.terms.values())
        assert objective.terms["unsupervised"] == 0
