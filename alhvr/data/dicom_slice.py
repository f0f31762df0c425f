"""One DICOM file: where its image lies, or why it is of no use; whatever the file holds, it costs only itself.

pydicom is imported where a DICOM file was found, see dicom_file.
"""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import MutableSequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from alhvr.core.errors import UserError
from alhvr.core.files import open_plain, shown
from alhvr.data.dicom_file import (
    DICOM_ENDINGS,
    HEAD_BYTES,
    read_header,
    starts_as_dicom,
    what_else,
    why_not_opened,
)
from alhvr.data.scan import Modality

if TYPE_CHECKING:
    from pydicom import Dataset

PASS_TAGS = ("StudyInstanceUID", "FrameOfReferenceUID", "SeriesNumber", "StackID", "TemporalPositionIdentifier",
             "AcquisitionNumber", "EchoNumbers", "EchoTime", "DiffusionBValue", "DiffusionGradientOrientation",
             "ImageType", "TriggerTime", "AcquisitionTime")
"""Tags that tell several passes over one place apart, in the order in which they are tried."""
TELLING_TAGS = ("SeriesDescription", "ContrastBolusAgent")
"""Tags by which people choose a series."""
_PLACE_TAGS = ("PixelSpacing", "ImagePositionPatient", "ImageOrientationPatient")
_NUMBER_TAGS = ("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation")
"""Without these nobody knows what numbers the voxels are."""
_TAGS = (*_PLACE_TAGS, *PASS_TAGS, "Rows", "Columns", "SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "Modality",
         "SpacingBetweenSlices", "SliceThickness", "SamplesPerPixel",
         "PhotometricInterpretation", "NumberOfFrames", *TELLING_TAGS,
         *_NUMBER_TAGS, "RescaleSlope", "RescaleIntercept", "ModalityLUTSequence")
_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*", re.ASCII)
_MOST_PIXELS, _MOST_BYTES = 1 << 27, 1 << 31
"""Of one image and its file."""
_SMALLEST_MM, _LARGEST_MM, _FARTHEST_MM = 1e-6, 1e4, 1e7
"""Distances of voxels and places in the patient that there can be, from microscopes to whole bodies."""
_SAME_GRID = 1e-3
"""Directions and pixel spacings nearer than this are the same: rounding in the headers."""
_UNIT_OFF, _ANGLE_OFF = 0.05, 0.01
"""How far the length of a direction may be off 1, and the cosine of two off 0: rounding in the headers."""
_NOT_DECODED = ("1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.4.202", "1.2.840.10008.1.2.4.203")
"""High-throughput JPEG 2000, which no library here knows."""
_OF_GE = "1.2.840.113619.5.2"
"""A private one that GDCM knows."""
NATIVE = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2")


@dataclass(frozen=True)
class SliceHeader:
    """Where one image file lies."""

    path: Path
    size_ij: tuple[int, int]
    """Columns, rows."""
    spacing_ij_mm: tuple[float, float]
    """Distance of neighbouring columns, of neighbouring rows, in mm."""
    position_lps_mm: tuple[float, float, float]
    """Centre of the first voxel."""
    orientation: tuple[float, ...]
    """LPS direction along a row, then along a column: six cosines."""
    thickness_mm: float | None
    """Distance to the next slice as the header says, None where it does not; used for a single slice only."""
    modality: Modality
    series_uid: str = ""
    instance_uid: str = ""
    stored_as: tuple[int, ...] = ()
    """BitsAllocated, BitsStored, HighBit and PixelRepresentation."""
    tags: dict[str, str] = field(default_factory=dict, repr=False)
    """What PASS_TAGS and TELLING_TAGS hold."""
    frame: int | None = None
    """Which frame of a file of several it is, from 0; None where the file holds this image alone."""
    scale: tuple[float, float] = (1.0, 0.0)
    """Rescale slope and intercept."""

    def has_grid_of(self, other: SliceHeader) -> bool:
        """Whether matrix size, pixel spacing and orientation are those of ``other``, up to rounding."""
        if self.size_ij != other.size_ij:
            return False
        pairs = zip((*self.orientation, *self.spacing_ij_mm), (*other.orientation, *other.spacing_ij_mm), strict=True)
        return all(abs(here - there) <= _SAME_GRID for here, there in pairs)


