"""Copying a new model, from a folder or a zip file, into a hidden folder beside the installed ones.

No Qt, so that a thread can do it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import tempfile
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slicer.i18n import tr as _

from alhvr.core.errors import ModelError
from alhvr.formats.model_folder import (
    LARGEST_MANIFEST_BYTES,
    MANIFEST,
    changed,
    is_safe_name,
    open_inside,
    parse_manifest,
    reading,
)
from ALHVRLib import paths
from ALHVRLib.models import store
from ALHVRLib.models.model_info import read_description
from ALHVRLib.models.untrusted_files import one_line, reason

MAX_ENTRIES = 10000
BOMB_BYTES, BOMB_RATIO = 1 << 20, 200
"""A file larger than this that was packed smaller than this is no network: weights hardly shrink."""
DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, OSError)
"""What reading a zip file raises that is damaged, encrypted, or packed in an unusual way."""
CHUNK = 1 << 20
SPARE_BYTES = 16 << 20
"""Left free on the disk."""


def open_source(path: Path | str) -> FolderSource | ZipSource:
    """The source at a path; raises ModelError where there is none. Close it after use."""
    path = Path(path)
    with reading(one_line(path.name)):
        if path.is_dir():
            return FolderSource(path)
        if not path.exists():
            raise ModelError(_("There is nothing at {path}.").format(path=path))
        is_zip = path.is_file() and path.suffix.lower() == ".zip"
    if not is_zip:
        raise ModelError(_("{name} is neither a folder nor a zip file.").format(name=one_line(path.name)))
    return ZipSource(path)


class FolderSource:
    """A model in a folder."""

    def __init__(self, path: Path) -> None:
        self.path = _root_of(path)

    def close(self) -> None:
        """Nothing is held open."""

    def open(self, name: str, size: int | None) -> Any:
        """A stream of one file; ModelError for links out of the folder and for what is not a regular file."""
        return open_inside(self.path, name)


def _root_of(path: Path) -> Path:
    """The folder itself, or the one inside it that is the only model there: people drop RUN in place of RUN/model."""
    if (path / MANIFEST).exists():
        return path
    inner = [child for child in path.iterdir() if child.is_dir() and (child / MANIFEST).exists()]
    if len(inner) > 1:
        raise ModelError(_("The folder holds {n} models: add them one by one.").format(n=len(inner)))
    if not inner:
        raise ModelError(_("{name} is not an ALHVR model.").format(name=one_line(path.name)))
    return inner[0]


class ZipSource:
    """A model in a zip file, at its top or in a folder of it; entries that the model does not list stay packed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._archive = zipfile.ZipFile(path)
        except DAMAGE as error:
            raise _damaged(path, error) from error
        try:
            self._entries = self._listed()
        except ModelError:
            self._archive.close()
            raise

    def close(self) -> None:
        """Let go of the file."""
        self._archive.close()

    def open(self, name: str, size: int | None) -> Any:
        """A stream of one entry; ModelError where it is a link, packed suspiciously, or cannot be unpacked."""
        entry = self._entries.get(name)
        if entry is None:
            raise ModelError(_("{file} is missing.").format(file=one_line(name)))
        if stat.S_ISLNK(entry.external_attr >> 16):
            raise ModelError(_("{file} is a link, which no model has.").format(file=one_line(name)))
        if entry.file_size > (LARGEST_MANIFEST_BYTES if size is None else size):
            raise ModelError(_("{file} is larger than the model says.").format(file=one_line(name)))
        if entry.file_size > BOMB_BYTES and entry.file_size > BOMB_RATIO * entry.compress_size:
            raise ModelError(_("{file} would unpack to far more than it should.").format(file=one_line(name)))
        try:
            return _Unpacking(self._archive.open(entry), self.path)
        except DAMAGE as error:
            raise _damaged(self.path, error) from error

    def _listed(self) -> dict[str, zipfile.ZipInfo]:
        """The entries by their names in the model; refuses archives that try to reach other places."""
        entries = [entry for entry in self._archive.infolist() if not entry.orig_filename.startswith("__MACOSX/")]
        if len(entries) > MAX_ENTRIES:
            raise ModelError(_("{name} holds more files than any model.").format(name=one_line(self.path.name)))
        for entry in entries:  # orig_filename: zipfile cuts a name at its first NUL
            if not is_safe_name(entry.orig_filename.removesuffix("/")):
                text = _("{name} holds a file with the unsafe name \"{file}\", so that nothing was unpacked.")
                raise ModelError(text.format(name=one_line(self.path.name), file=one_line(entry.orig_filename)))
        files = [entry for entry in entries if not entry.is_dir()]
        if len({entry.filename.casefold() for entry in files}) < len(files):
            raise ModelError(_("{name} holds a file twice.").format(name=one_line(self.path.name)))
        return self._below_root({entry.filename: entry for entry in files})

    def _below_root(self, files: dict[str, zipfile.ZipInfo]) -> dict[str, zipfile.ZipInfo]:
        roots = [name[: -len(MANIFEST)] for name in files if name == MANIFEST or name.endswith("/" + MANIFEST)]
        if not roots:
            raise ModelError(_("{name} holds no ALHVR model.").format(name=one_line(self.path.name)))
        if len(roots) > 1:
            text = _("{name} holds {n} models: pack and add them one by one.")
            raise ModelError(text.format(name=one_line(self.path.name), n=len(roots)))
        root = roots[0]
        return {name[len(root) :]: entry for name, entry in files.items() if name.startswith(root)}


