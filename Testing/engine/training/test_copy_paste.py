"""Mixing labelled images with those of the archive: what shows where, what counts as annotated, and what learns."""

import numpy as np
import pytest
import torch
from torch import Tensor

from alhvr.config import CopyPasteConfig, MethodConfig, TrainingConfig
from alhvr.core.errors import UserError
from alhvr.data.batches import Batch
from alhvr.formats.labels import NOT_ANNOTATED
from alhvr.methods.base import DeviceBatch
from alhvr.methods.registry import build_method
from alhvr.networks.group import NetworkGroup
from alhvr.training.copy_paste import copy_paste, labeled_alone, teacher_probability
from alhvr.training.device import Compute
from alhvr.training.loop import WeightAverage
from alhvr.training.step import Mixing, TrainingStep

ON = CopyPasteConfig(use=True)
OWN, OTHER = 1.0, 2.0
"""Values of all pixels of the labelled images, and of those of the archive."""


def batch_of(size: tuple[int, ...] = (16, 16), labels: Tensor | None = None, **about) -> DeviceBatch:
    """Three labelled images, all of class 1, and two of the archive."""
    images = torch.full((5, 1, *size), OWN)
    images[3:] = OTHER
    labels = torch.ones(3, *size, dtype=torch.int64) if labels is None else labels
    return DeviceBatch(images, labels, about.pop("n_clean", 3), **about)


def sure_of(index: int, size: tuple[int, ...] = (16, 16), confidence: float = 0.9) -> Tensor:
    """A teacher's probabilities of three classes for two images: ``confidence`` for one class, everywhere."""
    probability = torch.full((2, 3, *size), (1 - confidence) / 2)
    probability[:, index] = confidence
    return probability


def mixed(batch: DeviceBatch, probability: Tensor, *, config: CopyPasteConfig = ON, seed: int = 0, share: float = 1.0):
    return copy_paste(batch, probability, config, np.random.default_rng(seed), share)


@pytest.mark.parametrize("size", [(16, 16), (16, 32, 16)])
def test_every_pixel_has_the_label_of_the_scan_that_shows_there(size) -> None:
    found = mixed(batch_of(size), sure_of(2, size))
    own = found.images[:, 0] == OWN
    assert found.images.shape == (3, 1, *size) and own.any() and not own.all()
    assert (found.labels == torch.where(own, 1, 2)).all() and found.n_clean == 3


def test_where_the_teacher_is_not_confident_nothing_is_annotated() -> None:
    found = mixed(batch_of(), sure_of(2, confidence=0.79))
    assert (found.labels == torch.where(found.images[:, 0] == OWN, 1, NOT_ANNOTATED)).all() and found.n_clean == 0


def test_the_box_has_the_side_that_is_asked_for_and_shows_either_scan() -> None:
    shares = [mixed(batch_of(), sure_of(2), config=CopyPasteConfig(use=True, side=0.5), seed=seed).labels.eq(1)
              .float().mean(dim=(1, 2)) for seed in range(10)]
    assert set(torch.cat(shares).tolist()) == {0.25, 0.75}


def test_padding_is_annotated_nowhere_and_stays_padding() -> None:
    inside = torch.ones(5, 16, 16, dtype=torch.bool)
    inside[:3, 8:], inside[3:, :, 8:] = False, False
    labels = torch.ones(3, 16, 16, dtype=torch.int64)
    labels[:, 8:] = NOT_ANNOTATED
    found = mixed(batch_of(labels=labels, inside=inside), sure_of(2))
    own = found.images[:, 0] == OWN
    assert (found.inside == torch.where(own, inside[0], inside[4])).all()
    assert (found.labels[~found.inside] == NOT_ANNOTATED).all() and (found.labels[found.inside] < 3).all()
    assert found.n_clean == 3


def test_an_image_with_open_pixels_comes_after_the_others_with_its_missing_classes() -> None:
    labels = torch.ones(3, 16, 16, dtype=torch.int64)
    labels[0] = NOT_ANNOTATED
    missing = torch.tensor([[False, False, True], [False] * 3, [False] * 3])
    found = mixed(batch_of(labels=labels, n_clean=0, missing=missing), sure_of(2))
    open_images = (found.labels == NOT_ANNOTATED).flatten(1).any(dim=1)
    assert open_images.tolist() == [False, False, True] and found.n_clean == 2
    assert found.missing[:, 2].tolist() == [False, False, True]