@dataclass(frozen=True)
class Unusable:
    """A file that belongs, or may belong, to a DICOM series and holds no slice that can be read."""

    path: Path
    reason: str
    """The rest of a sentence that begins with the file's name."""
    kind: str
    """"damaged"; "unread" for images of a kind that is not read; "no place" for images without one in the patient;
    "no image" for reports and the like, whose reason is their modality; "frames" for images of several frames."""
    series_uid: str = ""
    hint: str = "Copy or export the series again."


class Unfit(Exception):
    """What makes a file of no use: the reason and the kind of Unusable."""

    def __init__(self, reason: str, kind: str = "damaged", hint: str = Unusable.hint) -> None:
        super().__init__(reason)
        self.kind, self.hint = kind, hint


def read_slice(path: Path) -> SliceHeader | Unusable | None:
    """What the header of ``path`` tells; None for a file that shows no sign of DICOM in its name or its first bytes."""
    try:
        with open_plain(path) as file:
            head = file.read(HEAD_BYTES)
            file.seek(0)
            if not starts_as_dicom(head):
                reason = what_else(file, head)
                return Unusable(path, reason, "damaged") if path.name.lower().endswith(DICOM_ENDINGS) else None
            return _read_slice(path, file)
    except (OSError, UserError) as error:
        if not path.name.lower().endswith(DICOM_ENDINGS):
            return None
        return Unusable(path, why_not_opened(path, error), "damaged")


def _read_slice(path: Path, file: BinaryIO) -> SliceHeader | Unusable:
    """The slice of a file that begins as DICOM does."""
    uid = ""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = read_header(file, _TAGS)
            header = found.values
            uid = _text(header, "SeriesInstanceUID")
            _require_image(header)
            require_scale(header)
            require_voxels(header, found.voxel_bytes, file.seek(0, 2))
            return slice_of(path, header, uid)
    except Exception as error:  # noqa: BLE001 - whatever one byte in a header makes pydicom raise costs that file
        return unusable(path, error, uid)


def unusable(path: Path, error: Exception, uid: str = "") -> Unusable:
    """What a file is of whose header ``error`` came; ``uid``: its SeriesInstanceUID, as far as it was read."""
    if isinstance(error, Unfit):
        return Unusable(path, str(error), error.kind, uid, error.hint)
    if isinstance(error, RecursionError):
        return Unusable(path, "its sequences are nested too deeply", "damaged", uid)
    words = " ".join(shown(error).split())[:120]
    return Unusable(path, f"its header is damaged ({words or type(error).__name__})", "damaged", uid)


def _require_image(header: Dataset) -> None:
    """Raises Unfit for a file that holds no image, or one of a kind that is not read."""
    _require_object(header)
    frames = _whole(header, "NumberOfFrames") if _has(header, "NumberOfFrames") else 1
    if frames > 1:
        raise Unfit(f"it holds {frames} frames", "frames", "Open it in Slicer and save the volume as NRRD.")
    require_grey(header)
    missing = [tag for tag in ("Rows", "Columns") if not _has(header, tag)]
    if missing:
        raise Unfit(f"its header has no {' and no '.join(missing)}; it is cut short or damaged")
    if any(not _has(header, tag) for tag in _PLACE_TAGS):
        raise Unfit("it has no place in the patient", "no place")


def _require_object(header: Dataset) -> None:
    """Raises Unfit for a file that holds no image."""
    from pydicom.uid import UID

    kind = _text(header, "SOPClassUID") or str(header.file_meta.get("MediaStorageSOPClassUID") or "")
    modality, name = _text(header, "Modality"), UID(kind).name
    image = "Image Storage" in name or (not kind and "Rows" in header)
    if modality == "SEG" or (kind and not image and ("Rows" not in header or "Storage" in name)):
        raise Unfit(modality or name, "no image")
    if not kind and "Rows" not in header:
        raise Unfit("its header is cut short or damaged")


