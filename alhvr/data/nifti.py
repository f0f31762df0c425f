"""NIfTI files: header, placement and voxels, read by the standard's own layout.

ITK fills a truncated file with zeros silently and turns a sheared sform into a rotated grid; this reader
refuses the first and keeps the second.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import BinaryIO

import numpy as np

from alhvr.core.errors import UserError
from alhvr.core.files import open_plain, shown
from alhvr.data.geometry import Geometry
from alhvr.data.scan import Volume
from alhvr.data.voxel_file import LARGEST_DEFLATE_RATIO, cut_short, damaged, fill, require_end

_VERSION_1 = {
    "dim": ("8i2", 40), "datatype": ("i2", 70), "pixdim": ("8f4", 76), "vox_offset": ("f4", 108),
    "scl_slope": ("f4", 112), "scl_inter": ("f4", 116), "xyzt_units": ("u1", 123), "qform_code": ("i2", 252),
    "sform_code": ("i2", 254), "quatern": ("3f4", 256), "qoffset": ("3f4", 268), "srow": ("(3,4)f4", 280),
}  # fmt: skip
_VERSION_2 = {
    "dim": ("8i8", 16), "datatype": ("i2", 12), "pixdim": ("8f8", 104), "vox_offset": ("i8", 168),
    "scl_slope": ("f8", 176), "scl_inter": ("f8", 184), "xyzt_units": ("i4", 500), "qform_code": ("i4", 344),
    "sform_code": ("i4", 348), "quatern": ("3f8", 352), "qoffset": ("3f8", 376), "srow": ("(3,4)f8", 400),
}  # fmt: skip
_HEADER_BYTES = 540
_KINDS = {348: (_VERSION_1, slice(344, 348), b"n+1\0"), 540: (_VERSION_2, slice(4, 8), b"n+2\0")}
_VOXEL_TYPES = {
    2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8",
}  # fmt: skip
_UNIT_MM = {1: 1000.0, 3: 0.001}
"""Millimetres per unit of length: code 1 is the metre, 3 the micrometre; all else counts as mm."""
_RAS_TO_LPS = np.array([[-1.0], [-1.0], [1.0], [1.0]])
"""Sign of each row of an index-to-mm matrix."""
_SHEAR_TOLERANCE = 1e-3
"""Largest cosine between two axes that still counts as rounding of a right angle."""


@dataclass(frozen=True)
class NiftiHeader:
    """What a NIfTI header says of its voxels."""

    geometry: Geometry
    """Where the voxels lie, in LPS mm."""
    voxel_type: np.dtype
    """Number type in the file, with its byte order."""
    offset_bytes: int
    """Where the voxels begin."""
    slope: float
    """Intensity = slope * stored + intercept."""
    intercept: float
    """See slope."""
    warnings: tuple[str, ...]
    """What is odd about the header, one sentence each."""

    @property
    def scaled(self) -> bool:
        """True when intensities are not the stored numbers."""
        return (self.slope, self.intercept) != (1.0, 0.0)


def read_nifti_header(path: Path) -> NiftiHeader:
    """Header of a .nii or .nii.gz file without its voxels; raises UserError when it is not a 3-D NIfTI image."""
    with _opened(path) as stream:
        return _header(path, stream)[0]


def read_nifti(path: Path) -> Volume:
    """Voxels [K, J, I] scaled by slope and intercept; raises UserError when the file is damaged or cut short."""
    with _opened(path) as stream:
        header, needed = _header(path, stream)
        kind = header.voxel_type
        array = np.empty(header.geometry.shape_kji, kind)
        try:
            stream.seek(header.offset_bytes)
            seen = header.offset_bytes + fill(stream, memoryview(array.reshape(-1).view(np.uint8)))
            if isinstance(stream, gzip.GzipFile):
                require_end(path, stream, array.nbytes)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise damaged(path, error) from error
    if seen < needed:
        raise cut_short(path, seen, needed)
    if not kind.isnative:
        array = array.byteswap(inplace=True).view(kind.newbyteorder("="))
    if header.scaled:
        with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is told of by who reads the scan
            array = array.astype(np.float32)
            array *= np.float32(header.slope)
            array += np.float32(header.intercept)
    return Volume(array, header.geometry, warnings=header.warnings)


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """The file's content, unpacked when it begins as gzip does, whatever it is named."""
    with open_plain(path) as file:
        packed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        if not packed:
            yield file
            return
        with gzip.GzipFile(fileobj=file, mode="rb") as stream:
            yield stream


