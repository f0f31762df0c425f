"""DICOM files: which are some, with or without preamble, and their headers within a time, whatever they hold.

pydicom is imported where a DICOM file was found: it takes longer to load than the rest of reading.
"""

from __future__ import annotations

import re
import struct
import time
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from alhvr.core.errors import UserError
from alhvr.core.files import open_plain, shown

if TYPE_CHECKING:
    from pydicom import Dataset

DICOM_ENDINGS = (".dcm", ".ima", ".dicom")
"""Endings of files that are taken for DICOM whatever they hold; files of any other name are looked into."""
HEAD_BYTES = 256
"""What is read of a file to see what it is."""
_LONGEST_VALUE_BYTES = 1 << 20
_MOST_INFLATED_BYTES = 1 << 27


@dataclass(frozen=True)
class _Limits:
    """Of reading one header."""

    value_bytes: int
    """Of one value."""
    reads: int
    longest_s: float


_USUAL = _Limits(_LONGEST_VALUE_BYTES, 200_000, 10.0)
_LARGE = _Limits(1 << 28, 20_000_000, 120.0)
_VOXELS = frozenset((0x7FE00008, 0x7FE00009, 0x7FE00010))
DEFLATED = b"1.2.840.10008.1.2.1.99"
"""UID of the transfer syntax whose data set is packed as a whole."""


_STACK = re.compile(r"(.+)@([1-9][0-9]{0,4})", re.DOTALL)


def stack_path(file: Path, number: int) -> Path:
    """What stands for one of several stacks that a file of many frames holds, counted from 1; no file has that name."""
    return file.with_name(f"{file.name}@{number}")


def file_of(path: Path) -> Path:
    """The file that holds a stack; ``path`` itself for everything that is there, or is no stack of a file."""
    found = _STACK.fullmatch(path.name)
    if found is None or path.exists():
        return path
    file = path.with_name(found[1])
    return file if file.is_file() else path


def why_not_used(path: Path) -> str:
    """Why a file that ``read_slice`` knew nothing about is no DICOM image, as the rest of a sentence."""
    try:
        with open_plain(path) as file:
            return what_else(file, file.read(HEAD_BYTES))
    except (OSError, UserError) as error:
        return why_not_opened(path, error)


def why_not_opened(path: Path, error: Exception) -> str:
    """The rest of a sentence on a file that gave ``error``."""
    if path.is_symlink() and not path.exists():
        return "it is a link to a file that is not there"
    return f"it cannot be opened ({getattr(error, 'strerror', None) or shown(error)})"


def is_dicom_file(path: Path) -> bool:
    """Whether ``path`` is a plain file whose first bytes are those of DICOM, with or without preamble."""
    try:
        with open_plain(path) as file:
            return starts_as_dicom(file.read(HEAD_BYTES))
    except (OSError, UserError):
        return False


def starts_as_dicom(head: bytes) -> bool:
    """Whether a file that begins with ``head`` is DICOM: by its preamble, or without one by its first two tags."""
    if starts_with_preamble(head):
        return True
    for order in "<>":
        first = _element(head, 0, order)
        second = None if first is None else _element(head, first[1], order)
        if second is not None and first[0] < second[0]:
            return True
    return False


def starts_with_preamble(head: bytes) -> bool:
    """Whether ``head`` begins with 128 bytes of any kind and "DICM"."""
    return head[128:132] == b"DICM"


def _element(head: bytes, at: int, order: str) -> tuple[int, int] | None:
    """Tag of the element at ``at`` of a data set without preamble, and where the next begins; None if implausible."""
    if len(head) < at + 8:
        return None
    group, number, length = struct.unpack_from(f"{order}HHI", head, at)
    if group not in (0x0002, 0x0008) or number > 0x3000:
        return None
    vr = head[at + 4:at + 6]
    if vr.isalpha() and vr.isupper():
        length = struct.unpack_from(f"{order}H", head, at + 6)[0]
        if vr in (b"OB", b"OW", b"SQ", b"UN", b"UT"):
            return None if len(head) < at + 12 else (group << 16 | number,
                                                     at + 12 + struct.unpack_from(f"{order}I", head, at + 8)[0])
    return (group << 16 | number, at + 8 + length) if length <= HEAD_BYTES else None


