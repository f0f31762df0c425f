"""The labelled cases as the panel shows them: read from PROJECT/cases, cases.json, labels.json and the last check."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from alhvr.core.errors import UserError
from alhvr.core.files import read_json
from alhvr.formats.labels import folded
from alhvr.formats.segment_names import read_segment_names
from ALHVRTrainerLib.check_report import CaseFound, CheckReport, read_report

ANNOTATED, NOT_ANNOTATED, ABSENT = "annotated", "not annotated", "absent"
ENDINGS = (".seg.nrrd", ".nii.gz", ".nrrd", ".nii", ".nhdr", ".mha", ".mhd")
CASE_FILE, NAMES_FILE = "cases.json", "labels.json"


@dataclass(frozen=True)
class CaseRow:
    """One labelled case."""

    name: str
    image: Path
    label: Path
    structures: dict[str, str]
    """ANNOTATED, NOT_ANNOTATED or ABSENT by name of the structure; what is not known before a check is not in it."""
    heldOut: bool = False
    leftOut: bool = False
    fault: str = ""
    """The worst that the last check says of it; "" for nothing."""
    stopsTraining: bool = False
    """Whether that stops training."""
    annotator: str = ""
    annotatedOn: str = ""
    """A date, as text."""
    nSlices: int | None = None
    """Slices with annotation; None before a check."""
    patient: str = ""
    """Whose scan it is, where that is known; scans of one patient are held out together."""


@dataclass(frozen=True)
class CaseTable:
    """All that the panel knows of the labelled cases."""

    rows: tuple[CaseRow, ...] = ()
    names: tuple[str, ...] = ()
    """The structures, in the order of their values."""
    report: CheckReport = field(default_factory=CheckReport)
    problem: str = ""
    """Why cases.json or labels.json cannot be read; "" where they can."""


@dataclass(frozen=True)
class NameTable:
    """What the structures are called."""

    byValue: dict[int, str]
    """As labels.json or the label files have them, parts of joined structures included."""
    joins: dict[str, tuple[str, ...]]
    """Names of the parts by the name of the whole."""

    @property
    def shown(self) -> tuple[str, ...]:
        """The structures that are learnt."""
        parts = {folded(part) for members in self.joins.values() for part in members}
        own = [name for name in self.byValue.values() if folded(name) not in parts]
        return tuple(dict.fromkeys((*self.joins, *own)))

    def whole(self, name: str) -> str:
        """The structure that a name in a label file belongs to."""
        known = {folded(part): whole for whole, members in self.joins.items() for part in members}
        known |= {folded(other): other for other in self.shown if folded(other) not in known}
        return known.get(folded(name), name)


def stamp_of(project: Path) -> tuple:
    """What changes whenever the table may have changed."""
    cases = project / "cases"
    folders = tuple(_stamps(cases / kind) for kind in ("images", "labels"))
    return folders, *(_stamp(path) for path in (cases / CASE_FILE, cases / NAMES_FILE, project / "check.json"))


def read_table(project: Path) -> CaseTable:
    """The cases that have a scan and a label, by name; never raises."""
    cases, report, problem = project / "cases", read_report(project), ""
    try:
        record = read_record(cases / CASE_FILE)
        named = read_named(cases)
    except (UserError, OSError) as error:
        record, named, problem = {}, {}, str(error)
    images, labels = by_stem(cases / "images"), by_stem(cases / "labels")
    both = sorted(images.keys() & labels, key=natural)
    headers = {name: header_names(labels[name]) for name in both}
    table = name_table(named, headers.values(), record)
    reader = _Reader(table, report, entries_of(record))
    return CaseTable(tuple(reader.row(name, images[name], labels[name], headers[name]) for name in both),
                     table.shown, report, problem)


def read_record(path: Path) -> dict[str, Any]:
    """A JSON object; {} without the file. Raises UserError and OSError."""
    record = read_json(path) if path.exists() else {}
    if not isinstance(record, dict):
        raise UserError(f"{path.name} is no list of cases or names.", "Restore it from a backup, or remove it.")
    return record


def entries_of(record: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What cases.json says of each case, by name."""
    cases = record.get("cases", {})
    return {name: entry for name, entry in cases.items() if isinstance(entry, dict)} if isinstance(cases, dict) else {}


