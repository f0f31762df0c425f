"""NRRD files: header, placement and voxels, read by the format's own definition."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, isnan, sqrt
from pathlib import Path

import numpy as np

from alhvr.core.errors import UserError
from alhvr.core.files import shown
from alhvr.data.geometry import Geometry
from alhvr.data.scan import Volume
from alhvr.data.text_header import Fields, beside, listed, numbered, text_header
from alhvr.data.voxel_file import Packing, VoxelFiles, read_voxels, require_plausible

_END = re.compile(rb"\n\r?\n")
_MAGIC = re.compile(r"NRRD000[1-5]")
_SAME_FIELD = {
    "axismins": "axis mins", "axismaxs": "axis maxs", "blocksize": "block size", "byteskip": "byte skip",
    "centers": "centerings", "datafile": "data file", "lineskip": "line skip", "measurementframe": "measurement frame",
    "oldmax": "old max", "oldmin": "old min", "sampleunits": "sample units", "spacedimension": "space dimension",
    "spacedirections": "space directions", "spaceorigin": "space origin", "spaceunits": "space units",
}  # fmt: skip
_FIELDS = {"content", "number", "type", "dimension", "space", "sizes", "spacings", "thicknesses", "kinds", "labels",
           "units", "min", "max", "endian", "encoding", *_SAME_FIELD.values()}
_TYPES = {
    **dict.fromkeys(("signed char", "int8", "int8_t"), "i1"),
    **dict.fromkeys(("uchar", "unsigned char", "uint8", "uint8_t"), "u1"),
    **dict.fromkeys(("short", "short int", "signed short", "signed short int", "int16", "int16_t"), "i2"),
    **dict.fromkeys(("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"), "u2"),
    **dict.fromkeys(("int", "signed int", "int32", "int32_t"), "i4"),
    **dict.fromkeys(("uint", "unsigned int", "uint32", "uint32_t"), "u4"),
    **dict.fromkeys(("longlong", "long long", "long long int", "signed long long", "signed long long int", "int64",
                     "int64_t"), "i8"),
    **dict.fromkeys(("ulonglong", "unsigned long long", "unsigned long long int", "uint64", "uint64_t"), "u8"),
    "float": "f4", "double": "f8",
}  # fmt: skip
_ENCODINGS: dict[str, Packing] = {"raw": "raw", "gzip": "gzip", "gz": "gzip", "ascii": "text", "text": "text",
                                  "txt": "text", "hex": "hex"}
_ORDERS = {"little": "<", "big": ">"}
_DOMAIN_KINDS = ("domain", "space", "time", "???", "none")
"""Kinds of axes along which voxels lie; any other axis holds several numbers of one voxel."""
_TO_LPS = {
    **dict.fromkeys(("right-anterior-superior", "ras"), (-1.0, -1.0, 1.0)),
    **dict.fromkeys(("left-anterior-superior", "las"), (1.0, -1.0, 1.0)),
    **dict.fromkeys(("left-posterior-superior", "lps"), (1.0, 1.0, 1.0)),
}
_MOST_LINES = 65536
"""Lines before the voxels that may be skipped."""
_OTHER_SPACES = ("scanner-xyz", "3d-right-handed", "3d-left-handed")
_BEFORE = {"space directions": "space", "space origin": "space", "measurement frame": "space",
           **dict.fromkeys(("sizes", "spacings", "thicknesses", "axis mins", "axis maxs", "centerings", "kinds",
                            "labels", "units"), "dimension")}
"""Fields that have to follow another one."""
_QUOTED = re.compile(r'(?:"(?:[^"\\]|\\.)*"\s*)+')
_VECTOR = re.compile(r"\(([^()]*)\)|none", re.IGNORECASE)


@dataclass(frozen=True)
class NrrdHeader:
    """What a NRRD header says of its voxels."""

    geometry: Geometry
    """Where the voxels lie, in LPS mm."""
    voxel_type: np.dtype
    """Number type in the file, with its byte order."""
    files: VoxelFiles
    warnings: tuple[str, ...]
    """What is odd about the header, one sentence each."""


def read_nrrd_header(path: Path) -> NrrdHeader:
    """The header of a .nrrd or .nhdr file; raises UserError unless it is 3-D with one real number a voxel."""
    fields, _, rest, n_bytes = _read(path)
    for name, text in fields.texts.items():
        if not text and name != "content":
            raise fields.fault(name, "a text is")
        if name in ("labels", "units", "space units") and not _QUOTED.fullmatch(text):
            raise fields.fault(name, "texts in quotes are")
    dimension = fields.whole_numbers("dimension", 1)[0]
    if not 1 <= dimension <= 16:
        raise fields.fault("dimension", "a whole number from 1 to 16 is")
    sizes = fields.sides("sizes", dimension)
    axes = _domain_axes(fields, sizes)
    kind = _voxel_type(fields)
    geometry, warnings = _place(fields, sizes, axes)
    if fields.get("measurement frame") is not None:
        _vectors(fields, "measurement frame", 3)
    files = _voxel_files(fields, rest, n_bytes)
    require_plausible(path, files, geometry.shape_kji, kind)
    return NrrdHeader(geometry, kind, files, warnings)


def read_nrrd(path: Path) -> Volume:
    """Voxels [K, J, I] in the file's number type; raises UserError when it is damaged or not one 3-D image."""
    header = read_nrrd_header(path)
    array = read_voxels(path, header.files, header.geometry.shape_kji, header.voxel_type)
    return Volume(array, header.geometry, warnings=header.warnings)


