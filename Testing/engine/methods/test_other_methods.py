"""The methods beside ALHVR, one step of each: who learns from whom, hard batches, and what a resumed run needs."""

from __future__ import annotations

import copy
import math
from dataclasses import replace

import pytest
import torch
from support import ROOT
from torch import Tensor

from alhvr.config import MethodConfig, TrainingConfig
from alhvr.core.errors import UserError
from alhvr.data.batches import Batch
from alhvr.formats.model_description import NetworkSpec
from alhvr.losses.supervised import NOT_ANNOTATED
from alhvr.methods.aau import corrupt, restoring_loss
from alhvr.methods.ac_mt import AcMt
from alhvr.methods.base import DeviceBatch, Objective
from alhvr.methods.evil import learnt_where_sure
from alhvr.methods.mcf import another_kind
from alhvr.methods.mean_teacher import MeanTeacher
from alhvr.methods.mlrp import taught
from alhvr.methods.registry import METHODS, build_method
from alhvr.methods.ug_mcl import mask_of_distance
from alhvr.networks.blocks import Decoded
from alhvr.networks.group import NetworkGroup
from alhvr.training.device import Compute
from alhvr.training.step import TrainingStep

NEW = [name for name in METHODS if name not in {"alhvr", "labels-only"}]
WITH_ARCHIVE = [name for name in NEW if METHODS[name].uses_archive]
NO_AUTOCAST = torch.autocast("cpu", enabled=False)
PLACES = [("dynunet", (32, 32)), ("vnet", (16, 16, 32))]


def networks_of(name: str, kind: str = "unet", dimensions: int = 2, n_classes: int = 3) -> NetworkGroup:
    spec = NetworkSpec(kind, dimensions, n_classes, width=2, names=METHODS[name].predicting)
    torch.manual_seed(1)
    return build_method(MethodConfig(name=name), 0).build(spec).train()


def batch_of(size: tuple[int, ...] = (32, 32), labelled: int = 1, unlabelled: int = 1) -> DeviceBatch:
    generator = torch.Generator().manual_seed(5)
    images = torch.randn(labelled + unlabelled, 1, *size, generator=generator)
    return DeviceBatch(images, torch.randint(3, (labelled, *size), generator=generator), labelled)


def objective(name: str, networks: NetworkGroup, batch: DeviceBatch, weight: float = 0.1,
              autocast: torch.autocast = NO_AUTOCAST) -> Objective:
    torch.manual_seed(2)
    return build_method(MethodConfig(name=name), 0).loss(networks, batch, 3, weight, autocast)


def learns(module: torch.nn.Module) -> bool:
    return any(p.grad is not None and p.grad.abs().sum() > 0 for p in module.parameters())


def hard_batches(size: tuple[int, ...]) -> list[DeviceBatch]:
    """Only background; nothing annotated; a part annotated, a class missing, padding; no unlabelled image."""
    plain = batch_of(size)
    empty = replace(plain, labels=torch.zeros_like(plain.labels))
    nothing = replace(plain, labels=torch.full_like(plain.labels, NOT_ANNOTATED), n_clean=0)
    labels, inside = plain.labels.clone(), torch.ones(2, *size, dtype=torch.bool)
    labels[labels == 1], inside[..., :6] = 0, False
    labels[..., :12] = NOT_ANNOTATED
    partly = DeviceBatch(plain.images, labels, 0, torch.tensor([[False, True, False]]), inside)
    return [empty, nothing, partly, batch_of(size, 2, 0)]


@pytest.mark.parametrize(("kind", "size"), PLACES)
@pytest.mark.parametrize("name", NEW)
def test_hard_batches_leave_losses_and_gradients_finite(name: str, kind: str, size: tuple[int, ...]) -> None:
    networks = networks_of(name, kind, len(size))
    for batch in hard_batches(size):
        networks.zero_grad()
        found = objective(name, networks, batch)
        found.total.backward()
        assert all(torch.isfinite(value) for value in found.terms.values()), found.terms
        assert all(torch.isfinite(p.grad).all() for p in networks.parameters() if p.grad is not None)


@pytest.mark.parametrize("name", NEW)
def test_half_precision_networks_get_a_float32_loss(name: str) -> None:
    found = objective(name, networks_of(name), batch_of(), autocast=torch.autocast("cpu", torch.bfloat16))
    assert {value.dtype for value in found.terms.values()} == {torch.float32} and torch.isfinite(found.total)


@pytest.mark.parametrize("name", NEW)
def test_all_that_learns_gets_a_gradient_and_a_teacher_gets_none(name: str) -> None:
    networks = networks_of(name)
    objective(name, networks, batch_of()).total.backward()
    learning = build_method(MethodConfig(name=name), 0).learning(networks)
    assert all(learns(networks[one]) for one in learning)
    assert not any(learns(networks[one]) for one in {*networks.names} - {*learning})
    assert ("teacher" in networks.names) == ("teacher" not in learning and "student" in learning)


