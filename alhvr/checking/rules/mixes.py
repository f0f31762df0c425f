"""Rules on mixtures: modalities, field strengths, orientations and spacings that differ within the labelled cases."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator

import numpy as np

from alhvr.checking.facts import CaseFacts
from alhvr.checking.findings import Finding
from alhvr.checking.orientation import orientation_code
from alhvr.checking.rules.study import Study, count, named, note, warning
from alhvr.data.axes import slice_axis
from alhvr.data.geometry import Geometry

_PIXELS_APART, _SLICES_APART = 2.0, 3.0
"""Largest over smallest pixel, and distance of slices, that are still alike."""


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
        pixels, slices = (np.array(values) for values in zip(*(_spacing(_grid(f)) for f in real), strict=True))
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
    pixel, step = _spacing(geometry)
    if step < _PIXELS_APART * pixel:
        return None
    letters = orientation_code(geometry)
    return {"L": "sagittal", "R": "sagittal", "A": "coronal", "P": "coronal"}.get(
        letters[2 - slice_axis(geometry)], "axial")


def _spacing(geometry: Geometry) -> tuple[float, float]:
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
