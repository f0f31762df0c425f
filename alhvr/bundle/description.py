"""ModelDescription: what alhvr.json in a model folder says about the networks, their labels and their training."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from alhvr.core.errors import ModelError, UserError
from alhvr.data.plan import Plan
from alhvr.formats.labels import LabelSet
from alhvr.networks.registry import STANDARD_WIDTH, WIDTHS, accepted, is_accepted
from alhvr.settings import check_choices, from_dict

FEATURE_STRIDES = (8, 4, 1)
NAMED, LONGEST_PART = 2, 40
"""Structures that a model is named after, and letters of each."""
LARGEST_OVERLAP = 0.9
LARGEST_SEED = 2**63 - 1

FUSIONS = ("mean", "competition")
"""Ways to make one answer of two networks; the name of a network stands for that network alone."""
MOST_NETWORKS = 2
_NAME = re.compile("[a-z]{1,20}")


def rules_of(networks: Sequence[str]) -> tuple[str, ...]:
    """The ways to make one answer of these networks: "mean", for two also "competition" and each of them alone."""
    return (*FUSIONS, *networks) if len(networks) > 1 else FUSIONS[:1]


@dataclass(frozen=True)
class NetworkSpec:
    """The structure of the networks and their names; enough to build them and load the weights."""

    kind: str
    """One of ``alhvr.networks.registry``."""
    dimensions: Literal[2, 3]
    """Spatial axes of a patch."""
    n_classes: int
    """Classes C, background included."""
    feature_stride: int = 8
    """Decoder level whose features the prototypes were drawn from; no part of segmenting."""
    clean_dropout: bool = True
    """The last dropout of the V-Net also acted on the clean output while training; no part of segmenting."""
    in_channels: int = 1
    """Channels M of the scans."""
    width: int = STANDARD_WIDTH
    """Channels at full resolution; each level below has twice as many as the one above. Older models have 16."""
    names: tuple[str, ...] = ("a", "b")
    """Names of the networks, one or two; those of ALHVR are a and b, as in all older models."""

    def __post_init__(self) -> None:
        """Checks the kind and the width; raises UserError."""
        check_choices(self)
        _require(is_accepted(self.kind, self.dimensions), "network.kind", self.kind, accepted(self.dimensions))
        good = 1 <= len(self.names) <= MOST_NETWORKS and len({*self.names, *FUSIONS}) == len(self.names) + len(FUSIONS)
        _require(good and all(_NAME.fullmatch(name) for name in self.names), "network.names", self.names,
                 "one or two different names of small letters")
        strides = ", ".join(map(str, FEATURE_STRIDES))
        _require(self.feature_stride in FEATURE_STRIDES, "feature_stride", self.feature_stride, strides)
        low, high = WIDTHS
        _require(low <= self.width <= high, "width", self.width, f"{low} to {high}")


@dataclass(frozen=True)
class InferenceSettings:
    """How to segment with the model; chosen at the end of training."""

    fusion: str = "mean"
    """Mean of the networks' probabilities, per voxel the more confident network ("competition"), or one network alone,
    by its name; "mean" where there is one only."""
    mirror: bool = False
    """Also segment mirrored copies and take the mean."""
    largest_component: bool = False
    """Keep the largest connected part of each structure."""
    beta: float = 0.8
    """Share of the least confident voxels whose mean is gamma (Eq. 11), for the region map."""
    perturbation_seed: int = 0
    """Seed of the perturbation behind the confidence maps, so that they can be repeated."""
    window_overlap: float = 0.5
    """Overlap of neighbouring windows, 0 to 0.9."""
    temperature: float = 0.1
    """Sharpening temperature T of the competing teacher (Eq. 22), for its map beside the regions."""

    def __post_init__(self) -> None:
        """Checks the ranges; raises UserError."""
        _require(0 < self.beta <= 1, "beta", self.beta, "a number above 0 and at most 1")
        _require(0 < self.temperature <= 1, "temperature", self.temperature, "a number above 0 and at most 1")
        _require(0 <= self.window_overlap <= LARGEST_OVERLAP, "window_overlap", self.window_overlap,
                 f"0 to {LARGEST_OVERLAP}")
        _require(0 <= self.perturbation_seed <= LARGEST_SEED, "perturbation_seed", self.perturbation_seed,
                 f"0 to {LARGEST_SEED}")


def default_name(plan: Plan, labels: LabelSet) -> str:
    """What a model is called that nobody named: "Liver, spleen and 3 more in CT"; no folder has a say in it."""
    names = [name if len(name) <= LONGEST_PART else f"{name[:LONGEST_PART]}..." for name in labels.names]
    parts, more = names[:NAMED], len(names) - NAMED
    if more > 0:
        parts.append(f"{more} more")
    joined = " and ".join([", ".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else parts[0]
    where = f" in {plan.modality}" if plan.modality != "other" else ""
    return f"{joined[:1].upper()}{joined[1:]}{where}"


@dataclass(frozen=True)
class ModelDescription:
    """Everything but the weights."""

    name: str
    """Name for people."""
    plan: Plan
    """How scans are prepared."""
    labels: LabelSet
    """What the classes mean, in class order."""
    network: NetworkSpec
    """The structure of the networks."""
    inference: InferenceSettings = field(default_factory=InferenceSettings)
    """How to segment."""
    training: dict[str, Any] = field(default_factory=dict)
    """The training record, plain values; any keys. The model card shows these when they are there: "cases" (lists or
    counts under "labeled", "unlabeled", "validation"), "validation_was_set_aside", "validation_dice" (name -> Dice and
    "mean"), "date", "iterations", "minutes", "seed", "licence"."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "name": self.name,
            "plan": self.plan.to_dict(),
            "labels": self.labels.to_dict(),
            "network": asdict(self.network),
            "inference": asdict(self.inference),
            "training": self.training,
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> ModelDescription:
        """The inverse of ``to_dict``; raises UserError where an entry is missing, of another type or out of range."""
        try:
            found = cls(
                name=_text(values["name"], "name"),
                plan=Plan.from_dict(values["plan"]),
                labels=LabelSet.from_dict(values["labels"]),
                network=from_dict(NetworkSpec, values["network"], "network"),
                inference=from_dict(InferenceSettings, values["inference"], "inference", base=_trained(values)),
                training=dict(values["training"]),
            )
            found._check()
        except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
            raise ModelError(f"The description of the model cannot be read: {error!r:.200}.") from error
        return found

    def _check(self) -> None:
        """Raises UserError unless the networks fit the plan and the labels, and every label can be shown."""
        plan, network = self.plan, self.network
        fusions = rules_of(network.names)
        _require(self.inference.fusion in fusions, "fusion", self.inference.fusion, ", ".join(fusions))
        planned = {"dimensions": plan.dimensions, "in_channels": plan.n_channels, "n_classes": self.labels.n_classes}
        for name, value in planned.items():
            _require(getattr(network, name) == value, f"network.{name}", getattr(network, name),
                     f"{value}, by the model's own plan and labels")
        for label in self.labels.labels:
            good = len(label.colour_rgb) == 3 and all(0 <= part <= 1 for part in label.colour_rgb)
            _require(good, f"colour_rgb of {label.name!r:.50}", label.colour_rgb, "three numbers of 0 to 1")
            for code in (label.category, label.type, *([label.modifier] if label.modifier else [])):
                for part in (code.scheme, code.value, code.meaning):
                    _text(part, f"a code of {label.name!r:.50}")


def _trained(values: dict[str, Any]) -> InferenceSettings:
    """Settings of a model that says nothing of them: the temperature is the one that older models were trained with."""
    found: Any = values["training"]
    for name in ("settings", "method", "temperature"):
        found = found.get(name) if isinstance(found, dict) else None
    return InferenceSettings() if found is None else InferenceSettings(temperature=found)


def _text(value: Any, name: str) -> str:
    _require(isinstance(value, str), name, value, "a text")
    return value


def _require(good: bool, name: str, seen: Any, accepted: str) -> None:
    if not good:
        raise UserError(f"{name} is {seen!r:.100}.", f"Accepted: {accepted}.")
