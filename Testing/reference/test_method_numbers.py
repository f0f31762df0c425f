"""Facts 1 to 9 and 16 to 19 of docs/method.md: gamma, regions, competition, Dice; computed outside this package."""

from __future__ import annotations

import pytest
import torch
from method_numbers import close, pixels

from alhvr.config import MethodConfig
from alhvr.losses.competition import competition_loss, pixel_entropy, sharpen, teacher
from alhvr.losses.regions import confidence_threshold, split_regions
from alhvr.losses.supervised import dice_per_class
from alhvr.methods.alhvr import DualViews, Views, alhvr_objective

FACT_3_A = torch.tensor([0.9, 0.6, 0.8, 0.5, 0.7, 0.7, 0.7])
FACT_3_B = torch.tensor([0.8, 0.5, 0.6, 0.9, 0.7, 0.6, 0.9])


def test_fact_1_gamma_of_five_pixels():
    close(confidence_threshold(torch.tensor([0.9, 0.5, 0.7, 0.99, 0.6]), 0.8), 0.675)


@pytest.mark.parametrize(("shape", "beta", "count"), [
    ((8, 256, 256), 0.8, 419430), ((2, 96, 96, 96), 0.7, 1238630),
])
def test_fact_1_gamma_counts_the_floor_of_the_share(shape, beta, count):
    values = torch.ones(shape).flatten()
    values[:count] = 0.5
    assert confidence_threshold(values.reshape(shape), beta) == 0.5
    values[count - 1] = 1.0
    assert confidence_threshold(values.reshape(shape), beta) > 0.5


def test_fact_2_gamma_is_pooled_over_the_batch():
    images = torch.tensor([[0.99, 0.98, 0.97, 0.96], [0.6, 0.55, 0.8, 0.7]])
    close(confidence_threshold(images, 0.75), 0.763333)
    close(confidence_threshold(images[0], 0.75), 0.97)
    close(confidence_threshold(images[1], 0.75), 0.616667)


def test_fact_3_the_three_regions_of_seven_pixels():
    regions = split_regions(FACT_3_A, FACT_3_B, torch.tensor(0.7))
    assert regions.reliable_stable.int().tolist() == [1, 0, 0, 0, 1, 0, 1]
    assert regions.reliable_unstable.int().tolist() == [0, 0, 1, 1, 0, 1, 0]
    assert regions.unreliable_stable.int().tolist() == [0, 1, 0, 0, 0, 0, 0]


def test_fact_3_the_learning_masks_close_the_gaps_at_ties():
    regions = split_regions(FACT_3_A, FACT_3_B, torch.tensor(0.7))
    assert regions.learn_a.int().tolist() == [0, 0, 0, 1, 0, 0, 0]
    assert regions.learn_b.int().tolist() == [0, 0, 1, 0, 0, 1, 0]


def random_confidences() -> tuple[torch.Tensor, torch.Tensor]:
    """Confidences of two networks on a coarse grid of values, so that ties with gamma happen."""
    generator = torch.Generator().manual_seed(4)
    return tuple(torch.randint(1, 5, (2, 9, 9), generator=generator) / 4 for _ in range(2))


@pytest.mark.parametrize("gamma", [0.25, 0.5, 0.6, 0.75, 1.0])
def test_fact_4_the_regions_are_a_partition_and_the_masks_split_the_second(gamma):
    regions = split_regions(*random_confidences(), torch.tensor(gamma))
    parts = (regions.reliable_stable, regions.reliable_unstable, regions.unreliable_stable)
    assert (sum(p.int() for p in parts) == 1).all()
    assert not (regions.learn_a & regions.learn_b).any()
    assert torch.equal(regions.learn_a | regions.learn_b, regions.reliable_unstable)


def test_fact_4_swapping_the_networks_swaps_the_masks_and_keeps_gamma():
    a, b = random_confidences()
    gamma = confidence_threshold((a + b) / 2, 0.8)
    assert gamma == confidence_threshold((b + a) / 2, 0.8)
    own, swapped = split_regions(a, b, gamma), split_regions(b, a, gamma)
    assert torch.equal(own.learn_a, swapped.learn_b)
    assert torch.equal(own.learn_b, swapped.learn_a)


def test_fact_5_gamma_rises_with_beta_up_to_the_mean_and_carries_no_gradient():
    confidence = torch.randn(2, 4, 16, 16, generator=torch.Generator().manual_seed(5)).softmax(1).amax(1)
    confidence.requires_grad_()
    gammas = [confidence_threshold(confidence, beta) for beta in (0.1, 0.3, 0.5, 0.7, 0.9, 1.0)]
    assert all(low <= high for low, high in zip(gammas, gammas[1:], strict=False))
    assert gammas[0] >= 0.25
    assert gammas[-1] <= confidence.mean() + 1e-6
    assert not any(gamma.requires_grad for gamma in gammas)


@pytest.mark.parametrize(("p", "expected", "tolerance"), [
    (0.0, 0.0, 0), (0.2, 9.536734e-7, 1e-12), (0.3, 2.0899763e-4, 1e-11), (0.4, 0.01704593, 1e-8),
    (0.5, 0.5, 0), (0.6, 0.98295407, 1e-8), (1.0, 1.0, 0),
])
def test_fact_6_binary_sharpening(p, expected, tolerance):
    sharp = sharpen(pixels((p, 1 - p), dtype=torch.float64), 0.1).flatten()
    close(sharp[0], expected, tolerance)
    close(sharp.sum(), 1.0)


def test_fact_6_the_slope_at_a_half_is_the_inverse_temperature():
    p = torch.full((1, 1, 1, 1), 0.5, requires_grad=True)
    sharpen(p, 0.1).sum().backward()
    close(p.grad.flatten()[0], 10.0)


