"""Survey: which checked cases a run learns from and validates on, what they look like, and what their labels mean."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from alhvr.checking.facts import CaseFacts
from alhvr.checking.result import CheckResult, case_key
from alhvr.checking.rules.duplicates import patient_of_each
from alhvr.checking.rules.study import Study
from alhvr.checking.selection import overridden, usable_cases
from alhvr.config import PlanConfig
from alhvr.core.errors import UserError
from alhvr.core.progress import Reporter
from alhvr.data.cases import Case, Channel
from alhvr.data.fingerprint import Fingerprint, join_channels
from alhvr.formats.labels import LabelSet
from alhvr.training.held_out import choose_held_out


@dataclass(frozen=True)
class Survey:
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


def survey(found: CheckResult, config: PlanConfig, *, seed: int, reporter: Reporter) -> Survey:
    """What of a check a run can use; cases to validate on are set aside where no folder gave any, and told.

    Raises UserError when nothing is left to learn from.
    """
    usable = usable_cases(found)
    if not usable.labeled or found.labels is None:
        raise UserError("There is no labelled case to learn from.", "Mend the faults that the check of the data found.")
    held_out = "validation" not in found.sets
    labeled, validation = _set_aside(usable.labeled, seed, reporter) if held_out else (
        usable.labeled, usable.validation)
    modality = Study(found.facts, found.sets, modality=config.modality).modality_of(0)
    parts = {"labeled": labeled, "validation": validation, "unlabeled": usable.unlabeled}
    return Survey(
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
