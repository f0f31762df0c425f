"""One training step: repeatable from seed and iteration alone, supervised where lambda is zero, finite in bf16."""

from __future__ import annotations

import copy
import dataclasses

import pytest
import torch

from alhvr.config import MethodConfig, TrainingConfig
from alhvr.data.batches import Batch
from alhvr.losses.supervised import supervised_loss
from alhvr.methods.alhvr import forward_views
from alhvr.methods.registry import build_method
from alhvr.networks.group import NetworkGroup
from alhvr.presets import OFFICIAL_METHOD
from alhvr.training.device import Compute
from alhvr.training.step import TrainingStep

CPU = Compute("cpu", "fp32", 1)
CLASSES = 3


def batch_of(labeled: int = 2, unlabeled: int = 2) -> Batch:
    generator = torch.Generator().manual_seed(5)
    images = torch.randn(labeled + unlabeled, 1, 16, 16, generator=generator)
    return Batch(images, torch.randint(CLASSES, (labeled, 16, 16), generator=generator), labeled, labeled)


def new_step(*, method: MethodConfig | None = None, compute: Compute = CPU, seed: int = 0) -> TrainingStep:
    torch.manual_seed(1)
    return TrainingStep(NetworkGroup("unet", 2, CLASSES), build_method(method or MethodConfig(), seed),
                        TrainingConfig(seed=seed), compute)


def weights_after(step: TrainingStep, *, iteration: int = 3, batch: Batch | None = None, weight: float = 0.1) -> dict:
    step.run(batch or batch_of(), iteration, weight=weight, learning_rate=0.01)
    return {name: value.clone() for name, value in step.networks.state_dict().items()}


def equal(left: dict, right: dict) -> bool:
    return all(torch.equal(left[name], right[name]) for name in left)


def test_seed_and_iteration_alone_decide_a_step() -> None:
    first = weights_after(new_step())
    torch.manual_seed(999)
    torch.rand(100)
    assert equal(first, weights_after(new_step()))
    assert not equal(first, weights_after(new_step(), iteration=4))
    assert not equal(first, weights_after(new_step(seed=1)))


@pytest.mark.parametrize("method", [MethodConfig(), OFFICIAL_METHOD])
def test_with_lambda_zero_only_the_labels_teach(method: MethodConfig) -> None:
    step, reference = new_step(method=method), new_step(method=method)
    objective = step.run(batch_of(), 3, weight=0.0, learning_rate=0.01)
    terms = objective.terms
    assert terms["total"] == terms["supervised_ce"] + terms["supervised_dice"] and "unsupervised" not in terms
    supervised_only(reference, batch_of(), method)
    trained = dict(step.networks.named_parameters())
    for name, expected in reference.networks.named_parameters():
        torch.testing.assert_close(trained[name], expected, rtol=0, atol=1e-7, msg=name)


def supervised_only(step: TrainingStep, batch: Batch, method: MethodConfig) -> None:
    """The same step with the supervised loss of the same views alone."""
    step._seed(3)
    step.networks.train()
    images = batch.images.to(memory_format=torch.channels_last)
    labels = batch.labels
    views = forward_views(step.networks, images, batch.n_clean, None)
    logits = [view.clean_logits[:batch.n_labeled] for view in (views.a, views.b)]
    step._update(sum(supervised_loss(x, labels, dice=method.dice).total for x in logits), 0.01)


def test_a_batch_without_unlabelled_images_teaches_by_its_labels() -> None:
    objective = new_step().run(batch_of(unlabeled=0), 0, weight=0.1, learning_rate=0.01)
    assert set(objective.terms) == {"supervised_ce", "supervised_dice", "total"} and objective.gamma is None


def test_both_networks_move_and_stay_different() -> None:
    step = new_step()
    before = {name: value.clone() for name, value in step.networks.named_parameters()}
    weights_after(step)
    moved = {name for name, value in step.networks.named_parameters() if not torch.equal(value, before[name])}
    assert {"a", "b"} == {name.partition(".")[0] for name in moved}
    assert not torch.equal(step.networks.a.head.weight, step.networks.b.head.weight)


def test_sixteen_bits_give_a_finite_loss_in_32_and_finite_weights() -> None:
    step = new_step(compute=dataclasses.replace(CPU, precision="bf16"))
    objective = step.run(batch_of(), 0, weight=0.1, learning_rate=0.01)
    assert objective.total.dtype == torch.float32 and torch.isfinite(objective.total)
    assert all(torch.isfinite(value).all() for value in step.networks.parameters())


def test_the_learning_rate_of_the_step_is_used() -> None:
    still, step = new_step(), new_step()
    before = [value.clone() for value in still.networks.parameters()]
    still.run(batch_of(), 0, weight=0.1, learning_rate=0.0)
    assert all(torch.equal(a, b) for a, b in zip(before, still.networks.parameters(), strict=True))
    step.run(batch_of(), 0, weight=0.1, learning_rate=0.5)
    assert not torch.equal(before[0], next(step.networks.parameters()))


def test_a_step_from_a_saved_state_is_the_step_that_would_have_been() -> None:
    step, other = new_step(), new_step()
    weights_after(step, iteration=0)
    other.load_state(copy.deepcopy(step.state()))
    assert equal(weights_after(step, iteration=1), weights_after(other, iteration=1))
