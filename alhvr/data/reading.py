"""Reading: a file or a DICOM series folder in, a Scan or a label volume out, or one clear line why not."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np

from alhvr.core.errors import UserError
from alhvr.core.files import require_plain
from alhvr.data.dicom_file import DICOM_ENDINGS, file_of, is_dicom_file
from alhvr.data.dicom_labels import is_dicom_label, read_dicom_label, read_label_object
from alhvr.data.dicom_stack import Stack, find_stack, read_stack
from alhvr.data.geometry import Geometry
from alhvr.data.h5_file import H5_ENDINGS, read_h5, read_h5_header
from alhvr.data.image_2d import PICTURE_ENDINGS, is_2d, read_2d, read_2d_header
from alhvr.data.itk_io import read_itk, read_itk_header
from alhvr.data.nifti import read_nifti, read_nifti_header
from alhvr.data.scan import Modality, Scan, Segmentation, Volume
from alhvr.formats.segment_names import read_segment_names

ENDINGS = (".seg.nrrd", ".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd")
"""Endings of the image files that are read, longest first."""
_NOT_INTEGER = 1e-3
"""Largest rounding error of a label that was stored as a real number."""


@dataclass(frozen=True)
class Header:
    """What is known of a scan before its voxels are decoded."""

    size_ijk: tuple[int, int, int]
    """Voxels along I, J, K."""
    spacing_mm: tuple[float, float, float]
    """Along I, J, K."""
    geometry: Geometry
    """The whole grid."""
    modality: Modality
    """From the DICOM tag; "other" where the file does not say."""
    voxel_bytes: int
    """Memory that each voxel of the scan takes once it is read, or more where the header does not tell."""


@dataclass(frozen=True)
class LabelVolume:
    """Label values as found in a file."""

    array: np.ndarray
    """Integers [K, J, I]: uint8 or uint16 where they fit, else int32."""
    geometry: Geometry
    """Where the voxels lie."""
    warnings: tuple[str, ...] = ()
    """What was changed while reading, one sentence each."""


def probe(path: Path) -> Header:
    """Size, spacing, placement and modality of a scan without decoding its voxels; raises UserError as read_scan."""
    path = Path(path)
    slices = _slice_header(path)
    stack = dicom_stack(path) if slices is None else None
    if slices is not None:
        geometry, kind = slices
    elif stack is not None:
        geometry, kind = stack.geometry, None
    elif _is_nifti(path):
        header = read_nifti_header(path)
        geometry, kind = header.geometry, None if header.scaled else header.voxel_type
    else:
        geometry, kind = read_itk_header(path)
    modality = "other" if stack is None else stack.modality
    return Header(geometry.size_ijk, geometry.spacing_mm, geometry, modality, _scan_type(kind).itemsize)


def read_scan(path: Path | str, *, modality: Modality | None = None) -> Scan:
    """The scan of a file, or of a folder with one DICOM series (or of any .dcm file of one).

    Integers of 8 or 16 bits stay as they are, everything else becomes float32. ``modality`` overrides what the file
    says. Voxels that are not finite take the smallest finite value, with a warning. Raises UserError for anything
    that is not one 3-D image of real numbers with at least two values.
    """
    path = Path(path)
    volume = _read_volume(path)
    with np.errstate(over="ignore"):
        array = np.ascontiguousarray(volume.array, dtype=_scan_type(volume.array.dtype))
    array, n_not_finite = _replace_not_finite(path, array)
    if array.min() == array.max():
        raise UserError(f"{path.name} is empty: every voxel is {array.flat[0]:g}.", "Check how it was exported.")
    warnings = volume.warnings
    if n_not_finite:
        warnings += (f"{path.name} holds {n_not_finite} of {array.size} voxels that are NaN or infinite; they were set "
                     f"to {array.min():g}.",)
    return Scan(scan_name(path), array, volume.geometry, modality or volume.modality, path, warnings, n_not_finite)


def read_label(path: Path, scan: Path | None = None) -> LabelVolume:
    """Label values of a file; raises UserError when a value is no integer or the file no 3-D image.

    A DICOM-SEG or RTSTRUCT comes on the grid of its ``scan``, where that is given.
    """
    path = Path(path)
    if _is_dicom_label(path):
        found = read_dicom_label(path, None if scan is None else probe(scan).geometry)
        small = found.array.astype(np.uint8) if found.array.max() <= 255 else found.array
        return LabelVolume(small, found.geometry, found.warnings)
    volume = _read_volume(path, label=True)
    array = volume.array
    if not np.issubdtype(array.dtype, np.integer):
        rounded = np.rint(array)
        with np.errstate(invalid="ignore"):
            wrong = ~(np.abs(array - rounded) <= _NOT_INTEGER)
        if wrong.any():
            value = array[wrong].flat[0]
            raise UserError(f"{path.name} holds {value:g}; a label holds whole numbers.", "Is this the scan itself?")
        array = rounded
    low, high = int(array.min()), int(array.max())
    if low < -(2**31) or high >= 2**31:
        raise UserError(f"{path.name} holds label values from {low} to {high}; 0 to 65535 is accepted.")
    dtype = np.uint8 if low >= 0 and high <= 255 else np.uint16 if low >= 0 and high <= 65535 else np.int32
    return LabelVolume(np.ascontiguousarray(array, dtype=dtype), volume.geometry)


def read_label_names(path: Path) -> dict[int, str]:
    """What a label file calls its values, rising; empty where it names none. Raises UserError for a contradiction."""
    return read_label_object(path).names if _is_dicom_label(path) else read_segment_names(path)


def _is_dicom_label(path: Path) -> bool:
    return not path.name.lower().endswith((*ENDINGS, *PICTURE_ENDINGS, *H5_ENDINGS)) and is_dicom_label(path)


def distinct_values(array: np.ndarray) -> tuple[int, ...]:
    """The distinct values of the integers [K, J, I] of a label in rising order."""
    if array.dtype == np.int32:
        return tuple(int(value) for value in np.unique(array))
    counts = np.zeros(np.iinfo(array.dtype).max + 1, dtype=np.int64)
    for plane in array:  # bincount makes 8 bytes of each voxel
        counts += np.bincount(plane.ravel(), minlength=len(counts))
    return tuple(int(value) for value in np.flatnonzero(counts))


def scan_name(path: Path) -> str:
    """File name without its known endings ("a.b.nii.gz" is "a.b"); the name of a series folder as it is."""
    path = Path(path)
    lower = path.name.lower()
    for ending in (*ENDINGS, *DICOM_ENDINGS, *PICTURE_ENDINGS, *H5_ENDINGS):
        if lower.endswith(ending) and len(lower) > len(ending) and not path.is_dir():
            return path.name[: -len(ending)]
    return path.name


def is_image_file(path: Path, endings: tuple[str, ...] = ENDINGS) -> bool:
    """True for a visible file whose ending is one of ``endings``."""
    return path.name.lower().endswith(endings) and not path.name.startswith(".") and path.is_file()


def is_dicom_slice(path: Path) -> bool:
    """True for a file that stands for the DICOM series it belongs to, by its ending or by its first bytes; False for an
    X-ray and the like."""
    path = file_of(path)
    lower = path.name.lower()
    named = lower.endswith(DICOM_ENDINGS) or (not lower.endswith(ENDINGS) and is_dicom_file(path))
    return named and not is_2d(path)


def is_read_here(path: Path) -> bool:
    """True for the formats that this package reads itself; all others are decoded by compiled code of others."""
    return path.name.lower().endswith(ENDINGS) and not path.is_dir()


def content_hash(content: Scan | Segmentation | LabelVolume) -> str:
    """SHA-256 (hex) of the voxels of all channels and their grid, whatever file they came from.

    It changes with any value or place.
    """
    array = content.array
    kind = np.dtype("<f4") if isinstance(content, Scan) else array.dtype.newbyteorder("<")
    digest = hashlib.sha256(str((kind.str, array.shape)).encode())
    for plane in chain(array, *(content.more if isinstance(content, Scan) else ())):
        digest.update(np.ascontiguousarray(plane, dtype=kind))
    digest.update(np.round(content.geometry.affine_lps, 3).astype("<f8") + 0.0)
    return digest.hexdigest()


def _slice_header(path: Path) -> tuple[Geometry, np.dtype | None] | None:
    """Grid and number type of an HDF5 file or a 2-D image; None for all else."""
    if path.name.lower().endswith(H5_ENDINGS):
        return read_h5_header(path)
    if path.name.lower().endswith(ENDINGS) or not is_2d(path):
        return None
    header = read_2d_header(path)
    return header.geometry, header.voxel_type


def _read_volume(path: Path, *, label: bool = False) -> Volume:
    """The voxels of a file or series folder."""
    if path.exists() and path.name.lower().endswith(H5_ENDINGS):
        return read_h5(path, label=label)
    if path.exists() and not path.name.lower().endswith(ENDINGS) and is_2d(path):
        return read_2d(path, label=label)
    stack = dicom_stack(path)
    if stack is not None:
        return read_stack(path.name, stack)
    return read_nifti(path) if _is_nifti(path) else read_itk(path)


def _is_nifti(path: Path) -> bool:
    """True for NIfTI, False for NRRD and MetaImage; raises UserError for a missing file or any other kind."""
    if not path.exists():
        raise UserError(f"{path.name} is not there.", f"Look for it in the folder {path.parent.name}.")
    require_plain(path)
    if not path.name.lower().endswith(ENDINGS):
        kinds = ", ".join((*ENDINGS, *PICTURE_ENDINGS, *H5_ENDINGS))
        message = f"{path.name} is of no kind that is read: {kinds} or a folder with a DICOM series."
        raise UserError(message, "Convert it, for example with Slicer.")
    return path.name.lower().endswith((".nii", ".nii.gz"))


def dicom_stack(path: Path) -> Stack | None:
    """The ordered series of a folder, or the one that a DICOM file belongs to; None for other files."""
    return find_stack(path) if path.is_dir() or not path.name.lower().endswith(ENDINGS) else None


def _scan_type(stored: np.dtype | None) -> np.dtype:
    """Number type of a scan whose file holds ``stored``; None where that is not known."""
    small = stored is not None and stored.kind in "iu" and stored.itemsize <= 2
    return stored.newbyteorder("=") if small else np.dtype(np.float32)


def _replace_not_finite(path: Path, array: np.ndarray) -> tuple[np.ndarray, int]:
    """Replaces what is not finite by the smallest finite value, and how many voxels that were.

    Raises UserError when nothing is finite.
    """
    if np.isfinite((array.min(), array.max())).all():
        return array, 0
    finite = np.isfinite(array)
    n_bad = array.size - int(np.count_nonzero(finite))
    if n_bad == array.size:
        raise UserError(f"{path.name} holds no number at all: every voxel is NaN or infinite.", "Export it again.")
    return np.where(finite, array, array[finite].min()), n_bad
