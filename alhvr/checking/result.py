"""CheckResult: everything that a check of the data found out, for whoever prints, writes or acts on it."""

from __future__ import annotations

from dataclasses import dataclass, field

from alhvr.checking.facts import CaseFacts
from alhvr.checking.findings import Finding, Severity
from alhvr.data.cases import CaseSet
from alhvr.formats.labels import LabelSet

PARTS = ("labeled", "validation", "unlabeled")
"""The parts of a study, in the order of reports."""


@dataclass(frozen=True)
class Forecast:
    """What a training on this data will take, from a few measured steps."""

    memory_gb: float
    """Most memory that training will hold at a time."""
    minutes: float
    """The whole run, validations included."""
    disk_gb: float
    """The run folder with checkpoints and the model."""
    sentences: tuple[str, ...]
    """The same for people, and what it rests on; one sentence each."""
    free_memory_gb: float | None = None
    """What is free now; None where nobody can tell."""
    free_disk_gb: float | None = None
    """What is free where the run would lie; None where nobody can tell."""
    model_gb: float | None = None
    """The model folder alone, part of ``disk_gb``."""


@dataclass(frozen=True)
class Outlier:
    """How far one scan of the archive is from the labelled ones."""

    case: str
    """The case as part/name."""
    how_far: float
    """0 is within the labelled scans, 1 at the edge of what is alike, above 1 is off."""
    what: str = ""
    """What is off, with the figures: one sentence; empty where nothing is."""


@dataclass(frozen=True)
class CheckResult:
    """The end of a check."""

    facts: tuple[CaseFacts, ...]
    """Every case of every part."""
    findings: tuple[Finding, ...]
    """What is wrong, worst first."""
    sets: dict[str, CaseSet] = field(default_factory=dict)
    """The folders by part, as far as they could be listed."""
    labels: LabelSet | None = None
    """The structures; None where they are not known."""
    not_annotated: int = 255
    """The value that marks what is not annotated."""
    forecast: Forecast | None = None
    """None where it was not asked for or could not be made."""
    unlike: tuple[Outlier, ...] = ()
    """The scans of the archive, the furthest off first; empty without labelled scans to compare with."""
    n_cached: int = 0
    """Cases whose facts were known from a check before."""

    def count(self, severity: Severity) -> int:
        """How many findings are of ``severity``."""
        return sum(finding.severity is severity for finding in self.findings)

    def part(self, name: str) -> tuple[CaseFacts, ...]:
        """The cases of one part."""
        return tuple(facts for facts in self.facts if facts.part == name)


def case_key(facts: CaseFacts) -> str:
    """The case as part/name, as findings name it."""
    return f"{facts.part}/{facts.case.name}"
