"""Voxel data of image files: which plain files hold them, and how they are read, in pieces and never beyond the end.

A file's header is no friend: it may announce more voxels than there are bytes, or name a file that is none of ours.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np

from alhvr.core.errors import UserError
from alhvr.core.files import open_plain, shown

PIECE_BYTES = 1 << 24
"""Voxels are unpacked in pieces, so that they exist once."""
LARGEST_HEADER_BYTES = 1 << 23
"""A text header of more is refused; those of hundreds of segments have a tenth."""
LARGEST_DEFLATE_RATIO = 1100
"""No gzip file grows by more than about 1032 when unpacked."""
_TEXT_BYTES = 1 << 20
_LONGEST_NUMBER = 400
"""Letters of a number that is written as text."""
_LETTERS_PER_BYTE = 4
"""Letters that a byte may take in hex, with the spaces between."""

Packing = Literal["raw", "gzip", "zlib", "text", "hex"]
"""How voxels are stored: gzip as files are, zlib as one stream in the format of either, numbers or bytes as text."""


@dataclass(frozen=True)
class VoxelFiles:
    """Where the voxels of one image lie."""

    paths: tuple[Path, ...]
    """One file, or several that each hold the same number of whole slices."""
    packing: Packing
    offset_bytes: int = 0
    """Where they begin in each file, before it is unpacked; -1 where they are what the file ends with."""
    skip_lines: int = 0
    """Lines that are skipped there."""
    skip_bytes: int = 0
    """What is skipped after unpacking."""
    packed_bytes: int | None = None
    """Length of the packed voxels; None where they end with the file."""


def require_plausible(path: Path, files: VoxelFiles, shape: tuple[int, ...], kind: np.dtype) -> None:
    """Raises UserError when the files cannot hold that many voxels, whatever they are packed with."""
    needed, seen = prod(shape) * kind.itemsize + files.skip_bytes, sum(file.stat().st_size for file in files.paths)
    if needed > seen * LARGEST_DEFLATE_RATIO or (files.packing == "text" and prod(shape) > seen):
        raise cut_short(path, seen, needed)


def read_voxels(path: Path, files: VoxelFiles, shape: tuple[int, int, int], kind: np.dtype) -> np.ndarray:
    """Array of ``shape`` in the machine's byte order; raises UserError for files that are damaged or cut short.

    ``kind``: number type in the file, with its byte order.
    """
    require_plausible(path, files, shape, kind)
    if shape[0] % len(files.paths):
        raise UserError(f"{shown(path.name)} spreads {shape[0]} slices over {len(files.paths)} files, which cannot be "
                        "even.", "Save the volume as one file.")
    needed = prod(shape) * kind.itemsize // len(files.paths)
    if files.packing == "raw":
        for file in files.paths:
            _require_bytes(path, file.stat().st_size - max(0, files.offset_bytes) - files.skip_bytes, needed)
    array = np.empty(shape, kind)
    parts = array.reshape(len(files.paths), -1)
    for file, part in zip(files.paths, parts, strict=True):
        with open_plain(file) as stream:
            stream.seek(files.offset_bytes if files.offset_bytes >= 0 else file.stat().st_size - needed)
            for _ in range(files.skip_lines):
                stream.readline()
            _read_part(path, stream, files, part)
    return array if kind.isnative else array.byteswap(inplace=True).view(kind.newbyteorder("="))


def _read_part(path: Path, stream: BinaryIO, files: VoxelFiles, part: np.ndarray) -> None:
    """Fills ``part`` [n] from one file, from where its voxels begin."""
    if files.packing in ("text", "hex"):
        part[:] = _from_text(path, stream, part) if files.packing == "text" else _from_hex(path, stream, part)
        return
    target = memoryview(part.view(np.uint8))
    try:
        if files.packing == "zlib":
            filled = _inflate(stream, target, files.packed_bytes)
        elif files.packing == "gzip":
            with gzip.GzipFile(fileobj=stream, mode="rb") as unpacked:
                unpacked.seek(files.skip_bytes)
                filled = fill(unpacked, target)
                require_end(path, unpacked, len(target))
        else:
            stream.seek(files.skip_bytes, 1)
            filled = fill(stream, target)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise damaged(path, error) from error
    _require_bytes(path, filled, len(target))


def fill(stream: BinaryIO, target: memoryview) -> int:
    """Reads into ``target`` until it is full or the stream ends; returns the bytes that came."""
    filled = 0
    while count := stream.readinto(target[filled:filled + PIECE_BYTES]):
        filled += count
    return filled


def require_end(path: Path, unpacked: BinaryIO, n_bytes: int) -> None:
    """Reads a packed file to its end, which carries its checksum.

    Raises UserError where more than as much follows as the ``n_bytes`` of its voxels, and what a damaged end raises.
    """
    left = max(n_bytes, LARGEST_HEADER_BYTES)
    while piece := unpacked.read(min(PIECE_BYTES, left + 1)):
        left -= len(piece)
        if left < 0:
            raise UserError(f"{shown(path.name)} goes on after its last voxel, by more than its header announces.",
                            "Copy or export it again.")


def _inflate(stream: BinaryIO, target: memoryview, packed_bytes: int | None) -> int:
    """Unpacks one stream of zlib or gzip into ``target``; returns the bytes that came. Raises zlib.error."""
    unpack, filled, left = zlib.decompressobj(wbits=47), 0, packed_bytes
    while not unpack.eof:
        piece = unpack.unconsumed_tail
        if not piece:
            piece = stream.read(65536 if left is None else min(left, 65536))
            left = None if left is None else left - len(piece)
        if not piece:
            break
        part = unpack.decompress(piece, max(1, min(PIECE_BYTES, len(target) - filled)))
        if filled + len(part) > len(target):
            raise zlib.error("more voxels than the header announces")
        target[filled:filled + len(part)] = part
        filled += len(part)
    if filled == len(target) and not unpack.eof:
        raise zlib.error("the end of the packed voxels is missing")
    return filled


def _from_text(path: Path, stream: BinaryIO, part: np.ndarray) -> np.ndarray:
    """Numbers [n] that stand as text; raises UserError unless there are as many as in ``part``, each in its range."""
    found, filled, rest = np.empty(part.shape, part.dtype.newbyteorder("=")), 0, b""
    while filled < part.size:
        piece = stream.read(_TEXT_BYTES)
        words = (rest + piece).split()
        rest = words.pop() if words and piece and not piece[-1:].isspace() else b""
        words = words[:part.size - filled]
        if not piece and not words or len(rest) > _LONGEST_NUMBER:
            break
        try:
            found[filled:filled + len(words)] = _numbers(words, found.dtype)
        except (ValueError, OverflowError) as error:
            raise damaged(path, error) from error
        filled += len(words)
    _require_bytes(path, filled * part.itemsize, part.nbytes)
    return found


def _numbers(words: Sequence[bytes], kind: np.dtype) -> np.ndarray:
    """The numbers that ``words`` stand for; raises ValueError for what is none, or beyond its type."""
    wide = np.array(words, dtype="S").astype({"u": np.uint64, "i": np.int64}.get(kind.kind, np.float64))
    with np.errstate(over="ignore"):
        numbers = wide.astype(kind)
    if kind.kind in "iu" and not np.array_equal(numbers, wide):
        raise ValueError(f"numbers from {wide.min()} to {wide.max()} are not {kind.name}")
    return numbers


def _from_hex(path: Path, stream: BinaryIO, part: np.ndarray) -> np.ndarray:
    """Numbers [n] whose bytes stand as text, two letters each, in the type and byte order of ``part``."""
    letters = b"".join(stream.read(_LETTERS_PER_BYTE * part.nbytes + 1).split())[: 2 * part.nbytes]
    _require_bytes(path, len(letters) // 2, part.nbytes)
    try:
        return np.frombuffer(bytes.fromhex(letters.decode("ascii")), part.dtype)
    except ValueError as error:
        raise damaged(path, error) from error


def _require_bytes(path: Path, seen: int, needed: int) -> None:
    if seen < needed:
        raise cut_short(path, max(0, seen), needed)


def damaged(path: Path, error: Exception) -> UserError:
    """What to raise where packed voxels cannot be unpacked."""
    return UserError(f"{shown(path.name)} is cut short or damaged: {error}.", "Copy or export it again.")


def cut_short(path: Path, seen: int, needed: int) -> UserError:
    """What to raise where ``needed`` bytes are announced and ``seen`` are there."""
    return UserError(f"{shown(path.name)} is cut short: {seen} of {needed} bytes are there.",
                     "Copy or export it again.")
