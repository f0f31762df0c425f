"""Volume formats: NRRD, NIfTI and MetaImage as bytes, with any grid kept to the last digit that the format holds."""

from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from typing import BinaryIO

import numpy as np

from alhvr.data.geometry import Geometry
from alhvr.formats.terminology import LPS_TO_RAS

NRRD_TYPES = {"uint8": "unsigned char", "uint16": "unsigned short"}
META_TYPES = {"uint8": "MET_UCHAR", "uint16": "MET_USHORT"}
NIFTI_TYPES = {"uint8": 2, "uint16": 512}
NIFTI_HEADER_BYTES = 352
NIFTI_MILLIMETRES = 2
NIFTI_SCANNER_SPACE = 1

Encoder = Callable[[BinaryIO, np.ndarray, Geometry], None]


def write_nrrd(file: BinaryIO, array: np.ndarray, geometry: Geometry, *, keys: Mapping[str, str] | None = None,
               level: int = 6, values: np.ndarray | None = None) -> None:
    """Writes uint8 or uint16 ``array`` [K, J, I] as NRRD in LPS, with further ``keys``.

    ``level`` is gzip's, 1 (fast) to 9, or 0 for no compression; ``values``: what to write for each value of the array.
    The grid may be sheared: NRRD holds whole axis vectors, here as float64.
    """
    columns = geometry.affine_lps[:3, :3].T
    lines = [
        "NRRD0004",
        f"type: {NRRD_TYPES[(array if values is None else values).dtype.name]}",
        "dimension: 3",
        "space: left-posterior-superior",
        f"sizes: {' '.join(map(str, geometry.size_ijk))}",
        f"space directions: {' '.join(_vector(column) for column in columns)}",
        "kinds: domain domain domain",
        "endian: little",
        f"encoding: {'gzip' if level else 'raw'}",
        f"space origin: {_vector(geometry.origin_lps_mm)}",
        *(f"{key}:={_one_line(value)}" for key, value in (keys or {}).items()),
    ]
    file.write(("\n".join(lines) + "\n\n").encode("utf-8"))
    parts = _little_endian(array if values is None else (values[plane] for plane in array))
    if level:
        _write_gzip(file, parts, level)
    else:
        file.writelines(parts)


def write_nifti(file: BinaryIO, array: np.ndarray, geometry: Geometry) -> None:
    """Writes uint8 or uint16 ``array`` [K, J, I] as NIfTI-1; the grid, sheared or not, as float32 sform in RAS."""
    file.write(_nifti_header(array, geometry))
    file.writelines(_little_endian(array))


def write_nifti_gz(file: BinaryIO, array: np.ndarray, geometry: Geometry) -> None:
    """The same, compressed."""
    _write_gzip(file, chain([_nifti_header(array, geometry)], _little_endian(array)), 6)


def write_meta_image(file: BinaryIO, array: np.ndarray, geometry: Geometry) -> None:
    """Writes uint8 or uint16 ``array`` [K, J, I] as one compressed MetaImage file in LPS."""
    packer = zlib.compressobj(6)
    data = b"".join([*map(packer.compress, _little_endian(array)), packer.flush()])
    axes = np.reshape(geometry.direction, (3, 3)).T.ravel()
    lines = [
        "ObjectType = Image",
        "NDims = 3",
        "BinaryData = True",
        "BinaryDataByteOrderMSB = False",
        "CompressedData = True",
        f"CompressedDataSize = {len(data)}",
        f"TransformMatrix = {_numbers(axes)}",
        f"Offset = {_numbers(geometry.origin_lps_mm)}",
        "CenterOfRotation = 0 0 0",
        f"ElementSpacing = {_numbers(geometry.spacing_mm)}",
        f"DimSize = {' '.join(map(str, geometry.size_ijk))}",
        f"ElementType = {META_TYPES[array.dtype.name]}",
        "ElementDataFile = LOCAL",
    ]
    file.write(("\n".join(lines) + "\n").encode("ascii"))
    file.write(data)


def _nifti_header(array: np.ndarray, geometry: Geometry) -> bytes:
    """352 bytes: the fields of a label map in NIfTI-1, every other field zero."""
    header = bytearray(NIFTI_HEADER_BYTES)
    affine_ras = LPS_TO_RAS @ geometry.affine_lps
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<8h", header, 40, 3, *geometry.size_ijk, 1, 1, 1, 1)
    struct.pack_into("<2h", header, 70, NIFTI_TYPES[array.dtype.name], 8 * array.itemsize)
    struct.pack_into("<8f", header, 76, 1, *geometry.spacing_mm, 1, 1, 1, 1)
    struct.pack_into("<2f", header, 108, NIFTI_HEADER_BYTES, 1)
    struct.pack_into("<B", header, 123, NIFTI_MILLIMETRES)
    struct.pack_into("<2h", header, 252, 0, NIFTI_SCANNER_SPACE)
    struct.pack_into("<12f", header, 280, *affine_ras[:3].ravel())
    header[344:348] = b"n+1\0"
    return bytes(header)


def _write_gzip(file: BinaryIO, parts: Iterable[bytes | memoryview], level: int) -> None:
    """Compresses ``parts`` one after the other; the same content always gives the same bytes."""
    with gzip.GzipFile("", "wb", level, file, mtime=0) as stream:
        for part in parts:
            stream.write(part)


def _little_endian(planes: Iterable[np.ndarray]) -> Iterator[memoryview]:
    """The bytes of ``planes`` [J, I] in C order, least significant first, plane by plane."""
    for plane in planes:
        yield np.ascontiguousarray(plane, dtype=plane.dtype.newbyteorder("<")).reshape(-1).view(np.uint8).data


def _vector(values: np.ndarray | tuple[float, ...]) -> str:
    return "(" + ",".join(repr(float(value)) for value in values) + ")"


def _numbers(values: np.ndarray | tuple[float, ...]) -> str:
    return " ".join(repr(float(value)) for value in values)


def _one_line(text: str) -> str:
    return " ".join(text.split())
