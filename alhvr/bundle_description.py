"""ModelDescription: what alhvr.json in a model folder says about the networks, their labels and their training."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from alhvr.data.labels import LabelSet
from alhvr.data.plan import STANDARD_WIDTH, WIDTHS, Plan
from alhvr.errors import UserError
from alhvr.settings import from_dict

FUSIONS = ("mean", "competition", "a", "b")


@dataclass(frozen=True)
class NetworkSpec:
    """The structure of both networks; enough to build them and load the weights."""

    kind: Literal["unet", "vnet"]
    """U-Net (2-D and 3-D) or V-Net (3-D)."""
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

    def __post_init__(self) -> None:
        """Checks the width; raises UserError."""
        low, high = WIDTHS
        _require(low <= self.width <= high, "width", self.width, f"{low} to {high}")


@dataclass(frozen=True)
class InferenceSettings:
    """How to segment with the model; chosen at the end of training."""

    fusion: Literal["mean", "competition", "a", "b"] = "mean"
    """Mean of both networks' probabilities, per voxel the more confident network, or one network alone."""
    mirror: bool = False
    """Also segment mirrored copies and take the mean."""
    largest_component: bool = False
    """Keep the largest connected part of each structure."""
    beta: float = 0.8
    """Share of the least confident voxels whose mean is gamma (Eq. 11), for the region map."""
    perturbation_seed: int = 0
    """Seed of the perturbation behind the confidence maps, so that they can be repeated."""
    window_overlap: float = 0.5
    """Overlap of neighbouring windows, 0 to below 1."""
    temperature: float = 0.1
    """Sharpening temperature T of the competing teacher (Eq. 22), for its map beside the regions."""

    def __post_init__(self) -> None:
        """Checks the ranges; raises UserError."""
        _require(self.fusion in FUSIONS, "fusion", self.fusion, ", ".join(FUSIONS))
        _require(0 < self.beta <= 1, "beta", self.beta, "a number above 0 and at most 1")
        _require(0 < self.temperature <= 1, "temperature", self.temperature, "a number above 0 and at most 1")
        _require(0 <= self.window_overlap < 1, "window_overlap", self.window_overlap, "0 to below 1")


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
    """The structure of both networks."""
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
        """The inverse of ``to_dict``; raises UserError where an entry is missing or of another type."""
        try:
            return cls(
                name=values["name"],
                plan=Plan.from_dict(values["plan"]),
                labels=LabelSet.from_dict(values["labels"]),
                network=from_dict(NetworkSpec, values["network"], "network"),
                inference=from_dict(InferenceSettings, values["inference"], "inference", base=_trained(values)),
                training=values["training"],
            )
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"The description of the model cannot be read: {error!r}.") from error


def _trained(values: dict[str, Any]) -> InferenceSettings:
    """Settings of a model that says nothing of them: the temperature is the one that older models were trained with."""
    found: Any = values["training"]
    for name in ("settings", "method", "temperature"):
        found = found.get(name) if isinstance(found, dict) else None
    return InferenceSettings() if found is None else InferenceSettings(temperature=found)


def _require(good: bool, name: str, seen: Any, accepted: str) -> None:
    if not good:
        raise UserError(f"{name} is {seen!r}.", f"Accepted: {accepted}.")
