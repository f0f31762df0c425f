"""Labels as DICOM: DICOM-SEG (binary, fractional, label map) and RTSTRUCT, which series they belong to, their voxels.

Only codings that pydicom unpacks by itself are read, so that no compiled decoder sees a label file.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import SimpleITK as sitk

from alhvr.core.errors import UserError
from alhvr.core.files import open_plain, shown
from alhvr.data.dicom_file import DEFLATED, is_dicom_file, read_header
from alhvr.data.dicom_frames import MOST_FRAMES
from alhvr.data.dicom_rtstruct import contours_of, paint_structures
from alhvr.data.dicom_series import LABELS
from alhvr.data.dicom_slice import NATIVE
from alhvr.data.geometry import Geometry
from alhvr.formats.labels import MAX_VALUE, clean_name, folded

if TYPE_CHECKING:
    from pydicom import Dataset

_RLE = "1.2.840.10008.1.2.5"
_OFF_GRID = 0.1
"""A voxel of a label may lie this share of a voxel off the grid of its scan: rounding in the headers."""
_TAGS = ("Modality", "SegmentSequence", "ReferencedSeriesSequence", "StructureSetROISequence", "FrameOfReferenceUID",
         "ReferencedFrameOfReferenceSequence")
_PIXEL_TAGS = ("Rows", "Columns", "NumberOfFrames", "BitsAllocated", "SegmentationType", "MaximumFractionalValue",
               "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")


@dataclass(frozen=True)
class LabelObject:
    """What the header of a DICOM file with labels says."""

    path: Path
    kind: str
    """One of LABELS."""
    names: dict[int, str]
    """Structures by the value that they have once read: the number of the segment, the rank of the region."""
    series_uids: frozenset[str] = frozenset()
    """Of the series it refers to."""
    instance_uids: frozenset[str] = frozenset()
    """Of the images it refers to."""
    frame_uids: frozenset[str] = frozenset()
    """Of the frames of reference it lies in."""


@dataclass(frozen=True)
class LabelArray:
    """The voxels of a DICOM label."""

    array: np.ndarray
    """uint16 [K, J, I]."""
    geometry: Geometry
    warnings: tuple[str, ...]
    """What was changed or left out, one sentence each."""


def is_dicom_label(path: Path) -> bool:
    """Whether a file is a DICOM file with labels; False for whatever cannot be read."""
    if not is_dicom_file(path):
        return False
    try:
        with open_plain(path) as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return str(read_header(file, ("Modality",)).values.get("Modality") or "") in LABELS
    except Exception:  # noqa: BLE001 - a damaged header makes pydicom raise anything
        return False


def read_label_object(path: Path) -> LabelObject:
    """What a DICOM file with labels refers to and holds; raises UserError for a damaged one."""
    return _guarded(path, lambda: _object(path, _header(path, _TAGS)))


def read_dicom_label(path: Path, grid: Geometry | None) -> LabelArray:
    """The labels of a file on ``grid``, that of the scan; None: on the grid of its own segments.

    A label on another grid is brought to it by its nearest voxel, with a warning. Raises UserError for a damaged file,
    one of a coding that is not read, and where nothing of it lies within the grid.
    """
    return _guarded(path, lambda: _read(path, grid))


def _read(path: Path, grid: Geometry | None) -> LabelArray:
    header = _header(path, (*_TAGS, *_PIXEL_TAGS))
    found = _object(path, header)
    if found.kind == "SEG":
        return _read_segments(path, header, found, grid)
    if grid is None:
        raise UserError(f"{shown(path.name)} holds contours, which have no grid of their own.", "Give its scan too.")
    rois = contours_of(path)
    ranks = {roi: rank for rank, roi in enumerate(sorted(rois), start=1)}
    painted = paint_structures(path.name, {ranks[roi]: rois[roi] for roi in rois}, found.names, grid)
    return LabelArray(painted.array, grid, painted.warnings)


def _guarded(path: Path, work: Callable[[], Any]) -> Any:
    """What ``work`` gives; whatever a damaged file makes pydicom raise becomes a UserError without its content."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return work()
    except (UserError, OSError, MemoryError):
        raise
    except Exception as error:
        raise UserError(f"{shown(path.name)} is a damaged DICOM label ({type(error).__name__}).",
                        "Export it again.") from error


def _header(path: Path, tags: tuple[str, ...]) -> Dataset:
    with open_plain(path) as file:
        return read_header(file, tags, large=True).values


