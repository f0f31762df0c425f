"""The files of a model folder: written beside it and moved in one piece, listed in a manifest, verified on reading."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from alhvr.errors import UserError
from alhvr.json_file import to_json

FORMAT = "alhvr-model"
FORMAT_VERSION = 1
MANIFEST, DESCRIPTION, WEIGHTS, CARD = "manifest.json", "alhvr.json", "models/model.pt", "docs/README.md"

COPY_AGAIN = "Copy the whole model folder again from where it came."


@contextmanager
def replaced_in_one_piece(folder: Path) -> Iterator[Path]:
    """A path beside ``folder`` (which is resolved) to gather the new files in; they become ``folder`` at the end.

    What ``folder`` was is kept until then, and where anything fails. Raises UserError where the disk refuses.
    """
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        yield partial
        _swap(partial, folder)
    except OSError as error:
        message = f"The model cannot be written to {folder}: {error.strerror or error}."
        raise UserError(message, "Free some disk space or choose another folder.") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


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
    """Copies a whole folder, byte for byte and through to the disk; links stay links."""

    def copy(file: str, to: str) -> None:
        write_file(Path(to), Path(file).read_bytes())
        shutil.copystat(file, to)

    shutil.copytree(source, target, symlinks=True, copy_function=copy)


def write_manifest(folder: Path, names: Iterable[str]) -> None:
    """Lists the files ``names``, relative to ``folder`` with forward slashes."""
    paths = {name: folder / name for name in sorted(names)}
    entries = {name: {"bytes": path.stat().st_size, "sha256": _sha256(path)} for name, path in paths.items()}
    manifest = {"format": FORMAT, "format_version": FORMAT_VERSION, "files": entries}
    write_file(folder / MANIFEST, to_json(manifest).encode("utf-8"))


def verified_files(folder: Path) -> tuple[str, ...]:
    """The files that the manifest of ``folder`` lists, after each was verified against it.

    Raises UserError for a missing folder, a folder that is no ALHVR model, a newer format, and a file that is missing,
    cut short or changed.
    """
    entries = _read_manifest(folder)
    for name, entry in entries.items():
        _verify(folder, name, entry)
    return tuple(entries)


def _swap(partial: Path, folder: Path) -> None:
    """Moves ``partial`` to ``folder``; what was there is deleted last, or put back when the move fails."""
    old = folder.with_name(f".{folder.name}.old")
    if folder.exists():
        shutil.rmtree(old, ignore_errors=True)
        folder.rename(old)
    try:
        partial.rename(folder)
    except OSError:
        if old.exists():
            old.rename(folder)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _read_manifest(folder: Path) -> dict[str, dict[str, Any]]:
    """The files that the manifest lists; raises UserError for anything but a manifest that this version can read."""
    if not folder.is_dir():
        raise UserError(f"There is no model folder {folder}.", _where_to_look(folder))
    no_model = UserError(f"{folder} is no ALHVR model.", "Give a folder that `alhvr train` wrote, such as RUN/model.")
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except FileNotFoundError:
        if (folder / DESCRIPTION).exists():
            raise UserError(f"{folder / MANIFEST} is missing.", COPY_AGAIN) from None
        raise no_model from None
    except (OSError, ValueError) as error:
        raise UserError(f"{folder / MANIFEST} cannot be read: {error}.", COPY_AGAIN) from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise no_model
    version = manifest.get("format_version")
    if not isinstance(version, int) or version > FORMAT_VERSION:
        raise UserError(
            f"{folder} has model format {version}; this version of alhvr reads up to {FORMAT_VERSION}.", "Update alhvr."
        )
    files = manifest.get("files")
    if not isinstance(files, dict) or not {DESCRIPTION, WEIGHTS, CARD} <= files.keys():
        raise UserError(f"{folder / MANIFEST} lists no {DESCRIPTION}, {WEIGHTS} or {CARD}.", COPY_AGAIN)
    return files


def _where_to_look(folder: Path) -> str:
    old = folder.with_name(f".{folder.name}.old")
    if old.is_dir():
        return f"Writing it was interrupted; the model from before is in {old}: rename it."
    return "Give a folder that `alhvr train` wrote, such as RUN/model."


def _verify(folder: Path, name: str, entry: Any) -> None:
    """Raises UserError unless the file is inside the folder and has the size and the sha256 of its entry."""
    inside = PurePosixPath(name)
    if inside.is_absolute() or ".." in inside.parts or not isinstance(entry, dict):
        raise UserError(f"{folder / MANIFEST} has a bad entry: {name!r}.", COPY_AGAIN)
    path = folder / name
    try:
        n_bytes = path.stat().st_size
        if n_bytes != entry.get("bytes"):
            raise UserError(f"{path} has {n_bytes} bytes instead of {entry.get('bytes')}.", COPY_AGAIN)
        if _sha256(path) != entry.get("sha256"):
            raise UserError(f"{path} was changed after the model was written.", COPY_AGAIN)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.", COPY_AGAIN) from error


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
