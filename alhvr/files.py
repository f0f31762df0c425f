"""Files: written whole or not at all, read only where they are plain files of a sane size, names shown safely."""

from __future__ import annotations

import os
import secrets
import stat
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from alhvr.errors import UserError

_READ_FLAGS = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
_CREATE_FLAGS = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
_KINDS = ((stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a pipe"), (stat.S_ISSOCK, "a socket"),
          (stat.S_ISCHR, "a device"), (stat.S_ISBLK, "a device"))


@contextmanager
def written_atomically(path: Path) -> Iterator[BinaryIO]:
    """An empty binary file that becomes ``path`` when the block ends well; nothing is left when it does not.

    The temporary file beside ``path`` has a random name and never follows a link; a link at ``path`` is replaced, not
    written through. File and folder are flushed to the disk. Raises OSError, with ``path`` as its file name.
    """
    temporary = path.with_name(f".{secrets.token_hex(8)}.partial")
    try:
        descriptor = os.open(temporary, _CREATE_FLAGS, 0o666)
        try:
            with open(descriptor, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary)
            raise
        flush_folder(path.parent)
    except OSError as error:
        error.filename, error.filename2 = str(path), None
        raise


def write_bytes(path: Path, data: bytes) -> None:
    """Writes ``data`` to ``path``, whole or not at all; raises OSError as ``written_atomically`` does."""
    with written_atomically(path) as file:
        file.write(data)


def write_text(path: Path, text: str) -> None:
    """Writes ``text`` as UTF-8 (what has no UTF-8 form is escaped), whole or not at all; raises OSError likewise."""
    write_bytes(path, text.encode("utf-8", errors="backslashreplace"))


def flush_folder(folder: Path) -> None:
    """Flushes the entries of ``folder`` to the disk, where the system can do that."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def open_plain(path: Path) -> Iterator[BinaryIO]:
    """Opens the plain file ``path`` for reading; never waits for the writer of a pipe.

    Raises UserError for a pipe, a device or a folder, OSError for what is missing or may not be read.
    """
    require_plain(path)
    with open(os.open(path, os.O_RDONLY | _READ_FLAGS), "rb") as file:
        _check_plain(os.fstat(file.fileno()), path)
        yield file


def require_plain(path: Path) -> None:
    """Raises UserError where ``path`` is a pipe, a device or a folder, OSError where nothing can be found."""
    _check_plain(os.stat(path), path)


def is_plain(path: Path) -> bool:
    """Whether ``path`` is a plain file, or a link to one; False for what cannot be looked at."""
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except (OSError, ValueError):
        return False


def read_bytes(path: Path, *, at_most: int) -> bytes:
    """The content of the plain file ``path``; raises UserError where it has more than ``at_most`` bytes."""
    with open_plain(path) as file:
        data = file.read(at_most + 1)
    if len(data) > at_most:
        raise UserError(f"{shown(path.name)} has more than {at_most / 1e6:.3g} MB.",
                        "Check that it is the file you mean.")
    return data


def shown(text: object) -> str:
    """``text`` as a terminal and a log may show it: control characters and marks that turn the writing are escaped."""
    return "".join(_escaped(letter) for letter in str(text))


def _escaped(letter: str) -> str:
    if letter.isascii() and letter.isprintable():
        return letter
    hidden = unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Zl", "Zp")
    return letter.encode("unicode_escape").decode("ascii") if hidden else letter


def _check_plain(status: os.stat_result, path: Path) -> None:
    if stat.S_ISREG(status.st_mode):
        return
    kind = next((name for matches, name in _KINDS if matches(status.st_mode)), "no file")
    raise UserError(f"{shown(path.name)} is {kind}; a file is expected.", "Give the path of a file.")