def _object(path: Path, header: Dataset) -> LabelObject:
    kind = str(header.get("Modality") or "")
    if kind == "SEG":
        names = {int(item.SegmentNumber): _segment_name(item) for item in header.get("SegmentSequence") or ()}
        series = list(header.get("ReferencedSeriesSequence") or ())
        frames = [header.get("FrameOfReferenceUID")]
    elif kind == "RTSTRUCT":
        rois = {int(item.ROINumber): clean_name(str(item.get("ROIName") or "")) or f"region {item.ROINumber}"
                for item in header.get("StructureSetROISequence") or ()}
        names = {rank: rois[number] for rank, number in enumerate(sorted(rois), start=1)}
        places = list(header.get("ReferencedFrameOfReferenceSequence") or ())
        series = [one for place in places for study in place.get("RTReferencedStudySequence") or ()
                  for one in study.get("RTReferencedSeriesSequence") or ()]
        frames = [place.get("FrameOfReferenceUID") for place in places]
    else:
        raise UserError(f"{shown(path.name)} is no DICOM file with labels.", "Give a DICOM-SEG or RTSTRUCT file.")
    images = (image for one in series for key in ("ReferencedInstanceSequence", "ContourImageSequence")
              for image in one.get(key) or ())
    odd = next((number for number in names if not 0 <= number <= MAX_VALUE), None)
    if odd is not None:
        raise UserError(f"{shown(path.name)} has a segment of the number {odd}; 1 to {MAX_VALUE} is accepted.")
    names.pop(0, None)
    return LabelObject(path, kind, names, frozenset(str(one.get("SeriesInstanceUID") or "") for one in series) - {""},
                       frozenset(str(image.get("ReferencedSOPInstanceUID") or "") for image in images) - {""},
                       frozenset(str(uid) for uid in frames if uid))


def _segment_name(item: Dataset) -> str:
    kind = item.get("SegmentedPropertyTypeCodeSequence")
    meaning = str(kind[0].get("CodeMeaning") or "") if kind else ""
    return clean_name(str(item.get("SegmentLabel") or "")) or clean_name(meaning) or f"segment {item.SegmentNumber}"


def by_name(names: Mapping[int, str]) -> dict[int, int]:
    """What the values of one file become where several have one name, as the findings of one kind do: the first."""
    first: dict[str, int] = {}
    return {value: first.setdefault(folded(name), value) for value, name in sorted(names.items())}


@dataclass(frozen=True)
class _Frame:
    """Where one frame of a DICOM-SEG lies."""

    position: np.ndarray
    """LPS mm [3] of the centre of its first pixel."""
    axes: np.ndarray
    """LPS mm [3, 2] from column to column, and from row to row."""
    segment: int
    """0 in a label map, whose pixels tell."""
    thickness_mm: float


def _read_segments(path: Path, header: Dataset, found: LabelObject, grid: Geometry | None) -> LabelArray:
    size_ij = int(header.Columns), int(header.Rows)
    n_frames = int(header.get("NumberOfFrames") or 1)
    groups = header.get("PerFrameFunctionalGroupsSequence") or ()
    if not 1 <= n_frames <= MOST_FRAMES or len(groups) != n_frames or min(size_ij) < 1:
        raise UserError(f"{shown(path.name)} has {n_frames} frames and the places of {len(groups)}.",
                        "Export it again.")
    shared = header.get("SharedFunctionalGroupsSequence")
    frames = [_frame(group, shared[0] if shared else group) for group in groups]
    own = _own_grid(path, frames, size_ij)
    exact = grid is not None and all(_steps(frame, size_ij, grid) is not None for frame in frames)
    told, target = [], grid if exact else own
    array, overlaps, outside = _paint(path, header, frames, target, by_name(found.names))
    if overlaps:
        told.append(f"{shown(path.name)}: {overlaps} voxels belong to several segments; the last one has them.")
    if not exact and grid is not None:
        told.append(f"{shown(path.name)} lies on another grid than its scan ({grid.difference(own)}); it was resampled "
                    "to it, by the nearest voxel.")
        before, array = bool(array.any()), _nearest(array, own, grid)
        outside = int(before and not array.any())
    if outside and not array.any():
        raise UserError(f"{shown(path.name)} shares no place with its scan.",
                        "Check that both are of one patient and one examination.")
    if outside:
        told.append(f"{shown(path.name)}: {outside} voxels of it lie outside of its scan and were left out.")
    return LabelArray(array, grid or own, tuple(told))


