"""RunSetup: everything decided before the first step; stored as run.json, so that resuming decides nothing again."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from alhvr.bundle.model import NetworkSpec
from alhvr.config import MethodConfig, RunConfig, from_dict, to_dict
from alhvr.data.annotation import Annotation
from alhvr.data.cases import Case
from alhvr.data.label_names import LabelMeaning
from alhvr.data.plan import Plan
from alhvr.formats.labels import LabelSet
from alhvr.methods.registry import MethodType, method_type
from alhvr.training.device import Compute

PARTS = ("labeled", "unlabeled", "validation")


@dataclass(frozen=True)
class RunSetup:
    """Settings, cases, plan, labels and device of one run."""

    config: RunConfig
    plan: Plan
    labels: LabelSet
    compute: Compute
    labeled: tuple[Case, ...]
    unlabeled: tuple[Case, ...]
    validation: tuple[Case, ...]
    hashes: dict[str, str]
    held_out: bool
    start_from: str | None
    forced: tuple[str, ...] = ()
    """Kinds of faults in the data in spite of which the run goes on."""
    label_hashes: dict[str, str] = field(default_factory=dict)
    """Content hash of each label, with the values of the run, by part and case name; empty in older runs."""
    label_folders: dict[str, str] = field(default_factory=dict)
    """Where labels and their names were looked for: "labeled" and, where one was given, "validation"."""

    @property
    def annotation(self) -> Annotation:
        """How to understand the label files."""
        return Annotation(self.labels, self.config.data.not_annotated)

    @property
    def method(self) -> MethodType:
        """What is known of the method; raises UserError for one that there is not."""
        return method_type(self.config.method.name)

    @property
    def network(self) -> NetworkSpec:
        """The structure of the networks, and the names of those that segment with the finished model."""
        return NetworkSpec(kind=self.plan.network, dimensions=self.plan.dimensions, n_classes=self.labels.n_classes,
                           feature_stride=self.config.method.feature_stride,
                           clean_dropout=self.config.method.clean_dropout, in_channels=self.plan.n_channels,
                           width=self.plan.width, names=self.method.predicting)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for run.json."""
        cases = {part: [_case_to_dict(c) for c in getattr(self, part)] for part in PARTS}
        return {"config": to_dict(self.config), "plan": self.plan.to_dict(), "labels": self.labels.to_dict(),
                "compute": asdict(self.compute), "hashes": self.hashes, "held_out": self.held_out,
                "start_from": self.start_from, "forced": list(self.forced),
                "label_hashes": self.label_hashes, "label_folders": self.label_folders, **cases}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> RunSetup:
        """Reads what to_dict wrote."""
        cases = {part: tuple(_case_from_dict(c) for c in values[part]) for part in PARTS}
        config = from_dict(RunConfig, values["config"], base=_base_of(values["config"]))
        return cls(config=config, plan=Plan.from_dict(values["plan"]),
                   labels=LabelSet.from_dict(values["labels"]), compute=Compute(**values["compute"]),
                   hashes=values["hashes"], held_out=values["held_out"], start_from=values["start_from"],
                   forced=tuple(values.get("forced", ())), label_hashes=values.get("label_hashes", {}),
                   label_folders=values.get("label_folders", {}), **cases)


def _base_of(config: Any) -> RunConfig:
    """What counts where a run.json does not say it: runs from before DTCT had a switch go on with it."""
    method = config.get("method", {}) if isinstance(config, dict) else {}
    old = isinstance(method, dict) and "teacher_competition" not in method
    return RunConfig(method=MethodConfig(teacher_competition=old))


def _case_to_dict(case: Case) -> dict[str, Any]:
    return {"name": case.name, "image": str(case.image), "label": None if case.label is None else str(case.label),
            "more_images": [str(path) for path in case.more_images], "not_annotated": list(case.not_annotated),
            "patient": case.patient, "label_values": {"by_name": [list(pair) for pair in case.meaning.by_name],
                                                      "by_value": [list(pair) for pair in case.meaning.by_value]}}


def _case_from_dict(values: dict[str, Any]) -> Case:
    """A case, also of a run.json from before there were channels and partial labels."""
    label = values["label"]
    return Case(values["name"], Path(values["image"]), None if label is None else Path(label),
                more_images=tuple(Path(path) for path in values.get("more_images", ())),
                not_annotated=tuple(values.get("not_annotated", ())), patient=values.get("patient"),
                meaning=_meaning_from_dict(values.get("label_values", {})))


def _meaning_from_dict(values: dict[str, Any]) -> LabelMeaning:
    """How label values are mapped; they stay as they are in an older run.json."""
    return LabelMeaning(tuple((str(name), int(value)) for name, value in values.get("by_name", ())),
                        tuple((int(value), int(target)) for value, target in values.get("by_value", ())))
