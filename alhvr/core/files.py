"""Files: written whole or not at all, read only where they are plain and of a sane size; JSON with limits."""

from __future__ import annotations

import errno
import json
import math
import os
import re
import secrets
import shutil
import stat
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import NamedTemporaryFile, mkdtemp
from typing import Any, BinaryIO

from alhvr.core.errors import UserError

_READ_FLAGS = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
_CREATE_FLAGS = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
_KINDS = ((stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a pipe"), (stat.S_ISSOCK, "a socket"),
          (stat.S_ISCHR, "a device"), (stat.S_ISBLK, "a device"))


DISK_IS_FULL = (errno.ENOSPC, errno.EDQUOT)
_PARTIAL = ".partial"
_PARTIAL_NAME = re.compile(r"\.[0-9a-f]{16}\.partial")

LARGEST_BYTES = 64_000_000
"""A longer JSON file is refused: the largest that this program writes, the record of a large archive, has a tenth."""


@contextmanager
def written_atomically(path: Path, *, durable: bool = True) -> Iterator[BinaryIO]:
    """An empty binary file that becomes ``path`` when the block ends well; nothing is left when it does not.

    The temporary file beside ``path`` has a random name and never follows a link; a link at ``path`` is replaced, not
    written through. File and folder are flushed to the disk, unless ``durable`` is False: for what may be lost when
    the power fails. Raises OSError, with ``path`` as its file name.
    """
    temporary = path.with_name(f".{secrets.token_hex(8)}{_PARTIAL}")
    with _refusals_name(path):
        descriptor = os.open(temporary, _CREATE_FLAGS, 0o666)
        try:
            with open(descriptor, "wb") as file:
                yield file
                file.flush()
                if durable:
                    os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary)
            raise
        if durable:
            flush_folder(path.parent)


@contextmanager
def written_by_name(path: Path) -> Iterator[Path]:
    """As ``written_atomically``, for a library that writes by name: the file's own name in a private folder.

    Raises OSError, with ``path`` as its file name.
    """
    with _refusals_name(path), private_folder(path.parent) as folder:
        temporary = folder / path.name
        yield temporary
        flush_file(temporary)
        os.replace(temporary, path)
        flush_folder(path.parent)


@contextmanager
def private_folder(parent: Path) -> Iterator[Path]:
    """A new hidden folder in ``parent`` that nobody else can name beforehand; it is gone after the block."""
    folder = Path(mkdtemp(prefix=".", suffix=_PARTIAL, dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _refusals_name(path: Path) -> Iterator[None]:
    try:
        yield
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


@contextmanager
def opened_to_append(path: Path) -> Iterator[BinaryIO]:
    """The file ``path``, made where it is missing, to write at its end; raises OSError for a link or no file."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | _READ_FLAGS | getattr(os, "O_NOFOLLOW", 0)
    with open(os.open(path, flags, 0o666), "ab") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "no plain file", str(path))
        yield file


def is_partial(name: str) -> bool:
    """True for the name of a temporary file of ``written_atomically``, which only a killed process leaves."""
    return _PARTIAL_NAME.fullmatch(name) is not None


def remove_partial(folder: Path) -> None:
    """Removes what killed processes left in ``folder``; for one that no other process writes into now."""
    with suppress(OSError):
        for path in [path for path in folder.iterdir() if is_partial(path.name)]:
            if stat.S_ISREG(path.lstat().st_mode):
                path.unlink()


def flush_file(path: Path) -> None:
    """Flushes what was written to ``path`` to the disk; raises OSError."""
    descriptor = os.open(path, os.O_RDWR | getattr(os, "O_BINARY", 0))
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def flush_folder(folder: Path) -> None:
    """Flushes the entries of ``folder`` to the disk, where the system can do that."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def make_writable(folder: Path) -> None:
    """Makes ``folder`` where it is missing; raises UserError when it cannot be made or written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(prefix=".", suffix=_PARTIAL, dir=folder):
            pass
    except OSError as error:
        raise UserError(f"The folder {folder} cannot be written ({error.strerror}).",
                        "Choose another --out folder.") from error


def write_refused(error: OSError, path: Path) -> UserError:
    """What to tell where the system refused to write ``path``; a full disk is named with what is free on it."""
    if error.errno in DISK_IS_FULL:
        return UserError(f"{shown(path.name)} could not be written: the disk of {shown(path.absolute().parent)} is "
                         f"full{_free(path.absolute().parent)}.", "Free some disk space or choose another folder.")
    return UserError(f"{shown(path)} could not be written: {error.strerror or error}.",
                     "Choose a folder that you may write to, or free some disk space.")


def _free(folder: Path) -> str:
    """The room on the disk of ``folder``, in parentheses; "" where it cannot be asked for."""
    try:
        return f" ({shutil.disk_usage(folder).free / 1e6:.2f} MB free)"
    except OSError:
        return ""


def open_plain(path: Path) -> BinaryIO:
    """Opens the plain file ``path`` for reading; never waits for the writer of a pipe.

    Raises UserError for a pipe, a device or a folder, OSError for what is missing or may not be read.
    """
    require_plain(path)
    descriptor = os.open(path, os.O_RDONLY | _READ_FLAGS)
    try:
        _check_plain(os.fstat(descriptor), path)
    except UserError:
        os.close(descriptor)
        raise
    return os.fdopen(descriptor, "rb")


def require_plain(path: Path) -> None:
    """Raises UserError where ``path`` is a pipe, a device or a folder, OSError where nothing can be found."""
    if "\0" in str(path):
        raise UserError(f"{shown(path)} is no name of a file.", "Give the path of a file.")
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


class InvalidJson(UserError):
    """A file that is no JSON, or that nobody should parse."""


def to_json(value: Any) -> str:
    """Indented JSON text of plain values; numpy numbers become plain ones, NaN and infinity become null."""
    return json.dumps(_plain(value), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def write_json(path: Path, value: Any) -> None:
    """Writes ``to_json(value)`` to ``path``, whole or not at all; raises OSError."""
    write_text(path, to_json(value))


def read_json(path: Path) -> Any:
    """The value in the JSON file ``path``.

    Raises InvalidJson for what is no JSON, is nested too deeply or is not UTF-8, UserError where ``path`` is no plain
    file or too large, OSError where it is missing or may not be read.
    """
    return parse_json(read_bytes(path, at_most=LARGEST_BYTES), shown(path.name))


def parse_json(data: bytes | str, name: str) -> Any:
    """The value of the JSON text ``data``; raises InvalidJson, with ``name`` in its message."""
    try:
        return json.loads(data.decode("utf-8-sig") if isinstance(data, bytes) else data)
    except RecursionError:
        raise InvalidJson(f"{name} is nested too deeply to be read.", "Check that it is the file you mean.") from None
    except UnicodeDecodeError as error:
        raise InvalidJson(f"{name} is not UTF-8 (byte {error.start}).", "Save it as UTF-8 text.") from None
    except ValueError as error:
        where = f" (line {error.lineno})" if isinstance(error, json.JSONDecodeError) else ""
        raise InvalidJson(f"{name} is not valid JSON{where}.", "Check it with a text editor.") from None


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    if hasattr(value, "tolist"):  # numpy's arrays and numbers, without loading numpy for those who have none
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
