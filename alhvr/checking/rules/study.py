"""Study: the facts of all cases as the rules ask for them, and the words in which they speak of cases."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from alhvr.checking.facts import CaseFacts
from alhvr.checking.findings import Finding, Severity
from alhvr.checking.result import case_key
from alhvr.data.cases import CaseSet
from alhvr.data.fingerprint import Fingerprint
from alhvr.formats.labels import LONGEST_NAME, MAX_LABELS, MAX_VALUE, Label, LabelSet, folded

LISTED = 5
"""Longest list of cases in a sentence."""
_AIR_HU = -200.0
"""Scans whose darkest voxels lie below hold air in Hounsfield units."""


@dataclass(frozen=True)
class Study:
    """What the rules look at."""

    facts: tuple[CaseFacts, ...]
    """Every case of every part."""
    sets: Mapping[str, CaseSet] = field(default_factory=dict)
    """The folders by part, as far as they could be listed."""
    not_annotated: int = 255
    """The value that marks what is not annotated."""
    modality: str | None = None
    """Of all scans, where the user says so: "CT", "MR" or "other"."""
    normalization: str | None = None
    """Where the user says so: "ct", "zscore" or "percentile"."""

    def part(self, *parts: str) -> tuple[CaseFacts, ...]:
        """The cases of some parts that can be read, with their labels on their own grids."""
        return tuple(f for f in self.facts if f.part in parts and f.usable and f.images
                     and not (f.label and f.label.other_grid))

    @cached_property
    def labeled(self) -> tuple[CaseFacts, ...]:
        """Sound cases to learn from."""
        return tuple(f for f in self.part("labeled") if f.label)

    @cached_property
    def validation(self) -> tuple[CaseFacts, ...]:
        """Sound cases to validate on."""
        return tuple(f for f in self.part("validation") if f.label)

    @cached_property
    def annotated(self) -> tuple[CaseFacts, ...]:
        """Sound cases with a label, of both parts."""
        return (*self.labeled, *self.validation)

    @cached_property
    def archive(self) -> tuple[CaseFacts, ...]:
        """Scans without labels that can be read."""
        return self.part("unlabeled")

    @property
    def n_channels(self) -> int:
        """Channels of every case; 1 when there is no case."""
        return max((len(f.images) for f in self.facts), default=1)

    @cached_property
    def given_names(self) -> dict[int, str]:
        """Names of label values as the folders give them, the labelled one first; empty where none does."""
        names: dict[int, str] = {}
        for part in ("labeled", "validation"):
            for value, name in (self.sets[part].label_names if part in self.sets else {}).items():
                if value != 0:
                    names.setdefault(value, name)
        return names

    @cached_property
    def values(self) -> frozenset[int]:
        """Every label value that is found in a label."""
        return frozenset().union(*(f.label.structures for f in self.facts if f.label))

    @cached_property
    def names(self) -> dict[int, str]:
        """Names of the structures by value: given ones, else "label 3"; the value for not annotated is none."""
        names = self.given_names or {value: f"label {value}" for value in sorted(self.values)}
        return {value: name for value, name in names.items() if value != self.not_annotated}

    @cached_property
    def labels(self) -> LabelSet | None:
        """The structures, or None where there are none, or such as no model can learn."""
        fit = 1 <= len(self.names) <= MAX_LABELS and all(1 <= value <= MAX_VALUE for value in self.names)
        called = {folded(name) for name in self.names.values()}
        unique = len(called) == len(self.names) and "" not in called
        fit = fit and all(len(name) <= LONGEST_NAME for name in self.names.values())
        return LabelSet.from_names(self.names) if fit and unique else None

    def structure(self, value: int) -> Label | None:
        """What is known of a label value."""
        return next((label for label in self.labels.labels if label.value == value), None) if self.labels else None

    def normalized_by(self, channel: int) -> str:
        """How the intensities of a channel will be brought to one scale: "ct", "zscore" or "percentile"."""
        return self.normalization or ("ct" if self.modality_of(channel) == "CT" else "zscore")

    def modality_of(self, channel: int) -> str:
        """From the user (of the first channel), else the files, else DICOM headers, else CT where there is air."""
        said = [s.channels[channel].modality for s in self.sets.values() if channel < len(s.channels)]
        said = [modality for modality in said if modality != "other"]
        if channel == 0:
            said = [self.modality, *(s.modality for s in self.sets.values()), *said]
        prints = [f.images[channel].print for f in self.labeled if channel < len(f.images)]
        return next((modality for modality in said if modality), None) or modality_of_prints(prints)


def modality_of_prints(prints: Sequence[Fingerprint]) -> str:
    """What the DICOM headers say most often, else CT where most scans hold HU of air, else "other"."""
    known = [p.modality for p in prints if p.modality != "other"]
    if known:
        return max(sorted(set(known)), key=known.count)
    airy = sum(p.intensity is not None and p.intensity.lower < _AIR_HU for p in prints)
    return "CT" if airy > len(prints) / 2 else "other"


def some(names: Iterable[str]) -> str:
    """The first names, and how many more there are."""
    listed = list(names)
    more = f" and {len(listed) - LISTED} more" if len(listed) > LISTED else ""
    return ", ".join(listed[:LISTED]) + more


def named(facts: Iterable[CaseFacts]) -> str:
    """The first cases by name, and how many more there are."""
    return some(f.case.name for f in facts)


def count(number: int, thing: str, things: str = "") -> str:
    """A number with its noun, such as "1 case" or "3 cases"."""
    return f"{number} {thing if number == 1 else things or thing + 's'}"


def fault(kind: str, facts: Sequence[CaseFacts], seen: str, remedy: str, *, labels: bool = False) -> Finding:
    """A fault of the scans of these cases, or of their ``labels``; the worst first."""
    return _finding(kind, Severity.FAULT, facts, labels)(seen, remedy)


def warning(kind: str, facts: Sequence[CaseFacts], seen: str, remedy: str, *, labels: bool = False) -> Finding:
    """A warning of the scans of these cases, or of their ``labels``; the worst first."""
    return _finding(kind, Severity.WARNING, facts, labels)(seen, remedy)


def note(kind: str, facts: Sequence[CaseFacts], seen: str, remedy: str, *, labels: bool = False) -> Finding:
    """A note on the scans of these cases, or on their ``labels``."""
    return _finding(kind, Severity.NOTE, facts, labels)(seen, remedy)


def _finding(kind: str, severity: Severity, facts: Sequence[CaseFacts], labels: bool) -> Callable[[str, str], Finding]:
    files = [f.case.label if labels and f.case.label else f.case.image for f in facts]
    return lambda seen, remedy: Finding(kind, severity, tuple(files), seen, remedy, tuple(map(case_key, facts)))
