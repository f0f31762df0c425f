"""Record: what ``alhvr segment`` has done in a folder, so that a second run skips it and no edited result is lost.

One JSON file beside the results. It holds names of files, never of folders, so the results and the scans may be moved.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from alhvr.core.errors import UserError
from alhvr.core.files import flush_folder, open_plain, read_json
from alhvr.data.folder_content import RESULTS_RECORD
from alhvr.export.volumes import TEACHER, new_file

FILE_NAME = RESULTS_RECORD
FORMAT, VERSION = "alhvr-segment", 1
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class FileFingerprint:
    """By what a file, or the files of a series together, are known again."""

    bytes: int
    times: str
    """Digest of the files' sizes and times of change. As long as it is the same, the content is taken to be so too."""
    sha256: str
    """Of the content."""

    @classmethod
    def of(cls, *files: Path) -> FileFingerprint:
        """The mark of the files as they are now, in this order; raises OSError."""
        n_bytes, times = _status(files)
        return cls(n_bytes, times, _sha256(files))

    def fits(self, *files: Path) -> bool:
        """True when the files are there with this content."""
        try:
            n_bytes, times = _status(files)
            return n_bytes == self.bytes and (times == self.times or _sha256(files) == self.sha256)
        except (OSError, UserError):
            return False


@dataclass(frozen=True)
class ResultEntry:
    """One scan that was segmented."""

    source: str
    """Name of the scan's file or folder, for people."""
    model: str
    """SHA-256 of the model's manifest."""
    regions: bool
    dicom_seg: bool
    """Whether these were asked for."""
    input: FileFingerprint
    """The scan's files."""
    files: dict[str, FileFingerprint]
    """The results by name, in the order in which they were written."""
    before: dict[str, str] = field(default_factory=dict)
    """SHA-256 of results that were written under a name before. They are still there when a run was killed while it
    moved the new ones to their place, and when the new run was not asked for them."""
    volumes_ml: dict[str, float] = field(default_factory=dict)
    """Millilitres of each structure."""
    nominal: bool = False
    """True when the scan's voxels of 1 mm may not be true."""
    fusion: str | None = None
    temperature: float | None = None
    """Wishes that differed from the model's own settings; None where there was none."""
    dicom: str = ""
    """Which DICOM files were asked for, and with which settings; empty in older records."""
    ran_with: str = ""
    """What ran the networks, such as "openvino in bf16"; empty in older records. A result of another is as good."""

    @property
    def has_regions(self) -> bool:
        """True when all maps of the regions were written; before there was one of the teacher, some were."""
        return self.regions and any(name.endswith(f".{TEACHER}.nrrd") for name in self.files)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> ResultEntry:
        """The entry written as ``asdict``; raises TypeError, ValueError, KeyError or AttributeError for another."""
        parts = {"input": FileFingerprint(**values["input"]),
                 "files": {str(name): FileFingerprint(**mark) for name, mark in values["files"].items()},
                 "before": {str(name): str(sha256) for name, sha256 in values["before"].items()},
                 "volumes_ml": {str(name): float(ml) for name, ml in values["volumes_ml"].items()},
                 "fusion": None if values.get("fusion") is None else str(values["fusion"]),
                 "temperature": None if values.get("temperature") is None else float(values["temperature"]),
                 **{name: str(values.get(name, "")) for name in ("ran_with", "dicom")},
                 **{name: bool(values[name]) for name in ("regions", "dicom_seg", "nominal")}}
        if any(Path(name).name != name for name in (*parts["files"], *parts["before"])):
            raise ValueError("a name that is a path")
        return cls(**{**values, **parts})