@dataclass(frozen=True)
class Header:
    """What stands before the voxels."""

    values: Dataset
    """The tags that were asked for, not looked at yet: any byte may make pydicom raise anything."""
    voxel_bytes: int | None
    """Of the voxels, as many as are there; 4294967295 where they are compressed, None where there are none."""


def read_header(file: BinaryIO, tags: tuple[str, ...], *, large: bool = False) -> Header:
    """The ``tags`` of an open DICOM file; raises ValueError and whatever pydicom raises for a damaged one.

    Bounded in time and memory, with more room where the header is that of many frames or contours (``large``). Text
    goes by the file's own character set.
    """
    import pydicom
    from pydicom.datadict import tag_for_keyword

    head = file.read(1024)
    deflated = DEFLATED in head
    if deflated and head[132:138] == b"\x02\x00\x00\x00UL":
        file.seek(144 + struct.unpack_from("<I", head, 140)[0])
        inflated_size(file.read(_MOST_INFLATED_BYTES))
    size = file.seek(0, 2)
    file.seek(0)
    lengths: list[int] = []

    def is_voxels(tag: int, vr: str | None, length: int) -> bool:
        if tag in _VOXELS:
            there = length if deflated or length == 0xFFFFFFFF else min(length, size - file.tell())
            lengths.append(there)
        return tag in _VOXELS

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        bounded = _Bounded(file, size, _LARGE if large else _USUAL)
        values = pydicom.filereader.read_partial(bounded, stop_when=is_voxels, force=True,
                                                 specific_tags=[tag_for_keyword(tag) for tag in tags])
    return Header(values, lengths[0] if lengths else None)


class _Bounded:
    """A file that ends in ValueError when a header asks for more than any true one, or for more than there is."""

    def __init__(self, file: BinaryIO, size: int, limits: _Limits) -> None:
        self._file, self._size, self._reads, self._limits = file, size, 0, limits
        self._end_s = time.monotonic() + limits.longest_s
        self.tell, self.name = file.tell, ""

    def read(self, size: int = -1) -> bytes:
        """As of a file."""
        self._reads += 1
        limits = self._limits
        if size > limits.value_bytes or self._reads > limits.reads or time.monotonic() > self._end_s:
            raise ValueError("it has no end")
        return self._file.read(size)

    def seek(self, offset: int, whence: int = 0) -> int:
        """As of a file."""
        if whence == 0 and offset > self._size:
            raise ValueError("a value reaches beyond the end of the file")
        return self._file.seek(offset, whence)


def inflated_size(data: bytes) -> int:
    """Bytes of the deflated data set that is in ``data``; raises ValueError where there are more than 134 MB."""
    unpacking, size = zlib.decompressobj(-zlib.MAX_WBITS), 0
    while data and not unpacking.eof:
        size += len(unpacking.decompress(data, _LONGEST_VALUE_BYTES))
        data = unpacking.unconsumed_tail
        if size > _MOST_INFLATED_BYTES:
            raise ValueError(f"it unpacks to more than {_MOST_INFLATED_BYTES / 1e6:.0f} MB")
    return size


def what_else(file: BinaryIO, head: bytes) -> str:
    """What a file is that does not begin as DICOM does, as the rest of a sentence."""
    if not head:
        return "it is empty"
    if not head.strip(b"\0"):
        rest = file.read(_LONGEST_VALUE_BYTES)
        return "it holds nothing but zeros" if not rest.strip(b"\0") else "it is no DICOM file: it begins with zeros"
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<!doctype", b"<html", b"<?xml", b"<head")):
        return "it is a web page and no DICOM file"
    if start.startswith(b"version https://git-lfs"):
        return "it is a pointer of Git LFS and not the file itself"
    return "it is no DICOM file"