def read_named(cases: Path) -> dict[int, str]:
    """Value to name of labels.json; {} without the file. Raises UserError and OSError."""
    record = read_record(cases / NAMES_FILE)
    pairs = ((value, key) if isinstance(value, int) else (key, value) for key, value in record.items())
    found = {int(value): name for value, name in pairs if str(value).isdigit() and isinstance(name, str)}
    return {value: found[value] for value in sorted(found) if value}


def name_table(named: dict[int, str], headers: Iterable[dict[int, str]], record: dict[str, Any]) -> NameTable:
    """The structures of labels.json, or without one those of the label files' headers, and what is joined."""
    by_value = dict(named)
    if not named:
        known: dict[str, str] = {}
        for table in headers:
            for name in table.values():
                known.setdefault(folded(name), name)
        by_value = dict(enumerate(known.values(), start=1))
    joins = record.get("join", {})
    joins = joins if isinstance(joins, dict) else {}
    return NameTable(by_value, {whole: tuple(_member(part, by_value) for part in parts)
                                for whole, parts in joins.items() if isinstance(parts, list)})


def header_names(label: Path) -> dict[int, str]:
    """What a label file calls its values; {} where it names none or cannot be read."""
    with contextlib.suppress(UserError, OSError):
        return read_segment_names(label)
    return {}


def by_stem(folder: Path) -> dict[str, Path]:
    """Files of images or labels by the name of their case; of several channels the first."""
    try:
        files = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    except OSError:
        return {}
    found: dict[str, Path] = {}
    for path in files:
        if path.name.lower().endswith(ENDINGS):
            found.setdefault(stem_of(path).removesuffix("_0000"), path)
    return found


def stem_of(path: Path) -> str:
    """The name of a file without its ending."""
    ending = next((ending for ending in ENDINGS if path.name.lower().endswith(ending)), "")
    return path.name[: len(path.name) - len(ending)] if ending else path.name


@dataclass(frozen=True)
class _Reader:
    """Makes a row of what is known of a case."""

    table: NameTable
    report: CheckReport
    entries: dict[str, dict[str, Any]]

    def row(self, name: str, image: Path, label: Path, header: dict[int, str]) -> CaseRow:
        """The row of a case."""
        entry, found = self.entries.get(name, {}), self.report.cases.get(name)
        worst = self.report.worst(name)
        problem = worst.seen if worst is not None else "" if found is None else found.problem
        fresh = found if found is not None and not _is_newer(label, self.report.stamp) else None
        return CaseRow(
            name, image, label, self._structures(entry, fresh, header), heldOut=entry.get("held_out") is True,
            leftOut=entry.get("left_out") is True, fault=problem,
            stopsTraining=bool(problem) and (worst is None or worst.severity == "fault"),
            annotator=_text(entry, "annotator"), annotatedOn=_text(entry, "annotated_on"),
            nSlices=None if fresh is None else fresh.annotatedSlices, patient=_text(entry, "patient"))

    def _structures(self, entry: dict[str, Any], found: CaseFound | None, header: dict[int, str]) -> dict[str, str]:
        declared = entry.get("not_annotated", [])
        declared = declared if isinstance(declared, list) else []
        absent = {folded(self.table.whole(_member(one, self.table.byValue))) for one in declared}
        if found is not None:
            there = {folded(name) for name, voxels in found.voxels.items() if voxels}
        elif header:
            there = {folded(self.table.whole(name)) for name in header.values()}
        else:
            return {name: NOT_ANNOTATED for name in self.table.shown if folded(name) in absent}
        return {name: NOT_ANNOTATED if folded(name) in absent else ANNOTATED if folded(name) in there else ABSENT
                for name in self.table.shown}


def _member(part: object, by_value: dict[int, str]) -> str:
    """The name of a structure that is given by its name or its value."""
    return part if isinstance(part, str) else by_value.get(part, f"label {part}") if isinstance(part, int) else ""


def natural(name: str) -> list[tuple[int, str]]:
    """Sorts "case 2" before "case 10"."""
    return [(int(digits), "") if digits else (-1, text.casefold())
            for digits, text in re.findall(r"(\d{1,9})|(\D+|\d)", name)]


def _text(entry: dict[str, Any], key: str) -> str:
    value = entry.get(key)
    return value if isinstance(value, str) else ""


def _is_newer(path: Path, stamp: int) -> bool:
    try:
        return path.stat().st_mtime_ns > stamp
    except OSError:
        return True


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def _stamps(folder: Path) -> tuple:
    return tuple((path.name, _stamp(path)) for path in sorted(by_stem(folder).values()))
