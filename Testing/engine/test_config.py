"""Settings: values out of range or of another type are refused by name, and the official preset switches everything."""

from __future__ import annotations

import dataclasses
import json

import pytest

from alhvr.config import (
    BETA_OF_PAPER,
    AugmentConfig,
    MethodConfig,
    PlanConfig,
    RunConfig,
    SegmentingConfig,
    TrainingConfig,
    from_dict,
    to_dict,
)
from alhvr.core.errors import UserError
from alhvr.formats.settings_description import config_of
from alhvr.presets import OFFICIAL_METHOD, PAPER_METHOD, RELEASED_AUGMENT, with_preset

OUT_OF_RANGE = [
    (MethodConfig, "beta", 1.5), (MethodConfig, "beta", 0.0), (MethodConfig, "beta", float("nan")),
    (MethodConfig, "temperature", 0.0), (MethodConfig, "max_weight", -0.1), (MethodConfig, "warmup_fraction", 0.0),
    (MethodConfig, "ce_weight", -1.0), (MethodConfig, "feature_stride", 2), (MethodConfig, "sharpening", "soft"),
    (AugmentConfig, "rotate_degrees", 200.0), (AugmentConfig, "scale", 1.0),
    (TrainingConfig, "iterations", 0), (TrainingConfig, "minutes", 0.0), (TrainingConfig, "minutes", float("inf")),
    (TrainingConfig, "learning_rate", 0.0), (TrainingConfig, "momentum", 1.0), (TrainingConfig, "weight_decay", -1.0),
    (TrainingConfig, "ema_decay", 1.0), (TrainingConfig, "validations", 0), (TrainingConfig, "precision", "fp8"),
    (TrainingConfig, "device", "tpu"), (TrainingConfig, "threads", -1), (TrainingConfig, "memory_gb", 0.0),
    (TrainingConfig, "save_every_s", -1.0), (TrainingConfig, "seed", -1),
    (PlanConfig, "dimensions", 4), (PlanConfig, "patch_size", (100, 100)), (PlanConfig, "patch_size", (16,)),
    (PlanConfig, "batch_size", 1), (PlanConfig, "target_spacing_mm", (1.0, 1.0)), (PlanConfig, "modality", "PET"),
    (PlanConfig, "width", 1), (PlanConfig, "width", 65),
    (SegmentingConfig, "fusion", "vote"), (SegmentingConfig, "largest_component", "yes"),
]


@pytest.mark.parametrize(("kind", "name", "value"), OUT_OF_RANGE)
def test_a_value_out_of_range_is_named_with_what_is_accepted(kind: type, name: str, value: object) -> None:
    with pytest.raises(UserError) as caught:
        kind(**{name: value})
    assert name.replace("_", "-") in caught.value.message and repr(value) in caught.value.message
    assert caught.value.hint.startswith("Accepted: ")


def test_beta_says_its_range() -> None:
    with pytest.raises(UserError, match=r"beta is 1\.5\. Accepted: a number above 0 and at most 1\."):
        MethodConfig(beta=1.5)


def test_a_patch_must_have_as_many_sides_as_the_plan_has_dimensions() -> None:
    with pytest.raises(UserError, match="3 numbers for a 3-D plan"):
        PlanConfig(dimensions=3, patch_size=(64, 64))


def test_the_v_net_is_three_dimensional() -> None:
    with pytest.raises(UserError, match="network is 'vnet'. Accepted: unet, dynunet for a 2-D plan"):
        PlanConfig(dimensions=2, network="vnet")


def test_settings_come_back_from_json() -> None:
    config = RunConfig(method=OFFICIAL_METHOD, training=TrainingConfig(minutes=3.5, augment=RELEASED_AUGMENT),
                       plan=PlanConfig(patch_size=(32, 48), dimensions=2))
    assert from_dict(RunConfig, json.loads(json.dumps(to_dict(config)))) == config


@pytest.mark.parametrize(("values", "message"), [
    ({"trainin": {}}, r"settings: unknown setting 'trainin'\. Known settings: method, training, plan, data, "),
    ({"training": {"lr": 1}}, r"settings\.training: unknown setting 'lr'\. Known settings: iterations, "),
    ({"training": {"augment": {"flip": True}}}, r"settings\.training\.augment: unknown setting 'flip'"),
    ({"training": 3}, r"settings\.training: expected named values, got 3"),
    ([1], r"settings: expected named values"),
    ({"training": {"iterations": "many"}}, r"settings\.training\.iterations is 'many'\. Give a whole number"),
    ({"training": {"iterations": 2.5}}, r"settings\.training\.iterations is 2\.5\. Give a whole number"),
    ({"training": {"iterations": True}}, r"settings\.training\.iterations is True"),
    ({"training": {"iterations": None}}, r"settings\.training\.iterations is None"),
    ({"training": {"minutes": "3"}}, r"settings\.training\.minutes is '3'\. Give a number"),
    ({"training": {"learning_rate": float("nan")}}, r"settings\.training\.learning_rate is nan"),
    ({"training": {"augment": {"mirror": "yes"}}}, r"mirror is 'yes'\. Give true or false"),
    ({"plan": {"patch_size": 32}}, r"settings\.plan\.patch_size is 32\. Give a list"),
    ({"plan": {"patch_size": ["a", "b"]}}, r"settings\.plan\.patch_size is 'a'\. Give a whole number"),
    ({"plan": {"dimensions": "2"}}, r"dimensions is '2'\. Accepted: 2, 3"),
    ({"method": {"beta": 1.5}}, r"beta is 1\.5"),
])
def test_a_wrong_settings_file_is_told_by_name(values: object, message: str) -> None:
    with pytest.raises(UserError, match=message):
        from_dict(RunConfig, values)


