"""The files of a model folder: written beside it and moved in one piece, listed in a manifest, verified on reading."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Any

from alhvr.core.errors import ModelError, UserError
from alhvr.core.files import flush_folder, open_plain, read_json, require_plain, shown, to_json

FORMAT = "alhvr-model"
FORMAT_VERSION = 1
MANIFEST, DESCRIPTION, WEIGHTS, CARD = "manifest.json", "alhvr.json", "models/model.pt", "docs/README.md"

COPY_AGAIN = "Copy the whole model folder again from where it came."
WRITTEN_BY_TRAIN = "Give a folder that `alhvr train` wrote, such as RUN/model."
MOST_FILES, LARGEST_MODEL_BYTES = 1000, 16 * 10**9
LONGEST_NAME = 200
"""What lists more, or has larger files, is no model: the largest networks there are take 2 GB of them."""


@contextmanager
def replaced_in_one_piece(folder: Path) -> Iterator[Path]:
    """A path beside ``folder`` (which is resolved) to gather the new files in; they become ``folder`` at the end.

    What ``folder`` was is kept until then, and where anything fails. Raises UserError where the disk refuses.
    """
    partial = folder.with_name(f".{folder.name}.partial")
    try:
        _remove(partial)
        partial.mkdir(parents=True)
        yield partial
        for inside in (partial, *(path for path in partial.rglob("*") if path.is_dir() and not path.is_symlink())):
            flush_folder(inside)
        _swap(partial, folder)
        flush_folder(folder.parent)
    except OSError as error:
        message = f"The model cannot be written to {folder}: {error.strerror or error}."
        raise UserError(message, "Free some disk space or choose another folder.") from error
    finally:
        _remove(partial)


def require_replaceable(folder: Path) -> None:
    """Raises UserError unless ``folder`` is a model, empty, or not there."""
    if folder.is_dir():
        if any(folder.iterdir()) and not (folder / DESCRIPTION).exists():
            raise UserError(f"{folder} holds other files than a model.", "Choose an empty or a new folder.")
    elif folder.exists():
        raise UserError(f"{folder} is a file.", "Choose an empty or a new folder.")


def write_file(path: Path, content: bytes) -> None:
    """Writes ``content`` through to the disk, and makes the folder above."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


def copy_files(source: Path, target: Path) -> None:
    """Copies a whole folder, byte for byte and through to the disk; links stay links, a pipe is a UserError."""

    def copy(file: str, to: str) -> None:
        with open_plain(Path(file)) as stream:
            write_file(Path(to), stream.read())
        shutil.copystat(file, to)

    shutil.copytree(source, target, symlinks=True, copy_function=copy, dirs_exist_ok=True)


def write_manifest(folder: Path, names: Iterable[str]) -> None:
    """Lists the files ``names``, relative to ``folder`` with forward slashes."""
    paths = {name: folder / name for name in sorted(names)}
    entries = {name: {"bytes": path.stat().st_size, "sha256": _sha256(path)} for name, path in paths.items()}
    manifest = {"format": FORMAT, "format_version": FORMAT_VERSION, "files": entries}
    write_file(folder / MANIFEST, to_json(manifest).encode("utf-8"))


def verified_files(folder: Path) -> tuple[str, ...]:
    """The files that the manifest of ``folder`` lists, after each was verified against it.

    Raises ModelError for a missing folder, a folder that is no ALHVR model, a newer format, and a file that is missing,
    cut short, changed, no plain file, or a link out of the folder.
    """
    entries = _read_manifest(folder)
    n_bytes = 0
    for name, entry in entries.items():
        n_bytes += _verify(folder, name, entry, LARGEST_MODEL_BYTES - n_bytes)
    return tuple(entries)


def _swap(partial: Path, folder: Path) -> None:
    """Moves ``partial`` to ``folder``; what was there is deleted last, or put back when the move fails."""
    old = folder.with_name(f".{folder.name}.old")
    if folder.exists():
        _remove(old)
        folder.rename(old)
    try:
        partial.rename(folder)
    except OSError:
        if old.exists():
            old.rename(folder)
        raise
    _remove(old)


def _remove(path: Path) -> None:
    """Removes a folder with all that is in it, or the link at its place and not what that leads to."""
    if path.is_symlink():
        with suppress(OSError):
            path.unlink()
    else:
        shutil.rmtree(path, ignore_errors=True)


