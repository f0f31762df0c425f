"""Label maps as NIfTI-1, any grid kept as sform: the header, and voxels as bytes in the order of the file."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Iterable, Iterator
from typing import BinaryIO

import numpy as np

ENDING = ".nii.gz"
TYPES = {"uint8": 2, "uint16": 512}
HEADER_BYTES = 352
MILLIMETRES = 2
SCANNER_SPACE = 1


def nifti_parts(array: np.ndarray, affine_ras: np.ndarray,
                spacing_mm: tuple[float, float, float] | None = None) -> Iterator[bytes | memoryview]:
    """The bytes of a .nii file, part by part: uint8 or uint16 ``array`` [K, J, I].

    affine_ras: (4, 4) array index (I, J, K) to RAS mm, sheared or not; spacing_mm: along I, J, K, the lengths of its
    columns where left out.
    """
    yield _header(array, affine_ras, np.linalg.norm(affine_ras[:3, :3], axis=0) if spacing_mm is None else spacing_mm)
    yield from little_endian(array)


def _header(array: np.ndarray, affine_ras: np.ndarray, spacing_mm: Iterable[float]) -> bytes:
    """352 bytes: the fields of a label map in NIfTI-1, every other field zero."""
    header = bytearray(HEADER_BYTES)
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<8h", header, 40, 3, *array.shape[::-1], 1, 1, 1, 1)
    struct.pack_into("<2h", header, 70, TYPES[array.dtype.name], 8 * array.itemsize)
    struct.pack_into("<8f", header, 76, 1, *spacing_mm, 1, 1, 1, 1)
    struct.pack_into("<2f", header, 108, HEADER_BYTES, 1)
    struct.pack_into("<B", header, 123, MILLIMETRES)
    struct.pack_into("<2h", header, 252, 0, SCANNER_SPACE)
    struct.pack_into("<12f", header, 280, *affine_ras[:3].ravel())
    header[344:348] = b"n+1\0"
    return bytes(header)


def write_gzip(file: BinaryIO, parts: Iterable[bytes | memoryview], level: int = 6) -> None:
    """Compresses ``parts`` one after the other; the same content always gives the same bytes."""
    with gzip.GzipFile("", "wb", level, file, mtime=0) as stream:
        for part in parts:
            stream.write(part)


def little_endian(planes: Iterable[np.ndarray]) -> Iterator[memoryview]:
    """The bytes of ``planes`` [J, I] in C order, least significant first, plane by plane."""
    for plane in planes:
        yield np.ascontiguousarray(plane, dtype=plane.dtype.newbyteorder("<")).reshape(-1).view(np.uint8).data
