"""``alhvr pacs``: look for studies in an archive, bring one here, and put results there."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alhvr.core.errors import Cancelled, UserError, require
from alhvr.core.files import make_writable, shown, write_refused, written_atomically
from alhvr.core.progress import Reporter
from alhvr.core.signals import StopRequest
from alhvr.data.dicom_file import is_dicom_file
from alhvr.pacs.dicomweb import WebArchive
from alhvr.pacs.dimse import DimseArchive
from alhvr.pacs.messages import Archive, Image, Query
from alhvr.pacs.server import Server, require_uid

_DATE = re.compile(r"\d{8}|\d{8}-|-\d{8}|\d{8}-\d{8}")


@dataclass(frozen=True)
class Pulled:
    """What came from an archive."""

    folders: tuple[Path, ...]
    """One for each series."""
    n_files: int
    n_before: int
    """How many of these were here before, the same."""


@dataclass(frozen=True)
class Pushed:
    """What an archive keeps now."""

    n_sent: int
    left_out: tuple[str, ...]
    """Files that are no DICOM objects."""


def find(server: Server, query: Query) -> list[dict[str, Any]]:
    """Studies that fit, newest first, or the series of one; raises UserError."""
    if query.date:
        require(bool(_DATE.fullmatch(query.date)), "--date", query.date, "YYYYMMDD or YYYYMMDD-YYYYMMDD")
    if query.study:
        require_uid(query.study, "--study")
    found = _archive(server).find(query)
    return sorted(found, key=lambda item: (item.get("StudyDate", ""), item.get("SeriesNumber", "")), reverse=True)


def pull(server: Server, study: str, out: Path, reporter: Reporter, *, series: str = "") -> Pulled:
    """Writes the objects of a study, or of a series, to OUT/SERIES-UID/INSTANCE-UID.dcm; raises UserError, Cancelled.

    What is here already and the same is left as it is; a file of that name with another content is never replaced.
    """
    require_uid(study, "--study")
    if series:
        require_uid(series, "--series")
    make_writable(out)
    folders: dict[Path, None] = {}
    n_files = n_before = 0

    with StopRequest() as stop:
        def take(image: Image) -> None:
            nonlocal n_files, n_before
            if stop():
                raise Cancelled(f"Stopped after {n_files} objects, which are kept.")
            place = out / require_uid(image.series_uid, "a SeriesInstanceUID of the archive")
            folders[place] = None
            n_files += 1
            n_before += not _write(place / f"{require_uid(image.instance_uid, 'a SOPInstanceUID of the archive')}.dcm",
                                   image.data)
            reporter.progress("objects", n_files, 0)

        _archive(server).pull(study, series, take)
    if not n_files:
        raise UserError(f"{server.name} has no object of this {'series' if series else 'study'}.",
                        "Look for it by: alhvr pacs find.")
    return Pulled(tuple(folders), n_files, n_before)


def push(server: Server, inputs: Sequence[Path], reporter: Reporter) -> Pushed:
    """Sends DICOM files, and those of folders; raises UserError where one was refused, with how many were sent."""
    files, left_out = _dicom_files(inputs)
    if not files:
        raise UserError("There is no DICOM file to send.", "Give files, or folders that hold them.")
    refused, n_sent = [], 0
    with StopRequest() as stop:
        for number, sent in enumerate(_archive(server).push(files), start=1):
            n_sent += not sent.fault
            refused += [f"{shown(sent.path.name)}: {sent.fault}"] if sent.fault else []
            reporter.progress("objects", number, len(files))
            if stop():
                raise Cancelled(f"Stopped after {n_sent} of {len(files)} objects, which the archive keeps.")
    if refused:
        raise UserError(f"{server.name} keeps {n_sent} of {len(files)} objects; not the first of the others, "
                        f"{refused[0]}.", "Ask its administrator which kinds of objects it takes.")
    return Pushed(n_sent, tuple(left_out))


def _archive(server: Server) -> Archive:
    return WebArchive(server) if server.is_web else DimseArchive(server)


def _write(place: Path, data: bytes) -> bool:
    """False where the same file is there already; raises UserError where another is."""
    try:
        if place.exists():
            if place.read_bytes() == data or _same_object(place, data):
                return False
            raise UserError(f"{place} is there already with another content.", "Choose another --out folder.")
        place.parent.mkdir(parents=True, exist_ok=True)
        with written_atomically(place) as file:
            file.write(data)
    except OSError as error:
        raise write_refused(error, place) from error
    return True


def _same_object(place: Path, data: bytes) -> bool:
    """Whether a file holds the same object, whatever wrote it."""
    from io import BytesIO

    from pydicom import dcmread

    try:
        return dcmread(place) == dcmread(BytesIO(data))
    except Exception:  # noqa: BLE001 - one byte in a header makes pydicom raise anything
        return False


def _dicom_files(inputs: Sequence[Path]) -> tuple[list[Path], list[str]]:
    """DICOM files in order, and the names of other files; raises UserError for what is not there."""
    files, left_out = [], []
    for path in inputs:
        if not path.exists():
            raise UserError(f"{path} is not there.", "Give files, or folders that hold them.")
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file():
                (files.append(file) if is_dicom_file(file) else left_out.append(shown(file.name)))
    return files, left_out
