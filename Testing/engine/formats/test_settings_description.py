"""What a window shows of the settings is what the settings accept."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from alhvr.arguments import _config_file
from alhvr.config import RunConfig, to_dict
from alhvr.core.errors import UserError
from alhvr.core.files import write_json
from alhvr.formats.settings_description import (
    BY_KEY,
    SETTINGS,
    SettingDescription,
    config_of,
    literal_choices,
    value_in,
    with_value,
)
from alhvr.methods.registry import METHODS
from alhvr.networks.registry import NETWORKS

NUMBERS = [setting for setting in SETTINGS if setting.kind in ("number", "whole")]
CHOICES = [setting for setting in SETTINGS if setting.kind == "choice"]
FROM_A_REGISTRY = {"method.name": tuple(METHODS), "plan.network": (*NETWORKS, None)}


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.key)
def test_a_default_is_that_of_the_settings(setting: SettingDescription) -> None:
    assert setting.default() == getattr(getattr(RunConfig(), setting.part), setting.name)
    assert setting.problem(setting.default()) == ""


@pytest.mark.parametrize("setting", CHOICES, ids=lambda setting: setting.key)
def test_a_choice_offers_all_that_is_accepted_and_nothing_else(setting: SettingDescription) -> None:
    accepted = FROM_A_REGISTRY.get(setting.key) or literal_choices(setting.part, setting.name)
    assert set(setting.choices) == set(accepted)
    assert [setting.problem(value) for value in setting.choices] == [""] * len(setting.choices)


@pytest.mark.parametrize("setting", NUMBERS, ids=lambda setting: setting.key)
def test_the_bounds_of_a_number_are_accepted(setting: SettingDescription) -> None:
    kind = int if setting.kind == "whole" else float
    assert [setting.problem(kind(value)) for value in (setting.low, setting.high)] == ["", ""]
    assert setting.low <= (setting.default() if setting.default() is not None else setting.low) <= setting.high


@pytest.mark.parametrize(("key", "value"), [("method.beta", 1.05), ("method.temperature", 1.01), ("training.seed", -1),
                                            ("method.temperature", 0.0), ("training.threads", -1)])
def test_what_lies_beyond_the_bounds_is_refused_in_a_sentence(key: str, value: float) -> None:
    assert str(value) in BY_KEY[key].problem(value)


@pytest.mark.parametrize("sizes", [(100, 128), (8, 8), (128,), (96, 96, 96, 96)])
def test_a_patch_that_no_network_takes_is_refused(sizes: tuple[int, ...]) -> None:
    assert "multiples of 16" in BY_KEY["plan.patch_size"].problem(sizes)


def test_every_setting_has_a_sentence() -> None:
    assert all(setting.sentence.endswith(".") and setting.title for setting in SETTINGS)


def test_only_what_differs_is_kept() -> None:
    beta = BY_KEY["method.beta"]
    changed = with_value({"training": {"seed": 3}}, beta, 0.7)
    assert changed == {"training": {"seed": 3}, "method": {"beta": 0.7}}
    assert with_value(changed, beta, beta.default()) == {"training": {"seed": 3}}


def test_under_a_preset_the_default_is_that_of_the_preset() -> None:
    beta, preset = BY_KEY["method.beta"], BY_KEY["method.preset"]
    paper = with_value({}, preset, "paper")
    assert paper == {"method": {"preset": "paper"}} and value_in(paper, beta) is None
    assert with_value(paper, beta, 0.8) == {"method": {"preset": "paper", "beta": 0.8}}
    assert with_value(paper, preset, "standard") == {}


@pytest.mark.parametrize("settings", [{}, {"method": {"preset": "official", "temperature": 0.5}},
                                      {"plan": {"patch_size": [64, 64]}, "training": {"seed": 7}}])
def test_the_command_line_reads_the_same_settings(settings: dict, tmp_path: Path) -> None:
    write_json(tmp_path / "settings.json", settings)
    assert to_dict(config_of(settings)) == to_dict(_config_file(tmp_path / "settings.json"))


def test_settings_of_a_stranger_are_refused_by_name() -> None:
    with pytest.raises(UserError, match="betta"):
        config_of({"method": {"betta": 1}})
    with pytest.raises(UserError, match="beta"):
        config_of({"method": {"beta": math.nan}})