@pytest.mark.parametrize("mode", ["binary", "normalized"])
def test_fact_6_temperature_one_changes_nothing(mode):
    p = pixels((0.7, 0.2, 0.1), (1.0, 0.0, 0.0))
    torch.testing.assert_close(sharpen(p, 1.0, mode), p)


def test_fact_7_sharpening_of_four_classes():
    p = pixels((0.4, 0.35, 0.25, 0.0), dtype=torch.float64)
    binary = sharpen(p, 0.1, "binary").flatten()
    close(binary, [0.01704593, 0.00204483, 1.69348e-5, 0.0], 1e-8)
    close(binary.sum(), 0.01910770, 1e-8)
    close(sharpen(p, 0.1, "normalized").flatten(), [0.78605814, 0.2067927, 0.00714916, 0.0], 1e-8)


@pytest.mark.parametrize("mode", ["binary", "normalized"])
def test_fact_8_both_forms_agree_for_two_classes(mode):
    close(sharpen(pixels((0.7, 0.3)), 0.1, mode).flatten(), [0.999791, 0.000208998])


def test_fact_9_the_more_confident_network_gives_its_whole_vector():
    a, b = pixels((0.8, 0.15, 0.05), (0.4, 0.35, 0.25)), pixels((0.2, 0.1, 0.7), (0.1, 0.6, 0.3))
    taught = teacher(a, b)
    assert torch.equal(taught[..., 0], a[..., 0])
    assert torch.equal(taught[..., 1], b[..., 1])
    assert torch.equal(taught.amax(1), torch.maximum(a.amax(1), b.amax(1)))


@pytest.mark.parametrize("tie", ["a", "b"])
def test_fact_9_equal_confidence_goes_to_the_network_of_the_preset(tie):
    networks = {"a": pixels((0.6, 0.4)), "b": pixels((0.4, 0.6))}
    assert torch.equal(teacher(networks["a"], networks["b"], tie=tie), networks[tie])


def test_fact_16_the_competition_mse_sums_over_classes():
    student, target = pixels((0.6, 0.4)), sharpen(pixels((0.8, 0.2)), 0.1)
    close(competition_loss(student, student, target, torch.ones(1, 1, 1, dtype=torch.bool)).mse, 0.31999847, 1e-7)


@pytest.mark.parametrize(("vector", "expected"), [
    ((0.25, 0.25, 0.25, 0.25), 1.3862903), ((1.0, 0.0, 0.0, 0.0), -1e-6), ((0.7, 0.1, 0.1, 0.1), 0.9404440),
])
def test_fact_17_entropy_of_a_pixel(vector, expected):
    close(pixel_entropy(pixels(vector)).flatten()[0], expected, 5e-7)


def test_fact_17_entropy_is_averaged_over_all_pixels():
    uniform, certain = pixels(*[(0.25,) * 4] * 4), pixels(*[(1.0, 0.0, 0.0, 0.0)] * 4)
    mask = torch.tensor([[[True, False, False, False]]])
    one_view = competition_loss(uniform, certain, certain, mask).entropy + 1e-6 / 4
    close(one_view, 0.3465726, 5e-7)


def test_fact_18_where_both_are_sure_everywhere_the_total_is_the_supervised_loss():
    generator = torch.Generator().manual_seed(6)
    sure = torch.full((2, 3, 16, 16), -400.0)
    sure[:, 0] = 400.0
    both = [
        Views(
            torch.randn(4, 3, 16, 16, generator=generator).requires_grad_(), sure.clone().requires_grad_(),
            torch.randn(2, 5, 2, 2, generator=generator),
            torch.randn(2, 5, 2, 2, generator=generator).requires_grad_(),
        )
        for _ in range(2)
    ]
    labels = torch.randint(0, 3, (2, 16, 16), generator=generator)
    objective = alhvr_objective(DualViews(*both), labels, 0.1, MethodConfig(teacher_competition=True))
    objective.total.backward()
    names = ("prototype_ce", "prototype_cosine", "competition_mse", "competition_entropy", "unsupervised")
    assert all(objective.terms[name] == 0 for name in names)
    assert objective.total == objective.terms["supervised_ce"] + objective.terms["supervised_dice"]
    assert all(torch.isfinite(v.clean_logits.grad).all() and not v.perturbed_logits.grad.any() for v in both)


def dice_of_one_class(score: list[float], target: list[float], kind: str) -> torch.Tensor:
    score, target = torch.tensor(score).reshape(1, 1, -1), torch.tensor(target).reshape(1, 1, -1)
    return dice_per_class(score, target, dice=kind)[0]


@pytest.mark.parametrize(("kind", "perfect", "fair", "absent"), [
    ("standard", 0.0, 0.0819669, 0.0), ("official", 0.5, 0.5409836, 1.0),
])
def test_fact_19_dice_of_a_perfect_a_fair_and_an_absent_class(kind, perfect, fair, absent):
    close(dice_of_one_class([1, 1, 0, 0], [1.0, 1, 0, 0], kind), perfect)
    close(dice_of_one_class([0.8, 0.6, 0.2, 0.1], [1.0, 1, 0, 0], kind), fair)
    close(dice_of_one_class([0.0, 0, 0, 0], [0.0, 0, 0, 0], kind), absent)


def test_fact_19_an_absent_class_has_no_gradient_in_the_official_form_only():
    slopes = {}
    for kind in ("standard", "official"):
        score = torch.full((1, 1, 4), 0.3, requires_grad=True)
        dice_per_class(score, torch.zeros(1, 1, 4), dice=kind).sum().backward()
        slopes[kind] = float(score.grad.abs().max())
    assert slopes["official"] == 0
    assert slopes["standard"] > 0
