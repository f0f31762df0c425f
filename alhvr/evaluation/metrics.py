"""Metrics: overlap and surface distance of a segmentation and its reference, per structure, empty masks settled aloud.

Two conventions, never mixed in one table:

* millimetres (default): surface distances by MONAI with the voxel spacing. HD95 is the larger of the two directed 95th
  percentiles (MONAI's definition); ASD is symmetric, the mean over the distances of both directions together.
* the paper's (``paper_metrics=True``): MedPy's numbers without spacing, every voxel counts as 1 along every axis. HD95
  is the 95th percentile of both directed distance sets pooled; ASD is directed, prediction to reference only.

Empty masks: neither has the structure -> Dice 1, Jaccard 1, distances nan (there is nothing to measure). Only one has
it -> Dice 0, Jaccard 0, distances inf. The paper's convention differs in one rule: an empty prediction scores 0 for all
four, also for the distances, as the released code does; that rewards a missing structure, so count the missing ones.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage
from scipy.spatial import KDTree

from alhvr.data.labels import LabelSet
from alhvr.errors import UserError

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
    return {value for value, box in enumerate(ndimage.find_objects(array), start=1) if box is not None}


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
        self._boxes = [ndimage.find_objects(array) for array in self._arrays]

    def pair(self, value: int) -> _Pair:
        """The structure of ``value`` in both, with a margin of one voxel where the array allows."""
        box = self._union_box(value)
        return _Pair(*(np.asarray(array[box] == value) for array in self._arrays))

    def _union_box(self, value: int) -> tuple[slice, ...]:
        """The box around the structure in both arrays; empty when neither has it."""
        shape = self._arrays[0].shape
        present = [boxes[value - 1] for boxes in self._boxes if value <= len(boxes) and boxes[value - 1]]
        if not present:
            return tuple(slice(0, 0) for _ in shape)
        return tuple(
            slice(max(min(part.start for part in axis) - 1, 0), min(max(part.stop for part in axis) + 1, size))
            for axis, size in zip(zip(*present, strict=True), shape, strict=True)
        )


def _score(pair: _Pair, spacing_mm: tuple[float, float, float], distances: bool) -> ClassScore:
    """Default convention: HD95 the larger directed percentile, ASD over both directions, in mm."""
    found = _overlap(pair)
    if not distances or not (found.predicted_voxels and found.reference_voxels):
        return found
    both = _directed_mm(pair, spacing_mm)
    hd95 = max(float(np.percentile(directed, _PERCENTILE)) for directed in both)
    return replace(found, hd95_mm=hd95, asd_mm=float(np.concatenate(both).mean()))


def _score_paper(pair: _Pair, distances: bool) -> ClassScore:
    """The paper's convention: HD95 pooled, ASD prediction to reference, in voxels; an empty prediction scores 0."""
    found = _overlap(pair)
    if found.predicted_voxels == 0:
        return replace(ABSENT_PAPER, reference_voxels=found.reference_voxels)
    if not distances or found.reference_voxels == 0:
        return found
    surface_p, surface_r = _surface_points(pair.predicted), _surface_points(pair.reference)
    to_reference = KDTree(surface_r, leafsize=32).query(surface_p)[0]
    to_prediction = KDTree(surface_p, leafsize=32).query(surface_r)[0]
    hd95 = float(np.percentile(np.concatenate([to_reference, to_prediction]), _PERCENTILE))
    return replace(found, hd95_mm=hd95, asd_mm=float(to_reference.mean()))


def _overlap(pair: _Pair) -> ClassScore:
    """Dice and Jaccard; distances inf when one mask is empty, else nan until they are measured."""
    n_predicted, n_reference = int(np.count_nonzero(pair.predicted)), int(np.count_nonzero(pair.reference))
    if n_predicted + n_reference == 0:
        return ABSENT
    shared = int(np.count_nonzero(pair.predicted & pair.reference))
    dice, jaccard = 2 * shared / (n_predicted + n_reference), shared / (n_predicted + n_reference - shared)
    distance = math.nan if n_predicted and n_reference else math.inf
    return ClassScore(dice, jaccard, distance, distance, n_predicted, n_reference)


def _surface_points(mask: np.ndarray) -> np.ndarray:
    """Indices [N, 3] of the voxels of a boolean array that have a face neighbour outside (connectivity 1)."""
    return np.argwhere(mask & ~ndimage.binary_erosion(mask))


def _directed_mm(pair: _Pair, spacing_mm: tuple[float, float, float]) -> list[np.ndarray]:
    """Distances in mm from each surface voxel [N] to the other surface: prediction to reference, then back.

    A scan of one slice is measured in its plane, where its rim is the surface; in space every voxel of it would be.
    """
    import torch  # torch and MONAI take seconds to import; Dice and the paper's metrics do without
    from monai.metrics.utils import get_edge_surface_distance

    flat = [axis for axis, size in enumerate(pair.predicted.shape) if size == 1][:1]
    masks = [torch.from_numpy(mask.squeeze(tuple(flat))) for mask in (pair.predicted, pair.reference)]
    spacing = [step for axis, step in enumerate(spacing_mm) if axis not in flat]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # MONAI warns of a call that it makes itself
        _, directed, _ = get_edge_surface_distance(*masks, spacing=spacing, symmetric=True)
    return [distances.numpy() for distances in directed]
