"""Checkpoints: written to a temporary name and moved, so that the last good one survives a kill or a full disk."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import torch

from alhvr.errors import UserError
from alhvr.torch_file import write_tensors


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Writes ``state`` (tensors, numbers, texts) to ``path``; an older file there stays until the new one is whole.

    Raises OSError when the disk is full or the folder cannot be written; no partial file is left.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.part")
    try:
        write_tensors(temporary, state)
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise OSError(f"{path.name} could not be written ({error.strerror or error})") from error


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Reads a checkpoint without running any code in it; UserError when it cannot be read."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, EOFError, KeyError, pickle.UnpicklingError) as error:
        reason = (str(error) or "it is empty").splitlines()[0][:120]
        raise UserError(f"The checkpoint {path} cannot be read ({reason}).",
                        "Restore it from a backup, or start the run in a new folder.") from error
