"""The index of DICOM headers: what each file of a folder was found to be, kept in the user's cache.

A file is read again where its size or time changed. The index keeps places of files, UIDs, grids and descriptions of
series; no name, number or birth date of a patient is read.
Where there is no cache folder, or it cannot be written, headers are read each time.
"""

from __future__ import annotations

import json
import os
import sqlite3
import stat
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alhvr.core.system import FOLDER_VARIABLE, user_caches
from alhvr.data.dicom_frames import read_slices
from alhvr.data.dicom_slice import SliceHeader, Unusable

VERSION = 1
"""Of what is kept of a file and how it is found out; an index of another version is another file."""
OWN_FOLDER = "alhvr-dicom-index"
"""Below the folder that the variable names."""
_MOST_BYTES = 1 << 30
"""An index that grew larger is begun again."""
_LARGEST_ROW = 1 << 28
_SETTLED_S = 2.0
"""A file that was changed more recently may be changed again without its time telling."""
_WAIT_S = 5.0
_EVERY_S = 0.2

Headers = tuple[SliceHeader, ...] | Unusable | None
"""What ``read_slices`` gives."""
_Entry = tuple[int, int, Any]
"""Size, time and what was read, in plain values."""



@dataclass
class _Listener:
    """Who hears how far the index is."""

    hear: Callable[[int, int], None]
    done: int = 0
    total: int = 0
    heard_s: float = 0.0

    def tell(self) -> None:
        """Not more often than a person can read."""
        if time.monotonic() - self.heard_s > _EVERY_S:
            self.heard_s = time.monotonic()
            self.hear(self.done, self.total)


_listener: ContextVar[_Listener | None] = ContextVar("listener", default=None)


@contextmanager
def told_of_indexing(hear: Callable[[int, int], None]) -> Iterator[None]:
    """In the block, ``hear`` is told how many folders of how many were looked at; it may raise Cancelled."""
    token = _listener.set(_Listener(hear))
    try:
        yield
    finally:
        _listener.reset(token)


def say_indexed(done: int, total: int) -> None:
    """Tells whoever listens that ``done`` of ``total`` folders were looked at."""
    listener = _listener.get()
    if listener is not None:
        listener.done, listener.total = done, total
        listener.tell()


def index_file() -> Path | None:
    """Where the index lies; None where there is no folder that is the user's own."""
    chosen = os.environ.get(FOLDER_VARIABLE)
    try:
        folder = user_caches() / "alhvr" / "dicom" if chosen is None else Path(chosen).absolute() / OWN_FOLDER
        if chosen == "":
            return None
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if hasattr(os, "getuid"):
            found = folder.lstat()
            if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
                return None
            folder.chmod(0o700)
        return folder / f"headers-{VERSION}.sqlite"
    except (OSError, RuntimeError):
        return None


def read_headers(paths: Sequence[Path]) -> Iterator[tuple[Path, Headers]]:
    """What each file is, as ``read_slices`` gives it; those that the index knows unchanged are not opened."""
    folders: dict[Path, list[Path]] = {}
    for path in paths:
        folders.setdefault(path.parent, []).append(path)
    for folder, files in folders.items():
        yield from _read_folder(folder, files)


def remember_series(path: Path, files: Iterable[Path]) -> bool:
    """Keeps which files the series is made of that ``path`` stands for; False where nothing can be kept."""
    with _opened() as database:
        if database is None:
            return False
        listed = [os.path.abspath(file) for file in dict.fromkeys(files)]
        with suppress(sqlite3.Error), database:
            database.execute("INSERT OR REPLACE INTO series VALUES (?, ?)", (os.path.abspath(path), _packed(listed)))
            return True
    return False


def files_of_series(path: Path) -> list[Path] | None:
    """The files of the series that ``path`` stands for; None where that is not known, or one of them is gone."""
    with _opened() as database:
        if database is None:
            return None
        with suppress(sqlite3.Error, ValueError, TypeError, zlib.error):
            row = database.execute("SELECT files FROM series WHERE path = ?", (os.path.abspath(path),)).fetchone()
            files = [] if row is None else [Path(file) for file in _unpacked(row[0])]
            return files if files and all(file.is_file() for file in files) else None
    return None


