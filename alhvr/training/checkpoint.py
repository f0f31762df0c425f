"""Checkpoints: the last good one survives a kill or a full disk, and one in which a bit has changed is not used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from alhvr.core.errors import UserError
from alhvr.core.files import shown, write_refused
from alhvr.core.torch_file import DamagedTensors, read_tensors, write_tensors

START_AGAIN = ("Restore it from a backup. Without one, delete the folder checkpoints in the run and resume: the same "
               "training begins again from its first step.")


class RunFolderGone(UserError):
    """The folder of a run was removed while it trained."""

    def __init__(self, folder: Path) -> None:
        super().__init__(f"The run folder {shown(folder)} was removed during the training; nothing in it is left.",
                         "Start the training again.")


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Writes ``state`` (tensors, numbers, texts) to RUN/checkpoints/NAME; an older file stays until the new is whole.

    Raises OSError when the disk is full or the folder cannot be written, RunFolderGone when RUN is no more; no partial
    file is left.
    """
    try:
        path.parent.mkdir(exist_ok=True)
    except FileNotFoundError:
        raise RunFolderGone(path.parent.parent) from None
    except OSError as error:
        raise _not_written(error, path) from error
    try:
        write_tensors(path, state)
    except OSError as error:
        if not path.parent.parent.exists():
            raise RunFolderGone(path.parent.parent) from None
        raise _not_written(error, path) from error


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Reads a checkpoint without running any code in it; UserError when it cannot be read or a bit has changed."""
    try:
        return read_tensors(path)
    except DamagedTensors as error:
        raise UserError(f"The checkpoint {error.message}", START_AGAIN) from error
    except OSError as error:
        raise UserError(f"The checkpoint {shown(path)} cannot be read ({error.strerror or error}).",
                        START_AGAIN) from error


def _not_written(error: OSError, path: Path) -> OSError:
    """The same refusal in words; without the full stop, as more is said after it."""
    told = OSError(write_refused(error, path).message.removesuffix("."))
    told.errno = error.errno
    return told
