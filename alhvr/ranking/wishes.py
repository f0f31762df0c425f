"""Wishes: from the score of a scan and what the labelled cases show to why it should be labelled, in plain words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from alhvr.checking.facts import CaseFacts
from alhvr.formats.labels import LabelSet, folded
from alhvr.ranking.choose import Wish
from alhvr.ranking.score import ScanScore, StructureScore

FAR = 2.0
"""A volume so many times as large as the largest labelled one, or as much smaller than the smallest, is a reason."""
USUALLY = 0.8
"""A structure that fewer of the labelled cases show may be missing for no reason."""


@dataclass(frozen=True)
class Usual:
    """What the labelled cases show of one structure."""

    smallest_ml: float | None = None
    """Of the cases that show it; None where no case tells."""
    largest_ml: float | None = None
    is_expected: bool = True
    """Whether nearly every scan shows it."""


def usual_volumes(cases: Iterable[CaseFacts], names: dict[int, str], labels: LabelSet) -> dict[str, Usual]:
    """What the labelled ``cases`` show of each structure of the model ``labels``; ``names``: of their label values.

    Cases in which a structure is not annotated, or not everything is, do not count for it.
    """
    values = {folded(name): value for value, name in names.items()}
    whole = [facts for facts in cases if facts.label and not facts.label.n_not_annotated]
    return {name: _usual(whole, values.get(folded(name))) for name in labels.names}


def _usual(cases: Sequence[CaseFacts], value: int | None) -> Usual:
    told = [facts for facts in cases if value is not None and value not in facts.case.not_annotated]
    shown = [facts.label.structures[value] for facts in told if value in facts.label.structures]
    if not told:
        return Usual()
    volumes = [structure.volume_ml for structure in shown]
    nominal = any(facts.label.geometry.nominal for facts in told)
    known = bool(volumes) and not nominal
    return Usual(min(volumes) if known else None, max(volumes) if known else None,
                 len(shown) >= USUALLY * len(told))


def wishes_of(score: ScanScore, usual: dict[str, Usual], *, is_unlike: bool = False) -> dict[str, Wish]:
    """By structure, why the scan with this score should be labelled; ``is_unlike``: the check found it so."""
    wishes = {name: _wish(name, found, usual.get(name, Usual()), nominal=score.nominal)
              for name, found in score.structures.items()}
    if not is_unlike:
        return wishes
    return {name: Wish(wish.score, f"{wish.reason}; unlike your cases", wish.is_missing)
            for name, wish in wishes.items()}


def _wish(name: str, found: StructureScore, usual: Usual, *, nominal: bool) -> Wish:
    if not found.voxels:
        return Wish(1.0, f"no {name} found", is_missing=True) if usual.is_expected else Wish(0.0, f"no {name} found")
    far, words = 0.0, ""
    if usual.smallest_ml and usual.largest_ml and not nominal:
        if found.volume_ml * FAR < usual.smallest_ml:
            far, words = 1 - found.volume_ml / usual.smallest_ml, "much smaller"
        elif found.volume_ml > usual.largest_ml * FAR:
            far, words = 1 - usual.largest_ml / found.volume_ml, "much larger"
    if far > found.unsure:
        return Wish(round(far, 4), f"{name} {words} than in your cases")
    return Wish(found.unsure, f"{name} uncertain")