def _read_manifest(folder: Path) -> dict[str, dict[str, Any]]:
    """The files that the manifest lists; raises ModelError for anything but a manifest that this version can read."""
    if not folder.is_dir():
        raise ModelError(f"There is no model folder {shown(folder)}.", _where_to_look(folder))
    manifest = _manifest_values(folder)
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise _no_model(folder)
    version = manifest.get("format_version")
    if not isinstance(version, int) or version > FORMAT_VERSION:
        raise ModelError(f"{shown(folder)} has model format {version!r:.40}; this version of alhvr reads up to "
                         f"{FORMAT_VERSION}.", "Update alhvr.")
    files = manifest.get("files")
    if not isinstance(files, dict) or not {DESCRIPTION, WEIGHTS, CARD} <= files.keys():
        raise ModelError(f"{shown(folder / MANIFEST)} lists no {DESCRIPTION}, {WEIGHTS} or {CARD}.", COPY_AGAIN)
    if len(files) > MOST_FILES:
        raise ModelError(f"{shown(folder / MANIFEST)} lists {len(files)} files; at most {MOST_FILES} are accepted.",
                         COPY_AGAIN)
    return files


def _manifest_values(folder: Path) -> Any:
    try:
        return read_json(_inside(folder, MANIFEST))
    except FileNotFoundError:
        if (folder / DESCRIPTION).exists():
            raise ModelError(f"{shown(folder / MANIFEST)} is missing.", COPY_AGAIN) from None
        raise _no_model(folder) from None
    except UserError as error:
        raise ModelError(f"{shown(folder / MANIFEST)} cannot be read: {error.message}", COPY_AGAIN) from error
    except OSError as error:
        raise ModelError(f"{shown(folder / MANIFEST)} cannot be read: {error.strerror or error}.",
                         COPY_AGAIN) from error


def _no_model(folder: Path) -> ModelError:
    return ModelError(f"{shown(folder)} is no ALHVR model.", WRITTEN_BY_TRAIN)


def _where_to_look(folder: Path) -> str:
    old = folder.with_name(f".{folder.name}.old")
    if old.is_dir():
        return f"Writing it was interrupted; the model from before is in {shown(old)}: rename it."
    return WRITTEN_BY_TRAIN


def _verify(folder: Path, name: str, entry: Any, at_most: int) -> int:
    """The bytes of a file that is inside the folder and has the size and the sha256 of its entry; else ModelError."""
    if not _is_good_name(name) or not isinstance(entry, dict):
        raise ModelError(f"{shown(folder / MANIFEST)} has a bad entry: {name!r:.100}.", COPY_AGAIN)
    path = folder / name
    try:
        inside = _inside(folder, name)
        require_plain(inside)
        n_bytes = inside.stat().st_size
        if n_bytes != entry.get("bytes"):
            raise ModelError(f"{shown(path)} has {n_bytes} bytes instead of {entry.get('bytes')!r:.40}.", COPY_AGAIN)
        if n_bytes > at_most:
            raise ModelError(f"The files of {shown(folder)} have more than {LARGEST_MODEL_BYTES / 1e9:.0f} GB.",
                             "Check that it is the model you mean.")
        if _sha256(inside) != entry.get("sha256"):
            raise ModelError(f"{shown(path)} was changed after the model was written.", COPY_AGAIN)
    except OSError as error:
        raise ModelError(f"{shown(path)} cannot be read: {error.strerror or error}.", COPY_AGAIN) from error
    return n_bytes


def _is_good_name(name: str) -> bool:
    """Whether a manifest may list it: a path below the folder, of letters that every system takes."""
    inside = PurePosixPath(name)
    good = bool(inside.parts) and not inside.is_absolute() and ".." not in inside.parts
    return good and len(name) <= LONGEST_NAME and name.isprintable() and not set(name) & set('\\:*?"<>|')


def _inside(folder: Path, name: str) -> Path:
    """The file ``name`` of ``folder`` with no link left on its way; ModelError where that leads out of it, OSError."""
    try:
        found = (folder / name).resolve(strict=True)
    except RuntimeError as error:  # a ring of links, up to Python 3.12
        raise OSError(str(error)) from error
    if not found.is_relative_to(folder.resolve()):
        raise ModelError(f"{shown(folder / name)} is a link to a place outside of the model folder.",
                         "Copy the model with the files that its links name (cp -rL).")
    return found


def _sha256(path: Path) -> str:
    with open_plain(path) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
