"""Measures one case: structures, histogram and pictures, orientation, DICOM tags."""

from __future__ import annotations

import hashlib
import warnings
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from alhvr.checking.facts import LabelFacts, StructureFacts
from alhvr.core.files import open_plain
from alhvr.data.axes import Arrangement, AxisTransform, arrangement, slice_axis
from alhvr.data.dicom_file import file_of, is_dicom_file, read_header
from alhvr.data.dicom_folder import files_of_series_folder
from alhvr.data.geometry import Geometry
from alhvr.data.intensity import Statistics, sample_voxels
from alhvr.data.reading import LabelVolume, content_hash, distinct_values
from alhvr.data.resampling import rescale

MOST_STRUCTURES = 64
"""Label values whose shape is looked at; a file with more of them is hardly a label, and its voxels are counted only.
"""

LONGER_SIDE = 64
"""Pixels of a thumbnail's longer side."""
N_BINS = 64
_CLEARLY = 1.5
"""How much thicker or shorter than the others an axis is for slices to be shown across it."""
_HEADWARD = 2
"""Of the patient's directions left, posterior and superior: the one that runs against reading."""

_LETTERS = ("RL", "AP", "IS")
"""For L, P, S: the letter of the negative and of the positive direction."""

_UNITS_T = ((5000.0, 1e-4), (50.0, 1e-3), (0.0, 1.0))
"""From which figure on it is taken for gauss, millitesla or tesla, and what one of them is in tesla."""


def label_facts(label: LabelVolume, scan: Geometry | None, not_annotated: int) -> LabelFacts:
    """What the label of a case shows; ``scan`` is the grid of its scan, None where that cannot be read."""
    axis = slice_axis(label.geometry)
    return LabelFacts(
        content=content_hash(label),
        geometry=label.geometry,
        other_grid="" if scan is None else scan.difference(label.geometry),
        structures=_structures(label, not_annotated),
        n_voxels=label.array.size,
        n_not_annotated=sum(int(np.count_nonzero(plane == not_annotated)) for plane in label.array),
        annotated_slices=_slices(label.array != not_annotated, axis),
        slices=label.array.shape[axis],
        warnings=label.warnings,
    )


def _structures(label: LabelVolume, not_annotated: int) -> dict[int, StructureFacts]:
    """By value in rising order, without background and ``not_annotated``."""
    values = [value for value in distinct_values(label.array) if value not in (0, not_annotated)]
    shape_matters = len(values) <= MOST_STRUCTURES
    return {value: _structure(label, value, shape_matters=shape_matters) for value in values}


def _structure(label: LabelVolume, value: int, *, shape_matters: bool) -> StructureFacts:
    mask = label.array == value
    box = bounding_box(mask)
    inside = mask[box]
    voxels = int(np.count_nonzero(inside))
    parts = _part_sizes(inside) if shape_matters else np.array([voxels])
    return StructureFacts(
        voxels=voxels,
        volume_ml=voxels * label.geometry.voxel_volume_ml,
        slices=_slices(inside, slice_axis(label.geometry)),
        centroid_lps_mm=_centroid(inside, box, label.geometry),
        n_parts=len(parts),
        largest_part=float(parts.max() / voxels),
        hole_voxels=_hole_voxels(inside, label.array[box]) if shape_matters else 0,
    )


def bounding_box(mask: np.ndarray) -> tuple[slice, ...]:
    """Smallest box around the true voxels of [K, J, I], of which there is one at least."""
    planes = np.flatnonzero(mask.any(axis=(1, 2)))
    flat = mask[planes[0]:planes[-1] + 1].any(axis=0)
    rows, columns = np.flatnonzero(flat.any(axis=1)), np.flatnonzero(flat.any(axis=0))
    return tuple(slice(int(found[0]), int(found[-1]) + 1) for found in (planes, rows, columns))


def _slices(mask: np.ndarray, axis: int) -> int:
    """Along ``axis``, how many slices of [K, J, I] hold a true voxel."""
    return int(np.count_nonzero(mask.any(axis=tuple(other for other in range(3) if other != axis))))


