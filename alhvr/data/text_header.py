"""Text headers of images: read within limits, their numbers checked, and the files of voxels they name held back.

A header may be endless, announce any number and name any file of the computer; nothing of it is believed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

from alhvr.core.errors import UserError
from alhvr.core.files import is_plain, open_plain, shown
from alhvr.data.voxel_file import LARGEST_HEADER_BYTES

_LARGEST_SIDE = 1 << 20
"""Voxels along an axis."""
_MOST_FILES = 65536
"""Files that one image may be spread over."""
_LONGEST_SHOWN = 60
"""Letters of a field that a message repeats."""
_PATTERN = re.compile(r"([^%]*)%(0?[0-9]{0,2})d([^%]*)")
_WHOLE = re.compile(r"[+-]?[0-9]{1,18}")
_REAL = re.compile(r"[+-]?(?:(?:[0-9]{1,400}\.?[0-9]{0,400}|\.[0-9]{1,400})(?:[eE][+-]?[0-9]{1,4})?|nan|inf)", re.I)


@dataclass(frozen=True)
class Fields:
    """The fields of one header, by name."""

    path: Path
    """For messages."""
    texts: Mapping[str, str]

    def get(self, name: str) -> str | None:
        """The text of a field, without spaces around it; None where it is missing."""
        return self.texts.get(name)

    def fault(self, name: str, wanted: str) -> UserError:
        """What to raise where a field is missing or wrong."""
        text = self.texts.get(name)
        seen = "is missing" if text is None else f'is "{shown(text[:_LONGEST_SHOWN])}"'
        more = "" if text is None or len(text) <= _LONGEST_SHOWN else f" ... ({len(text)} letters)"
        return UserError(f"{shown(self.path.name)}: its field {name} {seen}{more}; {wanted} needed.",
                         "Copy or export it again.")

    def one_of(self, name: str, choices: Mapping[str, str], default: str | None = None) -> str:
        """What a field stands for; raises UserError, with the accepted texts, for any other."""
        text = self.texts.get(name, default)
        if text is None or text.lower() not in choices:
            listed = ", ".join(dict.fromkeys(choices))
            raise self.fault(name, f"one of {listed} is")
        return choices[text.lower()]

    def whole_numbers(self, name: str, count: int | None = None) -> tuple[int, ...]:
        """The whole numbers of a field; raises UserError unless there are ``count`` of them (or any number)."""
        words = self._words(name)
        if not words or (count is not None and len(words) != count) or not all(map(_WHOLE.fullmatch, words)):
            raise self.fault(name, "a whole number is" if count == 1 else f"{count or 'some'} whole numbers are")
        return tuple(int(word) for word in words)

    def numbers(self, name: str, count: int) -> tuple[float, ...]:
        """The ``count`` finite numbers of a field; raises UserError."""
        found = self.numbers_or_nan(name, count)
        if not all(map(isfinite, found)):
            raise self.fault(name, f"{count} finite numbers are")
        return found

    def numbers_or_nan(self, name: str, count: int) -> tuple[float, ...]:
        """The ``count`` numbers of a field, of which some may be NaN or infinite; raises UserError."""
        words = self._words(name)
        if len(words) != count or not all(map(_REAL.fullmatch, words)):
            raise self.fault(name, f"{count} numbers are")
        return tuple(float(word) for word in words)

    def _words(self, name: str) -> list[str]:
        """What blanks and tabs part; no other letter does, as in the programs that write such headers."""
        return [word for word in (self.texts.get(name) or "").replace("\t", " ").split(" ") if word]

    def sides(self, name: str, count: int) -> tuple[int, ...]:
        """Voxels along ``count`` axes; raises UserError for what no image has."""
        found = self.whole_numbers(name, count)
        if not all(1 <= side <= _LARGEST_SIDE for side in found):
            raise self.fault(name, f"{count} whole numbers from 1 to {_LARGEST_SIDE} are")
        return found


def beside(header: Path, name: str) -> Path:
    """The plain file ``name`` in the folder of ``header``.

    Raises UserError for a path to another place, also through a link, and for what is no plain file.
    """
    plain = name.removeprefix("./")
    if not plain or plain in (".", "..") or any(letter in plain for letter in "/\\:\0"):
        raise UserError(f"{shown(header.name)} says that its voxels lie in {shown(name)[:200]}; only a file directly "
                        "beside it is read.", "Put both into one folder, or save the volume as one file.")
    path = header.parent / plain
    if not is_plain(path):
        missing = "not there" if not os.path.exists(path) else "no plain file"
        raise UserError(f"{shown(header.name)} needs the file {shown(plain)[:200]}, which is {missing}.",
                        "Copy both together.")
    if path.resolve().parent != header.parent.resolve():
        raise UserError(f"{shown(header.name)} needs the file {shown(plain)[:200]}, which is a link to another folder.",
                        "Put the file itself beside it.")
    return path


def numbered(header: Path, words: Sequence[str]) -> tuple[Path, ...]:
    """The files of a numbered name such as ``("slice%03d.raw", "1", "46", "1")``; raises UserError like ``beside``."""
    match = _PATTERN.fullmatch(words[0]) if len(words) == 4 else None
    if match is None or not all(re.fullmatch(r"[+-]?[0-9]{1,9}", word) for word in words[1:]):
        raise _numbering(header, words)
    first, last, step = (int(word) for word in words[1:])
    if step == 0 or not 0 <= (last - first) // step < _MOST_FILES:
        raise _numbering(header, words)
    before, width, after = match.groups()
    numbers = range(first, last + (1 if step > 0 else -1), step)
    return listed(header, [f"{before}{format(number, f'{width}d')}{after}" for number in numbers])


def listed(header: Path, names: Sequence[str]) -> tuple[Path, ...]:
    """The files of a list of names; raises UserError like ``beside``."""
    if not 0 < len(names) <= _MOST_FILES:
        raise UserError(f"{shown(header.name)} lists {len(names)} files of voxels; 1 to {_MOST_FILES} are read.",
                        "Save the volume as one file.")
    return tuple(beside(header, name) for name in names)


def _numbering(header: Path, words: Sequence[str]) -> UserError:
    return UserError(f"{shown(header.name)} says that its voxels lie in {shown(' '.join(words))[:200]}; one file is "
                     "read, or NAME%03d.raw FIRST LAST STEP.", "Save the volume as one file.")


def text_header(path: Path, end: re.Pattern[bytes]) -> tuple[str, int]:
    """The header of a file up to and with what ``end`` finds, or the whole file, and its length in bytes.

    Raises UserError for a pipe, a device or a folder, and where the header has too many bytes.
    """
    with open_plain(path) as file:
        start, n_more = b"", 65536
        while more := file.read(n_more):
            overlap, n_more = max(0, len(start) - 65536), 2 * n_more
            start += more
            if (found := end.search(start, overlap)) is not None:
                start = start[: found.end()]
                break
            if len(start) > LARGEST_HEADER_BYTES:
                raise UserError(f"{shown(path.name)} has no end of its header within {LARGEST_HEADER_BYTES >> 20} MB.",
                                "Check that it is the file you mean.")
    return start.decode("utf-8", "replace"), len(start)
