"""Writes NIfTI files byte by byte, for headers that no library would write: any version, byte order and placement."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path
from typing import Any

import numpy as np

_CODES = {"uint8": 2, "int16": 4, "int32": 8, "float32": 16, "float64": 64, "int8": 256, "uint16": 512, "complex64": 32}


def write_nifti(path: Path, array: np.ndarray, **fields: Any) -> Path:
    """Writes ``array`` [..., K, J, I] as NIfTI-1 (or version=2), packed when named .gz.

    ``fields``: sform and qform as (code, (4, 4) RAS matrix); pixdim, slope, intercept, units, order ("<" or ">"),
    quatern as (b, c, d), qfac, offset_mm.
    """
    version, order = fields.get("version", 1), fields.get("order", "<")
    content = _header(array, version, order, fields)
    content = content.ljust(352 if version == 1 else 544, b"\0")
    content += array.astype(array.dtype.newbyteorder(order)).tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content) if path.name.endswith(".gz") else content)
    return path


def _header(array: np.ndarray, version: int, order: str, fields: dict[str, Any]) -> bytes:
    """The header of either version, field by field at the standard's offsets."""
    real, whole = ("f", "h") if version == 1 else ("d", "q")
    sform_code, sform = fields.get("sform", (0, np.eye(4)))
    size = array.shape[::-1]
    values = {
        "dim": (f"8{whole}", [len(size), *size, *[1] * (7 - len(size))]),
        "datatype": ("h", [_CODES[array.dtype.name]]),
        "bitpix": ("h", [array.dtype.itemsize * 8]),
        "pixdim": (f"8{real}", [fields.get("qfac", 1.0), *fields.get("pixdim", (1.0, 1.0, 1.0)), 0, 0, 0, 0]),
        "vox_offset": ("f" if version == 1 else "q", [352 if version == 1 else 544]),
        "slope": (f"2{real}", [fields.get("slope", 0.0), fields.get("intercept", 0.0)]),
        "units": ("B" if version == 1 else "i", [fields.get("units", 2)]),
        "codes": ("2h" if version == 1 else "2i", [fields.get("qform_code", 0), sform_code]),
        "quatern": (f"6{real}", [*fields.get("quatern", (0, 0, 0)), *fields.get("offset_mm", (0, 0, 0))]),
        "srow": (f"12{real}", np.asarray(sform, float)[:3].ravel().tolist()),
    }
    names = ["dim", "datatype", "bitpix", "pixdim", "vox_offset", "slope", "units", "codes", "quatern", "srow"]
    first = [40, 70, 72, 76, 108, 112, 123, 252, 256, 280]
    second = [16, 12, 14, 104, 168, 176, 500, 344, 352, 400]
    header = bytearray(348 if version == 1 else 540)
    struct.pack_into(f"{order}i", header, 0, len(header))
    header[slice(344, 348) if version == 1 else slice(4, 12)] = b"n+1\0" if version == 1 else b"n+2\0\r\n\x1a\n"
    for name, offset in zip(names, first if version == 1 else second, strict=True):
        form, numbers = values[name]
        struct.pack_into(order + form, header, offset, *numbers)
    return bytes(header)
