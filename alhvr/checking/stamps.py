"""Stamps: which files make up a case, whether they are the ones seen before, and what their bytes are."""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from alhvr.core.files import is_plain
from alhvr.data.cases import Case
from alhvr.data.dicom_folder import files_of_series_folder, visible_files
from alhvr.data.reading import is_dicom_slice, scan_name

_SETTLED_S = 2.0
"""A file that was changed more recently may be changed again without its time telling."""
_HEADER_BYTES = 65536
_DATA_FILE = re.compile(rb"^(?:ElementDataFile\s*=|data ?file:)\s*(.+?)\s*$", re.MULTILINE | re.IGNORECASE)
_DETACHED = (".mhd", ".nhdr")


@dataclass(frozen=True)
class Source:
    """The files that hold one channel, or the label."""

    files: tuple[Path, ...]
    one_of_many: bool = False
    """The first file stands for its series; the others are all of its folder, which may hold many series."""


Sources = tuple[Source, ...]
"""Each channel, then the label."""


def sources_of(case: Case) -> Sources | None:
    """The files of a case; None when they are not there, or not known without reading them all."""
    paths = case.images if case.label is None else (*case.images, case.label)
    try:
        found = [_source(Path(os.path.abspath(path))) for path in paths]
    except OSError:
        return None
    return None if None in found else tuple(found)


def stamp(sources: Sources) -> tuple | None:
    """Path, size and time of each file, plain values; None when one is gone or was changed a moment ago."""
    seen, newest = [], 0.0
    try:
        for path in _all_files(sources):
            found = os.stat(path)
            seen.append((str(path), found.st_size, found.st_mtime_ns))
            newest = max(newest, found.st_mtime)
    except OSError:
        return None
    return None if time.time() - newest < _SETTLED_S else tuple(seen)


def content(sources: Sources) -> tuple | None:
    """Ending and SHA-256 of the bytes of each file, plain values; the same for copies under other names.

    A series in a folder with others goes by their places, sizes and times: its own files are not known from outside.
    None when a file cannot be read.
    """
    try:
        return tuple(stamp((s,)) if s.one_of_many else tuple(sorted(_inside(f) for f in s.files)) for s in sources)
    except OSError:
        return None


def total_bytes(sources: Sources) -> int:
    """Bytes of all files, without those that are gone."""
    return sum(path.stat().st_size for path in _all_files(sources) if path.exists())


def _all_files(sources: Sources) -> Iterator[Path]:
    return (path for source in sources for path in source.files)


def _source(path: Path) -> Source | None:
    """The files that hold a scan or label; None where a header does not name the one file with its voxels."""
    if path.is_dir():
        return Source(_plain(files_of_series_folder(path)))
    if not is_plain(path):
        return None
    if is_dicom_slice(path):
        return Source((path, *_plain(visible_files(path.parent))), one_of_many=True)
    if not path.name.lower().endswith(_DETACHED):
        return Source((path,))
    with path.open("rb") as stream:
        named = _DATA_FILE.search(stream.read(_HEADER_BYTES))
    data = None if named is None else path.parent / os.fsdecode(named[1])
    return Source((path, data)) if data is not None and is_plain(data) else None


def _plain(paths: Sequence[Path]) -> tuple[Path, ...]:
    """Those that are files."""
    return tuple(path for path in paths if path.is_file())


def _inside(path: Path) -> tuple[str, str]:
    """Ending, which decides how a file is read, and SHA-256."""
    ending = path.name[len(scan_name(path)):].lower()
    with path.open("rb") as stream:
        return ending, hashlib.file_digest(stream, "sha256").hexdigest()
