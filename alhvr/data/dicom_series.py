"""DICOM series: which slices belong together, in what order, and where they lie in the patient.

pydicom is imported where a DICOM file was found: it takes longer to load than the rest of reading.
"""

from __future__ import annotations

import warnings
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import SimpleITK as sitk

from alhvr.data.geometry import Geometry
from alhvr.data.itk_file import itk_name
from alhvr.data.scan import Modality, Volume
from alhvr.errors import UserError

if TYPE_CHECKING:
    from pydicom import Dataset

_PLACE_TAGS = ("Rows", "Columns", "PixelSpacing", "ImagePositionPatient", "ImageOrientationPatient")
_OTHER_TAGS = ("SeriesInstanceUID", "Modality", "SpacingBetweenSlices", "SliceThickness", "SamplesPerPixel")
_TAGS = [*_PLACE_TAGS, *_OTHER_TAGS, "NumberOfFrames"]
_SNAP_MM = 0.005
"""A stack that drifts less than this off its normal is taken as straight: rounding in the headers."""
_EVEN_MM = 0.05
"""Slices nearer than this to an even grid count as even: rounding in the headers."""
_SAME_PLACE_MM = 0.01
"""Slices nearer than this lie at the same place."""


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
    thickness_mm: float
    """Distance to the next slice as the header says; used for a single slice only."""
    samples: int
    """Numbers a voxel."""
    modality: Modality


@dataclass(frozen=True)
class Series:
    """The slices of one series, in no order yet."""

    slices: tuple[SliceHeader, ...]
    left_out: int = 0
    """DICOM files of the same folder that have no place in the patient."""

    @property
    def summary(self) -> str:
        """Size in words, without anything that tells of the patient."""
        columns, rows = self.slices[0].size_ij
        return f"{len(self.slices)} images of {columns} x {rows}"

    @property
    def modality(self) -> Modality:
        """Of the first slice."""
        return self.slices[0].modality


@dataclass(frozen=True)
class Stack:
    """A series in order: files from slice 0 upwards and their grid."""

    files: tuple[Path, ...]
    geometry: Geometry
    modality: Modality
    warnings: tuple[str, ...]


def find_series(folder: Path) -> tuple[Series, ...]:
    """The image series whose files lie directly in ``folder``, by file name; other files are passed over."""
    groups: dict[tuple, list[SliceHeader]] = defaultdict(list)
    left_out = 0
    for path in sorted(folder.iterdir()):
        header = _read_dicom(path)
        if header is None:
            continue
        found = _slice(path, header)
        if found is None:
            left_out += 1
        else:
            groups[str(header.get("SeriesInstanceUID", "")), found.size_ij].append(found)
    return tuple(Series(tuple(slices), left_out) for slices in groups.values())


def order_series(name: str, series: Series) -> Stack:
    """Sorts the slices along their normal and fits the grid; ``name`` is for messages.

    Raises UserError for colour or multi-frame images, mixed orientations and several images at one place. Unequal
    gaps become a warning with the sizes seen.
    """
    first = series.slices[0]
    _require_plain(name, series)
    axes = np.reshape(first.orientation, (2, 3))
    row, column = axes / np.linalg.norm(axes, axis=1, keepdims=True)
    normal = np.cross(row, column)
    positions = np.array([item.position_lps_mm for item in series.slices])
    order = np.argsort(positions @ normal, kind="stable")
    positions = positions[order]
    step_mm = _step(name, positions, normal, first.thickness_mm)
    affine = np.eye(4)
    affine[:3, :3] = np.column_stack([row * first.spacing_ij_mm[0], column * first.spacing_ij_mm[1], step_mm])
    affine[:3, 3] = positions[0]
    fitted = Geometry.from_affine((*first.size_ij, len(order)), affine)
    geometry = replace(fitted, spacing_mm=(*first.spacing_ij_mm, fitted.spacing_mm[2]))
    oddities = _oddities(name, positions, normal, step_mm)
    if series.left_out:
        oddities += (f"{name}: DICOM files without a place in the patient were left out: {series.left_out}.",)
    return Stack(tuple(series.slices[i].path for i in order), geometry, series.modality, oddities)


def read_stack(name: str, stack: Stack) -> Volume:
    """Voxels [K, J, I] with each slice's own rescale slope and intercept; raises UserError if damaged.

    int16 where every value is a whole number that fits, else float32.
    """
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    array = np.empty(stack.geometry.shape_kji, dtype=np.int16)
    for index, path in enumerate(stack.files):
        reader.SetFileName(itk_name(path))
        try:
            plane = sitk.GetArrayFromImage(reader.Execute())[0]
            if array.dtype == np.int16 and not _fits_int16(plane):
                array = array.astype(np.float32)
            array[index] = plane
        except (RuntimeError, ValueError) as error:
            message = f"{name}: the image {path.name} cannot be decoded; it is cut short, damaged or of a rare coding."
            raise UserError(message, "Copy or export the series again.") from error
    return Volume(array, stack.geometry, stack.modality, stack.warnings)


