"""The files of a model folder: written beside it and moved in one piece, listed in a manifest, verified on reading."""

from __future__ import annotations

import hashlib
import os
import shutil
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from alhvr.core.errors import ModelError, UserError
from alhvr.core.files import flush_folder, open_plain, parse_json, shown, to_json

FORMAT = "alhvr-model"
FORMAT_VERSION = 1
MANIFEST, DESCRIPTION, WEIGHTS, CARD = "manifest.json", "alhvr.json", "models/model.pt", "docs/README.md"

COPY_AGAIN = "Copy the whole model folder again from where it came."
WRITTEN_BY_TRAIN = "Give a folder that `alhvr train` wrote, such as RUN/model."
MOST_FILES, LARGEST_MODEL_BYTES = 1000, 16 * 10**9
"""What lists more, or has larger files, is no model: the largest networks there are take 2 GB of them."""
LARGEST_MANIFEST_BYTES = 4 << 20
LONGEST_NAME = 200
RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(1, 10))}
UNWANTED = set('<>:"|?*\\/')
"""Names and letters that Windows does not take."""


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


@dataclass(frozen=True)
class Manifest:
    """The files of a model, as its manifest lists them; the manifest itself is not among them."""

    sizes: dict[str, int]
    """Bytes by name, relative to the folder, with forward slashes."""
    digests: dict[str, str]
    """sha256 in hexadecimal digits by name."""

    @property
    def n_bytes(self) -> int:
        """Of all files together."""
        return sum(self.sizes.values())

    def has_graphs(self, networks: Iterable[str]) -> bool:
        """Whether all networks of these names are there as ONNX, so that segmenting needs no PyTorch."""
        return all(graph_file(name) in self.sizes for name in graph_names(networks))


def graph_names(networks: Iterable[str]) -> tuple[str, ...]:
    """The ONNX files of a model with these networks, without folder and ending: a_encoder, a_decoder and so on."""
    return tuple(f"{name}_{part}" for name in networks for part in ("encoder", "decoder"))


def graph_file(name: str) -> str:
    """Where a model has the graph of this name."""
    return f"models/{name}.onnx"


