"""What a run is made of: usable cases, held-out cases, and the plan, decided once."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Hashable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from alhvr.bundle.model import NetworkSpec
from alhvr.checking.facts import CaseFacts
from alhvr.checking.result import CheckResult, case_key
from alhvr.checking.rules.duplicates import patient_of_each
from alhvr.checking.rules.study import Study
from alhvr.checking.selection import overridden, usable_cases
from alhvr.config import BETA_OF_PAPER, MethodConfig, PlanConfig, RunConfig, TrainingConfig, from_dict, to_dict
from alhvr.core.errors import UserError
from alhvr.core.progress import Reporter
from alhvr.data.case_io import LabelDecoder
from alhvr.data.cases import Case, Channel
from alhvr.data.fingerprint import Fingerprint, join_channels
from alhvr.data.label_names import LabelMeaning
from alhvr.data.plan import Plan, make_plan
from alhvr.formats.labels import LabelSet
from alhvr.methods.registry import MethodType, method_type
from alhvr.presets import before_optimizers
from alhvr.training.device import Compute
from alhvr.training.pretrained import Pretrained

PARTS = ("labeled", "unlabeled", "validation")

SHARE = 0.2
"""Part of the labelled cases that is set aside, at least one case."""


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
    archive_folders: tuple[str, ...] = ()
    """Where the archive lies, without which the run does not go on; empty in older runs."""

    @property
    def annotation(self) -> LabelDecoder:
        """How to understand the label files."""
        return LabelDecoder(self.labels, self.config.data.not_annotated)

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
                "label_hashes": self.label_hashes, "label_folders": self.label_folders,
                "archive_folders": list(self.archive_folders), **cases}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> RunSetup:
        """Reads what to_dict wrote."""
        cases = {part: tuple(_case_from_dict(c) for c in values[part]) for part in PARTS}
        config = from_dict(RunConfig, values["config"], base=_base_of(values["config"]))
        return cls(config=config, plan=Plan.from_dict(values["plan"]),
                   labels=LabelSet.from_dict(values["labels"]), compute=Compute(**values["compute"]),
                   hashes=values["hashes"], held_out=values["held_out"], start_from=values["start_from"],
                   forced=tuple(values.get("forced", ())), label_hashes=values.get("label_hashes", {}),
                   label_folders=values.get("label_folders", {}),
                   archive_folders=tuple(values.get("archive_folders", ())), **cases)


def _base_of(config: Any) -> RunConfig:
    """What counts where a run.json does not say it: runs from before DTCT had a switch go on with it, and with SGD."""
    method, training = (config.get(part, {}) if isinstance(config, dict) else {} for part in ("method", "training"))
    old = isinstance(method, dict) and "teacher_competition" not in method
    return RunConfig(method=MethodConfig(teacher_competition=old),
                     training=TrainingConfig(**before_optimizers(training)))


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


def plan_run(found: CheckResult, config: RunConfig, *, start: Pretrained | None, compute: Compute,
             reporter: Reporter) -> RunSetup:
    """The setup of a new run; tells the plan. Raises UserError where settings and data contradict each other."""
    seen = select_cases(found, config.plan, seed=config.training.seed, reporter=reporter)
    plan = start.plan_for(config.plan, seen.channels) if start else _plan(seen, config.plan, compute.memory_gb())
    for sentence in plan.describe():
        reporter.note(sentence)
    if start:
        for sentence in start.say_what_is_kept(seen.labels, seen.modality):
            reporter.note(sentence)
    unlabeled = seen.unlabeled
    if unlabeled and not method_type(config.method.name).uses_archive:
        reporter.note(f"The method {config.method.name} does not use the {len(unlabeled)} scans without labels.")
        unlabeled = ()
    settled = _settled(config, plan, seen)
    if settled.method.name != config.method.name:
        reporter.note(f"There is no archive, so the method is {settled.method.name}.")
    return RunSetup(config=settled, plan=plan, labels=seen.labels, compute=compute,
                    labeled=seen.labeled, unlabeled=unlabeled, validation=seen.validation, hashes=seen.hashes,
                    held_out=seen.held_out, start_from=os.path.abspath(start.model.folder) if start else None,
                    forced=seen.forced, label_hashes=seen.label_hashes, label_folders=seen.label_folders,
                    archive_folders=_folders_of(found) if unlabeled else ())


def without_archive(setup: RunSetup, found: CheckResult) -> RunSetup:
    """The run that differs from ``setup`` in nothing but that it has no archive; ``found``: the check of its data."""
    names = {case.name for case in setup.labeled}
    facts = [f for f in found.part("labeled") if f.case.name in names and f.label]
    method = _method(setup.config.method, learns_more=any(f.label.n_not_annotated for f in facts))
    return replace(setup, unlabeled=(), archive_folders=(), config=replace(setup.config, method=method))


def _method(method: MethodConfig, *, learns_more: bool) -> MethodConfig:
    """``method``, or labels-only in place of one that would have nothing to learn from but labels."""
    if not learns_more and method_type(method.name).uses_archive:
        return replace(method, name="labels-only")
    return method


def _folders_of(found: CheckResult) -> tuple[str, ...]:
    """Where the archive lies."""
    return tuple(str(folder) for folder in found.sets["unlabeled"].folders) if "unlabeled" in found.sets else ()


def _plan(seen: CaseSelection, config: PlanConfig, memory_gb: float) -> Plan:
    config = replace(config, modality=seen.modality)
    return make_plan(list(seen.labeled_prints), list(seen.unlabeled_prints), config, memory_gb=memory_gb,
                     channels=seen.channels)


def _settled(config: RunConfig, plan: Plan, seen: CaseSelection) -> RunConfig:
    """Decides what the settings leave open: mirrored anatomy is learnt only where orientation means nothing anyway.

    Beta by dimensions is the paper's. Where everything is annotated and there is no archive, labels-only is the method.
    """
    unknown = plan.in_plane_matrix is not None
    augment = config.training.augment
    augment = replace(augment, mirror=unknown if augment.mirror is None else augment.mirror,
                      quarter_turns=unknown if augment.quarter_turns is None else augment.quarter_turns)
    method = _method(config.method, learns_more=bool(seen.unlabeled) or seen.partly_labeled)
    if method.beta is None:
        method = replace(method, beta=BETA_OF_PAPER[plan.dimensions])
    return replace(config, method=method, training=replace(config.training, augment=augment))


@dataclass(frozen=True)
class CaseSelection:
    """The usable cases of a run; their paths are absolute."""

    labeled: tuple[Case, ...]
    unlabeled: tuple[Case, ...]
    validation: tuple[Case, ...]
    labels: LabelSet
    modality: str
    labeled_prints: tuple[Fingerprint, ...]
    unlabeled_prints: tuple[Fingerprint, ...]
    hashes: dict[str, str]
    """Content hash by part and case name, such as "labeled/patient 1", for the training record."""
    held_out: bool
    """The validation cases were set aside from the labelled ones."""
    channels: tuple[Channel, ...] = ()
    """What files call the channels of all cases; empty for one that nobody named."""
    forced: tuple[str, ...] = ()
    """Kinds of faults in the data in spite of which the run goes on."""
    label_hashes: dict[str, str] = field(default_factory=dict)
    """Content hash of each label by part and case name, so that a resumed run sees what was changed."""
    label_folders: dict[str, str] = field(default_factory=dict)
    """Where the labels lie, by part."""
    partly_labeled: bool = False
    """Some voxels of the labelled scans are not annotated, so that there is something to learn without labels."""


def select_cases(found: CheckResult, config: PlanConfig, *, seed: int, reporter: Reporter) -> CaseSelection:
    """What of a check a run can use; cases to validate on are set aside where no folder gave any, and told.

    Raises UserError when nothing is left to learn from.
    """
    usable = usable_cases(found)
    if not usable.labeled or found.labels is None:
        raise UserError("There is no labelled case to learn from.", "Fix the faults that the check of the data found.")
    held_out = "validation" not in found.sets
    labeled, validation = _set_aside(usable.labeled, seed, reporter) if held_out else (
        usable.labeled, usable.validation)
    modality = Study(found.facts, found.sets, modality=config.modality).modality_of(0)
    parts = {"labeled": labeled, "validation": validation, "unlabeled": usable.unlabeled}
    return CaseSelection(
        labeled=_cases(labeled), unlabeled=_cases(usable.unlabeled), validation=_cases(validation),
        labels=found.labels, modality=modality, labeled_prints=_prints(labeled),
        unlabeled_prints=_prints(usable.unlabeled), held_out=held_out, channels=found.sets["labeled"].channels,
        hashes={f"{part}/{f.case.name}": _hash(f) for part, facts in parts.items() for f in facts},
        forced=overridden(found),
        label_hashes={f"{part}/{f.case.name}": f.label.content for part, facts in parts.items() for f in facts
                      if f.label},
        label_folders={part: str(found.sets[part].folder) for part in ("labeled", "validation") if part in found.sets},
        partly_labeled=any(f.label.n_not_annotated for f in labeled if f.label))


def _set_aside(facts: Sequence[CaseFacts], seed: int, reporter: Reporter) -> tuple[list[CaseFacts], list[CaseFacts]]:
    """The labelled cases to learn from, and those held out, patient by patient; none where there is but one case."""
    if len(facts) < 2:
        return list(facts), []
    whose = {case_key(f): key for key, group in patient_of_each(facts).items() for f in group}
    patients = [whose.get(case_key(f), case_key(f)) for f in facts]
    aside = choose_held_out([frozenset(f.label.structures) for f in facts], seed, patients)
    held = [facts[index] for index in aside]
    reporter.note(f"Set aside for validation: {', '.join(f.case.name for f in held)}.")
    return [f for index, f in enumerate(facts) if index not in aside], held


def _cases(facts: Sequence[CaseFacts]) -> tuple[Case, ...]:
    return tuple(f.case for f in facts)


def _prints(facts: Sequence[CaseFacts]) -> tuple[Fingerprint, ...]:
    return tuple(join_channels([image.print for image in f.images]) for f in facts)


def _hash(facts: CaseFacts) -> str:
    """The content of a scan; of several channels, of all of them together."""
    contents = [image.content for image in facts.images]
    return contents[0] if len(contents) == 1 else hashlib.sha256("".join(contents).encode()).hexdigest()


def choose_held_out(values: Sequence[frozenset[int]], seed: int,
                    patients: Sequence[Hashable] | None = None) -> list[int]:
    """Indices, in rising order, of the cases to set aside; ``values`` are the label values that each case shows.

    ``patients`` tells whose each case is; None: all of different people. Cases of one patient stay together, and half
    of the cases at least is left to learn from. A patient is passed over while setting the cases aside would leave a
    label value to no other one; where all are like that, the first ones drawn are taken all the same. Needs two cases
    or more; where all are of one patient they are split as if they were not.
    """
    everybody = list(range(len(values))) if patients is None or len(set(patients)) < 2 else list(patients)
    count = max(1, round(SHARE * len(values)))
    order = [int(index) for index in np.random.default_rng(seed).permutation(len(values))]
    groups = {everybody[index]: [other for other in order if everybody[other] == everybody[index]] for index in order}
    small = [group for group in groups.values() if 2 * len(group) <= len(values)]
    everything, aside = frozenset().union(*values), []
    for group in small:
        rest = [values[other] for other in order if other not in (*aside, *group)]
        fits = len(aside) < count and 2 * (len(aside) + len(group)) <= len(values)
        if fits and frozenset().union(*rest) == everything:
            aside += group
    return sorted(aside or _first(small, count) or min(groups.values(), key=len))


def _first(groups: Sequence[Sequence[int]], count: int) -> list[int]:
    """The first groups until there are ``count`` cases."""
    taken: list[int] = []
    for group in groups:
        if len(taken) < count:
            taken += group
    return taken
