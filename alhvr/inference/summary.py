"""Outcomes: what became of each scan, as a table for people and as plain values for programs."""

from __future__ import annotations

import os
import shutil
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from alhvr.core.errors import UserError
from alhvr.core.files import shown
from alhvr.core.progress import JsonReporter, Reporter, in_words

SEGMENTED, DONE_BEFORE, KEPT, FAILED = "segmented", "done before", "kept", "failed"
KINDS = (SEGMENTED, DONE_BEFORE, KEPT, FAILED)
_SUMMARY = {KEPT: "kept because changed"}
_NAME_WIDTH = 16
"""Columns that a scan's name gets at least, before the structures give way to their total."""
_GAP = "  "


@dataclass(frozen=True)
class CaseResult:
    """What became of one scan."""

    name: str
    kind: str
    """One of KINDS. "kept": a result that is not as it was written here was left as it is."""
    seconds: float | None = None
    """Reading, computing and writing together; None when nothing was done."""
    volumes_ml: dict[str, float] = field(default_factory=dict)
    """Millilitres of each structure of the result; empty without one."""
    nominal: bool = False
    """True when the scan's voxels of 1 mm may not be true."""
    files: tuple[Path, ...] = ()
    """The results."""
    reason: str = ""
    """Why it failed, was kept or lacks a file that was asked for."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"scan": self.name, "outcome": self.kind.replace(" ", "_"),
                "seconds": None if self.seconds is None else round(self.seconds, 2),
                "volumes_ml": {name: round(ml, 4) for name, ml in self.volumes_ml.items()},
                "spacing_may_be_nominal": self.nominal, "files": [str(path) for path in self.files],
                "reason": self.reason}


@dataclass(frozen=True)
class SegmentResult:
    """What became of every input."""

    outcomes: tuple[CaseResult, ...]
    seconds: float
    """On the clock."""

    @property
    def written(self) -> list[Path]:
        """Files written by this run."""
        return [path for outcome in self.outcomes if outcome.kind == SEGMENTED for path in outcome.files]

    @property
    def failed(self) -> dict[str, str]:
        """Inputs that could not be segmented, and why."""
        return {outcome.name: outcome.reason for outcome in self.outcomes if outcome.kind == FAILED}

    @property
    def incomplete(self) -> dict[str, str]:
        """Inputs that were segmented, but lack a file that was asked for, and why."""
        return {outcome.name: outcome.reason for outcome in self.outcomes
                if outcome.kind in (SEGMENTED, DONE_BEFORE) and outcome.reason}

    def tell(self, reporter: Reporter) -> None:
        """Ends the command: for people with a table, for programs with the same as values of the last event."""
        if not isinstance(reporter, JsonReporter):
            for line in table(self.outcomes, terminal_width()).split("\n"):
                reporter.note(line)
            reporter.note(summary(self.outcomes, self.seconds))
        counts = {kind.replace(" ", "_"): sum(o.kind == kind for o in self.outcomes) for kind in KINDS}
        reporter.finished(**counts, seconds=round(self.seconds, 2), scans=[o.to_dict() for o in self.outcomes])


class SomeFailed(UserError):
    """Not every input could be segmented, or not every file written."""

    def __init__(self, result: SegmentResult, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.result = result


def summary(outcomes: Sequence[CaseResult], seconds: float) -> str:
    """One line: how many scans of each kind, and how long it took."""
    counts = {kind: sum(outcome.kind == kind for outcome in outcomes) for kind in KINDS}
    parts = ", ".join(f"{count} {_SUMMARY.get(kind, kind)}" for kind, count in counts.items() if count)
    scans = "1 scan" if len(outcomes) == 1 else f"{len(outcomes)} scans"
    return f"{scans}: {parts or 'nothing to do'}; {in_words(seconds)} in all."


def table(outcomes: Sequence[CaseResult], width: int) -> str:
    """Scan, outcome, seconds and volumes, at most ``width`` columns wide; the reasons below.

    Each structure has a column of its own where they fit, else there is one for all of them together.
    """
    structures = list(dict.fromkeys(name for outcome in outcomes for name in outcome.volumes_ml))
    fixed = [_column("outcome", (outcome.kind for outcome in outcomes)),
             _column("seconds", ("-" if o.seconds is None else f"{o.seconds:.1f}" for o in outcomes), right=True)]
    volumes = [_volumes(outcomes, [name], f"{name} ml") for name in structures]
    if _NAME_WIDTH + _width(fixed + volumes) > width:
        volumes = [_volumes(outcomes, structures, "all ml")]
    names = ["scan", *(shown(outcome.name) for outcome in outcomes)]
    room = max(_NAME_WIDTH // 2, width - _width(fixed + volumes))
    first = _column("", (shorten(name, room) for name in names))[1:]
    rows = [_GAP.join(cells).rstrip() for cells in zip(first, *fixed, *volumes, strict=True)]
    notes = [shown(f"{outcome.name}: {outcome.reason}") for outcome in outcomes if outcome.reason]
    if any(outcome.nominal and outcome.volumes_ml for outcome in outcomes):
        notes.append("Volumes count voxels as 1 x 1 x 1 mm where a file says so; files without a true spacing do too.")
    return "\n".join([*rows, *notes])


def shorten(text: str, width: int) -> str:
    """``text`` in at most ``width`` columns, its middle left out where it is longer."""
    if columns(text) <= width:
        return text
    keep = list(text)
    while keep and columns("".join(keep)) > width - 2:
        del keep[len(keep) // 2]
    half = (len(keep) + 1) // 2
    return "".join([*keep[:half], "..", *keep[half:]])


def columns(text: str) -> int:
    """Columns of a terminal that ``text`` takes; letters of East Asia take two, marks above another letter none."""
    return sum(0 if unicodedata.combining(letter) else 2 if unicodedata.east_asian_width(letter) in "WF" else 1
               for letter in text)


def _volumes(outcomes: Sequence[CaseResult], names: Sequence[str], title: str) -> list[str]:
    """The column of the volumes of these structures together; two decimals where all are small."""
    totals = [sum(o.volumes_ml.get(name, 0.0) for name in names) if o.volumes_ml else None for o in outcomes]
    digits = 1 if any(total is not None and total >= 100 for total in totals) else 2
    return _column(title, ("-" if total is None else f"{total:.{digits}f}" for total in totals), right=True)


def _column(title: str, cells: Iterable[str], *, right: bool = False) -> list[str]:
    """Title and cells, padded to the same width."""
    texts = [title, *cells]
    width = max(columns(text) for text in texts)
    pads = [" " * (width - columns(text)) for text in texts]
    return [pad + text if right else text + pad for text, pad in zip(texts, pads, strict=True)]


def _width(found: Sequence[list[str]]) -> int:
    return sum(columns(column[0]) + len(_GAP) for column in found)


def terminal_width() -> int:
    """Columns of the terminal that stderr goes to; 100 where it goes elsewhere."""
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or 100
    except (OSError, ValueError):
        return shutil.get_terminal_size((100, 24)).columns
