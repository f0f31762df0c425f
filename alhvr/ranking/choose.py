"""Choosing: structures take turns, each draws a scan of which the model is unsure, and a fifth is drawn at random.

The draw is by the score with noise: the logarithm of the score plus Gumbel noise, which draws a scan with a probability
that grows as a power of its score. The noise becomes less from round to round: in the first one a model of few cases
knows little of what it does not know. Whatever is drawn depends on the seed, the round and the names of the scans, not
on which others are there. That this beats drawing at random is not shown; every fifth scan, drawn at random, is an
unbiased check of the model in any case.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

RANDOM_EVERY = 5
"""Each so-manieth place is drawn at random."""
NOISE_LEFT = 0.5
"""Of the noise, from one round to the next."""
LEAST_SCORE = 1e-3
"""Scores below count as this: their logarithm would have no end."""
MISSING_SHARE = 3
"""One in so many scans at the most is there because a structure was not found in it."""
AT_RANDOM = "drawn at random, as a check"


@dataclass(frozen=True)
class Wish:
    """Why a scan should be labelled for the sake of one structure."""

    score: float
    """0 to 1."""
    reason: str
    """In words, such as "pancreas uncertain"."""
    is_missing: bool = False
    """The structure was not found at all."""


@dataclass(frozen=True)
class Candidate:
    """A scan that can be chosen."""

    case: str
    """Name, unique among the candidates."""
    wishes: dict[str, Wish]
    """By structure; every candidate has the same ones."""
    patient: str | None = None
    """Who it is, where that is known."""


@dataclass(frozen=True)
class Choice:
    """A scan that was chosen."""

    case: str
    score: float
    """Of the structure for which it was chosen, or its largest."""
    reason: str
    at_random: bool


def choose(candidates: Sequence[Candidate], structures: Sequence[str], *, count: int, round_number: int = 1,
           seed: int = 0) -> tuple[Choice, ...]:
    """Up to ``count`` of the candidates, the first one to be labelled first; no two of one patient.

    ``round_number`` from 1: how often was trained and chosen before, and once more. Turns and places drawn at random
    go on from round to round.
    """
    draws = {candidate.case: _Draw(candidate, structures, round_number, seed) for candidate in candidates}
    left = sorted(draws.values(), key=lambda draw: draw.candidate.case)
    chosen: list[Choice] = []
    before = (round_number - 1) * count
    turn = before - before // RANDOM_EVERY
    missing = max(1, count // MISSING_SHARE)
    while left and len(chosen) < count:
        at_random = not structures or (before + len(chosen) + 1) % RANDOM_EVERY == 0
        if at_random:
            taken = min(left, key=lambda draw: draw.lot)
            chosen.append(taken.at_random())
        else:
            structure = structures[turn % len(structures)]
            turn += 1
            able = [draw for draw in left if missing or not draw.candidate.wishes[structure].is_missing] or left
            taken = max(able, key=lambda draw: draw.keys[structure])
            missing -= taken.candidate.wishes[structure].is_missing and missing > 0
            chosen.append(taken.for_structure(structure))
        patient = taken.candidate.patient
        left = [draw for draw in left if draw is not taken and (patient is None or draw.candidate.patient != patient)]
    return tuple(chosen)


class _Draw:
    """What chance gives one candidate."""

    def __init__(self, candidate: Candidate, structures: Sequence[str], round_number: int, seed: int) -> None:
        self.candidate = candidate
        digest = hashlib.sha256(candidate.case.encode("utf-8", "backslashreplace")).digest()
        rng = np.random.default_rng([seed, round_number, int.from_bytes(digest[:8], "big")])
        self.lot = float(rng.random())
        """0 to 1: the smallest is drawn at random."""
        noise = NOISE_LEFT ** (round_number - 1) * rng.gumbel(size=len(structures))
        self.keys = {structure: math.log(max(candidate.wishes[structure].score, LEAST_SCORE)) + float(more)
                     for structure, more in zip(structures, noise, strict=True)}
        """By structure: the largest is drawn."""

    def for_structure(self, structure: str) -> Choice:
        """This candidate for the sake of a structure."""
        wish = self.candidate.wishes[structure]
        return Choice(self.candidate.case, wish.score, wish.reason, at_random=False)

    def at_random(self) -> Choice:
        """This candidate for no reason."""
        score = max((wish.score for wish in self.candidate.wishes.values()), default=0.0)
        return Choice(self.candidate.case, score, AT_RANDOM, at_random=True)
