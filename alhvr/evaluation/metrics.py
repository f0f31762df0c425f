"""Metrics: overlap and surface distance of a segmentation and its reference, per structure, empty masks settled aloud.

Two conventions, never mixed in one table:

* millimetres (default): surface distances with the voxel spacing, as MONAI defines them. HD95 is the larger of the two
  directed 95th percentiles; ASD is symmetric, the mean over the distances of both directions together.
* the paper's (``paper_metrics=True``): MedPy's numbers without spacing, every voxel counts as 1 along every axis. HD95
  is the 95th percentile of both directed distance sets pooled; ASD is directed, prediction to reference only.

Empty masks: neither has the structure -> Dice 1, Jaccard 1, distances nan (there is nothing to measure). Only one has
it -> Dice 0, Jaccard 0, distances inf. The paper's convention differs in one rule: an empty prediction scores 0 for all
four, also for the distances, as the released code does; that rewards a missing structure, so count the missing ones.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import SimpleITK as sitk

from alhvr.core.errors import UserError
from alhvr.formats.labels import LabelSet

_PERCENTILE = 95


@dataclass(frozen=True)
class ClassScore:
    """How well one structure of one scan was found."""

    dice: float
    """2 |P and R| / (|P| + |R|), 0 to 1."""
    jaccard: float
    """|P and R| / |P or R|, 0 to 1."""
    hd95_mm: float
    """95th percentile of the surface distance in mm; in voxels with the paper's metrics; nan or inf: see the file."""
    asd_mm: float
    """Average surface distance in mm; in voxels with the paper's metrics; nan or inf: see the file."""
    predicted_voxels: int
    """Voxels of the structure in the prediction, |P|."""
    reference_voxels: int
    """Voxels of the structure in the reference, |R|."""

    @property
    def missing(self) -> bool:
        """The structure is in one of both only: not found, or found where there is none."""
        return (self.predicted_voxels == 0) != (self.reference_voxels == 0)


ABSENT = ClassScore(1.0, 1.0, math.nan, math.nan, 0, 0)
"""The score of a structure that neither the prediction nor the reference has."""
ABSENT_PAPER = ClassScore(0.0, 0.0, 0.0, 0.0, 0, 0)
"""The same by the paper's convention."""
UNKNOWN = ClassScore(math.nan, math.nan, math.nan, math.nan, 0, 0)
"""The score of a structure that are not annotated in the reference; it counts in no mean."""


def score(
    prediction: np.ndarray,
    reference: np.ndarray,
    labels: LabelSet,
    spacing_mm: tuple[float, float, float],
    *,
    paper_metrics: bool = False,
    distances: bool = True,
) -> dict[str, ClassScore]:
    """Scores every structure of ``labels``, by name.

    ``prediction`` and ``reference`` are integer arrays [K, J, I] of label values (0 or more), ``spacing_mm`` is in the
    same order (K, J, I) and is not used by ``paper_metrics``. ``distances=False`` leaves the distances nan: Dice alone
    takes milliseconds. Each structure is cut out with a margin of one voxel first, so large scans cost little.
    Raises UserError when the two arrays differ in shape.
    """
    cut = _Cutter(prediction, reference)
    if paper_metrics:
        return {label.name: _score_paper(cut.pair(label.value), distances) for label in labels.labels}
    return {label.name: _score(cut.pair(label.value), spacing_mm, distances) for label in labels.labels}


def dice_by_class(prediction: np.ndarray, reference: np.ndarray, n_classes: int) -> list[float]:
    """Dice of the classes 1 to ``n_classes`` - 1 of two integer arrays [K, J, I] of class indices.

    A class that neither array has scores 1. Raises UserError when the two arrays differ in shape.
    """
    cut = _Cutter(prediction, reference)
    return [_overlap(cut.pair(index)).dice for index in range(1, n_classes)]


def present_values(array: np.ndarray) -> set[int]:
    """The values above 0 that an integer array [K, J, I] holds."""
    return set(_boxes(array))


@dataclass(frozen=True)
class _Pair:
    """One structure as two boolean arrays [K, J, I], cut to the box around both."""

    predicted: np.ndarray
    reference: np.ndarray


class _Cutter:
    """Cuts single structures out of a prediction and its reference, integer arrays [K, J, I]."""

    def __init__(self, prediction: np.ndarray, reference: np.ndarray) -> None:
        if prediction.shape != reference.shape:
            raise UserError(
                f"The prediction has shape {prediction.shape} (K, J, I), the reference {reference.shape}.",
                "Compare segmentations of the same scan.",
            )
        self._arrays = (prediction, reference)
        self._boxes = [_boxes(array) for array in self._arrays]

    def pair(self, value: int) -> _Pair:
        """The structure of ``value`` in both, with a margin of one voxel where the array allows."""
        box = self._union_box(value)
        return _Pair(*(np.asarray(array[box] == value) for array in self._arrays))

    def _union_box(self, value: int) -> tuple[slice, ...]:
        """The box around the structure in both arrays; empty when neither has it."""
        shape = self._arrays[0].shape
        present = [boxes[value] for boxes in self._boxes if value in boxes]
        if not present:
            return tuple(slice(0, 0) for _ in shape)
        return tuple(
            slice(max(min(part.start for part in axis) - 1, 0), min(max(part.stop for part in axis) + 1, size))
            for axis, size in zip(zip(*present, strict=True), shape, strict=True)
        )


