"""Rules on places: left and right swapped, and structures that lie elsewhere than in the other cases."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from alhvr.checking.facts import CaseFacts
from alhvr.checking.findings import Finding
from alhvr.checking.rules.study import Study, count, fault, named, warning

_APART_MM = 5.0
"""Structures whose centres are closer to each other along an axis than this lie on no side of one another."""
_OBLIQUENESS = 0.2
"""The same as a share of the distance of the centres."""
_WITNESSES = 3
"""Cases that must agree before another one can be odd."""
_AGREEING = 0.75
"""Share of the cases that must agree."""
_FAR = 4.0
"""A place is odd when it is this many times further from the median place than most cases are."""
_AXES = (("left", "right"), ("behind", "in front of"), ("above", "below"))
"""What a positive and a negative difference along L, P and S mean."""
_SIDES = re.compile(r"(?<![a-z])(left|right|l|r)(?![a-z])", re.IGNORECASE)


@dataclass(frozen=True)
class _Pair:
    """Two structures of one case."""

    case: CaseFacts
    apart_mm: np.ndarray
    """(3,) from the centre of the second to that of the first, LPS."""

    @property
    def is_placed(self) -> bool:
        """Whether the file knows how the scan lies in the body."""
        return not self.case.images[0].geometry.nominal

    def side(self, axis: int) -> int:
        """1, -1, or 0 where they lie on no clear side of one another."""
        apart = self.apart_mm[axis]
        clear = max(_APART_MM, _OBLIQUENESS * float(np.linalg.norm(self.apart_mm)))
        return int(np.sign(apart)) if abs(apart) > clear else 0


def swapped_sides(study: Study) -> Iterator[Finding]:
    """Pairs such as left and right kidney that lie the other way round than in the other cases, or than in a body."""
    swapped: dict[int, tuple[CaseFacts, list[str]]] = {}
    for left, right in _named_pairs(study.names):
        pairs = [p for p in _pairs(study, left, right) if p.side(0)]
        usual = _usual_side([p.side(0) for p in pairs], _WITNESSES)
        wrong = [p.case for p in pairs if p.side(0) < 0 and p.is_placed]
        for pair in pairs:
            if pair.side(0) == -usual and not (pair.is_placed and usual < 0):
                swapped.setdefault(id(pair.case), (pair.case, []))[1].append(
                    f"{study.names[left]} and {study.names[right]}")
        if wrong and usual <= 0:
            yield warning("swapped_sides", wrong, f"{study.names[left]} lies on the patient's right of "
                          f"{study.names[right]} in {len(wrong)} of {count(len(pairs), 'case')}: {named(wrong)}.",
                          "Check the names in labels.json or dataset.json, and the orientation of these scans.",
                          labels=True)
    for facts, names in swapped.values():
        speak = warning if facts.images[0].geometry.nominal else fault
        yield speak("swapped_sides", [facts], f"{facts.case.name} has {', '.join(names)} on the other side than the "
                    "other cases have.", "Check whether the label's names are swapped, or scan and label are flipped.",
                    labels=True)


def moved_structures(study: Study) -> Iterator[Finding]:
    """Of any two structures: cases in which one lies clearly on the other side of the second than in the rest."""
    known = {frozenset(pair) for pair in _named_pairs(study.names)}
    odd: dict[tuple[int, int], tuple[CaseFacts, list[str]]] = {}
    for first, second in combinations(study.names, 2):
        pairs = [] if frozenset((first, second)) in known else _pairs(study, first, second)
        for axis in range(3):
            for pair in _outliers(pairs, axis):
                words = _AXES[axis][::-1] if pair.apart_mm[axis] < 0 else _AXES[axis]
                where = f"{words[0]} of" if axis == 0 else words[0]
                told = f"{study.names[first]} lies {where} {study.names[second]}"
                odd.setdefault((id(pair.case), int(axis == 0)), (pair.case, []))[1].append(told)
    for (_, sideways), (facts, told) in odd.items():
        kind = "swapped_sides" if sideways else "moved_structure"
        yield warning(kind, [facts], f"{facts.case.name} differs from all other cases: {'; '.join(told[:2])}.",
                      "Check whether the scan or its label is flipped, or structures are mistaken for each other.",
                      labels=True)


def _named_pairs(names: dict[int, str]) -> list[tuple[int, int]]:
    """Values of the left and the right one of structures whose names differ in nothing else."""
    sides: dict[str, dict[str, int]] = {}
    for value, name in names.items():
        words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).replace("_", " ").casefold()
        found = _SIDES.findall(words)
        if len(found) == 1:
            sides.setdefault(" ".join(sorted(_SIDES.sub(" ", words).split())), {})[found[0][0]] = value
    return [(pair["l"], pair["r"]) for pair in sides.values() if len(pair) == 2]


def _pairs(study: Study, first: int, second: int) -> list[_Pair]:
    """Both structures of every case that shows them."""
    cases = [f for f in study.annotated if {first, second} <= f.label.structures.keys()]
    return [_Pair(f, np.subtract(f.label.structures[first].centroid_lps_mm,
                                 f.label.structures[second].centroid_lps_mm)) for f in cases]


def _usual_side(sides: Sequence[int], witnesses: int) -> int:
    """1 or -1 where enough cases, and nearly all, agree; else 0."""
    usual = int(np.sign(np.sum(sides)))
    agreeing = int(np.sum(np.equal(sides, usual))) if usual else 0
    return usual if agreeing >= max(witnesses, _AGREEING * len(sides)) else 0


def _outliers(pairs: list[_Pair], axis: int) -> list[_Pair]:
    """Cases that contradict nearly all others, further from them than these are from each other."""
    sides = np.array([pair.side(axis) for pair in pairs])
    usual = _usual_side(sides, _WITNESSES + 1)
    if usual == 0:
        return []
    agreeing = sides == usual
    apart = np.array([pair.apart_mm[axis] for pair in pairs])
    middle = float(np.median(apart[agreeing]))
    spread = max(float(np.percentile(np.abs(apart[agreeing] - middle), 75)), 0.1 * abs(middle))
    return [pair for pair, side in zip(pairs, sides, strict=True)
            if side == -usual and abs(pair.apart_mm[axis] - middle) > _FAR * spread]