@pytest.mark.parametrize("name", WITH_ARCHIVE)
def test_the_archive_counts_with_lambda_and_without_it_not_at_all(name: str) -> None:
    networks = networks_of(name)
    found, without = objective(name, networks, batch_of()), objective(name, networks, batch_of(), weight=0.0)
    assert "unsupervised" not in without.terms and found.terms["unsupervised"] >= 0
    if name != "evil":  # whose supervised loss changes with lambda too
        torch.testing.assert_close(found.total, without.total + 0.1 * found.terms["unsupervised"])


@pytest.mark.parametrize("name", WITH_ARCHIVE)
def test_a_step_that_was_saved_and_read_goes_on_to_the_same_weights(name: str) -> None:
    def new_step() -> TrainingStep:
        return TrainingStep(networks_of(name), build_method(MethodConfig(name=name), 0), TrainingConfig(),
                            Compute("cpu", "fp32", 1))

    device = batch_of()
    batch = Batch(device.images, device.labels, 1, 1)
    first, second = new_step(), new_step()
    first.run(batch, 0, weight=0.1, learning_rate=0.01)
    second.load_state(copy.deepcopy(first.state()))
    for step in (first, second):
        step.run(batch, 1, weight=0.1, learning_rate=0.01)
    left, right = first.networks.state_dict(), second.networks.state_dict()
    assert all(torch.equal(left[key], right[key]) for key in left)


def test_a_teacher_begins_as_the_student_and_follows_it() -> None:
    networks, method = networks_of("mean-teacher"), build_method(MethodConfig(name="mean-teacher"), 0)
    student, teacher = networks["student"].head.bias.detach(), networks["teacher"].head.bias.detach()
    assert torch.equal(student, teacher)
    student.fill_(1.0)
    teacher.fill_(0.0)
    method.after_step(networks, 1)  # a plain mean at first: decay 1 - 1 / 2
    assert float(teacher[0]) == pytest.approx(0.5)
    method.after_step(networks, 999)  # then 0.99
    assert float(teacher[0]) == pytest.approx(0.99 * 0.5 + 0.01)


def test_a_student_that_equals_its_teacher_pays_nothing_where_there_is_no_noise() -> None:
    networks = networks_of("mean-teacher", "dynunet")  # which has no dropout
    method = MeanTeacher(MethodConfig(name="mean-teacher", teacher_noise=0.0), 0)
    found = method.loss(networks, batch_of(), 0, 0.1, NO_AUTOCAST)
    assert float(found.terms["consistency"]) == pytest.approx(0, abs=1e-12)


def of_share(share: float) -> Tensor:
    """Probabilities of two classes [1, 2, 1, 1] whose entropy is this share of ln 2."""
    low, high = 1e-6, 0.5
    for _ in range(60):
        p = (low + high) / 2
        entropy = -(p * math.log(p) + (1 - p) * math.log(1 - p)) / math.log(2)
        low, high = (p, high) if entropy < share else (low, p)
    return torch.tensor([p, 1 - p]).reshape(1, 2, 1, 1)


@pytest.mark.parametrize(("share", "weight", "counts"), [(0.74, 0.0, False), (0.76, 0.0, True), (0.84, 0.05, False),
                                                         (0.86, 0.05, True), (0.94, 0.1, False), (0.96, 0.1, True)])
def test_only_what_the_student_is_unsure_of_counts_for_ac_mt(share: float, weight: float, counts: bool) -> None:
    # the threshold rises from 0.75 to 0.95 as lambda rises to its largest, 0.1
    assert bool(AcMt(MethodConfig(name="ac-mt"), 0).selected(of_share(share), weight)) is counts


def test_of_two_networks_the_worse_one_on_the_labels_learns_the_sharpened_other_in_mcf() -> None:
    method = build_method(MethodConfig(name="mcf"), 0)
    z = [torch.tensor([0.0, math.log(3)]).reshape(1, 2, 1, 1).requires_grad_(),
         torch.zeros(1, 2, 1, 1, requires_grad=True)]

    class Scored:
        def __init__(self, dice: float) -> None:
            self.dice = torch.tensor(dice)

    every = torch.ones(1, 1, 1, dtype=torch.bool)
    loss = method._rectified(z, [Scored(0.2), Scored(0.4)], every)
    # (0.25, 0.75) sharpened with T = 0.1 is 1 / (1 + 3^10) and the rest; the other one says (0.5, 0.5)
    assert float(loss) == pytest.approx((0.5 - 1 / (1 + 3**10))**2)
    loss.backward()
    assert z[0].grad is None or not z[0].grad.any()
    assert z[1].grad.any()