def _boxes(array: np.ndarray) -> dict[int, tuple[slice, ...]]:
    """The box around each value above 0 that an integer array holds, along the array's own axes."""
    shapes = sitk.LabelShapeStatisticsImageFilter()
    shapes.ComputePerimeterOff()
    shapes.Execute(sitk.GetImageFromArray(array))
    found: dict[int, tuple[slice, ...]] = {}
    for value in shapes.GetLabels():
        starts, sizes = np.reshape(shapes.GetBoundingBox(value), (2, array.ndim))[:, ::-1].tolist()
        found[value] = tuple(slice(start, start + size) for start, size in zip(starts, sizes, strict=True))
    return {value: box for value, box in found.items() if value > 0}


def _score(pair: _Pair, spacing_mm: tuple[float, float, float], distances: bool) -> ClassScore:
    """Default convention: HD95 the larger directed percentile, ASD over both directions, in mm."""
    found = _overlap(pair)
    if not distances or not (found.predicted_voxels and found.reference_voxels):
        return found
    # A scan of one slice is measured in its plane, where its rim is the surface; in space every voxel of it would be.
    flat = tuple(axis for axis, size in enumerate(pair.predicted.shape) if size == 1)[:1]
    masks = _Pair(pair.predicted.squeeze(flat), pair.reference.squeeze(flat))
    both = _directed(masks, tuple(step for axis, step in enumerate(spacing_mm) if axis not in flat))
    hd95 = max(float(np.percentile(directed, _PERCENTILE)) for directed in both)
    return replace(found, hd95_mm=hd95, asd_mm=float(np.concatenate(both).mean()))


def _score_paper(pair: _Pair, distances: bool) -> ClassScore:
    """The paper's convention: HD95 pooled, ASD prediction to reference, in voxels; an empty prediction scores 0."""
    found = _overlap(pair)
    if found.predicted_voxels == 0:
        return replace(ABSENT_PAPER, reference_voxels=found.reference_voxels)
    if not distances or found.reference_voxels == 0:
        return found
    both = _directed(pair, (1.0,) * pair.predicted.ndim)
    hd95 = float(np.percentile(np.concatenate(both), _PERCENTILE))
    return replace(found, hd95_mm=hd95, asd_mm=float(both[0].mean()))


def _overlap(pair: _Pair) -> ClassScore:
    """Dice and Jaccard; distances inf when one mask is empty, else nan until they are measured."""
    n_predicted, n_reference = int(np.count_nonzero(pair.predicted)), int(np.count_nonzero(pair.reference))
    if n_predicted + n_reference == 0:
        return ABSENT
    shared = int(np.count_nonzero(pair.predicted & pair.reference))
    dice, jaccard = 2 * shared / (n_predicted + n_reference), shared / (n_predicted + n_reference - shared)
    distance = math.nan if n_predicted and n_reference else math.inf
    return ClassScore(dice, jaccard, distance, distance, n_predicted, n_reference)


def _directed(pair: _Pair, spacing: tuple[float, ...]) -> list[np.ndarray]:
    """Distances from each surface voxel [N] to the other surface: prediction to reference, then back.

    ``spacing`` is the step along each axis, in the unit of the result.
    """
    surfaces = [_surface(mask) for mask in (pair.predicted, pair.reference)]
    return [_distance_to(end, spacing)[start] for start, end in (surfaces, surfaces[::-1])]


def _surface(mask: np.ndarray) -> np.ndarray:
    """The voxels of a boolean array that have a face neighbour outside it or lie at its border."""
    inner, padded = mask.copy(), np.pad(mask, 1)
    for axis in range(mask.ndim):
        for shift in (-1, 1):
            inner &= np.roll(padded, shift, axis)[(slice(1, -1),) * mask.ndim]
    return mask & ~inner


def _distance_to(surface: np.ndarray, spacing: tuple[float, ...]) -> np.ndarray:
    """Distance from every voxel to the nearest one of ``surface``, float64 of its shape."""
    image = sitk.GetImageFromArray(surface.astype(np.uint8))
    image.SetSpacing(spacing[::-1])
    squared = sitk.SignedMaurerDistanceMap(image, squaredDistance=True, useImageSpacing=True)
    # Where the surface is thicker than one voxel its inside has negative values.
    return np.sqrt(np.maximum(sitk.GetArrayViewFromImage(squared), 0.0), dtype=np.float64)
