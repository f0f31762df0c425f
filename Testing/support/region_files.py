"""Files of regions for tests, as the engine writes them."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np

TYPES = {"uint8": "unsigned char", "uint16": "unsigned short"}


def write_engine_nrrd(path: Path, array: np.ndarray) -> None:
    """One 3-D array [K, J, I] in the engine's layout: little-endian, gzip."""
    sizes = " ".join(str(size) for size in array.shape[::-1])
    header = (
        f"NRRD0004\ntype: {TYPES[array.dtype.name]}\ndimension: 3\nspace: left-posterior-superior\nsizes: {sizes}\n"
        "space directions: (1.0,0.0,0.0) (0.0,1.0,0.0) (0.0,0.0,1.0)\nkinds: domain domain domain\n"
        "endian: little\nencoding: gzip\nspace origin: (0.0,0.0,0.0)\nSegment0_Name:=ä\n\n"
    )
    path.write_bytes(header.encode() + gzip.compress(array.astype(array.dtype.newbyteorder("<")).tobytes()))


def write_region_files(folder: Path, name: str, shape: tuple[int, ...], *, teacher: bool = True) -> dict[str, object]:
    """All files of one scan; returns the arrays by ending, and the text of the table."""
    rng = np.random.default_rng(5)
    arrays = {ending: rng.integers(0, 65536, shape).astype(np.uint16)
              for ending in ("confidence-a", "confidence-b", *(["teacher"] if teacher else []))}  # fmt: skip
    arrays["regions"] = rng.integers(0, 4, shape).astype(np.uint8)
    for ending, array in arrays.items():
        write_engine_nrrd(folder / f"{name}.{ending}.nrrd", array)
    table = json.dumps({"beta": 0.8, "gamma": 0.9, "note": 'quotes " and <signs> & more'}, indent=1)
    (folder / f"{name}.regions.json").write_text(table)
    return {**arrays, "table": table}
