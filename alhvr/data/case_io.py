"""Reads a case: its channels on one grid, its label, and what partial labels leave open."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from alhvr.core.errors import UserError
from alhvr.data.cases import Case
from alhvr.data.geometry import Geometry
from alhvr.data.label_names import IGNORED
from alhvr.data.reading import Header, LabelVolume, distinct_values, probe, read_label, read_label_names, read_scan
from alhvr.data.scan import Scan
from alhvr.formats.labels import MAX_VALUE, NO_VALUE, LabelSet

_FITTING_BYTES = 9
"""Of each voxel that a channel is resampled to: the result twice, and where it does not reach."""
_REACH_STEPS = 17
"""Voxels along each axis that stand for a grid."""


def read_case(case: Case, *, read: Callable[[Path], Scan] = read_scan) -> Scan:
    """The scan of ``case`` with all its channels, on the grid of the first one.

    A case of one channel is what ``read_scan`` makes of its image. A channel on another grid is resampled linearly, in
    physical space, with a warning; where it does not reach, it takes its own smallest value. ``read`` reads one image,
    such as ``ReadingProcess.read_scan``. Raises UserError as ``read_scan``, and for a channel that shares no voxel with
    the first one.
    """
    first = read(case.image)
    if not case.more_images:
        return first
    arrays, modalities, warnings = [], [], [*first.warnings]
    for path in case.more_images:
        other = read(path)
        warnings += other.warnings
        difference = first.geometry.difference(other.geometry)
        if difference:
            array, told = _fitted(other, first, difference)
            warnings.append(told)
        arrays.append(array if difference else other.array)
        modalities.append(other.modality)
    return Scan(case.name, first.array, first.geometry, first.modality, first.source, tuple(warnings),
                first.n_not_finite, tuple(arrays), tuple(modalities))


def reading_bytes(case: Case, first: Header) -> tuple[int, int]:
    """Memory of one voxel of the scan with all its channels, and of reading it at its peak (0: twice the scan).

    From the headers alone; ``first``: that of the first channel. Raises UserError as ``probe``.
    """
    voxels, voxel_bytes, peak = prod(first.size_ijk), first.voxel_bytes, 0
    for path in case.more_images:
        other = probe(path)
        if first.geometry.difference(other.geometry):
            own = prod(other.size_ijk) * other.voxel_bytes
            peak = max(peak, voxels * voxel_bytes + 2 * own + _FITTING_BYTES * voxels)
            voxel_bytes += np.dtype(np.float32).itemsize
        else:
            voxel_bytes += other.voxel_bytes
    return voxel_bytes, max(peak, 2 * voxels * voxel_bytes) if peak else 0


def resample(array: np.ndarray, geometry: Geometry, target: Geometry) -> np.ndarray:
    """float32 [K, J, I] on the grid ``target``, linearly from ``array`` on ``geometry``; NaN where that does not reach.

    A voxel reaches half its size beyond its centre.
    """
    image = sitk.GetImageFromArray(array)
    geometry.stamp(image)
    resampler = sitk.ResampleImageFilter()
    resampler.SetSize(target.size_ijk)
    resampler.SetOutputSpacing(target.spacing_mm)
    resampler.SetOutputOrigin(target.origin_lps_mm)
    resampler.SetOutputDirection(target.direction)
    resampler.SetOutputPixelType(sitk.sitkFloat32)
    resampler.SetInterpolator(sitk.sitkLinear)
    resampler.SetDefaultPixelValue(float("nan"))
    return sitk.GetArrayFromImage(resampler.Execute(image))


def reach(first: Geometry, other: Geometry) -> float:
    """Share of the grid ``first`` that ``other`` reaches, 0 to 1, from voxels evenly spread over it."""
    steps = np.meshgrid(*[np.linspace(0, size - 1, min(size, _REACH_STEPS)) for size in first.size_ijk])
    index = other.lps_to_index(first.index_to_lps(np.stack([axis.ravel() for axis in steps], axis=1)))
    inside = (index >= -0.5) & (index <= np.array(other.size_ijk) - 0.5)
    return float(inside.all(axis=1).mean())


def _fitted(other: Scan, first: Scan, difference: str) -> tuple[np.ndarray, str]:
    """float32 [K, J, I] of ``other`` on the grid of ``first``, and what was done; raises UserError without overlap."""
    array = resample(other.array, other.geometry, first.geometry)
    outside = np.isnan(array)
    n_outside = int(np.count_nonzero(outside))
    names = f"{other.source.name} lies on another grid than {first.source.name}"
    if n_outside == array.size:
        raise UserError(f"{names} and shares no place with it: {difference}.",
                        "Check that both are of one patient and one examination, and register them first.")
    told = f"{names} ({difference}); it was resampled to it"
    if n_outside:
        array[outside] = other.array.min()
        told += f", and reaches {100 - 100 * n_outside / array.size:.0f} % of it"
    return array, f"{told}."


@dataclass(frozen=True)
class LabelDecoder:
    """How to understand label files."""

    labels: LabelSet
    """What the values mean."""
    not_annotated: int | None = None
    """Value of voxels that are not annotated; None for none. It does not count where it is the value of a label."""

    def read(self, case: Case, geometry: Geometry) -> np.ndarray:
        """uint8 [K, J, I] of class indices, or NOT_ANNOTATED, of the label of ``case`` on its scan's ``geometry``.

        Raises UserError where there is none, it lies on another grid, or it holds a value that is not known.
        """
        not_annotated = self.value_for_not_annotated
        label = read_label_of(case, geometry, not_annotated)
        try:
            return self.labels.to_class_index(label.array, not_annotated=not_annotated)
        except UserError as error:
            raise UserError(f"The label file {case.label.name}: {error.message}", error.hint) from error

    @property
    def value_for_not_annotated(self) -> int:
        """The value that stands for not annotated once a label is read: NO_VALUE where a label has the one asked."""
        asked = self.not_annotated
        return NO_VALUE if asked is None or asked in self.labels.values else asked

    def missing_classes(self, case: Case) -> tuple[int, ...]:
        """Class indices, rising, of the structures that are not annotated in ``case``."""
        return tuple(1 + n for n, value in enumerate(self.labels.values) if value in case.not_annotated)


def read_values(case: Case, not_annotated: int | None) -> LabelVolume:
    """The label of ``case`` with the values of the run (``Case.meaning``), whatever its grid.

    What the case's files mark as not annotated has the value ``not_annotated``, or NO_VALUE where that is None. Raises
    UserError as ``read_label``, and where the names in its header are no structures of the run.
    """
    label = read_label(case.label, None if case.image == case.label else case.image)
    segments = read_label_names(case.label)
    if label.array.dtype == np.int32 and (label.array == NO_VALUE).any():
        raise UserError(f"{case.label.name} holds the value {NO_VALUE}; 0 to {MAX_VALUE} is accepted.")
    if not (segments or case.meaning.by_value):
        return label
    values = [value for value in distinct_values(label.array)
              if value and (value != not_annotated or value in segments)]
    changes = case.meaning.value_map(case.label.name, values, segments)
    return replace(label, array=_with_changes(label.array, changes, not_annotated))


def read_label_of(case: Case, geometry: Geometry, not_annotated: int | None = None) -> LabelVolume:
    """As ``read_values``, of a case whose scan lies on ``geometry``; raises UserError without label or elsewhere."""
    if case.label is None:
        raise UserError(f"{case.image.name} has no label.", "Add one of the same name to the folder labels.")
    label = uncropped(case.label, read_values(case, not_annotated), lambda: geometry)
    difference = geometry.difference(label.geometry)
    if difference:
        raise UserError(f"The label {case.label.name} lies on another grid than its scan {case.image.name}: "
                        f"{difference}.", "Check that both belong together, or resample the label to the scan.")
    return label


def uncropped(path: Path, label: LabelVolume, grid_of_scan: Callable[[], Geometry]) -> LabelVolume:
    """``label`` on the whole grid of its scan, with background around it, where its file is cropped.

    3D Slicer may write a segmentation (.seg.nrrd) no larger than what is segmented, on the voxels of the scan; what is
    outside is background in Slicer. Any other label is given back as it is. ``grid_of_scan`` is asked for these alone.
    """
    if not path.name.lower().endswith(".seg.nrrd"):
        return label
    geometry = grid_of_scan()
    if label.geometry.size_ijk == geometry.size_ijk:
        return label
    start = geometry.index_of(label.geometry)
    if start is None:
        return label
    array = np.zeros(geometry.shape_kji, label.array.dtype)
    box = tuple(slice(first, first + size) for first, size in zip(start, label.geometry.size_ijk, strict=True))[::-1]
    array[box] = label.array
    return LabelVolume(array, geometry)


def _with_changes(array: np.ndarray, changes: Mapping[int, int], not_annotated: int | None) -> np.ndarray:
    """Integers of any shape with ``changes`` made, in the smallest of uint8, uint16 and int32 that holds them.

    IGNORED becomes ``not_annotated``, or NO_VALUE where that is None.
    """
    if not changes:
        return array
    ignored = NO_VALUE if not_annotated is None else not_annotated
    changes = {value: ignored if target == IGNORED else target for value, target in changes.items()}
    largest = max(int(array.max(initial=0)), *changes.values())
    small = np.min_scalar_type(largest) if array.min(initial=0) >= 0 else np.dtype(np.int32)
    dtype = small if small.itemsize <= 2 else np.dtype(np.int32)
    if array.dtype == np.int32:
        mapped = array.astype(dtype)
        for value, target in changes.items():
            mapped[array == value] = target
        return mapped
    table = np.arange(np.iinfo(array.dtype).max + 1).astype(dtype)
    for value, target in changes.items():
        table[value] = target
    return table[array]
