"""Restoring: final planes of the prepared grid become classes and confidences on the scan's own grid, one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from alhvr.data.axes import AxisTransform
from alhvr.data.resampling import AxisInterpolation, PlaneRescaler, apply_axes
from alhvr.formats.region_tables import quantize

_SURE = 0.5 + 1e-4
"""Where the background is more probable than this at all neighbours it wins between them, whatever the rounding."""
_HOPELESS = 0.999
"""A class whose probability is nowhere above this / C loses everywhere, because the probabilities sum to 1."""

Box = tuple[slice, slice]
"""Ranges along J and I."""


class ClassMap:
    """The most probable class at each voxel of the scan; the lower index wins a tie.

    Probabilities are interpolated linearly, and the winner is chosen among the interpolated ones. That is done only
    where another class than the background may win, and for classes that may win: nothing else can change a label.
    """

    def __init__(self, transform: AxisTransform, values: np.ndarray, *, probabilities: bool = False) -> None:
        """``values`` [C]: the value to write for each class; 0 for the background. ``probabilities``: keep them too."""
        self.array = np.zeros(transform.source_shape, dtype=values.dtype)
        """[K, J, I] on the scan's own grid."""
        self.probability = np.zeros(transform.source_shape, dtype=np.uint8) if probabilities else None
        """uint8 [K, J, I], 255 = 1: of the winner, 0 where only the background could win; None where not kept."""
        self._values = values
        self._target = transform.arrange(self.array)
        self._sure = None if self.probability is None else transform.arrange(self.probability)
        self._steps = PlaneRescaler(transform.shape, transform.arranged_shape)
        self._last: _Plane | None = None
        self._arrived = 0

    def add(self, probabilities: np.ndarray) -> None:
        """Takes the next plane float32 [C, J, I] of the prepared grid; it must stay as it is until the one after."""
        plane, k, along_k = _Plane.of(probabilities), self._arrived, self._steps.along_k
        self._arrived += 1
        if along_k is None:
            self._write(range(k, k + 1), plane)
            return
        first, stop = (int(np.searchsorted(along_k.upper, k, side=side)) for side in ("left", "right"))
        self._write(range(first, stop), self._last or plane, plane)
        self._last = plane

    def _write(self, places: range, *planes: _Plane) -> None:
        """Writes the planes ``places`` of the scan, which lie between these neighbours on the prepared grid."""
        crop = _crop(self._steps, _around([plane.unsure for plane in planes]))
        if crop is None or not places:
            return
        peaks = np.max([plane.peaks for plane in planes], axis=0)
        able = np.flatnonzero(peaks * len(self._values) >= _HOPELESS)
        candidates = [_Candidate(self._values[index],
                                 [apply_axes(crop.before, plane.values[index][crop.source]) for plane in planes])
                      for index in able]
        for k in places:
            self._write_winner(k, candidates, crop)

    def _write_winner(self, k: int, candidates: Sequence[_Candidate], crop: _Crop) -> None:
        """Writes the most probable class in plane ``k`` of the scan, [J, I] of the target of ``crop``."""
        best = winner = None
        for candidate in candidates:
            along_k, neighbours = self._steps.along_k, candidate.neighbours
            probability = apply_axes(crop.after, neighbours[0] if along_k is None else along_k.mix(k, *neighbours))
            if best is None:
                best, winner = probability, np.full(probability.shape, candidate.value)
            else:
                np.copyto(winner, candidate.value, where=probability > best)
                best = np.maximum(best, probability)
        self._target[(k, *crop.target)] = winner
        if self._sure is not None:
            self._sure[(k, *crop.target)] = np.rint(np.clip(best, 0, 1) * 255).astype(np.uint8)


class ConfidenceMap:
    """The confidence of one network, or of the teacher, at each voxel of the scan, interpolated linearly."""

    def __init__(self, transform: AxisTransform, levels: np.ndarray | None = None) -> None:
        """``levels`` [65536]: what to keep for each uint16 confidence; None keeps that itself."""
        self.array = np.zeros(transform.source_shape, dtype=np.uint16 if levels is None else levels.dtype)
        """[K, J, I] on the scan's own grid; confidences are uint16, 65535 = 1."""
        self._levels = levels
        self._target = transform.arrange(self.array)
        self._steps = PlaneRescaler(transform.shape, transform.arranged_shape)
        self._done = 0

    def add(self, confidence: np.ndarray) -> None:
        """Takes the next plane float32 [1, J, I] of the prepared grid; it must stay as it is until the one after."""
        for plane in self._steps.add(confidence[0]):
            found = quantize(plane)
            self._target[self._done] = found if self._levels is None else self._levels[found]
            self._done += 1


@dataclass(frozen=True)
class _Plane:
    """One plane of the prepared grid and what it can say at all."""

    values: np.ndarray
    """Probabilities float32 [C, J, I]."""
    peaks: np.ndarray
    """float32 [C]: the largest of each class."""
    unsure: Box | None
    """Smallest box outside of which the background wins; None where it wins everywhere."""

    @classmethod
    def of(cls, values: np.ndarray) -> _Plane:
        unsure = values[0] <= _SURE
        rows, columns = np.flatnonzero(unsure.any(axis=1)), np.flatnonzero(unsure.any(axis=0))
        box = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)) if len(rows) else None
        return cls(values, values.max(axis=(1, 2)), box)


@dataclass(frozen=True)
class _Candidate:
    """A class that may win between planes of the prepared grid."""

    value: np.generic
    """What is written where it wins."""
    neighbours: Sequence[np.ndarray]
    """Its probabilities in these planes, within a crop and after the steps that come before those along K."""


@dataclass(frozen=True)
class _Crop:
    """The steps in J and I for one box alone."""

    before: Sequence[AxisInterpolation]
    """Those that come before the step along K."""
    after: Sequence[AxisInterpolation]
    """Those that come after it."""
    source: Box
    """What they need of a plane of the prepared grid."""
    target: Box
    """What they give of a plane of the scan."""


def _around(boxes: Sequence[Box | None]) -> Box | None:
    """The smallest box around all of them; None when there is none."""
    found = [box for box in boxes if box is not None]
    if not found:
        return None
    return tuple(slice(min(part.start for part in parts), max(part.stop for part in parts))
                 for parts in zip(*found, strict=True))


def _crop(steps: PlaneRescaler, box: Box | None) -> _Crop | None:
    """The part of the way to the scan's grid that ``box`` of the prepared grid has an influence on; None without."""
    if box is None:
        return None
    by_axis = {step.axis: step for step in (*steps.before, *steps.after)}
    parts, source, target = {}, list(box), list(box)
    for axis, step in by_axis.items():
        target[axis - 1] = step.touched_by(box[axis - 1])
        if target[axis - 1].start == target[axis - 1].stop:
            return None
        parts[axis], source[axis - 1] = step.part(target[axis - 1])
    before, after = ([parts[step.axis] for step in some] for some in (steps.before, steps.after))
    return _Crop(before, after, tuple(source), tuple(target))
