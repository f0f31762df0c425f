"""The window lock of a project folder: which process of Slicer's may write to it; all others only look."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from alhvr.core.errors import UserError
from alhvr.core.files import parse_json, read_bytes, to_json, write_refused
from alhvr.core.process import ProcessMark

WINDOW_LOCK = ".window.lock"
_LARGEST_BYTES = 4096


def window_holder(folder: Path) -> ProcessMark | None:
    """Which process may write to the project now; None where nobody has taken it.

    A lock whose process is gone on this computer holds nothing; one of another computer holds, as nobody here can tell.
    """
    holder = _read(folder / WINDOW_LOCK)
    return None if holder is None or (holder.is_here and not holder.is_running()) else holder


def take_window(folder: Path, *, even_from: ProcessMark | None = None) -> ProcessMark:
    """Takes the project for this process where it is free; returns who has it now, this process or another.

    ``even_from``: a holder to take it from all the same, such as one of a computer that will not come back. Raises
    UserError where the folder cannot be written.
    """
    mine, holder = ProcessMark.of_this_process(), window_holder(folder)
    if holder is not None and (holder == mine or holder != even_from):
        return holder
    path = folder / WINDOW_LOCK
    try:
        _remove(path, _read(path))
        with suppress(FileExistsError):  # somebody else was quicker
            _write(path, mine)
    except OSError as error:
        raise write_refused(error, path) from error
    return _read(path) or mine


def release_window(folder: Path) -> None:
    """Lets go of the project where this process has it."""
    mine = ProcessMark.of_this_process()
    if _read(folder / WINDOW_LOCK) == mine:
        with suppress(OSError):
            _remove(folder / WINDOW_LOCK, mine)


def _read(path: Path) -> ProcessMark | None:
    """The process in a lock; None for none and for one that cannot be read: a damaged lock holds nothing."""
    try:
        return ProcessMark.from_values(parse_json(read_bytes(path, at_most=_LARGEST_BYTES), path.name))
    except (OSError, UserError):
        return None


def _write(path: Path, mine: ProcessMark) -> None:
    """Makes the lock; raises FileExistsError where there is one."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    with open(os.open(path, flags, 0o666), "wb") as file:
        file.write(to_json(asdict(mine)).encode("utf-8"))


def _remove(path: Path, seen: ProcessMark | None) -> None:
    """Removes the lock that was ``seen``; one that somebody else wrote meanwhile is put back."""
    aside = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    with suppress(FileNotFoundError):
        path.rename(aside)
        if _read(aside) != seen:
            with suppress(OSError):
                os.link(aside, path)
        aside.unlink()
