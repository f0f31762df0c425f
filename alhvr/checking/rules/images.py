"""Rules about images and shapes: intensity scales, holes and stray components."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from alhvr.checking.facts import CaseFacts, StructureFacts
from alhvr.checking.findings import Finding, Severity
from alhvr.checking.result import case_key
from alhvr.checking.rules.study import Study, count, named, warning
from alhvr.data.intensity import Statistics

_WILD = 25.0
"""Range of intensities over the median range, or the other way round, from which on a scale is another one."""
_WILD_CT = 4.0
"""The same for Hounsfield units, which are the same everywhere."""
_SHIFTED_HU = 400.0
"""Structures this far from their median over the cases are in no Hounsfield units."""

_HOLE_SHARE, _HOLE_VOXELS = 0.015, 4
"""A hole counts from this share of its structure, and from so many voxels, on; drawn outlines leave smaller ones."""
_STRAY_SHARE, _STRAY_VOXELS = 0.008, 3
"""What lies apart counts from this share of its structure, and from so many voxels, on."""
_TWO_PARTS = 0.3
"""Where more than this share lies outside the largest part, the structure has several parts by nature, as lungs."""
_BY_NATURE = 1 / 3
"""What is found in more of the cases than this is no slip of the hand, but how the structure is or is drawn."""
_ABNORMAL = "49755003"
"""SNOMED CT: Morphologically Abnormal Structure: lesions come in parts of any number and shape."""


def scales(study: Study) -> Iterator[Finding]:
    """One finding for each channel: a fault for CT, which is learnt in absolute numbers; else a warning."""
    for channel in range(study.n_channels):
        cases = [f for f in study.annotated if channel < len(f.images) and _span(_statistics(f, channel)) > 0]
        ct = study.normalized_by(channel) == "ct"
        odd = _odd(cases, channel, ct=ct)
        if odd:
            yield _finding(study, channel, odd, len(cases))


def _odd(cases: list[CaseFacts], channel: int, *, ct: bool) -> list[CaseFacts]:
    """Those on another scale than the median of all, the worst first."""
    if len(cases) < 2:
        return []
    spans = np.log([_span(_statistics(f, channel)) for f in cases])
    off = np.abs(spans - np.median(spans)) / np.log(_WILD_CT if ct else _WILD)
    if ct and channel == 0:
        off = np.maximum(off, _shift(cases))
    return [cases[i] for i in np.argsort(-off, kind="stable") if off[i] > 1]


def _shift(cases: list[CaseFacts]) -> np.ndarray:
    """How far the median of each case's labelled voxels is from that of all, 1 at the limit; 0 without any."""
    inside = [f.images[0].print.foreground for f in cases]
    known = [s.median for s in inside if s]
    return np.array([abs(s.median - np.median(known)) / _SHIFTED_HU if s else 0.0 for s in inside])


def _finding(study: Study, channel: int, odd: list[CaseFacts], of: int) -> Finding:
    ct = study.normalized_by(channel) == "ct"
    worst = _statistics(odd[0], channel)
    strange = {case_key(f) for f in odd}
    rest = [_statistics(f, channel) for f in study.annotated if case_key(f) not in strange and channel < len(f.images)]
    usual = f"; usual is {_range(_median(rest))}" if rest else ""
    where = f" in channel {channel + 1}" if study.n_channels > 1 else ""
    seen = (f"{len(odd)} of {count(of, 'labelled scan')} {'has' if len(odd) == 1 else 'have'} intensities on another "
            f"scale{where}: {named(odd)} ({'' if len(odd) == 1 else odd[0].case.name + ': '}{_range(worst)}{usual}).")
    remedy = ("CT is learnt in Hounsfield units: export these scans again with rescale slope and intercept applied."
              if ct else "Each scan is brought to a scale of its own, so that this alone does no harm; check that they "
              "are the same kind of scan.")
    return Finding("intensity_scale", Severity.FAULT if ct else Severity.WARNING,
                   tuple(f.case.images[channel] for f in odd), seen, remedy, tuple(map(case_key, odd)))


def _statistics(facts: CaseFacts, channel: int) -> Statistics | None:
    return facts.images[channel].print.intensity


def _span(statistics: Statistics | None) -> float:
    """Width of the range; 0 where nothing was measured."""
    return 0.0 if statistics is None else statistics.upper - statistics.lower


def _median(statistics: list[Statistics]) -> Statistics:
    """The one with the median span."""
    return sorted(statistics, key=_span)[len(statistics) // 2]


def _range(statistics: Statistics) -> str:
    return f"{statistics.lower:.4g} to {statistics.upper:.4g}"


def holes(study: Study) -> Iterator[Finding]:
    """One warning for each structure that encloses background in some of its cases."""
    for value, name in study.names.items():
        found = _odd_shape(study, value, _hole)
        if found:
            worst = found[0].label.structures[value]
            seen = f"{name} has holes in {_told(found)}: {_amount(found[0], value, worst.hole_voxels)}."
            yield warning("holes", found, seen, "Fill them where they are slips: what is not marked is learnt as "
                          "background.", labels=True)


def stray_parts(study: Study) -> Iterator[Finding]:
    """One warning for each structure of which pieces lie apart in some of its cases."""
    for value, name in study.names.items():
        structure = study.structure(value)
        if structure and structure.category.value == _ABNORMAL:
            continue
        found = _odd_shape(study, value, _stray)
        if found:
            worst = found[0].label.structures[value]
            apart = round(_stray(worst) * worst.voxels)
            seen = (f"{name} is in parts in {_told(found)}: {worst.n_parts} parts, and "
                    f"{_amount(found[0], value, apart)} apart from the largest.")
            yield warning("stray_parts", found, seen, "Look at the smaller parts, and erase those that are slips.",
                          labels=True)


def _told(found: list[CaseFacts]) -> str:
    """The cases by name, and which of them the figures that follow are of."""
    worst = found[0].case.name
    return f"{count(len(found), 'case')} ({named(found)}), in {worst}" if len(found) > 1 else worst


def _amount(facts: CaseFacts, value: int, voxels: int) -> str:
    """Voxels, their volume where the spacing is known, and their share of the structure."""
    structure = facts.label.structures[value]
    ml = f", {structure.volume_ml * voxels / structure.voxels:.3g} ml" if not facts.label.geometry.nominal else ""
    return f"{count(voxels, 'voxel')}{ml} ({voxels / structure.voxels:.1%} of it)"


def _odd_shape(study: Study, value: int, measure: Callable[[StructureFacts], float]) -> list[CaseFacts]:
    """The cases with a defect that most cases lack, the worst first; partly annotated slices have none."""
    whole = [f for f in study.annotated if value in f.label.structures and not f.label.n_not_annotated]
    found = [f for f in whole if measure(f.label.structures[value]) > 0]
    if len(found) > max(1, _BY_NATURE * len(whole)):
        return []
    return sorted(found, key=lambda f: -measure(f.label.structures[value]))


def _hole(structure: StructureFacts) -> float:
    """Holes as a share of the structure; 0 where they are too small to matter."""
    share = structure.hole_voxels / structure.voxels
    return share if share >= _HOLE_SHARE and structure.hole_voxels >= _HOLE_VOXELS else 0.0


def _stray(structure: StructureFacts) -> float:
    """What lies apart as a share of the structure; 0 where it is too little to matter, or as much as a twin."""
    share = 1.0 - structure.largest_part
    counts = _STRAY_SHARE <= share <= _TWO_PARTS and share * structure.voxels >= _STRAY_VOXELS
    return share if counts else 0.0
