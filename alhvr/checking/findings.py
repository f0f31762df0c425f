"""Findings: what is wrong with the data, how bad it is, where it was seen, and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path


class Severity(Enum):
    """How bad a finding is; worst first."""

    FAULT = "fault"
    """Training on this data would fail or mislead: it does not start."""
    WARNING = "warning"
    """Worth a look; training goes on."""
    NOTE = "note"
    """Good to know."""


@dataclass(frozen=True)
class Finding:
    """One thing that was found."""

    kind: str
    """Name of the rule for programs, such as "label_on_another_grid"; never changes its meaning."""
    severity: Severity
    files: tuple[Path, ...]
    """The files it is about, the worst first."""
    seen: str
    """What was seen, with the figures: one sentence."""
    remedy: str
    """What to do about it: one sentence."""
    cases: tuple[str, ...] = ()
    """The cases it is about as part/name, such as "labeled/patient 1"; the worst first."""