def require_grey(header: Dataset) -> None:
    """Raises Unfit for an image in colour, or in a coding that nobody here reads."""
    colours = _text(header, "PhotometricInterpretation").strip()
    if colours not in ("", "MONOCHROME1", "MONOCHROME2"):
        raise Unfit(f"its PhotometricInterpretation is {_seen(header, 'PhotometricInterpretation')}; grey values are "
                    "needed", "unread", "Choose another series.")
    if _has(header, "SamplesPerPixel") and _whole(header, "SamplesPerPixel") != 1:
        raise Unfit("it is a colour image; grey values are needed", "unread", "Choose another series.")
    coding = why_not_decoded(str(header.file_meta.get("TransferSyntaxUID") or ""))
    if coding:
        raise Unfit(coding, "unread", "Export the series without compression.")


def why_not_decoded(syntax: str) -> str:
    """Why voxels of the transfer syntax with this UID cannot be decoded, as the rest of a sentence; "" if they can."""
    from pydicom.uid import UID, AllTransferSyntaxes, MPEGTransferSyntaxes

    known = syntax in AllTransferSyntaxes
    if syntax in ("", _OF_GE) or (known and syntax not in (*MPEGTransferSyntaxes, *_NOT_DECODED)):
        return ""
    name = UID(syntax).name if known else f"with the UID {shown(syntax)[:64]}, which is private"
    return f"its voxels are coded in a transfer syntax that is not read ({name})"


def require_scale(header: Dataset) -> None:
    """Raises Unfit where stored numbers cannot be turned into values."""
    if "ModalityLUTSequence" in header:
        raise Unfit("its values go through a lookup table (Modality LUT Sequence), which is not read", "unread",
                     "Export the series with rescale slope and intercept.")
    for tag in ("RescaleSlope", "RescaleIntercept"):
        raw = header.get_item(tag).value if tag in header else None
        if _has(header, tag) or (isinstance(raw, bytes) and raw.strip(b" ")):  # bytes that are no text are no number
            (value,) = _numbers(header, tag, 1)
            if tag == "RescaleSlope" and value == 0:
                raise Unfit("its RescaleSlope is 0, so that every voxel has one value")


def require_voxels(header: Dataset, voxel_bytes: int | None, file_bytes: int, n_frames: int = 1) -> None:
    """Raises Unfit where the voxels are not all there, or nobody knows what numbers they are."""
    if file_bytes > _MOST_BYTES:
        raise Unfit(f"it has {file_bytes / 1e9:.3g} GB, more than any image")
    pixels = _whole(header, "Rows") * _whole(header, "Columns")
    if pixels > _MOST_PIXELS:
        raise Unfit(f"it has {header.Rows} rows and {header.Columns} columns, more than any image")
    if voxel_bytes is None:
        raise Unfit("its header is there, and no voxels")
    missing = [tag for tag in _NUMBER_TAGS if not _has(header, tag)]
    if missing:
        raise Unfit(f"its header has no {' and no '.join(missing)}")
    if header.PixelRepresentation not in (0, 1):
        raise Unfit(f"its PixelRepresentation is {_seen(header, 'PixelRepresentation')}; 0 or 1 is needed")
    needed = n_frames * pixels * _whole(header, "BitsAllocated") // 8
    syntax = str(header.file_meta.get("TransferSyntaxUID") or "")
    if (syntax in NATIVE or not syntax) and voxel_bytes < needed:
        raise Unfit(f"it is cut short: its voxels take {needed} bytes, and {voxel_bytes} are there")


