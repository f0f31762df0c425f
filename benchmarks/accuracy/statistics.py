"""Statistics of paired runs: bootstrap over draws and patients, share of the gap, Wilcoxon with Holm, harm."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

Scores = Mapping[int, Mapping[str, float]]
"""Dice (0 to 1) of one arm: by draw, by patient."""
RESAMPLES, SEED, LEVEL = 10_000, 0, 0.95
SMALLEST_GAP = 0.005
"""A gap to all labels below this is no gap, so that no share of it is told."""
HARM = 0.01
"""A draw is harmed where it loses more than a point of Dice."""


@dataclass(frozen=True)
class Estimate:
    """A mean with its 95 % interval."""

    mean: float
    low: float
    high: float

    @property
    def is_above_zero(self) -> bool:
        """The whole interval is."""
        return self.low > 0


class Resamples:
    """The same draws and patients again and again, drawn anew with replacement, both at once.

    A patient that is scored in several draws is the same patient in all of them, so that the draws are no independent
    looks at it: draws and patients are resampled independently of each other, and a cell counts as often as both say.
    """

    def __init__(self, draws: Sequence[int], patients: Sequence[str], *, count: int = RESAMPLES, seed: int = SEED,
                 ) -> None:
        self._draws, self._patients = list(draws), list(patients)
        rng = np.random.default_rng(seed)
        self._by_draw = rng.multinomial(len(self._draws), np.full(len(self._draws), 1 / len(self._draws)), count)
        self._by_patient = rng.multinomial(len(self._patients), np.full(len(self._patients), 1 / len(self._patients)),
                                           count)

    @classmethod
    def of(cls, *scores: Scores, **how: int) -> Resamples:
        """Over the draws and patients of all of them."""
        draws = sorted({draw for one in scores for draw in one})
        patients = sorted({p for one in scores for by_patient in one.values() for p in by_patient})
        return cls(draws, patients, **how)

    def means(self, scores: Scores) -> np.ndarray:
        """The mean of each resample; nan where it holds no cell."""
        table = np.array([[scores.get(draw, {}).get(patient, math.nan) for patient in self._patients]
                          for draw in self._draws])
        there = ~np.isnan(table)
        sums = np.einsum("bd,bp,dp->b", self._by_draw, self._by_patient, np.where(there, table, 0.0), optimize=True)
        counts = np.einsum("bd,bp,dp->b", self._by_draw, self._by_patient, there.astype(float), optimize=True)
        return np.divide(sums, counts, out=np.full(len(sums), math.nan), where=counts > 0)


def mean_of(scores: Scores) -> float:
    """Over all cells; nan for none."""
    values = [value for by_patient in scores.values() for value in by_patient.values() if not math.isnan(value)]
    return float(np.mean(values)) if values else math.nan


def difference(of: Scores, start: Scores) -> dict[int, dict[str, float]]:
    """``of`` minus ``start`` in the cells that both have."""
    return {draw: {patient: of[draw][patient] - start[draw][patient] for patient in of[draw] if patient in start[draw]}
            for draw in of if draw in start}


def estimate(scores: Scores) -> Estimate | None:
    """The mean over draws and patients with its interval; None for no cell.

    Of few draws and patients the bootstrap is too narrow, so that it is no narrower than Student's t over the draws,
    and over the patients; of a single draw the interval knows nothing of other draws, and says less than it seems.
    """
    mean = mean_of(scores)
    if math.isnan(mean):
        return None
    low, high = np.nanquantile(Resamples.of(scores).means(scores), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    half = max((student(values) for values in (_by_draw(scores), list(by_patient(scores).values()))), default=0.0)
    return Estimate(mean, min(float(low), mean - half), max(float(high), mean + half))


def student(values: Sequence[float]) -> float:
    """Half of the interval of Student's t; 0 for fewer than two values."""
    if len(values) < 2:
        return 0.0
    return float(stats.t.ppf((1 + LEVEL) / 2, len(values) - 1) * np.std(values, ddof=1) / math.sqrt(len(values)))


def gap_closed(arm: Scores, labels: Scores, everything: Scores) -> Estimate | None:
    """Share of the way from labels only to all labels that an arm goes; None where there is hardly a gap.

    The interval is that of the ratio in each resample; resamples without a gap are left out.
    """
    gain, gap = difference(arm, labels), difference(everything, labels)
    if not any(gain.values()) or not any(gap.values()) or mean_of(gap) < SMALLEST_GAP:
        return None
    resamples = Resamples.of(gain, gap)
    gains, gaps = resamples.means(gain), resamples.means(gap)
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = np.where(gaps >= SMALLEST_GAP, gains / gaps, math.nan)
    low, high = np.nanquantile(shares, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(mean_of(gain) / mean_of(gap), float(low), float(high))


def by_patient(scores: Scores) -> dict[str, float]:
    """Each patient's mean over the draws."""
    values: dict[str, list[float]] = {}
    for one in scores.values():
        for patient, value in one.items():
            if not math.isnan(value):
                values.setdefault(patient, []).append(value)
    return {patient: float(np.mean(some)) for patient, some in values.items()}


def _by_draw(scores: Scores) -> list[float]:
    means = [mean_of({draw: one}) for draw, one in scores.items()]
    return [mean for mean in means if not math.isnan(mean)]


def wilcoxon(change: Scores) -> float:
    """p of the two-sided signed-rank test on the patients' mean changes; 1 where nothing changed, nan for none."""
    values = [value for value in by_patient(change).values()]
    if not values:
        return math.nan
    if not any(values):
        return 1.0
    return float(stats.wilcoxon(values).pvalue)


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Adjusted p of each test of a family (Holm); nan stays, and is no test."""
    tests = sorted((p, name) for name, p in p_values.items() if not math.isnan(p))
    adjusted, largest = {}, 0.0
    for place, (p, name) in enumerate(tests):
        largest = max(largest, min(1.0, (len(tests) - place) * p))
        adjusted[name] = largest
    return {name: adjusted.get(name, math.nan) for name in p_values}


def harm_rate(change: Scores) -> float:
    """Share of the draws that lose more than HARM; nan for none."""
    means = _by_draw(change)
    return sum(mean < -HARM for mean in means) / len(means) if means else math.nan


def worst_patient(scores: Scores) -> tuple[str, float] | None:
    """The patient with the lowest mean over the draws, and that mean."""
    means = by_patient(scores)
    return min(means.items(), key=lambda entry: entry[1]) if means else None
