"""MetaImage files (.mha, .mhd): header, placement and voxels, read by the format's own definition."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from alhvr.core.errors import UserError
from alhvr.core.files import read_bytes, shown
from alhvr.data.geometry import Geometry
from alhvr.data.scan import Volume
from alhvr.data.text_header import Fields, beside, listed, numbered, text_header
from alhvr.data.voxel_file import LARGEST_HEADER_BYTES, Packing, VoxelFiles, read_voxels, require_plausible

_END = re.compile(rb"^ElementDataFile[ \t]*[=:][^\n]*\n", re.MULTILINE)
_LINE = re.compile(r"([^=:]*)[=:](.*)", re.DOTALL)
_COPIED = re.compile(r"[0-9a-f]{4}\|[0-9a-f]{4}|ITK_.*|", re.IGNORECASE)
"""Names of fields that ITK writes for what it has read elsewhere, such as DICOM tags."""
_TYPES = {
    "met_char": "i1", "met_uchar": "u1", "met_short": "i2", "met_ushort": "u2", "met_int": "i4", "met_uint": "u4",
    "met_long": "i4", "met_ulong": "u4", "met_long_long": "i8", "met_ulong_long": "u8", "met_float": "f4",
    "met_double": "f8",
}  # fmt: skip
_TRUTH = {**dict.fromkeys(("true", "t", "1"), "true"), **dict.fromkeys(("false", "f", "0"), "")}
_ORDERS = {"true": ">", "": "<"}
_OTHER_NAMES = {
    "Origin": ("Offset", "Position", "Origin"), "Matrix": ("TransformMatrix", "Rotation", "Orientation"),
    "ByteOrderMSB": ("BinaryDataByteOrderMSB", "ElementByteOrderMSB"), "Spacing": ("ElementSpacing",),
}  # fmt: skip
"""Names of fields that say the same."""
_PASSED_OVER = {"ObjectType", "ObjectSubType", "ObjectTypeName", "ObjectSubTypeName", "TransformType", "Name", "ID",
                "ParentID", "Comment", "Color", "CenterOfRotation", "AnatomicalOrientation", "DistanceUnits",
                "Modality", "SequenceID", "ElementMin", "ElementMax", "ImagePosition", "AcquisitionDate",
                "ElementToIntensityFunctionSlope", "ElementToIntensityFunctionOffset"}
"""Fields of the format that say nothing of where voxels lie or what they hold."""
_READ = {"NDims", "DimSize", "ElementType", "ElementDataFile", "HeaderSize", "BinaryData", "CompressedData",
         "CompressedDataSize", "ElementNumberOfChannels", "ElementSize",
         *(name for names in _OTHER_NAMES.values() for name in names)}
_UNIT_TOLERANCE = 0.01
"""Largest departure of the length of an axis from 1."""


@dataclass(frozen=True)
class MetaHeader:
    """What a MetaImage header says of its voxels."""

    geometry: Geometry
    """Where the voxels lie, in LPS mm."""
    voxel_type: np.dtype
    """Number type in the file, with its byte order."""
    files: VoxelFiles
    warnings: tuple[str, ...]
    """What is odd about the header, one sentence each."""


def read_metaimage_header(path: Path) -> MetaHeader:
    """The header of a .mha or .mhd file; raises UserError unless it is 3-D with one real number a voxel."""
    fields, rest, n_bytes = _read(path)
    n_axes = fields.whole_numbers("NDims", 1)[0]
    if not 1 <= n_axes <= 10:
        raise fields.fault("NDims", "a whole number from 1 to 10 is")
    sizes = fields.sides("DimSize", n_axes)
    _require_one_volume(fields, sizes)
    kind = np.dtype(fields.one_of("ElementType", _TYPES))
    kind = kind.newbyteorder(_ORDERS[fields.one_of(_name(fields, "ByteOrderMSB"), _TRUTH, "false")])
    geometry = _place(fields, sizes)
    files = _voxel_files(fields, rest, n_bytes)
    require_plausible(path, files, geometry.shape_kji, kind)
    return MetaHeader(geometry, kind, files, _oddities(fields))


def read_metaimage(path: Path) -> Volume:
    """Voxels [K, J, I] in the file's number type; raises UserError when it is damaged or not one 3-D image."""
    header = read_metaimage_header(path)
    array = read_voxels(path, header.files, header.geometry.shape_kji, header.voxel_type)
    return Volume(array, header.geometry, warnings=header.warnings)


def _read(path: Path) -> tuple[Fields, list[str], int]:
    """Fields, the lines that follow the last of them, and the header's length in bytes."""
    text, n_bytes = text_header(path, _END)
    fields: dict[str, str] = {}
    lines = text.split("\n")
    matches = [_LINE.fullmatch(line) for line in lines]
    if not any(match and match[1].strip(" \t") == "ElementDataFile" for match in matches):
        raise _unreadable(path, "it is cut short, damaged or of another kind")
    name = ""
    for index, (line, match) in enumerate(zip(lines, matches, strict=True), 1):
        if match is None and line.strip() and name in _READ | _PASSED_OVER | {""}:
            raise _unreadable(path, f'line {index} of its header is "{shown(line.strip()[:60])}"')
        if match is None:
            continue  # empty, or it goes on with the text of somebody's own field
        name = match[1].strip(" \t")  # of other white space, ITK makes another name
        if name in fields and name in _READ:
            raise _unreadable(path, f"it gives {name} twice")
        fields[name] = match[2].strip()
    rest: list[str] = []
    if fields["ElementDataFile"].split()[:1] == ["LIST"]:
        rest = read_bytes(path, at_most=LARGEST_HEADER_BYTES)[n_bytes:].decode("utf-8", "replace").split("\n")
    return Fields(path, fields), [line.strip() for line in "\n".join(rest).rstrip().split("\n")], n_bytes