class ResultsIndex:
    """The entries of one results folder by the name of the segmentation file."""

    def __init__(self, folder: Path) -> None:
        """Reads what is there; ``damaged`` is true when that is no record that can be read, which counts as empty.

        It is renamed to ``aside`` when the first entry is written.
        """
        self._path = folder / FILE_NAME
        self._entries: dict[str, ResultEntry] = {}
        self._lines: dict[str, str] = {}
        self._writers: dict[str, set[str]] = {FILE_NAME: set()}
        self._seen: tuple[int, ...] | None = None
        self._unreadable: tuple[int, ...] | None = None
        self.aside = next(name for name in _names_aside() if not os.path.lexists(folder / name))
        self._refresh()

    @property
    def damaged(self) -> bool:
        """True when something stands in the place of the record that is none."""
        return self._unreadable is not None

    def entry(self, target: str) -> ResultEntry | None:
        """What is known of the segmentation file ``target``."""
        return self._entries.get(target)

    def knows(self, name: str) -> bool:
        """True for the name of a file that was written here by ``alhvr segment``, the record itself included."""
        return name in self._writers

    def wrote(self, path: Path) -> bool:
        """True when ``path`` is as ``alhvr segment`` wrote it; False when it was changed or is not known; OSError."""
        entries = [self._entries[target] for target in self._writers.get(path.name, ())]
        if any(entry.files[path.name].fits(path) for entry in entries if path.name in entry.files):
            return True
        earlier = {entry.before[path.name] for entry in entries if path.name in entry.before}
        try:
            return bool(earlier) and _sha256([path]) in earlier
        except UserError:
            return False

    def put(self, target: str, entry: ResultEntry, *, stage: Path | None = None) -> None:
        """Adds or replaces an entry and writes the record, whole or not at all; raises UserError and OSError.

        What another process has added meanwhile is kept. It is written in the folder ``stage``, so that what a killed
        process leaves of it goes with that folder; beside the record without one.
        """
        self._refresh()
        self._take(target, entry)
        head = json.dumps({"format": FORMAT, "version": VERSION})[:-1]
        staged = self._path if stage is None else stage / FILE_NAME
        with new_file(staged) as file:
            file.write(f'{head}, "results": {{\n'.encode("ascii"))
            file.write(",\n".join(self._lines.values()).encode("ascii"))
            file.write(b"\n}}\n")
            if self._unreadable is not None and self._unreadable == self._status():
                os.rename(self._path, self._path.with_name(self.aside))
        os.replace(staged, self._path)
        flush_folder(self._path.parent)
        self._seen, self._unreadable = self._status(), None

    def _take(self, target: str, entry: ResultEntry) -> None:
        self._entries[target] = entry
        self._lines[target] = f"{json.dumps(target)}: {json.dumps(asdict(entry))}"
        for name in (*entry.files, *entry.before):
            self._writers.setdefault(name, set()).add(target)

    def _refresh(self) -> None:
        """Reads the file where it is not as this process last saw it, as far as it can be read."""
        status = self._status()
        if status is None or status == self._seen:
            return
        self._seen = status
        try:
            values = read_json(self._path)
            if (values["format"], values["version"]) != (FORMAT, VERSION):
                raise ValueError("of another kind")
            for target, entry in values["results"].items():
                self._take(str(target), ResultEntry.from_dict(entry))
        except (OSError, UserError, ValueError, TypeError, KeyError, AttributeError):
            self._unreadable = status

    def _status(self) -> tuple[int, ...] | None:
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_ino, status.st_size, status.st_mtime_ns


def _names_aside() -> Iterator[str]:
    """Names for a file that stood in the place of the record, one after the other."""
    stem, ending = FILE_NAME.rsplit(".", 1)
    return (f"{stem}.unreadable{number or ''}.{ending}" for number in count())


def _status(files: Sequence[Path]) -> tuple[int, str]:
    """Bytes of all files together, and a digest of their sizes and times."""
    found = [path.stat() for path in files]
    text = " ".join(f"{status.st_size}:{status.st_mtime_ns}" for status in found)
    return sum(status.st_size for status in found), hashlib.sha256(text.encode("ascii")).hexdigest()[:16]


def _sha256(files: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for path in files:
        with open_plain(path) as stream:
            while chunk := stream.read(_CHUNK_BYTES):
                digest.update(chunk)
    return digest.hexdigest()