def _frame(group: Dataset, shared: Dataset) -> _Frame:
    measures, place, turn = (_item(group, shared, f"{name}Sequence")
                             for name in ("PixelMeasures", "PlanePosition", "PlaneOrientation"))
    rows_mm, columns_mm = (float(value) for value in measures.PixelSpacing)
    row, column = np.reshape([float(value) for value in turn.ImageOrientationPatient], (2, 3))
    which = group.get("SegmentIdentificationSequence") or shared.get("SegmentIdentificationSequence")
    thickness = float(measures.get("SpacingBetweenSlices") or measures.get("SliceThickness") or 1.0)
    frame = _Frame(np.array([float(value) for value in place.ImagePositionPatient]),
                   np.column_stack([row * columns_mm, column * rows_mm]),
                   int(which[0].ReferencedSegmentNumber) if which else 0, thickness)
    if not np.isfinite([*frame.position, *frame.axes.ravel(), thickness]).all() or min(rows_mm, columns_mm) <= 0:
        raise ValueError("a place that is no number")
    return frame


def _item(group: Dataset, shared: Dataset, sequence: str) -> Dataset:
    return (group.get(sequence) or shared.get(sequence))[0]


def _steps(frame: _Frame, size_ij: tuple[int, int], grid: Geometry) -> tuple[np.ndarray, np.ndarray] | None:
    """Index [3] of the first pixel in ``grid`` and steps [3, 2] from pixel to pixel; None where pixels lie off it."""
    inverse = np.linalg.inv(grid.affine_lps[:3, :3])
    start = inverse @ (frame.position - grid.affine_lps[:3, 3])
    steps = inverse @ frame.axes
    whole_start, whole_steps = np.rint(start), np.rint(steps)
    if not (np.abs(whole_steps).sum(axis=0) == 1).all():
        return None
    corners = np.array([[i, j] for i in (0, size_ij[0] - 1) for j in (0, size_ij[1] - 1)])
    off = (start - whole_start) + corners @ (steps - whole_steps).T
    return (whole_start, whole_steps) if np.abs(off).max() <= _OFF_GRID else None


def _own_grid(path: Path, frames: Sequence[_Frame], size_ij: tuple[int, int]) -> Geometry:
    """The even grid that holds all frames; raises UserError where they lie in several directions."""
    axes = frames[0].axes
    if any(np.abs(frame.axes - axes).max() > 1e-3 * np.abs(axes).max() for frame in frames):
        raise UserError(f"{shown(path.name)} has frames of different directions or pixel spacings.",
                        "Export a segmentation of one series.")
    normal = np.cross(axes[:, 0], axes[:, 1])
    normal /= np.linalg.norm(normal)
    heights = np.array([frame.position @ normal for frame in frames])
    gaps = np.diff(np.unique(np.round(heights, 3)))
    step = float(gaps.min()) if len(gaps) else frames[0].thickness_mm
    first = frames[int(np.argmin(heights))]
    count = 1 + int(np.rint((heights.max() - heights.min()) / step))
    last = frames[int(np.argmax(heights))]
    if count > MOST_FRAMES or count * size_ij[0] * size_ij[1] > 1 << 31:
        raise UserError(f"{shown(path.name)} lies {step:g} mm apart on {count} slices, more than any scan.",
                        "Export it again.")
    affine = np.eye(4)
    affine[:3, :2], affine[:3, 3] = axes, first.position
    affine[:3, 2] = (last.position - first.position) / (count - 1) if count > 1 else normal * step
    return Geometry.from_affine((*size_ij, count), affine)


def _paint(path: Path, header: Dataset, frames: Sequence[_Frame], grid: Geometry, values: Mapping[int, int],
           ) -> tuple[np.ndarray, int, int]:
    """uint16 [K, J, I] of all frames on ``grid``, how many voxels several segments have, and how many lie outside."""
    size_ij = int(header.Columns), int(header.Rows)
    kind = str(header.get("SegmentationType") or "BINARY")
    array = np.zeros(grid.shape_kji, np.uint16)
    best = np.zeros(grid.shape_kji, np.float32) if kind == "FRACTIONAL" else None
    most = float(header.get("MaximumFractionalValue") or 255)
    overlaps = outside = 0
    for frame, pixels in zip(frames, _pixels(path, header, len(frames)), strict=True):
        start, steps = _steps(frame, size_ij, grid) or _nearest_steps(frame, grid)
        j, i = np.nonzero(pixels >= most / 2 if best is not None else pixels)
        index = (start + np.column_stack([i, j]) @ steps.T).astype(np.int64)
        inside = ((index >= 0) & (index < grid.size_ijk)).all(axis=1)
        outside += int(np.count_nonzero(~inside))
        at, found = tuple(index[inside].T[::-1]), pixels[j[inside], i[inside]]
        new = _values(path, frame, found, values)
        if best is not None:
            wins = found > best[at]
            at, new, found = tuple(axis[wins] for axis in at), new[wins], found[wins]
            best[at] = found
        else:
            overlaps += int(np.count_nonzero((array[at] != 0) & (array[at] != new)))
        array[at] = new
    return array, overlaps, outside


