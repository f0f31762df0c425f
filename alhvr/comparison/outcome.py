"""Outcome: what a comparison showed, as figures with their uncertainty and as one plain sentence.

All means are over patients: the cases of one patient are averaged first, so that nobody counts twice. The interval of a
change is a bootstrap over patients, paired and seeded. Of few patients a bootstrap is too narrow (of two that both
gained it never holds 0), so that it is no narrower than Student's t; of one patient there is none.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any, Literal

import numpy as np
from scipy import stats

from alhvr.formats.project import ARCHIVE, LABELS_ONLY

FORMAT = "alhvr outcome 1"
BEFORE = "before"
"""The model that the trainings began from, beside the arms."""
ORDER = (BEFORE, LABELS_ONLY, ARCHIVE)
NAMES = {BEFORE: "before", LABELS_ONLY: "labels only", ARCHIVE: "with the archive"}
FEW_PATIENTS = 5
"""Fewer are too few to trust what they show."""
LEARNED_DICE = 0.2
"""Below this mean Dice a model has not learnt its task."""
UNFAIR_STEPS = 4.0
"""A step with the archive costs two to three with labels only. Where a training of the same time has fewer steps than
this, the computer was busy with other work meanwhile."""
_RESAMPLES, _SEED, _LEVEL = 10_000, 0, 0.95

Verdict = Literal["archive", "labels-only", "no gain shown", "one arm"]


@dataclass(frozen=True)
class StructureScore:
    """How well one structure of one case was found."""

    dice: float | None
    """0 to 1; None where nobody annotated it."""
    hd95_mm: float | None
    """In the unit of the outcome; None where there is nothing to measure."""
    missed: bool = False
    """It is in one of prediction and reference only, so that no distance can be measured."""


Scores = Mapping[str, StructureScore]
"""By structure."""


@dataclass(frozen=True)
class CaseOutcome:
    """One held-out case."""

    case: str
    patient: str
    scores: dict[str, Scores]
    """By arm, one of ORDER."""
    segmentations: dict[str, str]
    """By arm, the file beside the outcome; where the disk refused it, none."""


@dataclass(frozen=True)
class Training:
    """What an arm cost, and where its model is."""

    minutes: float
    iterations: int
    best_iteration: int
    model: str
    """Relative to the outcome."""
    is_done: bool
    """False where it was finished before its time, as the user asked."""


@dataclass(frozen=True)
class Interval:
    """A mean change of Dice, -1 to 1, and between what it lies in 95 of 100 such studies; None where nobody can tell.
    """

    dice: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Change:
    """What one arm gained over another."""

    of: str
    start: str
    """The other arm."""
    overall: Interval
    by_structure: dict[str, Interval]

    def to_record(self) -> dict[str, Any]:
        """As outcome.json has it."""
        return {"of": self.of, "from": self.start, **asdict(self.overall),
                "by_structure": {name: asdict(found) for name, found in self.by_structure.items()}}


@dataclass(frozen=True)
class Worst:
    """The structure of a held-out case that the offered model found worst."""

    case: str
    structure: str
    dice: float
    arm: str


@dataclass(frozen=True)
class Outcome:
    """The end of a comparison."""

    structures: tuple[str, ...]
    cases: tuple[CaseOutcome, ...]
    trainings: dict[str, Training]
    """By arm, as far as they were trained."""
    distance_unit: Literal["mm", "voxels"]

    @property
    def arms(self) -> tuple[str, ...]:
        """Those that were scored, in the order of ORDER."""
        return tuple(arm for arm in ORDER if arm in self.trainings or any(arm in case.scores for case in self.cases))

    @property
    def n_patients(self) -> int:
        """Held-out patients."""
        return len({case.patient for case in self.cases})

    @property
    def too_few(self) -> bool:
        """Whether there are too few patients to trust the figures."""
        return self.n_patients < FEW_PATIENTS

    @property
    def slowed(self) -> str:
        """The arm that other work on the computer slowed down, by far fewer steps in the same time; "" for neither."""
        if not (ARCHIVE in self.trainings and LABELS_ONLY in self.trainings):
            return ""
        archive, labels = self.trainings[ARCHIVE], self.trainings[LABELS_ONLY]
        if not (archive.is_done and labels.is_done) or abs(archive.minutes - labels.minutes) > 0.2 * labels.minutes:
            return ""
        if labels.iterations > UNFAIR_STEPS * archive.iterations:
            return ARCHIVE
        return LABELS_ONLY if archive.iterations > labels.iterations else ""

    @property
    def verdict(self) -> Verdict:
        """Which arm is better, as far as that is shown."""
        change = self.change
        if not (ARCHIVE in self.trainings and LABELS_ONLY in self.trainings):
            return "one arm"
        if change is None or change.overall.low is None or change.overall.low <= 0 <= change.overall.high:
            return "no gain shown"
        better = ARCHIVE if change.overall.low > 0 else LABELS_ONLY
        loser_was_slowed = self.slowed not in ("", better)
        return "no gain shown" if loser_was_slowed or not self.has_learnt else better

    @property
    def has_learnt(self) -> bool:
        """Whether any of the models has learnt its task; else what differs between them tells nothing."""
        return any((self.mean_dice(arm) or 0.0) >= LEARNED_DICE for arm in self.trainings)

    @property
    def offered(self) -> str:
        """The arm whose model is offered first: that with the archive only where it was shown to be better."""
        if self.verdict == "one arm":
            return next(iter(self.trainings))
        return ARCHIVE if self.verdict == ARCHIVE else LABELS_ONLY

    @property
    def change(self) -> Change | None:
        """Of the archive over labels only; None where one of both was not trained, or nothing was scored."""
        return self._change(ARCHIVE, LABELS_ONLY)

    @property
    def change_from_start(self) -> Change | None:
        """Of the offered model over the one that it began from; None without one."""
        return self._change(self.offered, BEFORE)

    @property
    def worst(self) -> Worst | None:
        """None where nothing was scored."""
        found = [Worst(case.case, name, score.dice, self.offered) for case in self.cases
                 for name, score in case.scores.get(self.offered, {}).items() if score.dice is not None]
        return min(found, key=lambda entry: entry.dice, default=None)

    def mean_dice(self, arm: str, structure: str | None = None) -> float | None:
        """Over patients; of all structures where ``structure`` is None."""
        return _mean(_by_patient(self.cases, lambda case: _values(case.scores.get(arm, {}), structure, "dice")))

    def mean_hd95(self, arm: str, structure: str) -> float | None:
        """Over the patients in whom it can be measured."""
        return _mean(_by_patient(self.cases, lambda case: _values(case.scores.get(arm, {}), structure, "hd95_mm")))

    def n_missed(self, arm: str, structure: str) -> int:
        """Cases in which the structure was missed, or found where there is none."""
        return sum(case.scores[arm][structure].missed for case in self.cases
                   if structure in case.scores.get(arm, {}))

    def _change(self, of: str, start: str) -> Change | None:
        overall = self._interval(of, start, None)
        if overall is None:
            return None
        found = {name: self._interval(of, start, name) for name in self.structures}
        return Change(of, start, overall, {name: one for name, one in found.items() if one is not None})

    def _interval(self, of: str, start: str, structure: str | None) -> Interval | None:
        def gains(case: CaseOutcome) -> list[float]:
            after, before = case.scores.get(of, {}), case.scores.get(start, {})
            names = [name for name in self.structures if structure in (None, name) and name in after and name in before]
            return [after[name].dice - before[name].dice for name in names
                    if after[name].dice is not None and before[name].dice is not None]

        found = _by_patient(self.cases, gains)
        return interval(found) if found else None


def _by_patient(cases: Sequence[CaseOutcome], values: Callable[[CaseOutcome], Sequence[float]]) -> list[float]:
    """The mean over a patient's cases of the mean over each case's values, for every patient who has any."""
    means: dict[str, list[float]] = defaultdict(list)
    for case in cases:
        found = values(case)
        if found:
            means[case.patient].append(fmean(found))
    return [fmean(found) for found in means.values()]


def _values(scores: Scores, structure: str | None, measure: str) -> list[float]:
    found = [getattr(score, measure) for name, score in scores.items() if structure in (None, name)]
    return [value for value in found if value is not None]


def _mean(values: Sequence[float]) -> float | None:
    return fmean(values) if values else None


def interval(gains: Sequence[float]) -> Interval:
    """The mean of one change per patient, and its interval."""
    values, n = np.asarray(gains, dtype=float), len(gains)
    if n < 2:
        return Interval(float(values.mean()), None, None)
    tail = (1 - _LEVEL) / 2
    drawn = np.random.default_rng(_SEED).integers(n, size=(_RESAMPLES, n))
    low, high = np.quantile(values[drawn].mean(axis=1), (tail, 1 - tail))
    half = float(stats.t.ppf(1 - tail, n - 1)) * float(values.std(ddof=1)) / math.sqrt(n)
    mean = float(values.mean())
    return Interval(mean, min(float(low), mean - half), max(float(high), mean + half))


def outcome_record(outcome: Outcome) -> dict[str, Any]:
    """Plain values for outcome.json."""
    change, from_start, worst = outcome.change, outcome.change_from_start, outcome.worst
    return {
        "format": FORMAT, "structures": list(outcome.structures), "cases": [asdict(case) for case in outcome.cases],
        "arms": {arm: _arm_record(outcome, arm) for arm in outcome.arms},
        "change": None if change is None else change.to_record(),
        "change_from_start": None if from_start is None else from_start.to_record(),
        "n_patients": outcome.n_patients, "too_few": outcome.too_few, "verdict": outcome.verdict,
        "sentence": " ".join(sentences(outcome)), "worst": None if worst is None else asdict(worst),
        "distance_unit": outcome.distance_unit, "offered": outcome.offered,
    }


def _arm_record(outcome: Outcome, arm: str) -> dict[str, Any]:
    training = outcome.trainings.get(arm)
    cost = asdict(training) if training else {"minutes": None, "iterations": None, "model": None}
    return {"dice": {name: outcome.mean_dice(arm, name) for name in outcome.structures},
            "hd95_mm": {name: outcome.mean_hd95(arm, name) for name in outcome.structures},
            "hd95_missed": {name: outcome.n_missed(arm, name) for name in outcome.structures},
            "mean_dice": outcome.mean_dice(arm), **cost}


def points(value: float) -> str:
    """A change of Dice in hundredths with its sign."""
    return f"{100 * value:+.1f}".replace("-", "\u2212")


def with_interval(found: Interval) -> str:
    """A change with what it may be as well: "+4.1 (95 %: +1.2 to +6.8)"."""
    if found.low is None or found.high is None:
        return f"{points(found.dice)} (of one patient there is no interval)"
    return f"{points(found.dice)} (95 %: {points(found.low)} to {points(found.high)})"


def sentences(outcome: Outcome) -> tuple[str, ...]:
    """What the comparison showed, for people, the main thing first; also that nothing was gained, or harm done."""
    patients = f"{outcome.n_patients} held-out patient{'s' if outcome.n_patients != 1 else ''}"
    if not outcome.cases:
        return ("No case was held out, so nobody can tell how good the model is.",)
    few = ("These are too few patients to trust it.",) if outcome.too_few else ()
    if outcome.verdict == "one arm":
        dice = outcome.mean_dice(outcome.offered)
        return (f"One model was trained, {NAMES[outcome.offered]}: Dice {_figure(dice)} on {patients}.",
                "There is no other one to compare it with.", *few)
    if outcome.change is None:
        return (f"Nothing could be compared: no structure is annotated in the {patients}.",)
    if not outcome.has_learnt:
        dice = " and ".join(_figure(outcome.mean_dice(arm)) for arm in outcome.trainings)
        return (f"Neither model learnt to segment (Dice {dice} on {patients}): train longer, or label more cases.",
                "So nobody can tell yet whether the archive helps.", *_slowed(outcome), *few)
    gained = f"{with_interval(outcome.change.overall)} points of Dice on {patients}"
    said = {ARCHIVE: f"The archive helped: {gained}.", LABELS_ONLY: f"The archive did harm: {gained}.",
            "no gain shown": f"No gain from the archive was shown: {gained}."}
    offered = () if outcome.verdict == ARCHIVE else ("The model from labels only is offered.",)
    return (said[outcome.verdict], *offered, *_worse(outcome.change), *_slowed(outcome), *few)


def _slowed(outcome: Outcome) -> tuple[str, ...]:
    """Says so where the trainings cannot be compared, because the computer was busy during one of them."""
    if not outcome.slowed:
        return ()
    steps = {arm: f"{cost.iterations:,}" for arm, cost in outcome.trainings.items()}
    return (f"The computer was busy with other work during the training {NAMES[outcome.slowed]} ({steps[LABELS_ONLY]} "
            f"steps with labels only, {steps[ARCHIVE]} with the archive, in the same time), which loses by it: "
            "compare again while the computer is idle, or by steps.",)


def _worse(change: Change) -> tuple[str, ...]:
    """The structures that were found worse with the archive, whatever the mean says."""
    worse = [f"{name} ({points(found.dice)})" for name, found in change.by_structure.items()
             if found.high is not None and found.high < 0]
    return (f"Worse with it: {', '.join(worse)}.",) if worse else ()


def _figure(dice: float | None) -> str:
    return "unknown" if dice is None else f"{dice:.3f}"
