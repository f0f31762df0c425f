"""Rules on intensities: scans on another scale than the others, and how much that matters."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from alhvr.checking.facts import CaseFacts
from alhvr.checking.findings import Finding, Severity
from alhvr.checking.result import case_key
from alhvr.checking.rules.study import Study, count, named
from alhvr.data.intensity import Statistics

_WILD = 25.0
"""Range of intensities over the median range, or the other way round, from which on a scale is another one."""
_WILD_CT = 4.0
"""The same for Hounsfield units, which are the same everywhere."""
_SHIFTED_HU = 400.0
"""Structures this far from their median over the cases are in no Hounsfield units."""


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