def slice_of(path: Path, header: Dataset, uid: str) -> SliceHeader:
    """Where an image lies; raises Unfit for a place that there cannot be."""
    between_rows, between_columns = _numbers(header, "PixelSpacing", 2)
    if not (min(between_rows, between_columns) >= _SMALLEST_MM and max(between_rows, between_columns) <= _LARGEST_MM):
        raise Unfit(f"its PixelSpacing is {between_rows:g} x {between_columns:g} mm; more than 0 mm is needed, and no "
                     f"more than {_LARGEST_MM:g} mm")
    position = _numbers(header, "ImagePositionPatient", 3)
    if max(abs(value) for value in position) > _FARTHEST_MM:
        raise Unfit(f"its ImagePositionPatient is {_seen(header, 'ImagePositionPatient')} mm, outside of any scanner")
    orientation = _numbers(header, "ImageOrientationPatient", 6)
    axes = np.reshape(orientation, (2, 3))
    lengths = np.linalg.norm(axes, axis=1)
    if np.abs(lengths - 1).max() > _UNIT_OFF or abs(axes[0] @ axes[1]) > _ANGLE_OFF:
        listed = ", ".join(f"{value:.4g}" for value in orientation)
        raise Unfit(f"its ImageOrientationPatient ({listed}) is not two directions at a right angle")
    modality = _text(header, "Modality")
    return SliceHeader(
        path=path,
        size_ij=(_whole(header, "Columns"), _whole(header, "Rows")),
        spacing_ij_mm=(between_columns, between_rows),
        position_lps_mm=position,
        orientation=orientation,
        thickness_mm=_thickness(header),
        modality=modality if modality in ("CT", "MR") else "other",
        series_uid=uid,
        instance_uid=_text(header, "SOPInstanceUID"),
        stored_as=tuple(int(header[tag].value) for tag in _NUMBER_TAGS),
        tags={tag: _text(header, tag) for tag in (*PASS_TAGS, *TELLING_TAGS)},
        scale=tuple(_numbers(header, tag, 1)[0] if _has(header, tag) else usual
                    for tag, usual in (("RescaleSlope", 1.0), ("RescaleIntercept", 0.0))),
    )


def _has(header: Dataset, tag: str) -> bool:
    return tag in header and header[tag].value not in (None, "")


def _text(header: Dataset, tag: str) -> str:
    """"" where the tag is not there or cannot be read: nothing that matters hangs on it."""
    try:
        value = header[tag].value if tag in header else None
        parts = value if isinstance(value, (list, tuple, MutableSequence)) else [value]
        return "\\".join("" if part is None else str(part) for part in parts)
    except Exception:  # noqa: BLE001 - see _read_slice
        return ""


def _numbers(header: Dataset, tag: str, count: int) -> tuple[float, ...]:
    """Exactly ``count`` finite numbers; raises Unfit."""
    try:
        value = header[tag].value
        items = [value] if count == 1 or isinstance(value, str) else list(value)
        good = all(_NUMBER.fullmatch(str(item)) for item in items)  # float would take 1_0 for ten
        found = tuple(float(item) for item in items) if good else ()
    except Exception:  # noqa: BLE001 - see _read_slice
        found = ()
    if len(found) == count and all(math.isfinite(item) for item in found):
        return found
    needed = "a number" if count == 1 else f"{count} numbers"
    raise Unfit(f"its {tag} is {_seen(header, tag)}; {needed} {'is' if count == 1 else 'are'} needed")


def _whole(header: Dataset, tag: str) -> int:
    """A whole number above 0; raises Unfit."""
    try:
        number = int(header[tag].value)
    except Exception:  # noqa: BLE001 - see _read_slice
        number = 0
    if number < 1:
        raise Unfit(f"its {tag} is {_seen(header, tag)}; a whole number above 0 is needed")
    return number


def _seen(header: Dataset, tag: str) -> str:
    """The value as the file has it, short and safe to show."""
    try:
        raw = header.get_item(tag).value
        text = raw.decode("latin-1") if isinstance(raw, bytes) else str(raw).replace("'", "")
        return f'"{shown(text.strip())[:40]}"'
    except Exception:  # noqa: BLE001 - see _read_slice
        return "not readable"


def _thickness(header: Dataset) -> float | None:
    """Distance of neighbouring slices in mm; None where no tag holds a number above 0."""
    for tag in ("SpacingBetweenSlices", "SliceThickness"):
        try:
            (value,) = _numbers(header, tag, 1)
        except Unfit:
            continue
        if _SMALLEST_MM <= value <= _LARGEST_MM:
            return value
    return None