@pytest.mark.parametrize(("kind", "dimensions", "other"), [("unet", 2, "dynunet"), ("vnet", 3, "dynunet"),
                                                           ("dynunet", 2, "unet"), ("dynunet", 3, "vnet")])
def test_the_second_network_of_mcf_is_of_another_kind(kind: str, dimensions: int, other: str) -> None:
    assert another_kind(kind, dimensions) == other


def test_mcf_says_what_patch_it_needs() -> None:
    with pytest.raises(UserError, match="too small for the method mcf.* 32 or more"):
        objective("mcf", networks_of("mcf"), batch_of((16, 16)))


def test_a_decoder_of_mlrp_learns_from_the_surer_one_as_far_as_its_features_bear_it_out() -> None:
    unsure, sure = torch.zeros(1, 2, 1, 1, requires_grad=True), torch.tensor([math.log(9), 0.0]).reshape(1, 2, 1, 1)
    features, every = torch.tensor([3.0, 4.0]).reshape(1, 2, 1, 1), torch.ones(1, 1, 1, dtype=torch.bool)
    sure.requires_grad_()
    loss = taught(Decoded(unsure, features), Decoded(sure, features), every)
    # p = (0.9, 0.1), cosines (1, 0): reliability 1 - (0.01 + 0.01) / 2; cross-entropy of (0.5, 0.5) is ln 2
    assert float(loss) == pytest.approx(0.99 * math.log(2))
    loss.backward()
    assert unsure.grad.any() and sure.grad is None
    assert taught(Decoded(sure, features), Decoded(unsure, features), every) == 0


def test_a_plain_network_learns_from_an_evidential_one_where_its_uncertainty_is_below_a_fifth() -> None:
    every = torch.ones(1, 1, 2, dtype=torch.bool)
    found = torch.tensor([[16.2, 0.0], [0.0, 15.0], [0.0, 0.5], [0.0, 0.0]])[None, :, None]  # sums 16.2 and 15.5
    uncertainty = 4 / (found.sum(dim=1) + 4)
    assert (uncertainty < 0.2).flatten().tolist() == [True, False]
    loss = learnt_where_sure(torch.zeros(1, 4, 1, 2), found, every)
    assert float(loss) == pytest.approx(math.log(4) / 2)  # one pixel of the two


def test_a_distance_map_is_negative_inside_its_mask() -> None:
    z = torch.tensor([0.0, math.atanh(-0.1), 5.0])
    assert mask_of_distance(z).tolist() == pytest.approx([0.5, 1 / (1 + math.exp(-1)), 0.0], abs=1e-4)


def test_restoring_labels_costs_half_of_squares_and_dice() -> None:
    clean = torch.tensor([1.0, 0.0]).reshape(1, 2, 1, 1)
    # both probabilities are 0.5: squares 0.25; Dice 1 - 1 / 1.25 for the class that is there, 1 for the other
    found = restoring_loss(torch.zeros(1, 2, 1, 1), clean, None)
    assert float(found) == pytest.approx(0.5 * (0.25 + (0.2 + 1.0) / 2), abs=1e-4)
    assert restoring_loss(torch.zeros(1, 2, 1, 1), clean, torch.tensor([[False, True]])) == 0


def test_corrupted_labels_stay_near_whole_classes_and_repeat_with_torchs_seed() -> None:
    maps = torch.nn.functional.one_hot(torch.arange(48 * 48).reshape(1, 48, 48) % 48 // 20, 3).permute(0, 3, 1, 2)
    many = maps.float().repeat(8, 1, 1, 1)
    torch.manual_seed(3)
    first = corrupt(many)
    torch.manual_seed(3)
    assert torch.equal(first, corrupt(many))
    changed = (first.round() != many).float().mean(dim=(1, 2, 3))
    assert (changed > 0).any() and (changed == 0).any() and (changed < 0.5).all()
    assert (first.round().sum(dim=1) == 1).all() and (first - first.round()).abs().max() <= 0.2001


def test_the_method_of_the_documentation_learns_from_the_archive() -> None:
    page = (ROOT / "docs" / "methods.md").read_text(encoding="utf-8")
    code = page.split("```python\n")[1].split("```")[0]
    assert len(code.splitlines()) <= 32
    known: dict[str, type] = {"__name__": "entropy"}
    exec(code, known)
    networks = networks_of("supervised")
    method = known["EntropyMinimisation"](MethodConfig(), 0)
    found = method.loss(networks, batch_of(), 3, 0.1, NO_AUTOCAST)
    assert 0 < found.terms["entropy"] <= math.log(3)
    labelled = found.terms["supervised_ce"] + found.terms["supervised_dice"]
    torch.testing.assert_close(found.terms["total"], labelled + 0.1 * found.terms["entropy"])