def _centroid(inside: np.ndarray, box: tuple[slice, ...], geometry: Geometry) -> tuple[float, float, float]:
    """Mean place in LPS mm of the true voxels of ``inside``, the ``box`` of the grid."""
    index_kji = []
    for axis, part in enumerate(box):
        counts = np.count_nonzero(inside, axis=tuple(other for other in range(3) if other != axis))
        index_kji.append(part.start + float(counts @ np.arange(len(counts))) / counts.sum())
    x, y, z = geometry.index_to_lps(np.array([index_kji[::-1]]))[0]
    return float(x), float(y), float(z)


def _part_sizes(inside: np.ndarray) -> np.ndarray:
    """Voxels of each connected part of [K, J, I]; a face, an edge or a corner connects."""
    return np.bincount(_components(inside, corners=True).ravel())[1:]


def _hole_voxels(inside: np.ndarray, values: np.ndarray) -> int:
    """Background among ``values`` [K, J, I] that the true voxels of ``inside`` close off from the edge of the box.

    Within its slice where a structure has but one; else in space, where what lies above and below must close it too.
    """
    flat = tuple(np.array(inside.shape) == 1)
    around = inside.squeeze(flat.index(True)) if sum(flat) == 1 else inside
    if min(around.shape) < 3:
        return 0
    gaps = _components(~around, corners=False)
    n_gaps = int(gaps.max())
    outside = np.zeros(n_gaps + 1, dtype=bool)
    outside[0] = True
    for axis in range(gaps.ndim):
        for end in (0, -1):
            outside[np.take(gaps, end, axis=axis).ravel()] = True
    if outside.all():
        return 0
    return int(np.count_nonzero(~outside[gaps].reshape(inside.shape) & (values == 0)))


def _components(mask: np.ndarray, *, corners: bool) -> np.ndarray:
    """Number of the connected part of each true voxel from 1 on, 0 elsewhere."""
    image = sitk.GetImageFromArray(np.ascontiguousarray(mask).view(np.uint8))
    return sitk.GetArrayFromImage(sitk.ConnectedComponent(image, corners))


def best_slice(label: np.ndarray | None, geometry: Geometry) -> int:
    """The slice to show, counted along the axis that is looked along: the one with most of the label, else the middle.

    ``label``: bool [K, J, I] of the labelled voxels.
    """
    axis = _view(geometry).order[0]
    middle = geometry.shape_kji[axis] // 2
    if label is None:
        return middle
    counts = np.count_nonzero(label, axis=tuple(other for other in range(3) if other != axis))
    return int(counts.argmax()) if counts.any() else middle


def thumbnail(array: np.ndarray, geometry: Geometry, index: int, intensity: Statistics) -> np.ndarray:
    """uint8 [<= 64, <= 64] of slice ``index`` of [K, J, I]; 0 to 255 is the 0.5th to the 99.5th percentile.

    Columns run to the patient's left (or posterior), rows to posterior or inferior; pixels are square.
    """
    plane = np.array(_upright(array, geometry, index), dtype=np.float32)
    small = rescale(plane[np.newaxis], (1, *_size(plane.shape, geometry)), smooth=True)[0]
    width = intensity.upper - intensity.lower
    shown = (small - intensity.lower) / width if width > 0 else np.zeros_like(small)
    return np.rint(np.clip(shown, 0.0, 1.0) * 255).astype(np.uint8)


def outline(label: np.ndarray, geometry: Geometry, index: int) -> np.ndarray:
    """uint8 of label values (255 at most) on the pixels of ``thumbnail``, the nearest voxel of each."""
    plane = _upright(label, geometry, index)
    size = _size(plane.shape, geometry)
    rows, columns = (((np.arange(n) + 0.5) * full / n).astype(int) for n, full in zip(size, plane.shape, strict=True))
    return np.clip(plane[np.ix_(rows, columns)], 0, 255).astype(np.uint8)


def histogram(array: np.ndarray, intensity: Statistics) -> tuple[int, ...]:
    """Counts of an even sample of voxels in N_BINS equal bins between the 0.5th and the 99.5th percentile."""
    counts, _ = np.histogram(sample_voxels(array), bins=N_BINS, range=(intensity.lower, intensity.upper))
    return tuple(int(count) for count in counts)