def _oddities(fields: Fields) -> tuple[str, ...]:
    """What the header says that is not heeded."""
    name, odd = shown(fields.path.name), []
    unknown = sorted(field for field in fields.texts if field not in _READ | _PASSED_OVER
                     and not _COPIED.fullmatch(field))
    missing = [names[0] for names in _OTHER_NAMES.values() if not any(field in fields.texts for field in names)]
    if unknown and missing:
        more = f" and {len(unknown) - 3} more" if len(unknown) > 3 else ""
        odd.append(f"{name} has no {' and no '.join(missing)}, but has fields that are not read: "
                   f"{', '.join(shown(text[:40]) for text in unknown[:3])}{more}.")
    for field, plain in (("ElementToIntensityFunctionSlope", 1.0), ("ElementToIntensityFunctionOffset", 0.0)):
        if fields.get(field) is not None and fields.numbers(field, 1) != (plain,):
            odd.append(f"{name} has {field} {shown(fields.get(field))}; its numbers are taken as stored.")
    return tuple(odd)


def _name(fields: Fields, meaning: str) -> str:
    """Which of the names that say the same the file uses; raises UserError where it uses two that differ."""
    used = [name for name in _OTHER_NAMES[meaning] if fields.get(name) is not None]
    if len({(fields.get(name) or "").lower() for name in used}) > 1:
        raise _unreadable(fields.path, f"{' and '.join(used)} differ")
    return used[-1] if used else _OTHER_NAMES[meaning][0]


def _require_one_volume(fields: Fields, sizes: Sequence[int]) -> None:
    """Raises UserError unless there are three axes and one real number a voxel."""
    name, element = shown(fields.path.name), fields.get("ElementType") or ""
    channels = fields.whole_numbers("ElementNumberOfChannels", 1)[0] if fields.get("ElementNumberOfChannels") else 1
    channels = 2 if element.lower().endswith("_array") and channels == 1 else channels
    if channels != 1:
        raise UserError(f"{name} has {channels} components per voxel; 1 is required.", "Export one channel.")
    if len(sizes) != 3:
        raise UserError(f"{name} has {len(sizes)} axes, size {tuple(sizes)}; a scan needs three.",
                        "Give one 3-D volume.")


def _place(fields: Fields, sizes: Sequence[int]) -> Geometry:
    """The grid; a negative spacing turns its axis round."""
    for name in ("ElementSize", "CenterOfRotation"):
        if fields.get(name) is not None:
            fields.numbers(name, 3)
    name = _name(fields, "Spacing")
    name = name if fields.get(name) is not None else "ElementSize"
    spacing = fields.numbers(name, 3) if fields.get(name) is not None else (1.0, 1.0, 1.0)
    name = _name(fields, "Origin")
    origin = fields.numbers(name, 3) if fields.get(name) is not None else (0.0, 0.0, 0.0)
    name = _name(fields, "Matrix")
    matrix = np.eye(3) if fields.get(name) is None else np.reshape(fields.numbers(name, 9), (3, 3))
    if np.abs(np.linalg.norm(matrix, axis=1) - 1).max() > _UNIT_TOLERANCE:
        raise fields.fault(name, "three rows of length 1 are")
    direction = np.where(np.array(spacing) < 0, -1.0, 1.0) * matrix.T
    try:
        return Geometry(tuple(sizes), tuple(abs(step) for step in spacing), origin,
                        tuple(float(part) for part in direction.ravel()))
    except UserError as error:
        raise UserError(f"{shown(fields.path.name)}: {error.message}", error.hint) from error


def _voxel_files(fields: Fields, rest: Sequence[str], n_bytes: int) -> VoxelFiles:
    """Where the voxels lie: behind the header, in a file beside it, or in several."""
    packing: Packing = "raw" if fields.one_of("BinaryData", _TRUTH, "true") else "text"
    packed_bytes = None
    if fields.get("CompressedDataSize") is not None:
        packed_bytes = fields.whole_numbers("CompressedDataSize", 1)[0]
        if packed_bytes < 0:
            raise fields.fault("CompressedDataSize", "a number of bytes is")
    if fields.one_of("CompressedData", _TRUTH, "false"):
        packing = "zlib"
    local = (fields.get("ElementDataFile") or "").upper() == "LOCAL"
    skip = fields.whole_numbers("HeaderSize", 1)[0] if fields.get("HeaderSize") is not None else 0
    if skip < -1 or (local and skip > 0) or (skip and packing != "raw"):
        raise fields.fault("HeaderSize", "0, or for raw voxels in another file a number of bytes or -1, is")
    paths = (fields.path,) if local else _data_files(fields, rest)
    if packing == "zlib" and len(paths) > 1:
        raise fields.fault("CompressedData", "for several files, False is")
    return VoxelFiles(paths, packing, n_bytes if local and skip == 0 else skip, packed_bytes=packed_bytes)


def _data_files(fields: Fields, rest: Sequence[str]) -> tuple[Path, ...]:
    """The files that ElementDataFile names; raises UserError unless all lie beside the header."""
    where = fields.get("ElementDataFile") or ""
    words = where.split()
    if not words:
        raise fields.fault("ElementDataFile", "LOCAL or the name of a file is")
    if words[0] == "LIST":
        if words[1:] not in ([], ["2"], ["2D"]):
            raise fields.fault("ElementDataFile", "LIST of slices is")
        return listed(fields.path, rest)
    return numbered(fields.path, words) if "%" in where else (beside(fields.path, where),)


def _unreadable(path: Path, reason: str) -> UserError:
    return UserError(f"{shown(path.name)} cannot be read as MetaImage: {reason}.", "Copy or export it again.")
