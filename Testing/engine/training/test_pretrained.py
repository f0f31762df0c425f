"""Fine-tuning: the model's plan and weights are taken over, its head only where the classes are the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny_cases import LABELS, tiny_plan
from untrained import write_untrained

from alhvr.bundle.model import ModelDescription, NetworkSpec, read_model, write_model
from alhvr.config import PlanConfig
from alhvr.core.errors import UserError
from alhvr.data.channel_names import Channel
from alhvr.formats.labels import LabelSet
from alhvr.networks.group import NetworkGroup
from alhvr.training.pretrained import Pretrained, load_pretrained

OTHERS = LabelSet.from_names({1: "liver", 2: "pancreas", 3: "spleen"})


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> tuple[Pretrained, NetworkGroup]:
    """A written 2-D model of two classes, and its networks."""
    torch.manual_seed(0)
    networks = NetworkGroup("unet", 2, LABELS.n_classes)
    folder = tmp_path_factory.mktemp("start") / "old"
    description = ModelDescription("Old", tiny_plan(2, (16, 16)), LABELS, NetworkSpec("unet", 2, LABELS.n_classes))
    write_model(folder, description, {"a": networks.a.state_dict(), "b": networks.b.state_dict()})
    return load_pretrained(folder), networks


def loaded(start: Pretrained, labels: LabelSet) -> tuple[dict, dict]:
    """Weights of fresh networks for ``labels`` before and after loading."""
    torch.manual_seed(1)
    networks = NetworkGroup("unet", 2, labels.n_classes)
    before = {name: value.clone() for name, value in networks.state_dict().items()}
    start.load_into(networks, labels)
    return before, networks.state_dict()


def test_the_same_classes_keep_every_weight(model) -> None:
    start, old = model
    _, after = loaded(start, LABELS)
    assert all(torch.equal(value, after[name]) for name, value in old.state_dict().items())
    (said,) = start.say_what_is_kept(LABELS, "MR")
    assert said == "Fine-tuning Old: all weights are kept, the classes are the same."


def test_other_classes_get_a_new_head_and_it_says_so(model) -> None:
    start, old = model
    before, after = loaded(start, OTHERS)
    for name, value in old.state_dict().items():
        expected = before[name] if ".head." in name else value
        assert torch.equal(after[name], expected), name
    (said,) = start.say_what_is_kept(OTHERS, "MR")
    assert "(liver, spleen) are not those of the new labels (liver, pancreas, spleen)" in said
    assert "the output layer is new; all other weights are kept" in said


def test_the_same_number_of_other_classes_gets_a_new_head_too(model) -> None:
    start, _ = model
    before, after = loaded(start, LabelSet.from_names({1: "spleen", 2: "kidneys"}))
    heads = [name for name in after if ".head." in name]
    assert heads and all(torch.equal(after[name], before[name]) for name in heads)


def test_the_same_classes_in_another_order_keep_their_weights_by_name(model) -> None:
    start, old = model
    swapped = LabelSet.from_names({1: "Spleen", 2: "liver"})
    _, after = loaded(start, swapped)
    for name, value in old.state_dict().items():
        assert torch.equal(after[name], value[[0, 2, 1]] if ".head." in name else value), name
    (said,) = start.say_what_is_kept(swapped, "MR")
    assert said.endswith("matched by name: Spleen is 1, in the model 3; liver is 2, in the model 1.")


def test_names_may_differ_in_case(model) -> None:
    assert model[0].keeps_head(LabelSet.from_names({1: "Liver", 2: "SPLEEN"}))


@pytest.mark.parametrize(("option", "message"), [
    ({"dimensions": 3}, "dimensions 3 differs from the model's 2"),
    ({"width": 8}, "width 8 differs from the model's 16"),
    ({"modality": "CT"}, "modality CT differs from the model's MR"),
    ({"normalization": "ct"}, "normalization ct differs from the model's percentile"),
    ({"target_spacing_mm": (1.0, 1.0, 1.0)}, r"target_spacing_mm \(1\.0, 1\.0, 1\.0\) differs from the model's None"),
    ({"patch_size": (16, 16, 16)}, r"patch-size \(16, 16, 16\) has 3 numbers; the model is 2-D"),
])
def test_a_plan_option_that_contradicts_the_model_is_refused(model, option: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        model[0].plan_for(PlanConfig(**option))


def test_patch_and_batch_may_change(model) -> None:
    plan = model[0].plan_for(PlanConfig(patch_size=(32, 48), batch_size=6, dimensions=2))
    assert (plan.patch_size, plan.batch_size, plan.labeled_batch_size) == ((32, 48), 6, 3)
    assert plan.normalization == model[0].model.description.plan.normalization


def test_scans_of_another_modality_are_told(model) -> None:
    assert "trained on MR, the new scans are CT" in model[0].say_what_is_kept(LABELS, "CT")[1]
    assert len(model[0].say_what_is_kept(LABELS, "other")) == 1


def test_a_3_d_model_of_other_classes_loads_too(tmp_path: Path) -> None:
    networks = NetworkGroup("vnet", 3, 2)
    labels = LabelSet.from_names({1: "left atrium"})
    description = ModelDescription("V", tiny_plan(3, (16, 16, 16)), labels, NetworkSpec("vnet", 3, 2))
    write_model(tmp_path / "v", description, {"a": networks.a.state_dict(), "b": networks.b.state_dict()})
    fresh = NetworkGroup("vnet", 3, 3)
    load_pretrained(tmp_path / "v").load_into(fresh, LABELS)
    state = fresh.state_dict()
    kept = [name for name in state if ".head." not in name]
    assert kept and all(torch.equal(state[name], networks.state_dict()[name]) for name in kept)


def test_a_narrow_model_is_fine_tuned_as_narrow_as_it_is(tmp_path: Path) -> None:
    spec, plan = NetworkSpec("unet", 2, 3, width=4), replace(tiny_plan(2, (16, 16)), width=4)
    old, new = NetworkGroup.build(spec), NetworkGroup.build(spec)
    write_model(tmp_path / "n", ModelDescription("N", plan, LABELS, spec),
                {"a": old.a.state_dict(), "b": old.b.state_dict()})
    start = load_pretrained(tmp_path / "n")
    start.load_into(new, LABELS)
    assert all(torch.equal(value, new.state_dict()[name]) for name, value in old.state_dict().items())
    assert start.plan_for(PlanConfig()).width == start.plan_for(PlanConfig(width=4)).width == 4


def test_weights_that_do_not_fit_the_description_are_refused(model) -> None:
    with pytest.raises(UserError, match="do not fit"):
        model[0].load_into(NetworkGroup("unet", 3, LABELS.n_classes), LABELS)


def test_another_number_or_order_of_channels_is_refused_with_both_lists(tmp_path: Path) -> None:
    two = Pretrained(read_model(write_untrained(tmp_path / "two", channels=("T1", "FLAIR"))))
    one = Pretrained(read_model(write_untrained(tmp_path / "one")))
    flair, t1 = Channel("FLAIR", "MR"), Channel("t1", "MR")
    with pytest.raises(UserError, match=r"have 1 channel; the model M has 2 channels \(T1, FLAIR\)"):
        two.plan_for(PlanConfig())
    with pytest.raises(UserError, match=r"have 2 channels \(FLAIR, t1\); the model M has 1 channel"):
        one.plan_for(PlanConfig(), (flair, t1))
    with pytest.raises(UserError, match=r"\(FLAIR, t1\) in this order"):
        two.plan_for(PlanConfig(), (flair, t1))
    assert two.plan_for(PlanConfig(), (t1, flair)).n_channels == 2 and one.plan_for(PlanConfig(), (t1,)).n_channels == 1