def _read(path: Path) -> tuple[Fields, dict[str, str], list[str], int]:
    """Fields, keys with their values, the lines of a list of files, and the header's length in bytes."""
    text, n_bytes = text_header(path, _END)
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    if not _MAGIC.fullmatch(lines[0]):
        raise _unreadable(path, "it is cut short, damaged or of another kind")
    fields: dict[str, str] = {}
    values: dict[str, str] = {}
    for index, line in enumerate(lines[1:], 1):
        name = _field_name(line)
        if name is not None:
            if name in fields:
                raise _unreadable(path, f"it gives the field {name} twice")
            first = _BEFORE.get(name)
            if first is not None and first not in fields and f"{first} dimension" not in fields:
                raise _unreadable(path, f"it gives the field {name} before {first}")
            fields[name] = line.split(":", 1)[1].strip()
            if name == "data file" and fields[name].split()[:1] == ["LIST"]:
                return Fields(path, fields), values, [other for other in lines[index + 1:] if other], n_bytes
        elif ":=" in line and not line.startswith("#"):
            key, value = line.split(":=", 1)
            values[key] = re.sub(r"\\(n|\\)", lambda match: "\n" if match[1] == "n" else "\\", value)
        elif line and not line.startswith("#"):
            raise _unreadable(path, f'line {index + 1} of its header is "{shown(line[:60])}"')
    return Fields(path, fields), values, [], n_bytes


def _field_name(line: str) -> str | None:
    """The field that a line of the header gives; None for any other line."""
    name = line.split(":", 1)[0].lower() if ":" in line[:40] and not line.startswith("#") else ""
    name = _SAME_FIELD.get(name, name)
    return name if name in _FIELDS and not line[len(line.split(":", 1)[0]):].startswith(":=") else None


def _domain_axes(fields: Fields, sizes: Sequence[int]) -> list[int]:
    """The three axes along which voxels lie; raises UserError where there are not three, or many components."""
    path, kinds = fields.path, (fields.get("kinds") or " ".join(["???"] * len(sizes))).lower().split()
    if len(kinds) != len(sizes):
        raise fields.fault("kinds", f"{len(sizes)} words are")
    axes = [axis for axis, kind in enumerate(kinds) if kind in _DOMAIN_KINDS]
    channels = 1
    for axis in set(range(len(sizes))) - set(axes):
        channels *= sizes[axis]
    if channels != 1 and path.name.lower().endswith(".seg.nrrd"):
        hint = "In Slicer, export it to a labelmap, which gives each voxel to one segment."
        raise UserError(f"{shown(path.name)} has segments that overlap ({channels} layers); one layer is needed.", hint)
    if channels != 1:
        raise UserError(f"{shown(path.name)} has {channels} components per voxel; 1 is required.",
                        "Export one channel.")
    if len(axes) != 3:
        raise UserError(f"{shown(path.name)} has {len(axes)} axes, size {tuple(sizes[axis] for axis in axes)}; a scan "
                        "needs three.", "Give one 3-D volume.")
    return axes


