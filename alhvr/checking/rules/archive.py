"""Rules about the unlabelled set: cases unlike the labelled ones, and mixed scanners, spacings, orientations."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator
from dataclasses import dataclass

import numpy as np

from alhvr.checking.facts import CaseFacts, ImageFacts
from alhvr.checking.findings import Finding
from alhvr.checking.measure import orientation_code
from alhvr.checking.result import Outlier, case_key
from alhvr.checking.rules.study import Study, count, named, note, warning
from alhvr.data.axes import slice_axis
from alhvr.data.geometry import Geometry

_TWICE = float(np.log(2))
"""Spacing and field of view are off at twice the largest, or half the smallest, labelled one."""
_WILD = float(np.log(25))
"""So is the range of intensities at 25 times, where each scan has a scale of its own."""
_HU = 500.0
"""Hounsfield units are off by so much at either end of their range."""
_HISTOGRAM = 0.15
"""Histograms are off from this mean difference of their running sums, 0 to 1."""
_OTHER = 3.0
"""How far another modality, or another direction of the slices, is."""
_TOLD = 3
"""Longest list of scans in a sentence."""
_MOST = 0.5
"""An archive of which more than this share is off is off as a whole."""

_PIXELS_APART, _SLICES_APART = 2.0, 3.0
"""Largest over smallest pixel, and distance of slices, that are still alike."""


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


def rank_archive(study: Study) -> tuple[Outlier, ...]:
    """How far each readable scan of the archive is from the labelled ones, the furthest first."""
    if not study.annotated:
        return ()
    labeled = _Labeled(study)
    entries = []
    for facts in study.archive:
        aspects = labeled.aspects(facts)
        worst = max(aspects, key=lambda a: a.how_far)
        what = ", ".join(a.what for a in sorted(aspects, key=lambda a: -a.how_far) if a.how_far > 1)
        entries.append(Outlier(case_key(facts), round(worst.how_far, 3), what))
    return tuple(sorted(entries, key=lambda entry: -entry.how_far))


@dataclass(frozen=True)
class _Aspect:
    """One respect in which a scan may be off."""

    how_far: float
    what: str


_ALIKE = _Aspect(0.0, "")


@dataclass(frozen=True)
class _Range:
    """Smallest and largest of what the labelled scans have, in the slices and across them."""

    what: str
    unit: str
    low: np.ndarray
    high: np.ndarray

    @classmethod
    def of(cls, what: str, unit: str, known: list[np.ndarray]) -> _Range:
        """The range of one or more pairs."""
        return cls(what, unit, np.min(known, axis=0), np.max(known, axis=0))

    def aspect(self, seen: np.ndarray) -> _Aspect:
        """By which factor ``seen`` leaves the range, 1 at twice."""
        off = float(np.maximum(np.log(seen / self.high), np.log(self.low / seen)).max()) / _TWICE
        if off <= 0:
            return _ALIKE
        listed = " x ".join(f"{value:.3g}" for value in seen)
        usual = " x ".join(f"{low:.3g}" if low == high else f"{low:.3g}-{high:.3g}"
                           for low, high in zip(self.low, self.high, strict=True))
        return _Aspect(off, f"{self.what} {listed} against {usual} {self.unit}")


@dataclass(frozen=True)
class _Channel:
    """Intensities of one channel of the labelled scans."""

    is_ct: bool
    bounds: np.ndarray
    """[n, 2]: lower and upper end of each scan."""
    sums: np.ndarray
    """[n, bins]: running sums of their histograms."""

    @classmethod
    def of(cls, study: Study, channel: int) -> _Channel | None:
        """One channel; None where nothing was measured."""
        images = [f.images[channel] for f in study.annotated if channel < len(f.images)]
        images = [image for image in images if image.print.intensity]
        if not images:
            return None
        bounds = np.array([(i.print.intensity.lower, i.print.intensity.upper) for i in images])
        return cls(study.normalized_by(channel) == "ct", bounds, np.array([_running_sum(i) for i in images]))

    def aspects(self, image: ImageFacts) -> Iterator[_Aspect]:
        """How far range and distribution of the intensities are off."""
        seen = image.print.intensity
        if seen is None:
            return
        low, high = self.bounds[:, 0], self.bounds[:, 1]
        if self.is_ct:
            off = max(low.min() - seen.lower, seen.lower - low.max(), high.min() - seen.upper,
                      seen.upper - high.max()) / _HU
        else:
            spans, span = np.log(np.maximum(high - low, 1e-30)), np.log(max(seen.upper - seen.lower, 1e-30))
            off = max(span - spans.max(), spans.min() - span) / _WILD
        yield _Aspect(max(0.0, float(off)), f"intensities {seen.lower:.4g} to {seen.upper:.4g} against "
                      f"{low.min():.4g} to {high.max():.4g}")
        nearest = float(np.abs(self.sums - _running_sum(image)).mean(axis=1).min())
        yield _Aspect(nearest / _HISTOGRAM, "another distribution of intensities")


class _Labeled:
    """What the labelled scans look like."""

    def __init__(self, study: Study) -> None:
        images = [f.images[0] for f in study.annotated]
        real = [image for image in images if not image.geometry.nominal]
        self._nominal = not real
        self._fields = _Range.of("field of view", "voxels" if self._nominal else "mm",
                                 [_extent(image, voxels=self._nominal) for image in images])
        self._spacings = _Range.of("spacing", "mm", [_spacing(image) for image in real]) if real else None
        self._planes = {plane(image.geometry) for image in real} - {None}
        self._modalities = {study.modality_of(0), *(image.print.modality for image in images)} - {"other"}
        self._channels = [_Channel.of(study, channel) for channel in range(study.n_channels)]

    def aspects(self, facts: CaseFacts) -> list[_Aspect]:
        """Every respect in which one scan of the archive can be off."""
        first = facts.images[0]
        found = [_strange(first.print.modality, self._modalities, {"other"}),
                 self._fields.aspect(_extent(first, voxels=self._nominal))]
        if self._spacings and not first.geometry.nominal:
            found += [self._spacings.aspect(_spacing(first)), _strange(plane(first.geometry), self._planes, {None})]
        for channel, image in zip(self._channels, facts.images, strict=False):
            found += channel.aspects(image) if channel else ()
        return found


def _strange(seen: str | None, known: set[str | None], unknown: set[str | None]) -> _Aspect:
    """Whether ``seen`` is none of ``known``, where both are something."""
    if not known or seen in known | unknown:
        return _ALIKE
    return _Aspect(_OTHER, f"{seen} instead of {' or '.join(sorted(map(str, known)))}")


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


def modalities(study: Study) -> Iterator[Finding]:
    """DICOM headers that disagree about what was measured in one channel."""
    for channel in range(study.n_channels):
        groups = _groups((f, _modality(f, channel)) for f in study.annotated)
        if len(groups) > 1:
            yield warning("mixed_modalities", _smaller(groups), f"The labelled cases mix {_counts(groups)}"
                          f"{_of_channel(study, channel)}: {_odd_ones(groups)}.",
                          "One model learns one kind of scan: keep those that it shall segment.")


def field_strengths(study: Study) -> Iterator[Finding]:
    """MR scanners of several strengths."""
    groups = _groups((f, f.images[0].field_strength_t and f"{f.images[0].field_strength_t:.2g} T")
                     for f in (*study.annotated, *study.archive))
    if len(groups) > 1:
        yield note("mixed_field_strengths", _smaller(groups), f"The scans come from MR scanners of several strengths: "
                   f"{_counts(groups)}.", "Nothing to do where the scans to segment will be mixed alike.")


def orientations(study: Study) -> Iterator[Finding]:
    """Slices cut in several directions; axes that only run the other way round are a note."""
    real = [f for f in study.annotated if not _grid(f).nominal]
    codes = _groups((f, orientation_code(_grid(f))) for f in real)
    planes = _groups((f, plane(_grid(f))) for f in real)
    if len(planes) > 1:
        yield warning("mixed_orientations", _smaller(planes), f"The labelled scans are cut in several directions: "
                      f"{_counts(planes)} ({_odd_ones(planes)}).",
                      "A model for slices learns one direction best: keep scans that are cut alike.")
    elif len(codes) > 1:
        yield note("mixed_orientations", _smaller(codes), f"The labelled scans are stored in several orientations: "
                   f"{_counts(codes)}.", "Nothing to do: every scan is turned the same way before it is learnt from.")


def spacings(study: Study) -> Iterator[Finding]:
    """Voxels of very different size, and known spacings mixed with what may be placeholders."""
    nominal = [f for f in study.annotated if _grid(f).nominal]
    real = [f for f in study.annotated if not _grid(f).nominal]
    if nominal and real:
        yield warning("mixed_spacings", nominal, f"{count(len(nominal), 'labelled scan')} of {len(study.annotated)} "
                      f"{'has' if len(nominal) == 1 else 'have'} a spacing of exactly 1 mm, unlike the others: "
                      f"{named(nominal)}.", "Where that is a placeholder, export them again with their true spacing.")
    elif nominal:
        yield note("nominal_spacing", nominal, "The spacing is exactly 1 mm in all labelled scans: it may be a "
                   "placeholder.", "Nothing to do where it is true; else distances and volumes are in voxels.")
    if len(real) > 1:
        pixels, slices = (np.array(values) for values in zip(*(_spacing_text(_grid(f)) for f in real), strict=True))
        for values, limit, what in ((pixels, _PIXELS_APART, "Pixels"), (slices, _SLICES_APART, "Slices")):
            if values.max() > limit * values.min():
                off = np.abs(np.log(values / np.median(values)))
                worst = [real[i] for i in np.argsort(-off) if off[i] > np.log(limit) / 2]
                yield warning("mixed_spacings", worst, f"{what} are {values.min():.3g} to {values.max():.3g} mm apart "
                              f"in the labelled scans; furthest from the rest: {named(worst)}.",
                              "All are brought to one spacing; take out scans that are much coarser than the rest.")


def _grid(facts: CaseFacts) -> Geometry:
    return facts.images[0].geometry


def _modality(facts: CaseFacts, channel: int) -> str | None:
    found = facts.images[channel].print.modality if channel < len(facts.images) else "other"
    return None if found == "other" else found


def plane(geometry: Geometry) -> str | None:
    """How the slices lie; None for scans without thick slices, which can be cut in any way."""
    pixel, step = _spacing_text(geometry)
    if step < _PIXELS_APART * pixel:
        return None
    letters = orientation_code(geometry)
    return {"L": "sagittal", "R": "sagittal", "A": "coronal", "P": "coronal"}.get(
        letters[2 - slice_axis(geometry)], "axial")


def _spacing_text(geometry: Geometry) -> tuple[float, float]:
    """Mean pixel size and distance of slices in mm."""
    spacing = list(geometry.spacing_mm[::-1])
    step = spacing.pop(slice_axis(geometry))
    return float(np.mean(spacing)), step


def _groups(pairs: Iterator[tuple[CaseFacts, Hashable]]) -> dict[Hashable, list[CaseFacts]]:
    """Cases by what they have in common, the largest group first; those of which it is not known are left out."""
    groups = defaultdict(list)
    for facts, key in pairs:
        if key:
            groups[key].append(facts)
    return dict(sorted(groups.items(), key=lambda entry: -len(entry[1])))


def _counts(groups: dict[Hashable, list[CaseFacts]]) -> str:
    return ", ".join(f"{key} ({len(facts)})" for key, facts in groups.items())


def _smaller(groups: dict[Hashable, list[CaseFacts]]) -> list[CaseFacts]:
    """All cases but those of the largest group, of the smallest group first."""
    return [facts for group in reversed(list(groups.values())[1:]) for facts in group]


def _odd_ones(groups: dict[Hashable, list[CaseFacts]]) -> str:
    """The smallest group by name."""
    key, facts = list(groups.items())[-1]
    return f"{key}: {named(facts)}"


def _of_channel(study: Study, channel: int) -> str:
    return f" in channel {channel + 1}" if study.n_channels > 1 else ""
