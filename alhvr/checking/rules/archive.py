"""Rules on the archive: how far its scans are from the labelled ones, and which are too far."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from alhvr.checking.facts import CaseFacts, ImageFacts
from alhvr.checking.findings import Finding
from alhvr.checking.result import Unlike, case_key
from alhvr.checking.rules.study import Study, count, warning
from alhvr.data.axes import slice_axis

_TWICE = float(np.log(2))
"""Spacing and field of view are off at twice the largest, or half the smallest, labelled one."""
_WILD = float(np.log(25))
"""So is the range of intensities at 25 times, where each scan has a scale of its own."""
_HU = 500.0
"""Hounsfield units are off by so much at either end of their range."""
_HISTOGRAM = 0.15
"""Histograms are off from this mean difference of their running sums, 0 to 1."""
_TOLD = 3
"""Longest list of scans in a sentence."""
_MOST = 0.5
"""An archive of which more than this share is off is off as a whole."""


def unlike(study: Study) -> Iterator[Finding]:
    """One warning for all scans of the archive that do not look like the labelled ones."""
    off = [entry for entry in rank_archive(study) if entry.how_far > 1]
    if not off:
        return
    by_key = {case_key(f): f for f in study.archive}
    told = "; ".join(f"{by_key[entry.case].case.image.name}: {entry.what}" for entry in off[:_TOLD])
    remedy = "Take out what the model shall not segment: scans that differ much can do more harm than good."
    if len(off) > _MOST * len(study.archive):
        remedy = "Check that this is the right archive for these labelled scans."
    yield warning("archive_unlike", [by_key[entry.case] for entry in off], f"{len(off)} of "
                  f"{count(len(study.archive), 'scan')} of the archive {'is' if len(off) == 1 else 'are'} unlike the "
                  f"labelled scans, the furthest first: {told}.", remedy)


def rank_archive(study: Study) -> tuple[Unlike, ...]:
    """How far each readable scan of the archive is from the labelled ones, the furthest first."""
    if not study.annotated:
        return ()
    labeled = _Labeled(study)
    entries = []
    for facts in study.archive:
        aspects = labeled.aspects(facts)
        worst = max(aspects, key=lambda a: a.how_far)
        what = ", ".join(a.what for a in sorted(aspects, key=lambda a: -a.how_far) if a.how_far > 1)
        entries.append(Unlike(case_key(facts), round(worst.how_far, 3), what))
    return tuple(sorted(entries, key=lambda entry: -entry.how_far))


@dataclass(frozen=True)
class _Aspect:
    """One respect in which a scan may be off."""

    how_far: float
    what: str


@dataclass(frozen=True)
class _Labeled:
    """What the labelled scans look like."""

    study: Study
    _sums: dict[int, tuple[list[ImageFacts], np.ndarray]] = field(default_factory=dict)

    @cached_property
    def _images(self) -> list[ImageFacts]:
        return [f.images[0] for f in self.study.annotated]

    @cached_property
    def _real(self) -> list[ImageFacts]:
        """Those whose spacing is known."""
        return [image for image in self._images if not image.geometry.nominal]

    @cached_property
    def _nominal(self) -> bool:
        return not self._real

    def _known(self, channel: int) -> tuple[list[ImageFacts], np.ndarray]:
        """One channel of the labelled scans, and the running sums [n, bins] of their histograms."""
        if channel not in self._sums:
            images = [f.images[channel] for f in self.study.annotated if channel < len(f.images)]
            images = [i for i in images if i.print.intensity]
            self._sums[channel] = images, np.array([_running_sum(i) for i in images])
        return self._sums[channel]

    def aspects(self, facts: CaseFacts) -> list[_Aspect]:
        """Every respect in which one scan of the archive can be off."""
        first = facts.images[0]
        found = [self._modality(first), *self._grid(first)]
        for channel, image in enumerate(facts.images):
            found += self._intensities(channel, image)
        return found

    def _modality(self, image: ImageFacts) -> _Aspect:
        known = {i.print.modality for i in self._images} - {"other"}
        strange = bool(known) and image.print.modality != "other" and image.print.modality not in known
        return _Aspect(3.0 if strange else 0.0, f"{image.print.modality} instead of {' or '.join(sorted(known))}")

    def _grid(self, image: ImageFacts) -> Iterator[_Aspect]:
        """Field of view, and spacing where both are known; in voxels where the labelled scans know no spacing."""
        yield self._within("field of view", _extent(image, voxels=self._nominal),
                           [_extent(i, voxels=self._nominal) for i in self._images],
                           "voxels" if self._nominal else "mm")
        if self._real and not image.geometry.nominal:
            yield self._within("spacing", _spacing(image), [_spacing(i) for i in self._real], "mm")

    @staticmethod
    def _within(what: str, seen: np.ndarray, known: list[np.ndarray], unit: str) -> _Aspect:
        """By which factor ``seen`` leaves the range of ``known``, in powers of two."""
        low, high = np.min(known, axis=0), np.max(known, axis=0)
        off = np.maximum(np.log(seen / high), np.log(low / seen))
        axis = int(np.argmax(off))
        listed = " x ".join(f"{value:.3g}" for value in seen)
        usual = " x ".join(f"{a:.3g}" if a == b else f"{a:.3g}-{b:.3g}" for a, b in zip(low, high, strict=True))
        return _Aspect(max(0.0, float(off[axis]) / _TWICE), f"{what} {listed} against {usual} {unit}")

    def _intensities(self, channel: int, image: ImageFacts) -> Iterator[_Aspect]:
        known, sums = self._known(channel)
        if not known or not image.print.intensity:
            return
        seen = (image.print.intensity.lower, image.print.intensity.upper)
        low = np.array([(i.print.intensity.lower, i.print.intensity.upper) for i in known])
        usual = f"{low[:, 0].min():.4g} to {low[:, 1].max():.4g}"
        what = f"intensities {seen[0]:.4g} to {seen[1]:.4g} against {usual}"
        if self.study.normalized_by(channel) == "ct":
            off = np.maximum(low.min(axis=0) - seen, seen - low.max(axis=0)).max() / _HU
        else:
            spans = np.log(np.maximum(low[:, 1] - low[:, 0], 1e-30))
            span = np.log(max(seen[1] - seen[0], 1e-30))
            off = max(span - spans.max(), spans.min() - span) / _WILD
        yield _Aspect(max(0.0, float(off)), what)
        nearest = float(np.abs(sums - _running_sum(image)).mean(axis=1).min())
        yield _Aspect(nearest / _HISTOGRAM, "another distribution of intensities")


def _extent(image: ImageFacts, *, voxels: bool) -> np.ndarray:
    """Width of the slices and height of the stack, in mm or voxels."""
    sizes = np.array(image.geometry.shape_kji, dtype=float)
    return _stack(image, sizes if voxels else sizes * image.geometry.spacing_mm[::-1])


def _spacing(image: ImageFacts) -> np.ndarray:
    """Pixel size and distance of slices in mm."""
    return _stack(image, np.array(image.geometry.spacing_mm[::-1]))


def _stack(image: ImageFacts, values_kji: np.ndarray) -> np.ndarray:
    """The mean within the slices, and the one across them."""
    axis = slice_axis(image.geometry)
    return np.array([np.delete(values_kji, axis).mean(), values_kji[axis]])


def _running_sum(image: ImageFacts) -> np.ndarray:
    """The histogram over the image's own range, added up: rises to 1."""
    return np.cumsum(image.histogram) / max(1, sum(image.histogram))
