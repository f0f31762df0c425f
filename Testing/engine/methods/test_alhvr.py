"""Tests of alhvr.methods.alhvr: the sum against the direct form, its names, switches, memory and hard cases."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from direct_losses import direct_objective, leaves, random_views
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from alhvr.config import MethodConfig
from alhvr.losses.regions import confidence_threshold
from alhvr.methods.alhvr import DualViews, Views, alhvr_objective
from alhvr.presets import OFFICIAL_METHOD, PAPER_METHOD

BOTH = MethodConfig(teacher_competition=True)
"""Our own choices, with both of the method's modules on."""
PRESETS = [BOTH, PAPER_METHOD, OFFICIAL_METHOD]
SIZES = [(32, 40), (16, 24, 16)]
TERMS = {
    "supervised_ce", "supervised_dice", "prototype_ce", "prototype_cosine",
    "competition_mse", "competition_entropy", "unsupervised", "total",
}


def labels_for(size: tuple[int, ...], n_labeled: int = 2) -> torch.Tensor:
    return torch.randint(0, 4, (n_labeled, *size), generator=torch.Generator().manual_seed(11))


def gradients(loss: torch.Tensor, views: DualViews) -> list[torch.Tensor]:
    return torch.autograd.grad(loss, leaves(views), materialize_grads=True)


def assert_finite(views: DualViews, config: MethodConfig, size: tuple[int, ...], n_labeled: int = 2) -> None:
    objective = alhvr_objective(views, labels_for(size, n_labeled), 0.1, config)
    assert all(torch.isfinite(value) for value in objective.terms.values()), objective.terms
    assert all(torch.isfinite(g).all() for g in gradients(objective.total, views))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("config", PRESETS, ids=lambda c: c.preset)
@pytest.mark.parametrize("size", SIZES)
def test_loss_and_gradients_equal_the_equations_written_out(size, config, dtype):
    views = random_views(size, dtype=dtype)
    own = alhvr_objective(views, labels_for(size), 0.1, config).total
    direct = direct_objective(views, labels_for(size), 0.1, config)
    torch.testing.assert_close(own.float(), direct.float(), rtol=1e-6, atol=1e-6)
    for mine, plain in zip(gradients(own, views), gradients(direct, views), strict=True):
        assert (mine - plain).norm() <= 1e-5 * plain.norm()


@pytest.mark.parametrize("config", PRESETS, ids=lambda c: c.preset)
def test_the_total_is_the_supervised_loss_plus_lambda_times_the_rest(config):
    config = replace(config, ce_weight=3.0)
    terms = alhvr_objective(random_views((32, 40)), labels_for((32, 40)), 0.1, config).terms
    assert set(terms) == TERMS
    rest = terms["prototype_cosine"] + terms["competition_mse"] + terms["competition_entropy"]
    torch.testing.assert_close(terms["unsupervised"], 3 * terms["prototype_ce"] + rest)
    total = terms["supervised_ce"] + terms["supervised_dice"] + 0.1 * terms["unsupervised"]
    torch.testing.assert_close(terms["total"], total)


def test_gamma_and_the_region_fractions_are_reported():
    objective = alhvr_objective(random_views((32, 40)), labels_for((32, 40)), 0.1, BOTH)
    assert 0.25 <= float(objective.gamma) <= 1
    assert float(sum(objective.region_fractions.values())) == pytest.approx(1)
    assert all(0.01 < float(f) < 0.99 for f in objective.region_fractions.values())


def test_without_perturbed_outputs_only_the_labels_count():
    full = random_views((32, 40))
    views = DualViews(Views(full.a.clean_logits), Views(full.b.clean_logits))
    objective = alhvr_objective(views, labels_for((32, 40)), 0.1, BOTH)
    assert set(objective.terms) == {"supervised_ce", "supervised_dice", "total"}
    assert objective.gamma is None
    assert objective.region_fractions == {}
    assert torch.equal(objective.total, alhvr_objective(full, labels_for((32, 40)), 0.0, BOTH).total)


def test_swapping_the_networks_changes_nothing_but_their_names():
    views = random_views((32, 40))
    own, swapped = (
        alhvr_objective(v, labels_for((32, 40)), 0.1, BOTH) for v in (views, DualViews(views.b, views.a))
    )
    assert own.gamma == swapped.gamma
    for name, value in own.terms.items():
        torch.testing.assert_close(swapped.terms[name], value)


