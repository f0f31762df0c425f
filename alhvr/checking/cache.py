"""The cache of a check: facts under keyed digests, and the stamps by which a file counts as unchanged."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from alhvr.core.errors import UserError
from alhvr.core.files import is_partial, is_plain, read_bytes, write_bytes, written_atomically
from alhvr.core.system import FOLDER_VARIABLE, user_caches
from alhvr.data.cases import Case
from alhvr.data.dicom_file import file_of
from alhvr.data.dicom_folder import files_beside, files_of_series_folder
from alhvr.data.reading import is_dicom_slice, scan_name

OWN_FOLDER = "alhvr-check-cache"
"""Below the folder that the variable names."""
MARK = "CACHEDIR.TAG"
"""A file by which a folder of this cache is known, and by which programs that copy folders know a cache."""
_MARK_TEXT = ("Signature: 8a477f597d28d172789f06886806bc55\n"
              "# A cache of alhvr; it may be deleted. See https://bford.info/cachedir/\n")
MOST_BYTES = 256 * 2**20
"""Size that is never exceeded for long."""
_KEPT_SHARE = 0.8
"""Of MOST_BYTES, once the oldest entries had to go."""
_BLOCK_BYTES = 4096
"""What a file takes at the least."""
_KEY_BYTES = 32
_KEY = "key"
_ENDING = ".txt"
_LARGEST_ENTRY_BYTES = 2**26
_FOLDER_NAME = re.compile("[0-9a-f]{2}")
_ENTRY_NAME = re.compile(r"[0-9a-f]{62}\.txt")
_SURELY_LEFT_S = 86_400.0

_SETTLED_S = 2.0
"""A file that was changed more recently may be changed again without its time telling."""
_HEADER_BYTES = 65536
_DATA_FILE = re.compile(rb"^(?:ElementDataFile\s*=|data ?file:)\s*(.+?)\s*$", re.MULTILINE | re.IGNORECASE)
_DETACHED = (".mhd", ".nhdr")


@dataclass(frozen=True)
class Cache:
    """A folder of entries; without a folder nothing is kept and nothing is found."""

    folder: Path | None = None
    key: bytes = field(default_factory=lambda: secrets.token_bytes(_KEY_BYTES), repr=False)
    """Secret that names entries, so that no digest in it can be guessed back to a path or a patient."""

    def name(self, *parts: object) -> str:
        """The name of the entry about ``parts``: a keyed digest."""
        text = repr(parts).encode("utf-8", "backslashreplace")
        return hashlib.blake2b(text, key=self.key, digest_size=32).hexdigest()

    def get(self, name: str) -> str | None:
        """The text of an entry, which is young again; None when it is not there or not whole."""
        if self.folder is None:
            return None
        path = self._path(name)
        with suppress(OSError, ValueError, UserError):
            digest, _, text = read_bytes(path, at_most=_LARGEST_ENTRY_BYTES).decode("utf-8").partition("\n")
            if digest == self.name(name, text):
                os.utime(path)
                return text
        return None

    def put(self, name: str, text: str) -> None:
        """Keeps a text; where the disk refuses, it is not kept."""
        if self.folder is None:
            return
        path = self._path(name)
        with suppress(OSError, ValueError):
            path.parent.mkdir(mode=0o700, exist_ok=True)
            with written_atomically(path, durable=False) as file:
                file.write(f"{self.name(name, text)}\n{text}".encode())

    def shrink(self, most_bytes: int = MOST_BYTES) -> None:
        """Lets the entries go that were not used for longest, where there are more than ``most_bytes``."""
        if self.folder is None:
            return
        entries = []
        for path, found in _own_files(self.folder):
            if is_partial(path.name):
                if found.st_mtime < time.time() - _SURELY_LEFT_S:
                    with suppress(OSError):
                        path.unlink()
            else:
                entries.append((found.st_mtime, max(_BLOCK_BYTES, found.st_size), path))
        excess = sum(size for _, size, _ in entries) - most_bytes
        if excess > 0:
            excess += (1 - _KEPT_SHARE) * most_bytes
        for _, size, path in sorted(entries, key=lambda entry: entry[0]):
            if excess <= 0:
                return
            with suppress(OSError):
                path.unlink()
                excess -= size

    def _path(self, name: str) -> Path:
        return self.folder / name[:2] / (name[2:] + _ENDING)


def open_cache() -> Cache:
    """The cache of this user; one that keeps nothing where there is no folder that is the user's own."""
    folder = _folder()
    if folder is None:
        return Cache()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        if not (_is_ours(folder) and _is_private(folder)):
            return Cache()
        return Cache(folder, _key_in(folder / _KEY))
    except (OSError, ValueError, UserError):
        return Cache()


def _folder() -> Path | None:
    chosen = os.environ.get(FOLDER_VARIABLE)
    if chosen is not None:
        return Path(chosen).absolute() / OWN_FOLDER if chosen else None
    with suppress(RuntimeError):
        return user_caches() / "alhvr" / "check"
    return None


def _is_ours(folder: Path) -> bool:
    """True for a folder with the mark, which is put into one that holds nothing but what a cache does."""
    if folder.is_symlink():
        return False
    mark = folder / MARK
    if not mark.exists() and all(path.name == _KEY or _FOLDER_NAME.fullmatch(path.name) for path in folder.iterdir()):
        write_bytes(mark, _MARK_TEXT.encode("ascii"))
    return read_bytes(mark, at_most=_BLOCK_BYTES).decode("utf-8") == _MARK_TEXT


def _own_files(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Entries, and what a kill left of one, where they can be looked at; never a link, or a file of another name."""
    folders = []
    with suppress(OSError):
        folders = [below for below in folder.iterdir() if _FOLDER_NAME.fullmatch(below.name) and not below.is_symlink()]
    for below in folders:
        with suppress(OSError):
            for path in below.iterdir():
                found = path.lstat()
                if (_ENTRY_NAME.fullmatch(path.name) or is_partial(path.name)) and stat.S_ISREG(found.st_mode):
                    yield path, found


def _is_private(folder: Path) -> bool:
    """True when the folder is the user's own and, where the system knows such rights, open to nobody else."""
    if not hasattr(os, "getuid"):
        return True
    if folder.stat().st_uid != os.getuid():
        return False
    folder.chmod(0o700)
    return stat.S_IMODE(folder.stat().st_mode) & 0o077 == 0


def _key_in(path: Path) -> bytes:
    """The secret of the folder, made with the first use; raises ValueError for one that is not whole."""
    with suppress(FileExistsError):
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as stream:
            stream.write(secrets.token_bytes(_KEY_BYTES))
    key = read_bytes(path, at_most=_BLOCK_BYTES)
    if len(key) != _KEY_BYTES:
        path.unlink()
        raise ValueError("The cache's key is not whole.")
    return key


@dataclass(frozen=True)
class Source:
    """The files that hold one channel, or the label."""

    files: tuple[Path, ...]
    one_of_many: bool = False
    """The first file stands for its series; the others are all of its folder, which may hold many series."""
    name: str = ""
    """Of what stands for a series: one file may hold several stacks."""


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
    seen: list = [source.name for source in sources if source.name]
    newest = 0.0
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
    whole, path = path.name, file_of(path)
    if not is_plain(path):
        return None
    if is_dicom_slice(path):
        return Source((path, *_plain(files_beside(path))), one_of_many=True, name=whole)
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
