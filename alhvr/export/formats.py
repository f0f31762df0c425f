"""Volume formats: NRRD, NIfTI and MetaImage as bytes, with any grid kept to the last digit that the format holds."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from typing import BinaryIO

import numpy as np

from alhvr.data.geometry import Geometry
from alhvr.formats.nifti import little_endian, nifti_parts, write_gzip
from alhvr.formats.terminology import LPS_TO_RAS

NRRD_TYPES = {"uint8": "unsigned char", "uint16": "unsigned short"}
META_TYPES = {"uint8": "MET_UCHAR", "uint16": "MET_USHORT"}
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
    parts = little_endian(array if values is None else (values[plane] for plane in array))
    if level:
        write_gzip(file, parts, level)
    else:
        file.writelines(parts)


def write_nifti(file: BinaryIO, array: np.ndarray, geometry: Geometry) -> None:
    """Writes uint8 or uint16 ``array`` [K, J, I] as NIfTI-1; the grid, sheared or not, as float32 sform in RAS."""
    file.writelines(nifti_parts(array, LPS_TO_RAS @ geometry.affine_lps, geometry.spacing_mm))


def write_nifti_gz(file: BinaryIO, array: np.ndarray, geometry: Geometry) -> None:
    """The same, compressed."""
    write_gzip(file, nifti_parts(array, LPS_TO_RAS @ geometry.affine_lps, geometry.spacing_mm))


def write_meta_image(file: BinaryIO, array: np.ndarray, geometry: Geometry) -> None:
    """Writes uint8 or uint16 ``array`` [K, J, I] as one compressed MetaImage file in LPS."""
    packer = zlib.compressobj(6)
    data = b"".join([*map(packer.compress, little_endian(array)), packer.flush()])
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


def _vector(values: np.ndarray | tuple[float, ...]) -> str:
    return "(" + ",".join(repr(float(value)) for value in values) + ")"


def _numbers(values: np.ndarray | tuple[float, ...]) -> str:
    return " ".join(repr(float(value)) for value in values)


def _one_line(text: str) -> str:
    return " ".join(text.split())