def _header(path: Path, stream: BinaryIO) -> tuple[NiftiHeader, int]:
    """The header, and the bytes of the whole image; raises UserError where no file of this size can hold them."""
    try:
        raw = stream.read(_HEADER_BYTES)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise damaged(path, error) from error
    header = _parse(shown(path.name), raw)
    needed = header.offset_bytes + prod(header.geometry.size_ijk) * header.voxel_type.itemsize
    n_bytes = path.stat().st_size
    if needed > n_bytes * LARGEST_DEFLATE_RATIO:
        raise cut_short(path, n_bytes, needed)
    return header, needed


def _parse(name: str, raw: bytes) -> NiftiHeader:
    """The header in ``raw``, of either version and byte order."""
    for order in ("<", ">"):
        fields, where, magic = _KINDS.get(int(np.frombuffer(raw[:4].ljust(4), order + "i4")[0]), (None, None, None))
        if fields is not None and len(raw) >= 348 and raw[where] == magic:
            layout = np.dtype(fields).newbyteorder(order)
            fields = np.frombuffer(raw.ljust(_HEADER_BYTES, b"\0"), layout, 1)[0]
            return _interpret(name, fields, order, _offset(name, fields, 348 if where.start == 344 else 540))
    raise UserError(f"{name} is no NIfTI image: its header is missing.", "Check that it is the file you meant.")


def _offset(name: str, fields: np.void, header_bytes: int) -> int:
    """Where the voxels begin; raises UserError for a place within the header, or none at all."""
    offset = float(fields["vox_offset"])
    if not header_bytes <= offset < 2**53 or offset != int(offset):
        raise UserError(f"{name} says that its voxels begin at byte {offset:g} (vox_offset); they can begin at byte "
                        f"{header_bytes} or later.", "Export it again.")
    return int(offset)


def _interpret(name: str, fields: np.void, order: str, offset_bytes: int) -> NiftiHeader:
    """Checks dimensions and number type, and places the grid."""
    code = int(fields["datatype"])
    if code not in _VOXEL_TYPES:
        raise UserError(f"{name} has NIfTI data type {code}; one real number a voxel is needed (data types "
                        f"{', '.join(map(str, _VOXEL_TYPES))}).", "Export one channel.")
    slope, intercept, odd = float(fields["scl_slope"]), float(fields["scl_inter"]), ()
    if not (np.isfinite(slope) and np.isfinite(intercept)):
        odd = (f"{name} has the slope {slope:g} and the intercept {intercept:g}; its numbers are taken as stored.",)
        slope = 0.0
    if slope == 0:
        slope, intercept = 1.0, 0.0
    geometry, warnings = _place(name, _size(name, fields["dim"]), fields)
    return NiftiHeader(geometry, np.dtype(order + _VOXEL_TYPES[code]), offset_bytes, slope, intercept,
                       (*warnings, *odd))


def _size(name: str, dim: np.ndarray) -> tuple[int, int, int]:
    """Voxels along I, J, K; raises UserError unless the image has three axes (more may follow with one entry each)."""
    if not 1 <= int(dim[0]) <= 7:
        raise UserError(f"{name} has {int(dim[0])} axes (dim[0]); 3 are needed.", "Export it again.")
    axes = tuple(int(size) for size in dim[1 : 1 + int(dim[0])])
    if len(axes) < 3:
        raise UserError(f"{name} has {len(axes)} axes, size {axes}; a scan needs three.", "Give the whole volume.")
    if any(size != 1 for size in axes[3:]):
        raise UserError(f"{name} has {len(axes)} axes, size {axes}; one 3-D scan is needed.", "Export one of them.")
    if min(axes) < 1:
        raise UserError(f"{name} has size {axes}; every axis needs a voxel.", "Export it again.")
    return axes[:3]