def verified_files(folder: Path) -> tuple[str, ...]:
    """The files that the manifest of ``folder`` lists, after each was verified against it.

    Raises ModelError for a missing folder, a folder that is no ALHVR model, a newer format, and a file that is missing,
    cut short, changed, no plain file, or a link out of the folder.
    """
    if not folder.is_dir():
        raise ModelError(f"There is no model folder {shown(folder)}.", _where_to_look(folder))
    if not any(os.path.lexists(folder / name) for name in (MANIFEST, DESCRIPTION)):
        raise ModelError(f"{shown(folder)} is no ALHVR model.", WRITTEN_BY_TRAIN)
    try:
        manifest = read_manifest(folder)
        for name in manifest.sizes:
            require_content(folder, name, manifest)
    except ModelError as error:
        raise ModelError(f"{shown(folder)}: {error.message}", error.hint) from error
    return tuple(manifest.sizes)


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a folder, whose files are there, inside of it, and have the sizes that it says.

    Raises ModelError, which names the file by its name in the model.
    """
    manifest = parse_manifest(read_inside(folder, MANIFEST, LARGEST_MANIFEST_BYTES))
    for name, expected in manifest.sizes.items():
        with open_inside(folder, name) as stream:
            n_bytes = os.fstat(stream.fileno()).st_size
        if n_bytes != expected:
            raise ModelError(f"{name} has {n_bytes} bytes instead of {expected}.", COPY_AGAIN)
    return manifest


def require_content(folder: Path, name: str, manifest: Manifest) -> None:
    """Raises ModelError unless a file of a model has the sha256 that its manifest says."""
    with open_inside(folder, name) as stream, reading(name):
        if hashlib.file_digest(stream, "sha256").hexdigest() != manifest.digests[name]:
            raise changed(name)


def changed(name: str) -> ModelError:
    """The error of a file whose content is not that of the manifest."""
    return ModelError(f"{name} was changed after the model was written.", COPY_AGAIN)


def parse_manifest(data: bytes) -> Manifest:
    """The manifest in the bytes of manifest.json; raises ModelError for one that this version cannot read."""
    try:
        values = parse_json(data, MANIFEST)
    except UserError as error:
        raise ModelError(error.message, COPY_AGAIN) from error
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise ModelError(f"{MANIFEST} is that of no ALHVR model.", WRITTEN_BY_TRAIN)
    version = values.get("format_version")
    if type(version) is not int or not 1 <= version <= FORMAT_VERSION:
        raise ModelError(f"{MANIFEST} has model format {version!r:.40}; this version of ALHVR reads up to "
                         f"{FORMAT_VERSION}.", "Update ALHVR.")
    files = values.get("files")
    if not isinstance(files, dict) or not {DESCRIPTION, WEIGHTS, CARD} <= files.keys():
        raise ModelError(f"{MANIFEST} lists no {DESCRIPTION}, {WEIGHTS} or {CARD}.", COPY_AGAIN)
    if len(files) > MOST_FILES:
        raise ModelError(f"{MANIFEST} lists {len(files)} files; at most {MOST_FILES} are accepted.", COPY_AGAIN)
    return _manifest(files)


def _manifest(files: dict[str, Any]) -> Manifest:
    """The manifest with these entries, each of which was looked at."""
    for name, entry in files.items():
        size = entry.get("bytes") if isinstance(entry, dict) else None
        if not is_safe_name(name) or type(size) is not int or size < 0:
            raise ModelError(f"{MANIFEST} has a bad entry: {name!r:.100}.", COPY_AGAIN)
    if len({name.casefold() for name in files} | {MANIFEST}) <= len(files):
        raise ModelError(f"{MANIFEST} lists a file twice.", COPY_AGAIN)
    manifest = Manifest({name: entry["bytes"] for name, entry in files.items()},
                        {name: str(entry.get("sha256")) for name, entry in files.items()})
    if manifest.n_bytes > LARGEST_MODEL_BYTES:
        raise ModelError(f"{MANIFEST} lists more than {LARGEST_MODEL_BYTES / 1e9:.0f} GB.",
                         "Check that it is the model you mean.")
    return manifest


def is_safe_name(name: str) -> bool:
    """Whether a relative path with forward slashes stays inside its folder, on any system."""
    return 0 < len(name) <= LONGEST_NAME and all(_is_safe_part(part) for part in name.split("/"))


def _is_safe_part(part: str) -> bool:
    if part in ("", ".", "..") or part != part.rstrip(" .") or part.split(".")[0].lower() in RESERVED:
        return False
    return not UNWANTED & set(part) and all(unicodedata.category(letter)[0] != "C" for letter in part)


def open_inside(folder: Path, name: str) -> BinaryIO:
    """A stream of a plain file inside a folder.

    Raises ModelError for a missing file, a link that leads out of the folder, and what is no file: reading a pipe never
    ends.
    """
    try:
        found = (folder / name).resolve(strict=True)
        if not found.is_relative_to(folder.resolve()):
            raise ModelError(f"{shown(name)} is a link to a place outside of the model folder.",
                             "Copy the model with the files that its links name (cp -rL).")
        return open_plain(found)
    except FileNotFoundError:
        raise ModelError(f"{shown(name)} is missing.", COPY_AGAIN) from None
    except ModelError:
        raise
    except UserError as error:
        raise ModelError(error.message, COPY_AGAIN) from error
    except (OSError, RuntimeError) as error:  # RuntimeError: links in a ring, up to Python 3.12
        raise _unreadable(name, error) from error


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Turns what the disk refuses while a file is read into ModelError."""
    try:
        yield
    except OSError as error:
        raise _unreadable(name, error) from error


def _unreadable(name: str, error: Exception) -> ModelError:
    return ModelError(f"{shown(name)} cannot be read: {getattr(error, 'strerror', None) or error}.", COPY_AGAIN)


def read_inside(folder: Path, name: str, at_most: int) -> bytes:
    """The content of a file inside a folder; ModelError as by open_inside, and for more than ``at_most`` bytes."""
    with open_inside(folder, name) as stream, reading(name):
        data = stream.read(at_most + 1)
    if len(data) > at_most:
        raise ModelError(f"{shown(name)} has more than {at_most / 1e6:.3g} MB.", "Check that it is the model you mean.")
    return data


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


def _where_to_look(folder: Path) -> str:
    old = folder.with_name(f".{folder.name}.old")
    if old.is_dir():
        return f"Writing it was interrupted; the model from before is in {shown(old)}: rename it."
    return WRITTEN_BY_TRAIN


def _sha256(path: Path) -> str:
    with open_plain(path) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
