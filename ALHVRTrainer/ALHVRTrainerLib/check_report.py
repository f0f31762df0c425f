"""CheckReport: what PROJECT/check.json says, as far as it is well-formed; the file may be anybody's."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from alhvr.core.errors import UserError
from alhvr.core.files import read_json
from ALHVRLib.child_events import finite
from ALHVRLib.models.untrusted_files import one_line

FILE = "check.json"
SEVERITIES = ("fault", "warning", "note")
"""Worst first."""
ARCHIVE_PART = "unlabeled"
LETTERS = 1000
"""Of a sentence; what is longer is cut."""
MOST_PIXELS = 1 << 16
"""Of a small picture."""
ALIKE = 1.0
"""A scan of the archive that is further off than this looks unlike the labelled ones."""


@dataclass(frozen=True)
class Finding:
    """One thing that the check found."""

    kind: str
    severity: str
    """One of SEVERITIES."""
    seen: str
    remedy: str
    cases: tuple[str, ...] = ()
    """As part/name."""
    structures: tuple[str, ...] = ()
    """Names of the structures whose entry in not_annotated is the remedy."""
    files: tuple[str, ...] = ()

    @property
    def labeledNames(self) -> tuple[str, ...]:
        """Names of the labelled cases that it is about."""
        return tuple(name for part, _, name in (case.partition("/") for case in self.cases) if part != ARCHIVE_PART)


@dataclass(frozen=True)
class CaseFound:
    """What the check saw of one labelled case."""

    voxels: dict[str, int]
    """By structure that its label shows."""
    annotatedSlices: int | None = None
    problem: str = ""
    picture: np.ndarray | None = None
    """uint8 [rows, columns]."""
    outline: np.ndarray | None = None
    """uint8 like the picture: label values."""


@dataclass(frozen=True)
class ArchiveFound:
    """What the check saw of one scan of the archive."""

    file: str
    problem: str = ""
    """Why it is left out; "" where it is used."""
    howFar: float = 0.0
    """0 is within the labelled scans, above ALIKE is off."""
    what: str = ""
    """What is off, in one sentence."""
    name: str = ""
    """What the engine calls it."""


@dataclass(frozen=True)
class CheckReport:
    """A whole report; empty where there is none to be read."""

    stamp: int = 0
    """When the file was written, in nanoseconds of the file system."""
    findings: tuple[Finding, ...] = ()
    """The worst first."""
    cases: dict[str, CaseFound] = field(default_factory=dict)
    """Labelled cases by name."""
    archive: tuple[ArchiveFound, ...] = ()
    forecast: dict[str, Any] = field(default_factory=dict)
    """Numbers by name, and "sentences"; {} where none was made."""

    def worst(self, name: str) -> Finding | None:
        """The worst finding but notes about a labelled case."""
        return next((found for found in self.findings if found.severity != "note" and name in found.labeledNames), None)


def read_report(project: Path) -> CheckReport:
    """The report in a project folder; an empty one where it is missing or no report. Never raises."""
    path = project / FILE
    try:
        stamp, record = path.stat().st_mtime_ns, read_json(path)
    except (OSError, UserError):
        return CheckReport()
    if not isinstance(record, dict) or record.get("format") != "alhvr check":
        return CheckReport()
    names = {str(entry.get("value")): _text(entry, "name") for entry in _objects(record, "structures")}
    entries = _objects(record, "cases")
    far = {_text(entry, "case"): entry for entry in _objects(record, "archive")}
    findings = sorted((_finding(entry, names) for entry in _objects(record, "findings")
                       if entry.get("severity") in SEVERITIES), key=lambda found: SEVERITIES.index(found.severity))
    forecast = record.get("forecast")
    return CheckReport(
        stamp, tuple(findings),
        {_text(entry, "name"): _case(entry, names) for entry in entries if entry.get("part") != ARCHIVE_PART},
        tuple(_scan(entry, far.get(_text(entry, "case"), {})) for entry in entries
              if entry.get("part") == ARCHIVE_PART),
        forecast if isinstance(forecast, dict) else {})


def _finding(entry: dict[str, Any], names: dict[str, str]) -> Finding:
    values = entry.get("structures")
    structures = tuple(names[str(value)] for value in values if str(value) in names) if isinstance(values, list) else ()
    seen, remedy = (one_line(_text(entry, key), LETTERS) for key in ("seen", "remedy"))
    return Finding(_text(entry, "kind"), _text(entry, "severity"), seen, remedy,
                   _texts(entry, "cases"), structures, _texts(entry, "files"))


def _case(entry: dict[str, Any], names: dict[str, str]) -> CaseFound:
    label = entry.get("label") if isinstance(entry.get("label"), dict) else {}
    structures = label.get("structures") if isinstance(label.get("structures"), dict) else {}
    voxels = {names[value]: int(finite(found.get("voxels")) or 0) for value, found in structures.items()
              if value in names and isinstance(found, dict)}
    slices = finite(label.get("annotated_slices"))
    problem = " ".join(text for text in (_text(entry, "image_problem"), _text(entry, "label_problem")) if text)
    return CaseFound(voxels, None if slices is None else int(slices), problem, _picture(entry.get("picture")),
                     _picture(entry.get("outline")))


def _scan(entry: dict[str, Any], far: dict[str, Any]) -> ArchiveFound:
    files = _texts(entry, "files")
    return ArchiveFound(files[0] if files else "", _text(entry, "image_problem"), finite(far.get("how_far")) or 0.0,
                        _text(far, "what"), _text(entry, "name"))


def _picture(record: object) -> np.ndarray | None:
    """The uint8 [rows, columns] of a record; None where it holds none of a sane size."""
    if not isinstance(record, dict):
        return None
    rows, columns = (int(finite(record.get(key)) or 0) for key in ("rows", "columns"))
    if rows < 1 or columns < 1 or rows * columns > MOST_PIXELS:
        return None
    try:
        packed = base64.b64decode(_text(record, "zlib"), validate=True)
        pixels = zlib.decompressobj().decompress(packed, rows * columns + 1)
    except (ValueError, zlib.error):
        return None
    return np.frombuffer(pixels, np.uint8).reshape(rows, columns) if len(pixels) == rows * columns else None


def _text(record: dict[str, Any], key: str) -> str:
    value = record.get(key)
    return value if isinstance(value, str) else ""


def _texts(record: dict[str, Any], key: str) -> tuple[str, ...]:
    values = record.get(key)
    return tuple(value for value in values if isinstance(value, str)) if isinstance(values, list) else ()


def _objects(record: dict[str, Any], key: str) -> list[dict[str, Any]]:
    values = record.get(key)
    return list(_dicts(values)) if isinstance(values, list) else []


def _dicts(values: Iterable[object]) -> Iterator[dict[str, Any]]:
    return (value for value in values if isinstance(value, dict))