def _fits_int16(plane: np.ndarray) -> bool:
    limits = np.iinfo(np.int16)
    return np.issubdtype(plane.dtype, np.integer) and plane.min() >= limits.min and plane.max() <= limits.max


def _read_dicom(path: Path) -> Dataset | None:
    """The tags needed, without pixels; None when the file is no DICOM file or is a directory of files."""
    if path.name.startswith(".") or path.name.upper() == "DICOMDIR" or not path.is_file():
        return None
    with path.open("rb") as stream:
        if stream.read(132)[128:] != b"DICM":
            return None
    import pydicom

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return pydicom.dcmread(path, stop_before_pixels=True, specific_tags=_TAGS)
        except (pydicom.errors.InvalidDicomError, OSError, EOFError, ValueError) as error:
            raise UserError(f"{path.name} is a damaged DICOM file.", "Copy or export the series again.") from error


def _slice(path: Path, header: Dataset) -> SliceHeader | None:
    """Where an image lies; None for files that are no image with one place in the patient (reports, segmentations)."""
    if header.get("Modality") == "SEG":
        return None
    frames = int(header.get("NumberOfFrames") or 1)
    if frames > 1:
        message = f"{path.name} holds {frames} frames; DICOM files of one image each are read."
        raise UserError(message, "Open it in Slicer and save the volume as NRRD.")
    if any(not header.get(tag) for tag in _PLACE_TAGS):
        return None
    modality = header.get("Modality", "")
    return SliceHeader(
        path=path,
        size_ij=(int(header.Columns), int(header.Rows)),
        spacing_ij_mm=(float(header.PixelSpacing[1]), float(header.PixelSpacing[0])),
        position_lps_mm=tuple(float(value) for value in header.ImagePositionPatient),
        orientation=tuple(float(value) for value in header.ImageOrientationPatient),
        thickness_mm=float(header.get("SpacingBetweenSlices") or header.get("SliceThickness") or 1.0),
        samples=int(header.get("SamplesPerPixel") or 1),
        modality=modality if modality in ("CT", "MR") else "other",
    )


def _require_plain(name: str, series: Series) -> None:
    """Raises UserError unless all slices are grey single frames of one orientation and pixel size."""
    first = series.slices[0]
    for item in series.slices:
        if item.samples != 1:
            message = f"{name}: {item.path.name} is a colour image; grey values are needed."
            raise UserError(message, "Choose another series.")
        turned = np.abs(np.subtract(item.orientation, first.orientation)).max()
        scaled = np.abs(np.subtract(item.spacing_ij_mm, first.spacing_ij_mm)).max()
        if turned > 1e-3 or scaled > 1e-3:
            message = f"{name}: {item.path.name} has another orientation or pixel size than {first.path.name}."
            raise UserError(message, "Keep the images of one stack only.")


def _step(name: str, positions: np.ndarray, normal: np.ndarray, thickness_mm: float) -> np.ndarray:
    """Mean step (3,) in mm from slice to slice of the sorted positions [K, 3]; straight where it drifts by rounding."""
    if len(positions) == 1:
        return normal * thickness_mm
    if np.diff(positions @ normal).min() < _SAME_PLACE_MM:
        message = f"{name} has several images at the same place ({len(positions)} images in all)."
        raise UserError(message, "Split its time points, echoes or phases into series of their own.")
    total = positions[-1] - positions[0]
    straight = normal * (total @ normal)
    return (straight if np.linalg.norm(total - straight) < _SNAP_MM else total) / (len(positions) - 1)


def _oddities(name: str, positions: np.ndarray, normal: np.ndarray, step_mm: np.ndarray) -> tuple[str, ...]:
    """A warning when slices lie off the even grid that starts at the first of the sorted positions [K, 3]."""
    even = positions[0] + np.arange(len(positions))[:, None] * step_mm
    off_mm = np.linalg.norm(positions - even, axis=1).max()
    if off_mm <= _EVEN_MM:
        return ()
    gaps_mm = np.diff(positions @ normal)
    seen = f"from {gaps_mm.min():.4g} to {gaps_mm.max():.4g} mm, mostly {np.median(gaps_mm):.4g} mm"
    used = f"{np.linalg.norm(step_mm):.4g} mm is used throughout, which puts slices up to {off_mm:.3g} mm off"
    return (f"{name} has unequal slice gaps ({seen}): slices may be missing; {used}.",)
