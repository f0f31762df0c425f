"""What alhvr.json says of a model that can be told without its plan: name, structures, channels, networks, training."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from alhvr.core.errors import ModelError, UserError, require
from alhvr.core.files import LARGEST_BYTES, InvalidJson, parse_json
from alhvr.formats.labels import LabelSet
from alhvr.formats.model_folder import COPY_AGAIN, DESCRIPTION, read_inside
from alhvr.networks.registry import FEATURE_STRIDES, NETWORKS, STANDARD_WIDTH, WIDTHS, accepted, is_accepted
from alhvr.settings import check_choices, from_dict

FUSIONS = ("mean", "competition")
"""Ways to make one answer of two networks; the name of a network stands for that network alone."""
MOST_NETWORKS, MOST_CHANNELS = 2, 1000
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
        require(is_accepted(self.kind, self.dimensions), "network.kind", self.kind, accepted(self.dimensions))
        good = 1 <= len(self.names) <= MOST_NETWORKS and len({*self.names, *FUSIONS}) == len(self.names) + len(FUSIONS)
        require(good and all(_NAME.fullmatch(name) for name in self.names), "network.names", self.names,
                 "one or two different names of small letters")
        require(1 <= self.in_channels <= MOST_CHANNELS, "network.in_channels", self.in_channels,
                f"1 to {MOST_CHANNELS}")
        strides = ", ".join(map(str, FEATURE_STRIDES))
        require(self.feature_stride in FEATURE_STRIDES, "feature_stride", self.feature_stride, strides)
        low, high = WIDTHS
        require(low <= self.width <= high, "width", self.width, f"{low} to {high}")

    @property
    def title(self) -> str:
        """Such as "2-D U-Net"."""
        return f"{self.dimensions}-D {NETWORKS[self.kind].title}"

    def require_fits(self, dimensions: int, n_channels: int, n_classes: int) -> None:
        """Raises UserError unless the networks are those of a plan and labels with these numbers."""
        planned = {"dimensions": dimensions, "in_channels": n_channels, "n_classes": n_classes}
        for name, value in planned.items():
            require(getattr(self, name) == value, f"network.{name}", getattr(self, name),
                    f"{value}, by the model's own plan and labels")


@dataclass(frozen=True)
class ModelSummary:
    """What is shown of a model. Texts may hold any letters."""

    name: str
    """Name for people."""
    labels: LabelSet
    """What the classes mean, in class order."""
    modality: str
    """"CT", "MR" or "other"; of several channels, that of the first."""
    channel_names: tuple[str, ...]
    """Names of the channels in order; empty for one channel that nobody named."""
    network: NetworkSpec
    """The structure of the networks."""
    training: Mapping[str, Any]
    """The training record, as it was written."""

    @property
    def cases(self) -> dict[str, int]:
        """See ``case_counts``."""
        return case_counts(self.training)

    @property
    def scores(self) -> dict[str, float]:
        """Validation Dice by structure, and "mean"; what is no number is left out."""
        found = self.training.get("validation_dice")
        scores = found.items() if isinstance(found, dict) else ()
        return {name: float(value) for name, value in scores
                if type(value) in (int, float) and math.isfinite(value)}


def read_summary(folder: Path) -> ModelSummary:
    """The summary of the model in a folder, whose files need not be verified; raises ModelError, naming the file."""
    data = read_inside(folder, DESCRIPTION, LARGEST_BYTES)
    try:
        values = parse_json(data, DESCRIPTION)
        plan, training = values["plan"], values["training"]
        summary = ModelSummary(
            name=values["name"],
            labels=LabelSet.from_dict(values["labels"]),
            modality=plan["modality"],
            channel_names=tuple(channel["name"] for channel in plan.get("channels") or ()),
            network=from_dict(NetworkSpec, values["network"], "network"),
            training=training,
        )
        texts = {"name": summary.name, "plan: modality": summary.modality,
                 **{f"the name of channel {n}": name for n, name in enumerate(summary.channel_names)}}
        for name, text in texts.items():
            require(isinstance(text, str), name, text, "a text")
        require(isinstance(training, dict), "training", training, "a JSON object")
        summary.network.require_fits(plan["dimensions"], max(1, len(summary.channel_names)), summary.labels.n_classes)
    except InvalidJson as error:
        raise ModelError(error.message, COPY_AGAIN) from error
    except UserError as error:
        raise ModelError(f"{DESCRIPTION}: {error.message}", error.hint) from error
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError) as error:
        raise ModelError(f"{DESCRIPTION} does not describe a model ({error!r:.200}).") from error
    return summary


def case_counts(training: Mapping[str, Any]) -> dict[str, int]:
    """Numbers of "labeled", "unlabeled" and "validation" scans, as far as the training record has them.

    They stand there as numbers, or as lists of names.
    """
    cases, counts = training.get("cases"), {}
    for part in ("labeled", "unlabeled", "validation"):
        seen = cases.get(part) if isinstance(cases, dict) else None
        if type(seen) is int or isinstance(seen, (list, tuple)):
            counts[part] = seen if type(seen) is int else len(seen)
    return counts