def _nearest_steps(frame: _Frame, grid: Geometry) -> tuple[np.ndarray, np.ndarray]:
    """As ``_steps``, on the label's own grid, where slices of unequal gaps go to the nearest one."""
    inverse = np.linalg.inv(grid.affine_lps[:3, :3])
    return np.rint(inverse @ (frame.position - grid.affine_lps[:3, 3])), np.rint(inverse @ frame.axes)


def _values(path: Path, frame: _Frame, pixels: np.ndarray, values: Mapping[int, int]) -> np.ndarray:
    """Label values [n] of some pixels that are not 0; raises UserError for a segment that the header does not name."""
    seen = {frame.segment} if frame.segment else set(np.unique(pixels).tolist())
    unknown = sorted(seen - values.keys())
    if unknown:
        raise UserError(f"{shown(path.name)} holds the segment {unknown[0]}, which its header does not name.",
                        "Export it again.")
    if frame.segment:
        return np.full(len(pixels), values[frame.segment], np.uint16)
    table = np.zeros(max(seen, default=0) + 1, np.uint16)
    for number in seen:
        table[number] = values[number]
    return table[pixels]


def _pixels(path: Path, header: Dataset, n_frames: int) -> Iterator[np.ndarray]:
    """The pixels [J, I] of each frame; raises UserError for a coding that is not read, and where they are cut short."""
    import pydicom

    source = pydicom.dcmread(path, force=True)
    syntax = str(source.file_meta.get("TransferSyntaxUID") or NATIVE[0])
    if syntax not in (*NATIVE, DEFLATED.decode(), _RLE):
        raise UserError(f"{shown(path.name)} is coded in {shown(pydicom.uid.UID(syntax).name)}, which is not read for "
                        "labels.", "Export it without compression, or with RLE.")
    if int(header.BitsAllocated) != 1 or syntax == _RLE:
        yield from pydicom.pixels.iter_pixels(source, decoding_plugin="pydicom" if syntax == _RLE else "")
        return
    shape = int(header.Rows), int(header.Columns)
    count, data = shape[0] * shape[1], np.frombuffer(source.PixelData, np.uint8)
    if len(data) * 8 < count * n_frames:
        raise UserError(f"{shown(path.name)} is cut short: {count * n_frames // 8} bytes of voxels are needed, and "
                        f"{len(data)} are there.", "Copy or export it again.")
    for begin in range(0, count * n_frames, count):
        bits = np.unpackbits(data[begin // 8:(begin + count + 7) // 8], bitorder="little")
        yield bits[begin % 8:begin % 8 + count].reshape(shape)


def _nearest(array: np.ndarray, own: Geometry, grid: Geometry) -> np.ndarray:
    """uint16 [K, J, I] on ``grid``: the value of the nearest voxel, 0 beyond."""
    image = sitk.GetImageFromArray(array)
    own.stamp(image)
    resampler = sitk.ResampleImageFilter()
    resampler.SetSize(grid.size_ijk)
    resampler.SetOutputSpacing(grid.spacing_mm)
    resampler.SetOutputOrigin(grid.origin_lps_mm)
    resampler.SetOutputDirection(grid.direction)
    resampler.SetInterpolator(sitk.sitkNearestNeighbor)
    return sitk.GetArrayFromImage(resampler.Execute(image))


def common_values(tables: Iterable[Mapping[int, str]]) -> dict[str, int]:
    """One value for each name, folded, of several files whose numbers are their own: as the first file that has it."""
    found: dict[str, int] = {}
    for table in tables:
        for value, name in sorted(table.items()):
            if folded(name) not in found:
                taken = set(found.values())
                found[folded(name)] = value if value not in taken else max(taken) + 1
    return found