def test_a_share_of_nothing_leaves_the_labelled_images_and_a_batch_without_others_is_left_alone() -> None:
    batch = batch_of()
    whole = mixed(batch, sure_of(2), share=0.0)
    assert (whole.images == OWN).all() and (whole.labels == 1).all()
    alone = labeled_alone(batch)
    assert mixed(alone, sure_of(2)[:0]) is alone


def test_the_same_draws_mix_the_same_images() -> None:
    torch.manual_seed(0)
    batch = DeviceBatch(torch.randn(5, 1, 16, 16), torch.ones(3, 16, 16, dtype=torch.int64), 3)
    first, again, other = (mixed(batch, sure_of(2), seed=seed).images for seed in (4, 4, 5))
    assert first.equal(again) and not first.equal(other)


@pytest.fixture
def networks() -> NetworkGroup:
    torch.manual_seed(0)
    return NetworkGroup("unet", 2, 3, width=2)


def noise() -> Batch:
    torch.manual_seed(1)
    return Batch(torch.randn(4, 1, 32, 32), torch.randint(0, 3, (2, 32, 32)), 2, 2)


def step_of(networks: NetworkGroup, **config) -> TrainingStep:
    return TrainingStep(networks, build_method(MethodConfig(), 0), TrainingConfig(copy_paste=ON, **config),
                        Compute("cpu", "fp32", 1))


def test_a_teacher_is_left_as_it_was_and_gives_probabilities_of_the_archive_alone(networks: NetworkGroup) -> None:
    teacher = WeightAverage(networks).model
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    batch = noise()
    found = teacher_probability(teacher, DeviceBatch(batch.images, batch.labels, 2),
                                Compute("cpu", "fp32", 1).autocast())
    assert found.shape == (2, 3, 32, 32) and found.sum(dim=1).allclose(torch.ones(2, 32, 32), atol=1e-5)
    assert not found.requires_grad and not any(module.training for module in teacher.modules())
    assert all(value.equal(before[name]) for name, value in teacher.state_dict().items())


def test_a_step_before_mixing_begins_is_that_of_the_labels_alone(networks: NetworkGroup) -> None:
    batch = noise()
    early = step_of(networks).run(batch, 0, weight=0.1, learning_rate=0.0, mixing=Mixing(None))
    alone = Batch(batch.images[:2], batch.labels, 2, 2)
    assert early.total.equal(step_of(networks).run(alone, 0, weight=0.1, learning_rate=0.0).total)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_a_mixed_step_moves_the_networks_and_not_their_teacher(networks: NetworkGroup, optimizer: str) -> None:
    teacher, before = WeightAverage(networks).model, networks.a.state_dict()
    before = {name: value.clone() for name, value in before.items() if value.is_floating_point()}
    step = step_of(networks, optimizer=optimizer)
    done = step.run(noise(), 0, weight=0.1, learning_rate=0.01, mixing=Mixing(teacher))
    assert torch.isfinite(done.total) and all(torch.isfinite(value) for value in done.terms.values())
    assert any(not value.equal(before[name]) for name, value in networks.a.state_dict().items() if name in before)
    assert all(value.equal(before[name]) for name, value in teacher.a.state_dict().items()
               if name in before and "running" not in name)


def test_an_adamw_step_goes_on_from_its_saved_state_to_the_last_bit(networks: NetworkGroup) -> None:
    batch, teacher = noise(), WeightAverage(networks).model
    step = step_of(networks, optimizer="adamw")
    step.run(batch, 0, weight=0.1, learning_rate=0.01, mixing=Mixing(teacher))
    saved = {name: value.clone() for name, value in networks.state_dict().items()}
    kept = [{key: {k: v.clone() for k, v in slot.items()} for key, slot in state["state"].items()}
            for state in step.state()["optimizers"]]
    step.run(batch, 1, weight=0.1, learning_rate=0.01, mixing=Mixing(teacher))
    other = NetworkGroup("unet", 2, 3, width=2)
    resumed = step_of(other, optimizer="adamw")
    state = resumed.state()
    for optimizer, slots in zip(state["optimizers"], kept, strict=True):
        optimizer["state"] = slots
    resumed.load_state({**state, "networks": saved})
    resumed.run(batch, 1, weight=0.1, learning_rate=0.01, mixing=Mixing(teacher))
    assert all(value.equal(networks.state_dict()[name]) for name, value in other.state_dict().items())


@pytest.mark.parametrize(("values", "text"), [
    ({"begin": 1.0}, "begin"), ({"confidence": 1.1}, "confidence"), ({"side": 0.0}, "side")])
def test_a_setting_out_of_its_range_is_refused(values, text: str) -> None:
    with pytest.raises(UserError, match=text):
        CopyPasteConfig(**values)
