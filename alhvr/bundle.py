"""Bundle: the model folder (MONAI Bundle layout), written in one piece, verified on reading, never executed.

    MODEL/alhvr.json                    plan, labels, networks, how to segment, training record
    MODEL/manifest.json                 size and sha256 of every other file; read_model trusts nothing that is not in it
    MODEL/configs/metadata.json         what MONAI's tools want to know
    MODEL/configs/inference.json        for ``python -m monai.bundle run``
    MODEL/models/model.pt               state of both networks, keys a.* and b.*, loads with weights_only=True
    MODEL/docs/README.md, LICENSE       for people
"""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from alhvr.bundle_card import licence_text, model_card
from alhvr.bundle_description import InferenceSettings, ModelDescription, NetworkSpec
from alhvr.bundle_metadata import inference_config, metadata
from alhvr.errors import UserError
from alhvr.json_file import to_json
from alhvr.torch_file import write_tensors

__all__ = ["InferenceSettings", "Model", "ModelDescription", "NetworkSpec", "read_model", "write_model"]

FORMAT = "alhvr-model"
FORMAT_VERSION = 1
MANIFEST, DESCRIPTION, WEIGHTS, CARD = "manifest.json", "alhvr.json", "models/model.pt", "docs/README.md"
NETWORKS = ("a", "b")

_COPY_AGAIN = "Copy the whole model folder again from where it came."


@dataclass(frozen=True)
class Model:
    """A verified model folder."""

    description: ModelDescription
    folder: Path
    files: tuple[str, ...]
    """Verified files, relative to the folder, with forward slashes."""

    def file(self, name: str) -> Path | None:
        """Path of a verified file such as "models/model.pt"; None when the model has no such file."""
        return self.folder / name if name in self.files else None

    def card(self) -> str:
        """The model card for people, Markdown."""
        return (self.folder / CARD).read_text(encoding="utf-8")

    def load_state(self) -> dict[str, dict[str, Any]]:
        """{"a": {name: tensor}, "b": ...} on the CPU, for ``load_state_dict``; needs torch, runs no code of the file.

        Raises UserError when torch is not there or the file holds anything else.
        """
        try:
            import torch
        except ImportError as error:
            raise UserError("These weights need PyTorch, which is not installed.", "Install torch.") from error
        try:
            flat = torch.load(self.folder / WEIGHTS, map_location="cpu", weights_only=True)
        except (pickle.UnpicklingError, RuntimeError) as error:
            raise UserError(f"{self.folder / WEIGHTS} holds no plain weights.", _COPY_AGAIN) from error
        state: dict[str, dict[str, Any]] = {network: {} for network in NETWORKS}
        for key, tensor in flat.items():
            network, _, name = key.partition(".")
            if network not in state:
                raise UserError(f"{self.folder / WEIGHTS} holds {key!r}; keys a.* and b.* are known.", _COPY_AGAIN)
            state[network][name] = tensor
        return state


def write_model(folder: Path, description: ModelDescription, state: Mapping[str, Mapping[str, Any]]) -> None:
    """Writes the model folder; an existing model there is kept until the new one is complete.

    ``state`` is {"a": {name: tensor or array}, "b": ...}. The files are gathered in a hidden folder beside
    ``folder``, flushed to the disk, and moved. Raises UserError when ``folder`` holds something else than a model
    or cannot be written.
    """
    folder = Path(folder).resolve()
    _require_replaceable(folder)
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        _write_files(partial, description, state)
        _swap(partial, folder)
    except OSError as error:
        message = f"The model cannot be written to {folder}: {error.strerror or error}."
        raise UserError(message, "Free some disk space or choose another folder.") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def read_model(folder: Path) -> Model:
    """Verifies every file against the manifest and reads the description; the weights are read by ``load_state``.

    The manifest finds damage and incomplete copies; it is no signature. Raises UserError for a missing folder, a
    folder that is no ALHVR model, a newer format, and a file that is missing, cut short or changed.
    """
    folder = Path(folder)
    entries = _read_manifest(folder)
    for name, entry in entries.items():
        _verify(folder, name, entry)
    values = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
    return Model(ModelDescription.from_dict(values), folder, tuple(entries))


def _require_replaceable(folder: Path) -> None:
    if folder.is_dir():
        if any(folder.iterdir()) and not (folder / DESCRIPTION).exists():
            raise UserError(f"{folder} holds other files than a model.", "Choose an empty or a new folder.")
    elif folder.exists():
        raise UserError(f"{folder} is a file.", "Choose an empty or a new folder.")


def _write_files(folder: Path, description: ModelDescription, state: Mapping[str, Mapping[str, Any]]) -> None:
    """All files of the model, the manifest last."""
    texts = {
        DESCRIPTION: to_json(description.to_dict()),
        "configs/metadata.json": to_json(metadata(description)),
        "configs/inference.json": to_json(inference_config(description)),
        CARD: model_card(description),
        "LICENSE": licence_text(description),
    }
    for name, text in texts.items():
        _write_bytes(folder / name, text.encode("utf-8"))
    _write_weights(folder / WEIGHTS, state)
    files = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    entries = {name: {"bytes": path.stat().st_size, "sha256": _sha256(path)} for name, path in files.items()}
    manifest = {"format": FORMAT, "format_version": FORMAT_VERSION, "files": entries}
    _write_bytes(folder / MANIFEST, to_json(manifest).encode("utf-8"))


def _write_bytes(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


def _write_weights(path: Path, state: Mapping[str, Mapping[str, Any]]) -> None:
    import torch

    flat = {
        f"{network}.{name}": torch.as_tensor(value).detach().cpu().clone(memory_format=torch.contiguous_format)
        for network in NETWORKS
        for name, value in state[network].items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    write_tensors(path, flat)


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
            raise UserError(f"{folder / MANIFEST} is missing.", _COPY_AGAIN) from None
        raise no_model from None
    except (OSError, ValueError) as error:
        raise UserError(f"{folder / MANIFEST} cannot be read: {error}.", _COPY_AGAIN) from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise no_model
    version = manifest.get("format_version")
    if not isinstance(version, int) or version > FORMAT_VERSION:
        raise UserError(
            f"{folder} has model format {version}; this version of alhvr reads up to {FORMAT_VERSION}.", "Update alhvr."
        )
    files = manifest.get("files")
    if not isinstance(files, dict) or not {DESCRIPTION, WEIGHTS, CARD} <= files.keys():
        raise UserError(f"{folder / MANIFEST} lists no {DESCRIPTION}, {WEIGHTS} or {CARD}.", _COPY_AGAIN)
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
        raise UserError(f"{folder / MANIFEST} has a bad entry: {name!r}.", _COPY_AGAIN)
    path = folder / name
    try:
        n_bytes = path.stat().st_size
        if n_bytes != entry.get("bytes"):
            raise UserError(f"{path} has {n_bytes} bytes instead of {entry.get('bytes')}.", _COPY_AGAIN)
        if _sha256(path) != entry.get("sha256"):
            raise UserError(f"{path} was changed after the model was written.", _COPY_AGAIN)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.", _COPY_AGAIN) from error


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
