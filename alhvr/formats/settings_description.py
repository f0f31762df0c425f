"""What a window shows of the settings: words, bounds and choices of each; the values are those of alhvr.config.

Only what is for people is written here. Defaults and choices are read from the settings themselves, so that a window
cannot offer what a training refuses; a test holds every bound against them.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, Literal

from alhvr.config import RunConfig, from_dict
from alhvr.core.errors import UserError
from alhvr.methods.registry import METHODS
from alhvr.networks.registry import NETWORKS
from alhvr.presets import before_optimizers, with_preset

Kind = Literal["choice", "number", "whole", "sizes"]
PRESETS = ("mixed", "paper", "official")
"""The presets that take values of their own; all others are those of the dataclasses."""


@dataclass(frozen=True)
class SettingDescription:
    """One setting as a window shows it."""

    part: str
    """Its part of RunConfig, such as "method"."""
    name: str
    """Its name there, such as "beta"."""
    title: str
    """What a row is called."""
    sentence: str
    """What it does, for somebody who does not know the paper."""
    kind: Kind
    """choice: one of `choices`; number and whole: from `low` to `high`; sizes: pixels along each axis, or nothing."""
    unit: str = ""
    low: float | None = None
    high: float | None = None
    step: float = 1.0
    """Of a number: what one press of an arrow adds."""
    decimals: int = 0
    words: Mapping[Any, str] = field(default_factory=dict)
    """Of a choice: what people read for each value."""
    automatic: str = ""
    """What people read where the value is None; "" where it cannot be."""

    @property
    def key(self) -> str:
        """Its name among all settings, such as "method.beta"."""
        return f"{self.part}.{self.name}"

    @property
    def choices(self) -> tuple[Any, ...]:
        """All values of a choice, None among them where the setting may be left open; () of another kind."""
        return tuple(self.words) if self.kind == "choice" else ()

    def default(self, preset: str = "standard") -> Any:
        """The value that it has where nobody chose one, under a preset."""
        return getattr(getattr(_defaults(preset), self.part), self.name)

    def problem(self, value: Any, settings: Mapping[str, Any] | None = None) -> str:
        """Why a value is not accepted beside other `settings`, in one sentence; "" for one that is."""
        try:
            config_of(with_value(settings or {}, self, value))
        except UserError as error:
            return str(error.message if not error.hint else f"{error.message} {error.hint}")
        return ""


def config_of(settings: Any, where: str = "settings") -> RunConfig:
    """Settings of which only what differs is written, as a whole: over those of the preset they name.

    Raises UserError for a name or a value that is not accepted; ``where`` is what holds them, for the message.
    """
    base, training = _defaults(preset_of(settings)), settings.get("training") if isinstance(settings, dict) else None
    base = replace(base, training=replace(base.training, **before_optimizers(training)))
    return from_dict(RunConfig, settings, where, base=base)


def preset_of(settings: Any) -> str:
    """The preset that settings name; "standard" where they name none."""
    method = settings.get("method") if isinstance(settings, dict) else None
    preset = method.get("preset") if isinstance(method, dict) else None
    return preset if isinstance(preset, str) else "standard"


def value_in(settings: Mapping[str, Any], setting: SettingDescription) -> Any:
    """The value of a setting, the default where settings leave it out."""
    part = settings.get(setting.part)
    if isinstance(part, dict) and setting.name in part:
        value = part[setting.name]
        return tuple(value) if isinstance(value, list) else value
    return setting.default(preset_of(settings))


def with_value(settings: Mapping[str, Any], setting: SettingDescription, value: Any) -> dict[str, Any]:
    """A copy of settings with one of them changed; what is as the default is left out."""
    changed = {part: dict(values) for part, values in settings.items() if isinstance(values, dict)}
    changed |= {part: value for part, value in settings.items() if not isinstance(value, dict)}
    part = changed.setdefault(setting.part, {})
    is_preset = setting.key == "method.preset"
    if value == setting.default("standard" if is_preset else preset_of(settings)):
        part.pop(setting.name, None)
    else:
        part[setting.name] = list(value) if isinstance(value, tuple) else value
    if not part:
        del changed[setting.part]
    return changed


@cache
def _defaults(preset: str) -> RunConfig:
    return with_preset(RunConfig(), preset) if preset in PRESETS else RunConfig()


def literal_choices(part: str, name: str) -> tuple[Any, ...]:
    """The values that the type of a setting allows, None among them where it does; () where any would do."""
    hint = typing.get_type_hints(typing.get_type_hints(RunConfig)[part])[name]
    optional = typing.get_origin(hint) in (types.UnionType, typing.Union)
    kinds = typing.get_args(hint) if optional else (hint,)
    found = [value for kind in kinds if typing.get_origin(kind) is Literal for value in typing.get_args(kind)]
    return (*found, None) if found and optional else tuple(found)


SETTINGS = (
    SettingDescription(
        "method", "name", "Method", "How the scans without labels are used.", "choice",
        words={name: kind.title for name, kind in METHODS.items()}),
    SettingDescription(
        "method", "preset", "Values from", "Our own choices suit few labels and short runs; two repeat what "
        "the paper says, or what its authors released.", "choice",
        words={"standard": "our own choices", "mixed": "our own, and labelled scans mixed with others",
               "paper": "the paper's text", "official": "the released code"}),
    SettingDescription(
        "method", "beta", "beta", "Share of the least sure pixels that sets how sure a network has to be. Higher: more "
        "of each scan counts as sure. The paper takes 0.8 on slices, 0.7 on volumes.", "number", "of 1", 0.05, 1.0,
        0.05, 2, automatic="the paper's"),
    SettingDescription(
        "method", "temperature", "T", "How much the more confident network's opinion is sharpened before the other "
        "learns it. Lower: sharper.", "number", "of 1", 0.01, 1.0, 0.05, 2),
    SettingDescription(
        "plan", "network", "Network", "Which kind of network learns.", "choice",
        words={None: "chosen by the preset", **{name: kind.title for name, kind in NETWORKS.items()}}),
    SettingDescription(
        "plan", "patch_size", "Patch", "What a network sees at a time, slowest axis first: two numbers train on "
        "slices, three on volumes, each a multiple of 16. Larger: more context, more memory.", "sizes", "pixels",
        16, 512, 16, automatic="chosen from the scans"),
    SettingDescription(
        "training", "device", "Device", "Where the networks run.", "choice",
        words={"auto": "the fastest there is", "cpu": "processor", "cuda": "graphics card (NVIDIA)",
               "mps": "graphics (Apple)"}),
    SettingDescription(
        "training", "precision", "Precision", "How exactly the networks calculate. Less is faster where the hardware "
        "is made for it; the losses are always exact.", "choice",
        words={"auto": "what the hardware does best", "fp32": "32 bits", "bf16": "16 bits (bf16)",
               "fp16": "16 bits (fp16)"}),
    SettingDescription(
        "training", "threads", "Threads", "Processor cores that training takes; 0 takes those that are free at the "
        "start.", "whole", "cores", 0, 1024),
    SettingDescription(
        "training", "seed", "Seed", "Number from which every random draw is made: the same seed, scans and settings "
        "repeat a training.", "whole", "", 0, 2_147_483_647),
)
"""What a window shows, in this order; all else of RunConfig is for a settings file."""
BY_KEY: Mapping[str, SettingDescription] = types.MappingProxyType({setting.key: setting for setting in SETTINGS})