def _voxel_type(fields: Fields) -> np.dtype:
    kind, packing = np.dtype(fields.one_of("type", _TYPES)), fields.one_of("encoding", _ENCODINGS)
    order = fields.one_of("endian", _ORDERS, "little" if kind.itemsize == 1 or packing == "text" else None)
    return kind.newbyteorder(order)


def _place(fields: Fields, sizes: Sequence[int], axes: Sequence[int]) -> tuple[Geometry, tuple[str, ...]]:
    """The grid, and what is odd about it; an axis without direction is one of the patient's own."""
    flips, warnings = _space(fields)
    n_axes = len(sizes)
    directions = _vectors(fields, "space directions", n_axes) if fields.get("space directions") else [None] * n_axes
    spacings = fields.numbers_or_nan("spacings", n_axes) if fields.get("spacings") else [float("nan")] * n_axes
    if fields.get("spacings") and flips is not None:
        raise fields.fault("spacings", "in a space, only space directions are")
    spacing, columns = [1.0] * 3, [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    for place, axis in enumerate(axes):
        if directions[axis] is not None:
            spacing[place] = length = sqrt(sum(part * part for part in directions[axis]))
            if not 0 < length < inf:
                raise fields.fault("space directions", "steps that can be measured in mm are")
            columns[place] = [part * (1.0 / length) * flip
                              for part, flip in zip(directions[axis], flips or (1.0,) * 3, strict=True)]
        elif not isnan(spacings[axis]):
            spacing[place] = abs(spacings[axis])
            columns[place] = [part * (-1.0 if spacings[axis] < 0 else 1.0) for part in columns[place]]
    origin = _origin(fields, flips, [spacings[axis] for axis in axes], axes, n_axes)
    size = tuple(sizes[axis] for axis in axes)
    try:
        direction = tuple(columns[axis][row] for row in range(3) for axis in range(3))
        return Geometry(size, tuple(spacing), origin, direction), warnings
    except UserError as error:
        raise UserError(f"{shown(fields.path.name)}: {error.message}", error.hint) from error


def _space(fields: Fields) -> tuple[tuple[float, float, float] | None, tuple[str, ...]]:
    """Sign of each coordinate in LPS, or None where the file has no space, and what is odd about it."""
    space, name = (fields.get("space") or "").lower(), shown(fields.path.name)
    taken = "its axes are taken as left, posterior, superior"
    if space and fields.get("space dimension"):
        raise fields.fault("space dimension", "beside space, nothing is")
    if space in _TO_LPS:
        return _TO_LPS[space], ()
    if space in _OTHER_SPACES:
        return (1.0, 1.0, 1.0), (f"{name} lies in {space}, which does not say how the patient lies; {taken}.",)
    if space:
        raise fields.fault("space", f"one of {', '.join((*_TO_LPS, *_OTHER_SPACES))} is")
    odd = (f"{name} does not say where it lies in the patient; {taken}.",)
    if fields.get("space dimension") is None:
        return None, odd
    if fields.whole_numbers("space dimension", 1) != (3,):
        raise fields.fault("space dimension", "3 is")
    return (1.0, 1.0, 1.0), odd


def _vectors(fields: Fields, name: str, count: int) -> list[tuple[float, ...] | None]:
    """The ``count`` vectors of three finite numbers in a field; None for those that say none."""
    text = fields.get(name) or ""
    found = list(_VECTOR.finditer(text))
    if len(found) != count or _VECTOR.sub("", text).strip():
        raise fields.fault(name, f"{count} of (X, Y, Z) or none are")
    vectors: list[tuple[float, ...] | None] = []
    for match in found:
        inside = match[1]
        vectors.append(None if inside is None else
                       Fields(fields.path, {name: inside.replace(",", " ")}).numbers(name, 3))
    return vectors


def _origin(fields: Fields, flips: tuple[float, float, float] | None, spacings: Sequence[float], axes: Sequence[int],
            n_axes: int) -> tuple[float, float, float]:
    """Centre of the first voxel, from the space's origin or from where the axes begin."""
    ends = [fields.numbers_or_nan(name, n_axes) for name in ("axis mins", "axis maxs") if fields.get(name) is not None]
    if fields.get("space origin") is not None:
        vector = _vectors(fields, "space origin", 1)[0] if flips is not None else None
        if vector is None:
            raise fields.fault("space origin", "a space and one of (X, Y, Z) are")
        return tuple(part * flip for part, flip in zip(vector, flips, strict=True))
    if flips is not None or fields.get("axis mins") is None:
        return 0.0, 0.0, 0.0
    begins = ends[0]
    centres = (fields.get("centerings") or " ".join(["???"] * n_axes)).lower().split()
    if len(centres) != n_axes:
        raise fields.fault("centerings", f"{n_axes} words are")
    if any(isnan(spacing) for spacing in spacings):
        raise fields.fault("spacings", "beside axis mins, the spacing of each axis is")
    if all(isnan(begins[axis]) for axis in axes):
        return 0.0, 0.0, 0.0
    if any(isnan(begins[axis]) for axis in axes):
        raise fields.fault("axis mins", "the begin of each axis or of none is")
    return tuple(begins[axis] + (0.0 if centres[axis] == "node" else spacing / 2)
                 for axis, spacing in zip(axes, spacings, strict=True))


def _voxel_files(fields: Fields, rest: Sequence[str], n_bytes: int) -> VoxelFiles:
    """Where the voxels lie: behind the header, in a file beside it, or in several."""
    packing = _ENCODINGS[(fields.get("encoding") or "").lower()]
    line_skip = fields.whole_numbers("line skip", 1)[0] if fields.get("line skip") else 0
    byte_skip = fields.whole_numbers("byte skip", 1)[0] if fields.get("byte skip") else 0
    if not 0 <= line_skip <= _MOST_LINES:
        raise fields.fault("line skip", f"a whole number from 0 to {_MOST_LINES} is")
    if byte_skip < -1 or (byte_skip == -1 and packing != "raw") or (byte_skip > 0 and packing in ("text", "hex")):
        raise fields.fault("byte skip", "a number of bytes, or -1 for raw voxels at the end of the file, is")
    where = fields.get("data file")
    begin = n_bytes if where is None else 0
    paths = (fields.path,) if where is None else _data_files(fields, where, rest)
    if byte_skip == -1:
        return VoxelFiles(paths, packing, -1)
    return VoxelFiles(paths, packing, begin, line_skip, byte_skip)


def _data_files(fields: Fields, where: str, rest: Sequence[str]) -> tuple[Path, ...]:
    """The files that the field "data file" names; raises UserError unless all lie beside the header."""
    words = where.split()
    if not words:
        raise fields.fault("data file", "the name of a file is")
    dimension = fields.whole_numbers("dimension", 1)[0]
    if words[0] == "LIST":
        if words[1:] not in ([], [str(dimension - 1)]):
            raise fields.fault("data file", "LIST of slices is")
        return listed(fields.path, rest)
    if "%" in where:
        if len(words) == 5 and words[4] == str(dimension - 1):
            words = words[:4]
        return numbered(fields.path, words)
    return (beside(fields.path, where),)


def _unreadable(path: Path, reason: str) -> UserError:
    return UserError(f"{shown(path.name)} cannot be read as NRRD: {reason}.", "Copy or export it again.")
