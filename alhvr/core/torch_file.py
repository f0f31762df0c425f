"""Files of tensors: written whole, with the disk's own reason where it refuses, and read only as they were written."""

from __future__ import annotations

import os
import zipfile
import zlib
from pathlib import Path
from typing import Any, BinaryIO

from alhvr.core.errors import UserError
from alhvr.core.files import open_plain, shown, written_atomically

_BROKEN_ZIP = (zipfile.BadZipFile, zlib.error, RuntimeError, ValueError, EOFError, OSError)


class DamagedTensors(UserError):
    """A file that is no file of tensors, or of which bits have changed since it was written."""


def write_tensors(path: Path, values: dict[str, Any]) -> None:
    """Writes ``values`` (tensors, numbers, texts) for ``read_tensors``; an older file stays until the new one is whole.

    Raises OSError when the disk is full or refuses; nothing is left then.
    """
    import torch

    with written_atomically(path) as file:
        try:
            torch.save(values, file)
        except RuntimeError as error:
            raise _disk_error(error, path) from error


def read_tensors(path: Path) -> dict[str, Any]:
    """What ``write_tensors`` wrote, on the CPU; runs no code in the file.

    Every part is compared with its checksum first. Raises DamagedTensors for anything else than a whole file of named
    values, UserError for what is no plain file, OSError where it is missing or may not be read.
    """
    import torch

    with open_plain(path) as file:
        _require_whole(file, path)
        file.seek(0)
        try:
            values = torch.load(file, map_location="cpu", weights_only=True)
        except MemoryError:
            raise
        except Exception as error:  # what a foreign pickle raises is anybody's guess
            raise _damaged(path, (str(error) or type(error).__name__).splitlines()[0][:120]) from error
    if not isinstance(values, dict):
        raise _damaged(path, f"it holds a {type(values).__name__} in place of named values")
    return values


def is_plain(value: Any) -> bool:
    """True for a tensor of numbers that are all in memory; one number repeated a million million times is none."""
    import torch

    if not isinstance(value, torch.Tensor) or value.layout != torch.strided or value.is_quantized:
        return False
    return value.device.type == "cpu" and value.numel() * value.element_size() <= value.untyped_storage().nbytes()


def _require_whole(file: BinaryIO, path: Path) -> None:
    """Raises DamagedTensors unless ``file`` is a ZIP as torch writes it, and every entry fits its checksum."""
    n_bytes = os.fstat(file.fileno()).st_size
    if not n_bytes:
        raise _damaged(path, "it is empty")
    try:
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
            if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries) or sum(
                    entry.file_size for entry in entries) > n_bytes:
                raise _damaged(path, "it was not written by torch.save")
            changed = archive.testzip()
    except _BROKEN_ZIP as error:
        raise _damaged(path, "it is no file of torch.save, or cut short") from error
    if changed is not None:
        raise _damaged(path, "its checksum does not fit: something in it has changed since it was written")


def _damaged(path: Path, reason: str) -> DamagedTensors:
    return DamagedTensors(f"{shown(path)} cannot be read ({shown(reason)}).", "Restore it from a backup.")


def _disk_error(error: BaseException, path: Path) -> OSError:
    """The refusal that torch's own error hides, or one with torch's words."""
    hidden: BaseException | None = error
    while hidden is not None:
        if isinstance(hidden, OSError):
            return hidden
        hidden = hidden.__cause__ or hidden.__context__
    return OSError(f"{path.name}: {error}")
