"""The voxels of a DICOM series as one volume, once the structure of each file was looked at."""

from __future__ import annotations

import struct
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from alhvr.core.errors import UserError
from alhvr.core.files import shown
from alhvr.data.dicom_file import (
    DEFLATED,
    DICOM_ENDINGS,
    file_of,
    inflated_size,
    is_dicom_file,
    starts_with_preamble,
)
from alhvr.data.dicom_folder import series_of_file, series_of_folder
from alhvr.data.dicom_frames import stored_frames
from alhvr.data.dicom_series import Series
from alhvr.data.geometry import Geometry
from alhvr.data.itk_io import itk_name
from alhvr.data.scan import Modality, Volume

_SNAP_MM = 0.005
"""A stack that drifts less than this off its normal is taken as straight: rounding in the headers."""
_FARTHEST_OFF = 0.5
"""A slice may lie this share of the slice distance off the grid."""
_UNKNOWN_THICKNESS_MM = 1.0
"""Of a single slice whose header does not tell."""
_EVEN_MM = 0.05
"""Slices nearer than this to an even grid count as even: rounding in the headers."""

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


@dataclass(frozen=True)
class Stack:
    """A series in order: files from slice 0 upwards and their grid."""

    files: tuple[Path, ...]
    """Of each slice; the same one again where it holds many frames."""
    geometry: Geometry
    modality: Modality
    warnings: tuple[str, ...]
    shared_instance: str = ""
    """That images have one SOPInstanceUID, in words, so that nothing can refer to one of them; "" where none have."""
    frames: tuple[int | None, ...] = ()
    """Of each slice, which frame of its file it is, from 0; None where the file holds nothing else."""
    scales: tuple[tuple[float, float], ...] = ()
    """Rescale slope and intercept of each slice."""


def find_stack(path: Path) -> Stack | None:
    """The ordered series of a folder, or the one that a DICOM file belongs to; None for other files.

    A folder without DICOM files of its own stands for all folders below it. Raises UserError as ``order_series``, and
    where it is not one series.
    """
    if path.is_dir():
        return order_series(path.name, _only_series(path))
    file = file_of(path)
    if not (file.exists() and file.name.lower().endswith(DICOM_ENDINGS)) and not is_dicom_file(file):
        return None
    found = series_of_file(path)
    for is_wanted in (lambda series: series.path == path, lambda series: any(s.path == path for s in series.slices)):
        for series in found.series:
            if series.slices and is_wanted(series):
                return order_series(path.parent.name, series)
    reason = next((item.reason for item in found.unusable if item.path == file), "it is a copy or a localizer")
    raise UserError(f"{shown(path.name)} is no DICOM image that can be read: {reason}.",
                    "Give another file or a folder.")


def order_series(name: str, series: Series) -> Stack:
    """Sorts the slices along their normal and fits the grid; ``name`` is for messages.

    Raises UserError for a series with a fault, and where slices lie far off an even grid. Gaps that are a little
    unequal become a warning with the sizes seen.
    """
    _require_usable(name, series)
    first = series.slices[0]
    axes = np.reshape(first.orientation, (2, 3))
    row, column = axes / np.linalg.norm(axes, axis=1, keepdims=True)
    normal = np.cross(row, column)
    positions = np.array([item.position_lps_mm for item in series.slices])
    order = np.argsort(positions @ normal, kind="stable")
    positions = positions[order]
    step_mm = _step(positions, normal, first.thickness_mm)
    affine = np.eye(4)
    affine[:3, :3] = np.column_stack([row * first.spacing_ij_mm[0], column * first.spacing_ij_mm[1], step_mm])
    affine[:3, 3] = positions[0]
    fitted = Geometry.from_affine((*first.size_ij, len(order)), affine)
    geometry = replace(fitted, spacing_mm=(*first.spacing_ij_mm, fitted.spacing_mm[2]))
    told = (*_oddities(name, positions, normal, step_mm), *_header_oddities(name, series),
            *(f"{name}: {note}." for note in series.notes))
    slices = [series.slices[i] for i in order]
    return Stack(tuple(item.path for item in slices), geometry, series.modality, told, series.shared_instance,
                 tuple(item.frame for item in slices), tuple(item.scale for item in slices))


def read_stack(name: str, stack: Stack) -> Volume:
    """Voxels [K, J, I] with each slice's own rescale slope and intercept; raises UserError if damaged.

    int16 where every value is a whole number that fits, else float32.
    """
    array = np.empty(stack.geometry.shape_kji, dtype=np.int16)
    for index, plane in _planes(name, stack):
        if array.dtype == np.int16 and not _fits_int16(plane):
            array = array.astype(np.float32)
        array[index] = plane.reshape(array.shape[1:])
    return Volume(array, stack.geometry, stack.modality, stack.warnings)


def _planes(name: str, stack: Stack) -> Iterator[tuple[int, np.ndarray]]:
    """Index and scaled voxels [J, I] of each slice, in any order; raises UserError where one cannot be decoded."""
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    of_file: dict[Path, list[int]] = {}
    for index, path in enumerate(stack.files):
        of_file.setdefault(path, []).append(index)
    for path, indices in of_file.items():
        try:
            check_structure(path)
            reader.SetFileName(itk_name(path))
            if stack.frames[indices[0]] is None:
                yield indices[0], sitk.GetArrayFromImage(reader.Execute())[0]
                continue
        except ValueError as error:
            raise UserError(f"{name}: the image {shown(path.name)} cannot be decoded; it is cut short, damaged or of a "
                            "rare coding.", "Copy or export the series again.") from error
        except RuntimeError:
            pass
        yield from zip(indices, _frames(name, stack, path, indices), strict=True)


