"""The labelled cases as the panel shows them: read from PROJECT/cases, cases.json and the last check."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

ANNOTATED, NOT_ANNOTATED, ABSENT = "annotated", "not annotated", "absent"
ENDINGS = (".seg.nrrd", ".nii.gz", ".nrrd", ".nii", ".nhdr", ".mha", ".mhd")


@dataclass(frozen=True)
class CaseRow:
    """One labelled case."""

    name: str
    image: Path
    label: Path
    structures: dict[str, str]
    """ANNOTATED, NOT_ANNOTATED or ABSENT by name of the structure; none for what is not known before a check."""
    heldOut: bool = False
    leftOut: bool = False
    fault: str = ""
    """The worst that the last check says of it; "" for nothing."""
    annotator: str = ""
    annotatedOn: str = ""
    """A date, as text."""
    nSlices: int | None = None
    """Slices with annotation; None before a check."""


def stamp_of(project: Path) -> tuple:
    """What changes whenever the rows may have changed."""
    cases = project / "cases"
    return tuple(_stamp(path) for path in (cases / "images", cases / "labels", cases / "cases.json",
                                           cases / "labels.json", project / "check.json"))


def read_rows(project: Path) -> tuple[CaseRow, ...]:
    """The cases that have a scan and a label, by name; never raises."""
    from alhvr.core.errors import UserError

    cases = project / "cases"
    try:
        entries = read_entries(project)
    except (UserError, OSError):
        entries = {}
    images, labels = by_stem(cases / "images"), by_stem(cases / "labels")
    both = sorted(images.keys() & labels)
    return tuple(_row(name, images[name], labels[name], entries.get(name, {})) for name in both)


def read_entries(project: Path) -> dict[str, Any]:
    """What cases.json says of each case, by name; {} without the file. Raises UserError and OSError."""
    from alhvr.core.files import read_json

    path = project / "cases" / "cases.json"
    record = read_json(path) if path.exists() else {}
    cases = record.get("cases", {}) if isinstance(record, dict) else {}
    return {name: entry for name, entry in cases.items() if isinstance(entry, dict)} if isinstance(cases, dict) else {}


def by_stem(folder: Path) -> dict[str, Path]:
    """Files of images or labels by the name of their case."""
    try:
        files = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    except OSError:
        return {}
    return {stem_of(path): path for path in files if path.name.lower().endswith(ENDINGS)}


def stem_of(path: Path) -> str:
    """The name of a file without its ending."""
    ending = next((ending for ending in ENDINGS if path.name.lower().endswith(ending)), "")
    return path.name[: len(path.name) - len(ending)] if ending else path.name


def _row(name: str, image: Path, label: Path, entry: dict[str, Any]) -> CaseRow:
    absent = entry.get("not_annotated", [])
    structures = {text: NOT_ANNOTATED for text in absent if isinstance(text, str)} if isinstance(absent, list) else {}
    return CaseRow(name, image, label, structures, heldOut=entry.get("held_out") is True,
                   leftOut=entry.get("left_out") is True, annotator=_text(entry, "annotator"),
                   annotatedOn=_text(entry, "annotated_on"))


def _text(entry: dict[str, Any], key: str) -> str:
    value = entry.get(key)
    return value if isinstance(value, str) else ""


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size