def test_whole_numbers_may_stand_for_real_ones_and_none_for_an_open_choice() -> None:
    config = from_dict(RunConfig, {"training": {"learning_rate": 1, "minutes": None}, "plan": {"patch_size": [32, 32]}})
    assert config.training.learning_rate == 1.0 and isinstance(config.training.learning_rate, float)
    assert config.training.minutes is None and config.plan.patch_size == (32, 32)


def test_what_a_file_leaves_out_comes_from_the_base() -> None:
    base = with_preset(RunConfig(plan=PlanConfig(batch_size=6)), "official")
    config = from_dict(RunConfig, {"training": {"augment": {"scale": 0.1}}, "plan": {"dimensions": 3}}, base=base)
    assert config.method == base.method and config.plan == dataclasses.replace(base.plan, dimensions=3)
    assert config.training.augment == dataclasses.replace(RELEASED_AUGMENT, scale=0.1)


STARTED = RunConfig(
    method=MethodConfig(beta=0.5, max_weight=1.0, warmup_fraction=0.2, feature_stride=4),
    training=TrainingConfig(learning_rate=0.1, momentum=0.5, weight_decay=0.0, ema_decay=0.5,
                            learning_rate_decay="poly", iterations=7, seed=3))


def test_the_official_preset_is_the_released_code_whatever_the_defaults_are() -> None:
    released = with_preset(STARTED, "official")
    changed = {name: value for name, value in to_dict(released.method).items()
               if value != getattr(MethodConfig(), name)}
    assert changed == {
        "preset": "official", "beta": None, "warmup_fraction": 1.0, "warmup_shape": "staircase",
        "warmup_iterations": 30_000, "ce_alignment": "broadcast", "cosine_loss": "all", "detach_teacher": False,
        "detach_prototypes": False, "dice": "official", "clean_dropout": True, "tie_teacher": "b",
        "perturbed_statistics": True, "perturb_labeled": True} | _differing(MethodConfig(), OFFICIAL_METHOD, changed)
    t = released.training
    assert (t.learning_rate, t.learning_rate_decay, t.momentum, t.weight_decay) == (0.01, "constant", 0.9, 1e-4)
    assert (t.ema_decay, t.batch_norm_statistics, t.selection, t.precision) == (0.0, "running", "network", "fp32")
    assert t.augment == RELEASED_AUGMENT and (t.iterations, t.seed) == (7, 3)
    assert released.plan.stretch and released.plan.normalization == "released"


@pytest.mark.parametrize(("preset", "network"), [("standard", "unet"), ("paper", "vnet"), ("official", "vnet")])
def test_each_preset_has_its_network_for_volumes(preset: str, network: str) -> None:
    assert with_preset(STARTED, preset).plan.network_3d == network


def _differing(default: MethodConfig, preset: MethodConfig, seen: dict) -> dict:
    """What our own default chooses otherwise than the paper's text and code alike, which both presets set back."""
    names = ("teacher_competition", "max_weight")
    return {n: getattr(preset, n) for n in names if n in seen and getattr(default, n) != getattr(preset, n)}


def test_the_paper_preset_is_the_papers_text() -> None:
    paper = with_preset(STARTED, "paper")
    m, t = paper.method, paper.training
    assert m == dataclasses.replace(PAPER_METHOD, beta=None)
    assert (m.max_weight, m.warmup_fraction, m.warmup_shape, m.warmup_iterations) == (0.1, 1.0, "smooth", None)
    assert (m.threshold_scope, m.prototype_mean, m.entropy_mean, m.feature_stride) == ("image", "pixels", "masked", 1)
    assert (m.ce_alignment, m.cosine_loss, m.dice, m.detach_teacher, m.detach_prototypes) == (
        "aligned", "target", "standard", True, True)
    assert (m.ce_weight, m.cosine_weight, m.mse_weight, m.entropy_weight) == (1.0, 1.0, 1.0, 1.0)
    assert (t.learning_rate_decay, t.ema_decay, t.batch_norm_statistics) == ("constant", 0.0, "running")
    assert paper.plan == PlanConfig(network_3d="vnet") and (t.iterations, t.seed) == (7, 3)


@pytest.mark.parametrize("preset", ["paper", "official"])
def test_both_presets_leave_beta_to_the_dimensions(preset: str) -> None:
    assert with_preset(RunConfig(), preset).method.beta is None and BETA_OF_PAPER == {2: 0.8, 3: 0.7}


def test_the_standard_preset_sets_everything_back() -> None:
    back = with_preset(with_preset(RunConfig(), "official"), "standard")
    assert back.method == MethodConfig() and back.training == dataclasses.replace(TrainingConfig(), precision="fp32")


@pytest.mark.parametrize("name", ["", "  ", "x" * 101, "two\nlines", "\x1b[2J", "turned \u202e round"])
def test_a_name_that_cannot_be_shown_on_one_line_is_refused(name: str) -> None:
    with pytest.raises(UserError, match="name is"):
        RunConfig(name=name)


def test_settings_from_before_there_was_a_choice_of_optimiser_train_with_sgd() -> None:
    old = config_of({"training": {"learning_rate": 0.02, "momentum": 0.9}}).training
    assert (old.optimizer, old.learning_rate, old.learning_rate_warmup, old.weight_decay) == ("sgd", 0.02, 0.0, 1e-4)
    assert config_of({"training": {"learning_rate": 0.02}}).training.optimizer == "adamw"
    assert config_of({"training": {"momentum": 0.9, "optimizer": "adamw"}}).training.learning_rate == 0.001