def _place(name: str, size: tuple[int, int, int], fields: np.void) -> tuple[Geometry, tuple[str, ...]]:
    """The grid by sform, qform or voxel sizes alone, and what is odd about it.

    As in ITK and 3D Slicer the scanner's qform wins over an sform of another space; a sheared sform, which they
    cannot hold, is kept, and its own column lengths are the spacing.
    """
    unit_mm = _UNIT_MM.get(int(fields["xyzt_units"]) & 7, 1.0)
    pixdim_mm = np.abs(fields["pixdim"][1:4].astype(float)) * unit_mm
    sform, odd = _sform(fields, unit_mm), ()
    if sform is None:
        if not np.isfinite(pixdim_mm).all():
            raise UserError(f"{name} has voxels of {' x '.join(f'{p:g}' for p in pixdim_mm)} mm (pixdim); finite sizes "
                            "are needed.", "Export it again.")
        if not (pixdim_mm > 0).all():
            odd = (f"{name} has voxels of {' x '.join(f'{p:g}' for p in pixdim_mm)} mm (pixdim); each 0 is taken as "
                   "1 mm.",)
    pixdim_mm = np.where(pixdim_mm > 0, pixdim_mm, 1.0)
    qform = _qform(fields, pixdim_mm, unit_mm)
    if sform is None and qform is None:
        unsaid = f"{name} does not say where it lies in the patient; its axes are taken as right, anterior, superior."
        return _grid(name, size, np.diag([*pixdim_mm, 1.0]), pixdim_mm), (unsaid, *odd)
    if sform is None or qform is None:
        return _grid(name, size, qform if sform is None else sform, pixdim_mm), odd
    first, second = _grid(name, size, sform, pixdim_mm), _grid(name, size, qform, pixdim_mm)
    used, words = (first, "sform") if int(fields["sform_code"]) == 1 or _sheared(sform) else (second, "qform")
    apart = first.difference(second, tolerance_mm=0.1)
    odd = f"{name} says twice where it lies, and not the same (sform against qform): {apart}; the {words} is used."
    return used, (odd,) if apart else ()


def _sform(fields: np.void, unit_mm: float) -> np.ndarray | None:
    """(4, 4) index to RAS mm; None when the file has none, or a flat one."""
    affine = np.vstack([fields["srow"].astype(float) * unit_mm, [0, 0, 0, 1]])
    flat = np.isfinite(affine).all() and abs(np.linalg.det(affine)) < 1e-9
    return None if int(fields["sform_code"]) <= 0 or flat else affine


def _qform(fields: np.void, pixdim_mm: np.ndarray, unit_mm: float) -> np.ndarray | None:
    """(4, 4) index to RAS mm from the unit quaternion (a, b, c, d), with the third axis flipped where pixdim[0] < 0."""
    if int(fields["qform_code"]) <= 0:
        return None
    b, c, d = (float(part) for part in fields["quatern"])
    a = np.sqrt(max(0.0, 1.0 - b * b - c * c - d * d))
    a, b, c, d = np.array([a, b, c, d]) / np.linalg.norm([a, b, c, d])
    affine = np.eye(4)
    affine[:3, :3] = [
        [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
        [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
        [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
    ]
    flip = -1.0 if float(fields["pixdim"][0]) < 0 else 1.0
    affine[:3, :3] *= pixdim_mm * [1.0, 1.0, flip]
    affine[:3, 3] = fields["qoffset"].astype(float) * unit_mm
    return affine


def _sheared(affine: np.ndarray) -> bool:
    """True when two axes of the (4, 4) matrix are not at right angles."""
    unit = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    return bool(np.abs(unit.T @ unit - np.eye(3)).max() > _SHEAR_TOLERANCE)


def _grid(name: str, size: tuple[int, int, int], affine_ras: np.ndarray, pixdim_mm: np.ndarray) -> Geometry:
    """The grid of a RAS matrix; spacing is the header's own number where the columns agree with it to rounding."""
    try:
        with np.errstate(over="ignore", invalid="ignore"):  # the grid refuses what is not finite
            grid = Geometry.from_affine(size, _RAS_TO_LPS * affine_ras)
    except UserError as error:
        raise UserError(f"{name}: {error.message}", error.hint) from error
    spacing = [float(p) if abs(p - s) < 1e-4 * s else s for p, s in zip(pixdim_mm, grid.spacing_mm, strict=True)]
    return replace(grid, spacing_mm=tuple(spacing))