@pytest.mark.parametrize("change", [
    {"ce_alignment": "broadcast"}, {"ce_weight": 4.0}, {"cosine_loss": "all"}, {"sharpening": "normalized"},
    {"detach_teacher": False}, {"detach_prototypes": False}, {"entropy_mean": "masked"}, {"dice": "official"},
    {"beta": 0.5}, {"temperature": 0.5},
], ids=str)
def test_each_switch_changes_the_gradient(change):
    views, labels = random_views((32, 40)), labels_for((32, 40))
    before, after = (
        gradients(alhvr_objective(views, labels, 0.1, config).total, views)
        for config in (BOTH, replace(BOTH, **change))
    )
    assert any(not torch.allclose(x, y, rtol=1e-3, atol=0) for x, y in zip(before, after, strict=True))


def test_ties_go_to_the_teacher_that_is_named():
    logits = torch.tensor([2.0, 0.0, 0.0, 0.0]).reshape(1, 4, 1, 1).expand(2, 4, 16, 24)
    views = random_views((16, 24), images=(1, 1))
    views = DualViews(replace(views.a, clean_logits=logits), replace(views.b, clean_logits=logits[:, [1, 0, 2, 3]]))
    values = [
        alhvr_objective(views, labels_for((16, 24), 1), 0.1, replace(BOTH, tie_teacher=tie)).terms["competition_mse"]
        for tie in ("a", "b")
    ]
    assert values[0] != values[1]


@pytest.mark.parametrize("stride", [1, 4, 8])
def test_features_of_any_stride_are_accepted(stride):
    views = random_views((32, 40), stride=stride)
    own = alhvr_objective(views, labels_for((32, 40)), 0.1, BOTH).total
    torch.testing.assert_close(own, direct_objective(views, labels_for((32, 40)), 0.1, BOTH))


EVERY_SWITCH = MethodConfig(
    teacher_competition=True,
    absent_class="exclude", sharpening="normalized", entropy_mean="masked", detach_teacher=False,
    detach_prototypes=False, cosine_loss="all", ce_alignment="broadcast",
)
HARD = [BOTH, OFFICIAL_METHOD, EVERY_SWITCH]


@pytest.mark.parametrize("config", HARD, ids=["paper", "official", "every switch"])
@pytest.mark.parametrize("spread", [0.0, 1e-3, 300.0])
def test_constant_and_saturated_predictions_leave_everything_finite(config, spread):
    assert_finite(random_views((16, 24), spread=spread), config, (16, 24))


@pytest.mark.parametrize("config", HARD, ids=["paper", "official", "every switch"])
@pytest.mark.parametrize("size", SIZES)
def test_one_labelled_and_one_unlabelled_image_are_enough(config, size):
    assert_finite(random_views(size, images=(1, 1)), config, size, n_labeled=1)


@pytest.mark.parametrize("config", HARD, ids=["paper", "official", "every switch"])
def test_zero_features_and_a_single_predicted_class_leave_everything_finite(config):
    views = random_views((16, 24))
    with torch.no_grad():
        for network in (views.a, views.b):
            network.clean_features.zero_()
            network.perturbed_features.zero_()
            network.clean_logits[:, 2] += 50
    assert_finite(views, config, (16, 24))


@pytest.mark.parametrize(("switch", "terms"), [
    ("prototype_consistency", {"prototype_ce", "prototype_cosine"}),
    ("teacher_competition", {"competition_mse", "competition_entropy"}),
])
def test_either_module_can_be_switched_off(switch: str, terms: set[str]) -> None:
    views, labels = random_views((32, 40)), labels_for((32, 40))
    whole = alhvr_objective(views, labels, 0.1, BOTH).terms
    less = alhvr_objective(views, labels, 0.1, replace(BOTH, **{switch: False})).terms
    assert set(less) == TERMS - terms
    torch.testing.assert_close(less["unsupervised"], whole["unsupervised"] - sum(whole[name] for name in terms))