def _read_folder(folder: Path, files: Sequence[Path]) -> Iterator[tuple[Path, Headers]]:
    """Reads the headers of files of one folder, and keeps what is new."""
    key = os.path.abspath(folder)
    known = _known(key)
    entries: dict[str, _Entry] = {}
    listener, n_new = _listener.get(), 0
    for path in files:
        try:
            now = path.stat()
        except OSError:
            yield path, read_slices(path)
            continue
        same, found = _unchanged(path, known.get(path.name), now)
        if not same:
            found = read_slices(path)
            n_new += 1
            if time.time() - now.st_mtime > _SETTLED_S:
                entries[path.name] = (now.st_size, now.st_mtime_ns, _to_plain(found))
        if listener is not None:
            listener.tell()
        yield path, found
    if n_new:
        _keep(key, {**known, **entries})


def _unchanged(path: Path, entry: _Entry | None, now: os.stat_result) -> tuple[bool, Headers]:
    """Whether a file is as it was when ``entry`` was kept, and what was read then."""
    with suppress(ValueError, TypeError, LookupError):
        if entry is not None and tuple(entry[:2]) == (now.st_size, now.st_mtime_ns):
            return True, _from_plain(path, entry[2])
    return False, None


def _known(key: str) -> dict[str, _Entry]:
    """What is kept of the files of a folder, by name; empty where nothing is."""
    with _opened() as database:
        if database is None:
            return {}
        with suppress(sqlite3.Error, ValueError, TypeError, LookupError, zlib.error):
            row = database.execute("SELECT files FROM folders WHERE path = ?", (key,)).fetchone()
            if row is not None:
                return {name: (size, changed, plain) for name, (size, changed, plain) in _unpacked(row[0]).items()}
    return {}


def _keep(key: str, entries: dict[str, _Entry]) -> None:
    with _opened() as database:
        if database is not None:
            there = {name: entry for name, entry in entries.items() if os.path.lexists(os.path.join(key, name))}
            with suppress(sqlite3.Error, UnicodeError, ValueError), database:
                database.execute("INSERT OR REPLACE INTO folders VALUES (?, ?)", (key, _packed(there)))


def _to_plain(found: Headers) -> list | None:
    if found is None:
        return None
    if isinstance(found, Unusable):
        return [found.reason, found.kind, found.series_uid, found.hint]
    shared = found[0].tags
    return [shared, [[item.size_ij, item.spacing_ij_mm, item.position_lps_mm, item.orientation, item.thickness_mm,
                      item.modality, item.series_uid, item.instance_uid, item.stored_as,
                      {tag: text for tag, text in item.tags.items() if shared.get(tag) != text}, item.frame, item.scale]
                     for item in found]]


def _from_plain(path: Path, plain: list | None) -> Headers:
    if plain is None:
        return None
    if len(plain) == 4:
        return Unusable(path, *plain)
    shared, slices = plain
    return tuple(_slice(path, shared, values) for values in slices)


def _slice(path: Path, shared: dict[str, str], values: list) -> SliceHeader:
    size, spacing, position, turn, thickness, modality, series, instance, stored, tags, frame, scale = values
    return SliceHeader(path, tuple(size), tuple(spacing), tuple(position), tuple(turn), thickness, modality, series,
                       instance, tuple(stored), {**shared, **tags}, frame, tuple(scale))


def _packed(values: object) -> bytes:
    return zlib.compress(json.dumps(values, separators=(",", ":")).encode("utf-8", "surrogatepass"), 3)


def _unpacked(data: bytes) -> object:
    unpacking = zlib.decompressobj()
    text = unpacking.decompress(data, _LARGEST_ROW)
    if unpacking.unconsumed_tail:
        raise ValueError("a row of the index is too large")
    return json.loads(text.decode("utf-8", "surrogatepass"))


@contextmanager
def _opened() -> Iterator[sqlite3.Connection | None]:
    """The index, made where it is missing and begun again where it is damaged; None where there can be none."""
    path = index_file()
    database = None
    if path is not None:
        for _ in range(2):
            try:
                if path.exists() and path.stat().st_size > _MOST_BYTES:
                    path.unlink()
                database = sqlite3.connect(path, timeout=_WAIT_S)
                database.execute("PRAGMA synchronous = OFF")
                database.execute("CREATE TABLE IF NOT EXISTS folders (path TEXT PRIMARY KEY, files BLOB)")
                database.execute("CREATE TABLE IF NOT EXISTS series (path TEXT PRIMARY KEY, files BLOB)")
                break
            except (sqlite3.Error, OSError) as error:
                if database is not None:
                    database.close()
                database = None
                if not isinstance(error, sqlite3.OperationalError):
                    with suppress(OSError):
                        path.unlink()
    try:
        yield database
    finally:
        if database is not None:
            database.close()