def _frames(name: str, stack: Stack, path: Path, indices: Sequence[int]) -> Iterator[np.ndarray]:
    """The scaled voxels of the slices ``indices`` of a stack, which are frames of the file ``path``."""
    try:
        stored = stored_frames(path, [stack.frames[index] or 0 for index in indices])
        for index, plane in zip(indices, stored, strict=True):
            slope, intercept = stack.scales[index]
            whole = slope == 1 and intercept.is_integer() and np.issubdtype(plane.dtype, np.integer)
            yield plane.astype(np.int64) + int(intercept) if whole else plane.astype(np.float32) * slope + intercept
    except UserError as error:
        raise UserError(f"{name}: {error.message}", error.hint) from error


def _fits_int16(plane: np.ndarray) -> bool:
    limits = np.iinfo(np.int16)
    return np.issubdtype(plane.dtype, np.integer) and plane.min() >= limits.min and plane.max() <= limits.max


def _only_series(folder: Path) -> Series:
    """The one DICOM series in ``folder``; raises UserError when there is none or more than one."""
    found = series_of_folder(folder)
    if len(found.series) == 1:
        return found.series[0]
    if found.series:
        listing = "; ".join(f"{index}: {series.summary}" for index, series in enumerate(found.series, 1))
        message = f"The folder {folder.name} holds {len(found.series)} DICOM series ({listing}); one is needed."
        raise UserError(message, "Put each series in a folder of its own.")
    if found.unusable:
        first = found.unusable[0]
        raise UserError(f"The folder {folder.name} holds no DICOM images, but {len(found.unusable)} other DICOM files; "
                        f"the first, {shown(first.path.name)}: {first.reason}.", "Give the folder with the images.")
    if any(folder.iterdir()):
        hint = "Give a file, or the folder that holds the DICOM files themselves."
        raise UserError(f"The folder {folder.name} holds no DICOM images.", hint)
    raise UserError(f"The folder {folder.name} is empty.", "Give a file or a folder with a DICOM series.")


def _require_usable(name: str, series: Series) -> None:
    """Raises UserError for a series with a fault, with the files that may have caused it."""
    if not series.fault:
        return
    cause = ""
    if series.slices and series.left_out:
        first = series.left_out[0]
        cause = (f"; {len(series.left_out)} files could not be used" if len(series.left_out) > 1 else
                 "; a file could not be used") + f", {shown(first.path.name)}: {first.reason}"
    raise UserError(f"{name} {series.fault}{cause}.", series.hint)


def _step(positions: np.ndarray, normal: np.ndarray, thickness_mm: float | None) -> np.ndarray:
    """Mean step (3,) in mm from slice to slice of the sorted positions [K, 3]; straight where it drifts by rounding."""
    if len(positions) == 1:
        return normal * (thickness_mm or _UNKNOWN_THICKNESS_MM)
    total = positions[-1] - positions[0]
    straight = normal * (total @ normal)
    return (straight if np.linalg.norm(total - straight) < _SNAP_MM else total) / (len(positions) - 1)


def _oddities(name: str, positions: np.ndarray, normal: np.ndarray, step_mm: np.ndarray) -> tuple[str, ...]:
    """A warning when slices lie off the even grid that starts at the first of the sorted positions [K, 3].

    Raises UserError where one lies further off than half the distance of slices.
    """
    even = positions[0] + np.arange(len(positions))[:, None] * step_mm
    off_mm = np.linalg.norm(positions - even, axis=1).max()
    if off_mm <= _EVEN_MM:
        return ()
    gaps_mm = np.diff(positions @ normal)
    seen = f"from {gaps_mm.min():.4g} to {gaps_mm.max():.4g} mm, mostly {np.median(gaps_mm):.4g} mm"
    mean_mm = np.linalg.norm(step_mm)
    if off_mm > _FARTHEST_OFF * mean_mm:
        raise UserError(f"{name} has slices that lie on no even grid (gaps {seen}): with {mean_mm:.4g} mm throughout, "
                        f"slices would be up to {off_mm:.3g} mm off.", "Export the series again, with even slices.")
    return (f"{name} has unequal slice gaps ({seen}): slices may be missing; {mean_mm:.4g} mm is used throughout, "
            f"which puts slices up to {off_mm:.3g} mm off.",)


def _header_oddities(name: str, series: Series) -> tuple[str, ...]:
    """Sentences on headers that do not harm the voxels."""
    told = []
    if len(series.slices) == 1 and series.slices[0].thickness_mm is None:
        told.append(f"{name} is one image whose header has no slice thickness; {_UNKNOWN_THICKNESS_MM:g} mm is used.")
    if series.shared_instance:
        told.append(f"{name}: {series.shared_instance}, so nothing can refer to one of them; a DICOM "
                    "segmentation cannot be made.")
    kinds = Counter(item.stored_as for item in series.slices)
    usual = kinds.most_common(1)[0][0]
    other = [item for item in series.slices if item.stored_as != usual]
    if other:
        told.append(f"{name}: {len(other)} of {len(series.slices)} images store their numbers in another way (bits or "
                    f"sign) than the others, the first {shown(other[0].path.name)}; look at them before you go on.")
    return tuple(told)


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
        at = _next_element(data, at, order, levels)
        if len(levels) > _DEEPEST:
            raise ValueError(f"sequences are nested more than {_DEEPEST} deep")
    raise ValueError(f"it has more than {_MOST_ELEMENTS} elements")


def _next_element(data: bytes, at: int, order: str, levels: list[_Level]) -> int:
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