def test_with_both_modules_off_only_the_labels_teach() -> None:
    views = random_views((32, 40))
    off = alhvr_objective(views, labels_for((32, 40)), 0.1, replace(BOTH, prototype_consistency=False,
                                                                    teacher_competition=False))
    assert off.terms["unsupervised"] == 0 and off.total == off.terms["supervised_ce"] + off.terms["supervised_dice"]


@pytest.mark.parametrize("name", ["prototype_ce", "prototype_cosine", "competition_mse", "competition_entropy"])
def test_each_term_has_a_weight_of_its_own(name: str) -> None:
    views, labels = random_views((32, 40)), labels_for((32, 40))
    setting = {"prototype_ce": "ce_weight"}.get(name, name.split("_")[1] + "_weight")
    whole = alhvr_objective(views, labels, 0.1, BOTH).terms
    without = alhvr_objective(views, labels, 0.1, replace(BOTH, **{setting: 0.0})).terms
    torch.testing.assert_close(without["unsupervised"], whole["unsupervised"] - whole[name])


@pytest.mark.parametrize("regions", [(1,), (2,), (3,), (1, 3)])
def test_cross_pseudo_supervision_acts_in_the_regions_named(regions: tuple[int, ...]) -> None:
    views = random_views((32, 40))
    config = replace(BOTH, prototype_consistency=False, teacher_competition=False, cross_pseudo_regions=regions)
    alhvr_objective(views, labels_for((32, 40)), 0.1, config).total.backward()
    confidence = [v.perturbed_logits.detach().softmax(dim=1).amax(dim=1) for v in (views.a, views.b)]
    gamma = confidence_threshold(sum(confidence) / 2, config.beta)
    number = 3 - sum((c >= gamma).int() for c in confidence)
    wanted = sum((number == region).int() for region in regions) > 0
    learnt = views.a.clean_logits.grad[2:].abs().sum(dim=1) > 0
    assert torch.equal(learnt, wanted)


def test_images_on_which_both_are_equally_sure_carry_no_unsupervised_loss():
    logits = torch.tensor([4.0, 0.0, 0.0, 0.0]).reshape(1, 4, 1, 1).repeat(2, 1, 16, 24)
    views = random_views((16, 24))
    views = DualViews(*(replace(v, perturbed_logits=logits.clone().requires_grad_()) for v in (views.a, views.b)))
    objective = alhvr_objective(views, labels_for((16, 24)), 0.1, BOTH)
    assert objective.region_fractions["reliable_stable"] == 1
    assert objective.terms["unsupervised"] == 0


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_networks_under_autocast_get_a_float32_loss(dtype):
    full = random_views((16, 24))
    halves = [
        Views(**{name: tensor.detach().to(dtype).requires_grad_() for name, tensor in vars(network).items()})
        for network in (full.a, full.b)
    ]
    views, labels = DualViews(*halves), labels_for((16, 24))
    widened = DualViews(*(Views(**{k: t.detach().float() for k, t in vars(v).items()}) for v in halves))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        objective = alhvr_objective(views, labels, 0.1, BOTH)
    assert torch.equal(objective.total, alhvr_objective(widened, labels, 0.1, BOTH).total)
    assert all(g.dtype == dtype and torch.isfinite(g).all() for g in gradients(objective.total, views))


class Largest(TorchDispatchMode):
    """Remembers the number of elements of the largest tensor that any operation made, backward included."""

    elements = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        sizes = [t.numel() for t in tree_leaves(result) if isinstance(t, torch.Tensor)]
        self.elements = max([self.elements, *sizes])
        return result


@pytest.mark.parametrize("config", PRESETS, ids=lambda c: c.preset)
@pytest.mark.parametrize("size", [(64, 64), (16, 32, 16)])
def test_no_tensor_is_larger_than_the_logits_although_the_features_have_many_channels(size, config):
    views = random_views(size, channels=64)
    with Largest() as largest:
        alhvr_objective(views, labels_for(size), 0.1, config).total.backward()
    assert largest.elements == views.a.clean_logits.numel()


def test_the_direct_form_would_fail_the_memory_test():
    views = random_views((64, 64), channels=64)
    with Largest() as largest:
        direct_objective(views, labels_for((64, 64)), 0.1, BOTH).backward()
    assert largest.elements == 2 * 64 * 64 * 64