def _view(geometry: Geometry) -> Arrangement:
    """Along the thick or the short axis, as the scan was taken; from the feet where all axes are about alike."""
    axis = slice_axis(geometry)
    others = [other for other in range(3) if other != axis]
    spacing, shape = geometry.spacing_mm[::-1], geometry.shape_kji
    thick = spacing[axis] > _CLEARLY * max(spacing[other] for other in others)
    short = shape[axis] * _CLEARLY < min(shape[other] for other in others)
    return arrangement(geometry, 2 if thick or short else 3)


def _upright(array: np.ndarray, geometry: Geometry, index: int) -> np.ndarray:
    """Slice ``index`` of [K, J, I] as a view [rows, columns]."""
    plain = _view(geometry)
    whole = AxisTransform(geometry.shape_kji, plain, plain.pick(geometry.shape_kji)).arrange(array)
    plane = whole[len(whole) - 1 - index if plain.flipped[0] else index]
    return plane[::-1] if _rows_run_headward(plain, geometry) else plane


def _rows_run_headward(plain: Arrangement, geometry: Geometry) -> bool:
    """True when the rows of an arranged slice run to the head, which is down on paper."""
    column = np.reshape(geometry.direction, (3, 3))[:, 2 - plain.order[1]]
    return int(np.abs(column).argmax()) == _HEADWARD


def _size(shape: tuple[int, ...], geometry: Geometry) -> tuple[int, int]:
    """Rows and columns of square pixels for a slice of ``shape`` voxels; no more than the slice itself has."""
    plain = _view(geometry)
    spacing = [geometry.spacing_mm[::-1][axis] for axis in plain.order[1:]]
    extents = [n * s for n, s in zip(shape, spacing, strict=True)]
    longer = min(LONGER_SIDE, max(shape))
    rows, columns = (max(1, round(longer * extent / max(extents))) for extent in extents)
    return rows, columns


def orientation_code(geometry: Geometry) -> str:
    """Where I, J and K lead, such as "LPS" for left, posterior, superior; oblique axes count as the closest ones."""
    cosines = np.reshape(geometry.direction, (3, 3))
    closest = max(permutations(range(3)), key=lambda order: sum(abs(cosines[order[a], a]) for a in range(3)))
    return "".join(_LETTERS[row][int(cosines[row, axis] > 0)] for axis, row in enumerate(closest))


@dataclass(frozen=True)
class DicomTags:
    """What one header says."""

    patient: str | None = None
    """Keyed digest of the patient ID; None where the file has none that tells patients apart."""
    field_strength_t: float | None = None
    """Of an MR scanner, in tesla."""


def read_tags(path: Path, key: bytes) -> DicomTags:
    """Tags of a .dcm file or of the first DICOM image of a series folder; empty for everything else.

    The patient ID itself is never kept: ``key`` (up to 64 bytes) makes digests that nobody can guess back.
    """
    files = [file_of(path)] if not path.is_dir() else files_of_series_folder(path)
    file = next((file for file in files if is_dicom_file(file)), None)
    if file is None:
        return DicomTags()
    try:
        with open_plain(file) as stream, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            header = read_header(stream, ("PatientID", "Modality", "MagneticFieldStrength")).values
            return DicomTags(_digest(str(header.get("PatientID") or ""), key), _field_strength(header))
    except Exception:  # noqa: BLE001 - a damaged header makes pydicom raise anything, and these tags are no need
        return DicomTags()


def _digest(patient_id: str, key: bytes) -> str | None:
    """None for IDs without a digit other than 0, as they are put in to hide who it is ("anonymous", "000")."""
    name = patient_id.strip()
    if not any(letter.isdigit() and letter != "0" for letter in name):
        return None
    return hashlib.blake2b(name.encode("utf-8", "backslashreplace"), key=key, digest_size=16).hexdigest()


def _field_strength(header: object) -> float | None:
    try:
        value = float(header.get("MagneticFieldStrength") or 0)
    except Exception:  # noqa: BLE001 - see read_tags; the patient's digest is to be had all the same
        return None
    if header.get("Modality") != "MR" or not value > 0:
        return None
    return round(value * next(unit for least, unit in _UNITS_T if value >= least), 2)