class _Unpacking:
    """A stream whose errors are ours."""

    def __init__(self, stream: Any, path: Path) -> None:
        self._stream, self._path = stream, path

    def __enter__(self) -> _Unpacking:
        return self

    def __exit__(self, *_error: object) -> None:
        self._stream.close()

    def read(self, n_bytes: int) -> bytes:
        """The next bytes, at most so many."""
        try:
            return self._stream.read(n_bytes)
        except DAMAGE as error:
            raise _damaged(self._path, error) from error


def _damaged(path: Path, error: Exception) -> ModelError:
    if isinstance(error, RuntimeError) and "password" in str(error):
        return ModelError(_("{name} is locked with a password.").format(name=one_line(path.name)))
    return ModelError(_("{name} cannot be unpacked: it is damaged or truncated.").format(name=one_line(path.name)))


def read_manifest_data(source: FolderSource | ZipSource) -> bytes:
    """The bytes of a source's manifest.json, and one more where there are too many."""
    with source.open(MANIFEST, None) as stream, reading(MANIFEST):
        return stream.read(LARGEST_MANIFEST_BYTES + 1)


class Stopped(Exception):
    """The user pressed Cancel."""


@dataclass(frozen=True)
class CopiedModel:
    """A model that has been copied, or was there before."""

    name: str
    """Name of the folder that it has or will have."""
    folder: Path | None
    """The hidden folder; None where the same model is installed already."""


class ModelCopy:
    """One model on its way; `run` is called in a thread, the rest from anywhere.

    Without a name, the model gets that of its folder or zip file.
    """

    def __init__(self, path: Path, name: str = "") -> None:
        self.path = Path(path)
        self._name = name
        self.done = 0
        self.total = 0
        """Bytes that were copied, and of all files; 0 before they are known."""
        self.stopped = False

    def run(self) -> CopiedModel:
        """Copy the model; raises ModelError, or Stopped, and leaves nothing behind then."""
        source = open_source(self.path)
        try:
            return self._copy(source)
        except OSError as error:
            text = _("The model cannot be copied to {folder}: {why}.")
            raise ModelError(text.format(folder=paths.models_folder(), why=reason(error))) from error
        finally:
            source.close()

    def _copy(self, source: FolderSource | ZipSource) -> CopiedModel:
        data = read_manifest_data(source)
        manifest = parse_manifest(data)
        there = _installed_as(data)
        if there is not None:
            return CopiedModel(there, None)
        name = store.free_name(self.path, self._name)
        hidden = self._new_folder(manifest.n_bytes)
        try:
            for file, size in manifest.sizes.items():
                self._copy_file(source, hidden / file, file, size, manifest.digests[file])
            (hidden / MANIFEST).write_bytes(data)
            read_description(hidden)
        except BaseException:
            shutil.rmtree(hidden, ignore_errors=True)
            raise
        return CopiedModel(name, hidden)

    def _new_folder(self, n_bytes: int) -> Path:
        """A hidden folder on a disk that has room for the model."""
        parent = paths.models_folder()
        parent.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(parent).free
        if free < n_bytes + SPARE_BYTES:
            text = _("The disk of {folder} is too full: the model needs {needed} MB and {free} MB are free.")
            numbers = {"needed": (n_bytes + SPARE_BYTES) // 1000000 + 1, "free": free // 1000000}
            raise ModelError(text.format(folder=parent, **numbers))
        self.total = n_bytes
        return Path(tempfile.mkdtemp(prefix=".", suffix=".arriving", dir=parent))

    def _copy_file(self, source: FolderSource | ZipSource, target: Path, name: str, size: int, digest: str) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        seen, hashed = 0, hashlib.sha256()
        with source.open(name, size) as stream, target.open("wb") as copy:
            while True:
                if self.stopped:
                    raise Stopped
                with reading(name):
                    chunk = stream.read(CHUNK)
                if not chunk:
                    break
                seen += len(chunk)
                if seen > size:
                    raise ModelError(_("{file} is larger than the model says.").format(file=one_line(name)))
                hashed.update(chunk)
                copy.write(chunk)
                self.done += len(chunk)
            copy.flush()
            os.fsync(copy.fileno())
        if seen < size:
            text = _("{file} is truncated: it has {seen} bytes instead of {size}.")
            raise ModelError(text.format(file=one_line(name), seen=seen, size=size))
        if hashed.hexdigest() != digest:
            raise changed(name)


def _installed_as(manifest_data: bytes) -> str | None:
    """The name of the whole installed model with this manifest, None where there is none."""
    for model in store.installed():
        try:
            if not model.problem and (model.folder / MANIFEST).read_bytes() == manifest_data:
                return model.name
        except OSError:
            continue
    return None
