"""Structure of a DICOM file: that lengths fit into it and sequences end, before a library of C++ trusts them."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

from alhvr.data.dicom_file import DEFLATED, inflated_size, starts_with_preamble

_DEEPEST = 100
"""Levels of sequences; true files have a few."""
_MOST_ELEMENTS = 500_000
_UNDEFINED = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_PIXELS = 0x7FE00010
_LONG = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
"""Kinds of values whose length takes four bytes and stands after two empty ones."""
_SHORT = frozenset(b"AE AS AT CS DA DS DT FL FD IS LO LT PN SH SL SS ST TM UI UL US".split())
_BIG_ENDIAN, _IMPLICIT = b"1.2.840.10008.1.2.2\0", b"1.2.840.10008.1.2\0"


@dataclass
class _Level:
    """A data set (an item or the whole file) or a sequence whose parts are being walked through."""

    end: int
    """Where it ends; that of the level around it where its length is not defined."""
    defined: bool
    sequence: bool
    implicit: bool


def check_structure(path: Path) -> None:
    """Raises ValueError where a length in the DICOM file ``path`` reaches beyond what holds it, or levels beyond 100.

    A file that passes can be given to a library that believes lengths and follows sequences by calling itself.
    """
    data = path.read_bytes()
    at, syntax = 0, b""
    if starts_with_preamble(data):
        at = 132
        if data[at:at + 6] == b"\x02\x00\x00\x00UL" and len(data) >= 144:
            start = at + 12
            at = start + struct.unpack_from("<I", data, 140)[0]
            syntax = data[start:at]
            _walk(data[:at], start, "<", implicit=False)
    if DEFLATED in syntax:
        inflated_size(data[at:])
        data, at = zlib.decompress(data[at:], -zlib.MAX_WBITS), 0
    order = ">" if _BIG_ENDIAN in syntax else "<"
    vr = data[at + 4:at + 6]
    implicit = _IMPLICIT in syntax if syntax else not (vr.isalpha() and vr.isupper())
    _walk(data, at, order, implicit=implicit)


def _walk(data: bytes, at: int, order: str, *, implicit: bool) -> None:
    """Steps through all elements from ``at`` on, into sequences too, without calling itself."""
    levels = [_Level(len(data), True, False, implicit)]
    for _ in range(_MOST_ELEMENTS):
        while len(levels) > 1 and levels[-1].defined and at >= levels[-1].end:
            levels.pop()
        level = levels[-1]
        if at + 8 > level.end:
            if len(levels) > 1 or level.end - at > 0 and data[at:].strip(b"\0"):
                raise ValueError("an element is cut off")
            return
        at = _step(data, at, order, levels)
        if len(levels) > _DEEPEST:
            raise ValueError(f"sequences are nested more than {_DEEPEST} deep")
    raise ValueError(f"it has more than {_MOST_ELEMENTS} elements")


def _step(data: bytes, at: int, order: str, levels: list[_Level]) -> int:
    """Takes the element at ``at``: opens or closes a level, or passes over a value. Gives where the next begins."""
    level = levels[-1]
    group, number, length = struct.unpack_from(f"{order}HHI", data, at)
    tag = group << 16 | number
    if tag in (_ITEM_END, _SEQUENCE_END):
        if len(levels) == 1 or level.defined or level.sequence != (tag == _SEQUENCE_END):
            raise ValueError("a sequence ends that has not begun")
        levels.pop()
        return at + 8
    if level.sequence:
        if tag != _ITEM:
            raise ValueError("a sequence holds something else than items")
        return _open(levels, at + 8, length, sequence=False, implicit=level.implicit)
    vr, start = b"", at + 8
    if not level.implicit:
        vr, start, length = _explicit(data, at, order)
    if length == _UNDEFINED and tag == _PIXELS:
        return _past_fragments(data, start, order)
    item = struct.pack(f"{order}HH", _ITEM >> 16, _ITEM & 0xFFFF)
    nested = vr == b"SQ" or length == _UNDEFINED or (vr in (b"", b"UN") and data[start:start + 4] == item)
    if nested and length:
        return _open(levels, start, length, sequence=True, implicit=level.implicit or vr == b"UN")
    if start + length > level.end:
        raise ValueError(f"an element of {length} bytes reaches beyond the end")
    return start + length


def _explicit(data: bytes, at: int, order: str) -> tuple[bytes, int, int]:
    """Kind, place and length of the value of the element at ``at``."""
    vr = data[at + 4:at + 6]
    if vr in _SHORT:
        return vr, at + 8, struct.unpack_from(f"{order}H", data, at + 6)[0]
    if not vr.isalpha():
        return b"", at + 8, struct.unpack_from(f"{order}I", data, at + 4)[0]  # some programs switch to implicit within
    if vr not in _LONG:
        raise ValueError("an element is of an unknown kind")
    if at + 12 > len(data):
        raise ValueError("an element is cut off")
    return vr, at + 12, struct.unpack_from(f"{order}I", data, at + 8)[0]


def _open(levels: list[_Level], start: int, length: int, *, sequence: bool, implicit: bool) -> int:
    """Adds a level that begins at ``start``."""
    around = levels[-1].end
    end = around if length == _UNDEFINED else start + length
    if end > around:
        raise ValueError(f"a sequence or item of {length} bytes reaches beyond the end")
    levels.append(_Level(end, length != _UNDEFINED, sequence, implicit))
    return start


def _past_fragments(data: bytes, at: int, order: str) -> int:
    """Where the pieces of compressed voxels that begin at ``at`` end."""
    while at + 8 <= len(data):
        group, number, length = struct.unpack_from(f"{order}HHI", data, at)
        at += 8
        if (group << 16 | number) == _SEQUENCE_END:
            return at
        if (group << 16 | number) != _ITEM or at + length > len(data):
            break
        at += length
    raise ValueError("its compressed voxels are cut short")
