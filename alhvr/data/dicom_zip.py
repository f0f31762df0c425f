"""Zip files of scans: unpacked once into the user's cache, never outside of it, and never more than the disk holds."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from alhvr.core.errors import UserError
from alhvr.core.files import private_folder, shown, write_refused
from alhvr.data.case_paths import name_fault
from alhvr.data.dicom_index import index_file, say_indexed

_MOST_ENTRIES = 2_000_000
_MOST_RATIO, _SLACK_BYTES = 100, 1 << 30
"""Unpacked it may have so many times its bytes and 1 GB more; 1 GB stays free on the disk."""
_PIECE_BYTES = 1 << 20
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError)
_SHOWN = 3


@dataclass(frozen=True)
class Unpacked:
    """A zip file as a folder."""

    folder: Path
    notes: tuple[str, ...]
    """Where it lies, and what of it was left out."""


def is_zip(path: Path) -> bool:
    """Whether ``path`` is a file that is called .zip and begins as one."""
    with suppress(OSError):
        if path.name.lower().endswith(".zip") and path.is_file():
            with path.open("rb") as file:
                return file.read(2) == b"PK"
    return False


def unpack(path: Path) -> Unpacked:
    """The folder of a zip file, made where it was not unpacked yet, or changed since.

    Entries that lead out of it, links and names that no file can have are left out, with a note. Raises UserError for
    a damaged or protected one, one that grows beyond all measure, and where there is no cache or not the room.
    """
    index = index_file()
    if index is None:
        raise UserError(f"{shown(path.name)} is a zip file, and there is no cache folder to unpack it to.",
                        "Unpack it, and give the folder.")
    found = path.stat()
    name = hashlib.sha256(os.path.abspath(path).encode("utf-8", "surrogateescape")).hexdigest()[:16]
    version = hashlib.sha256(f"{found.st_size} {found.st_mtime_ns}".encode()).hexdigest()[:16]
    base = index.parent / "unpacked"
    target, notes = base / f"{name}-{version}", []
    folder = target / (path.stem if not name_fault(path.stem) else "zip")
    if not folder.is_dir():
        try:
            base.mkdir(mode=0o700, exist_ok=True)
            for old in base.glob(f"{name}-*"):
                shutil.rmtree(old, ignore_errors=True)
            with private_folder(base) as temporary:
                notes = _unpack(path, temporary / folder.name)
                os.replace(temporary, target)
        except OSError as error:
            raise write_refused(error, target) from error
    where = f"{shown(path.name)} was unpacked into the cache, {shown(target)}, and may be deleted there."
    return Unpacked(folder, (where, *notes))


def _unpack(path: Path, folder: Path) -> list[str]:
    """Writes the entries below ``folder``; returns what was left out. Raises UserError, and OSError of the disk."""
    folder.mkdir()
    left_out: list[str] = []
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            _require_sane(path, folder, entries)
            left = sum(entry.file_size for entry in entries)
            for count, entry in enumerate(entries):
                say_indexed(count, len(entries))
                parts = _parts(entry)
                if parts is None:
                    left_out.append(shown(entry.filename)[:80])
                elif parts and not entry.is_dir():
                    left = _write(archive, entry, folder.joinpath(*parts), left)
    except _DAMAGED as error:
        raise UserError(f"{shown(path.name)} is a damaged zip file ({type(error).__name__}).",
                        "Copy or export it again.") from error
    if not left_out:
        return []
    more = ", ..." if len(left_out) > _SHOWN else ""
    return [f"Entries of {shown(path.name)} that lead out of it, are links, or have names that no file can have were "
            f"left out: {len(left_out)} ({', '.join(left_out[:_SHOWN])}{more})."]


def _require_sane(path: Path, folder: Path, entries: Sequence[zipfile.ZipInfo]) -> None:
    """Raises UserError for a bomb, for one with a password, and where the disk has not the room."""
    if any(entry.flag_bits & 1 for entry in entries):
        raise UserError(f"{shown(path.name)} is protected by a password.", "Unpack it, and give the folder.")
    total, packed = sum(entry.file_size for entry in entries), path.stat().st_size
    if len(entries) > _MOST_ENTRIES or total > _MOST_RATIO * packed + _SLACK_BYTES:
        raise UserError(f"{shown(path.name)} has {packed / 1e6:.3g} MB and would unpack to {total / 1e9:.3g} GB in "
                        f"{len(entries)} files, more than any archive of scans.", "Unpack it, and give the folder.")
    free = shutil.disk_usage(folder).free
    if total > free - _SLACK_BYTES:
        raise UserError(f"{shown(path.name)} unpacks to {total / 1e9:.3g} GB, and {free / 1e9:.3g} GB are free.",
                        "Free some disk space, or unpack it elsewhere and give the folder.")


def _parts(entry: zipfile.ZipInfo) -> list[str] | None:
    """The folders and the name of an entry; None for a link and for one that is not to be written."""
    kind = stat.S_IFMT(entry.external_attr >> 16)
    parts = [part for part in entry.filename.replace("\\", "/").split("/") if part not in ("", ".")]
    absolute = entry.filename.startswith(("/", "\\"))
    if absolute or kind not in (0, stat.S_IFREG, stat.S_IFDIR) or any(name_fault(part) for part in parts):
        return None
    return parts


def _write(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path, left: int) -> int:
    """Writes one entry, and returns how many bytes the others may have; raises ValueError where it has more."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(entry) as source, target.open("wb") as file:
        for piece in _pieces(source):
            left -= len(piece)
            if left < 0:
                raise ValueError("it holds more than it announces")
            file.write(piece)
    return left


def _pieces(source: object) -> Iterator[bytes]:
    while piece := source.read(_PIECE_BYTES):
        yield piece
