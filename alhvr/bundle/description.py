"""ModelDescription: what alhvr.json in a model folder says about the networks, their labels and their training."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from alhvr.core.errors import ModelError, require
from alhvr.data.plan import Plan
from alhvr.formats.labels import LabelSet
from alhvr.formats.model_description import NetworkSpec, rules_of
from alhvr.settings import from_dict

NAMED, LONGEST_PART = 2, 40
"""Structures that a model is named after, and letters of each."""
LARGEST_OVERLAP = 0.9
LARGEST_SEED = 2**63 - 1


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
        require(0 < self.beta <= 1, "beta", self.beta, "a number above 0 and at most 1")
        require(0 < self.temperature <= 1, "temperature", self.temperature, "a number above 0 and at most 1")
        require(0 <= self.window_overlap <= LARGEST_OVERLAP, "window_overlap", self.window_overlap,
                 f"0 to {LARGEST_OVERLAP}")
        require(0 <= self.perturbation_seed <= LARGEST_SEED, "perturbation_seed", self.perturbation_seed,
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
                name=values["name"],
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
        """Raises UserError unless the networks fit the plan and the labels."""
        plan, network = self.plan, self.network
        require(isinstance(self.name, str), "name", self.name, "a text")
        fusions = rules_of(network.names)
        require(self.inference.fusion in fusions, "fusion", self.inference.fusion, ", ".join(fusions))
        network.require_fits(plan.dimensions, plan.n_channels, self.labels.n_classes)


def _trained(values: dict[str, Any]) -> InferenceSettings:
    """Settings of a model that says nothing of them: the temperature is the one that older models were trained with."""
    found: Any = values["training"]
    for name in ("settings", "method", "temperature"):
        found = found.get(name) if isinstance(found, dict) else None
    return InferenceSettings() if found is None else InferenceSettings(temperature=found)
