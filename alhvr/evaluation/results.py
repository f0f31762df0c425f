"""Report: the scores of many cases, their means and deviations, as a table for people and as JSON for programs."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from alhvr.core import files
from alhvr.core.files import shown
from alhvr.evaluation.metrics import ClassScore

MEASURES = ("dice", "jaccard", "hd95", "asd")
ALL = "all structures"
RULES = {
    False: "HD95: the larger of the two directed 95th percentiles. ASD: symmetric. A structure in neither has Dice 1 "
    "and no distance; in one of both only: Dice 0, its distance is left out and counted as missing.",
    True: "The paper's conventions (MedPy, spacing not used). HD95: both directions pooled. ASD: prediction to "
    "reference. An empty prediction scores 0 for all four, which flatters the distances: mind the missing ones.",
}
"""What the numbers mean, by ``paper_metrics``."""


@dataclass(frozen=True)
class CaseScores:
    """The scores of one case."""

    name: str
    """File name without endings."""
    scores: dict[str, ClassScore]
    """By structure."""


@dataclass(frozen=True)
class Statistic:
    """Mean and deviation of one measure over cases."""

    mean: float
    """Over the cases where it is a number; nan where it is none."""
    deviation: float
    """Sample standard deviation over cases; nan for fewer than two."""
    n: int
    """Cases where it is a number."""


@dataclass(frozen=True)
class Report:
    """Scores of all cases and what could not be scored."""

    structures: tuple[str, ...]
    cases: tuple[CaseScores, ...]
    skipped: dict[str, str]
    """Case to the reason why it was not scored."""
    distance_unit: Literal["mm", "voxels"]
    """Unit of HD95 and ASD."""
    paper_metrics: bool = False
    warnings: tuple[str, ...] = ()

    def statistic(self, structure: str, measure: str) -> Statistic:
        """One of MEASURES over the cases; for ALL, the mean over structures of their means.

        The deviation for ALL is that of the cases' own means over structures.
        """
        if structure != ALL:
            return _statistic(_value(case.scores[structure], measure) for case in self.cases)
        means = _finite(self.statistic(name, measure).mean for name in self.structures)
        by_case = (_mean(_finite(_value(score, measure) for score in case.scores.values())) for case in self.cases)
        over_cases = _statistic(by_case)
        return Statistic(_mean(means), over_cases.deviation, over_cases.n)

    def missing(self, structure: str) -> int:
        """Cases where only the prediction or only the reference has the structure; for ALL, the sum."""
        names = self.structures if structure == ALL else (structure,)
        return sum(case.scores[name].missing for case in self.cases for name in names)

    def summary(self) -> dict[str, dict[str, Any]]:
        """By structure and for ALL: mean, deviation and number of cases of each measure, and how often it is missing.

        Plain values; a number that does not exist is None.
        """
        rows = {}
        for name in (*self.structures, ALL):
            row: dict[str, Any] = {measure: _plain(self.statistic(name, measure)) for measure in MEASURES}
            rows[name] = {**row, "missing": self.missing(name)}
        return rows

    def to_json(self) -> str:
        """The whole report as JSON text; NaN and infinite distances are null."""
        return files.to_json(self._to_dict())

    def write_json(self, path: Path) -> None:
        """Writes ``to_json`` to a temporary name and moves it to ``path``."""
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write_json(path, self._to_dict())

    def table(self) -> str:
        """Aligned plain text: every case and structure, then mean and deviation over cases, then what was left out."""
        rows = [_head(self.distance_unit)]
        for case in self.cases:
            rows += [(shown(case.name), shown(name), *_cells(case.scores[name])) for name in self.structures]
        summary = [("mean +- deviation", shown(name), *self._summary_cells(name)) for name in (*self.structures, ALL)]
        lines = _aligned([*rows, *summary])
        lines = [*lines[: len(rows)], "", *lines[len(rows) :], "", RULES[self.paper_metrics]]
        lines += [shown(f"not scored: {name}: {reason}") for name, reason in self.skipped.items()]
        return "\n".join([*lines, *(shown(f"note: {warning}") for warning in self.warnings)])

    def _summary_cells(self, structure: str) -> list[str]:
        cells = []
        for measure, digits in zip(MEASURES, _DIGITS, strict=True):
            found = self.statistic(structure, measure)
            deviation = f" +- {found.deviation:.{digits}f}" if found.n > 1 else ""
            cells.append(_number(found.mean, digits) + deviation)
        missing = self.missing(structure)
        return [*cells, f"{missing} missing" if missing else ""]

    def _to_dict(self) -> dict[str, Any]:
        return {
            "distance_unit": self.distance_unit,
            "paper_metrics": self.paper_metrics,
            "rules": RULES[self.paper_metrics],
            "cases": {
                case.name: {name: _case_values(score) for name, score in case.scores.items()} for case in self.cases
            },
            "summary": self.summary(),
            "not_scored": self.skipped,
            "warnings": self.warnings,
        }


_DIGITS = (4, 4, 2, 2)
"""Decimals of MEASURES in the table."""


def _value(score: ClassScore, measure: str) -> float:
    return getattr(score, measure if measure in ("dice", "jaccard") else f"{measure}_mm")


def _finite(values: Iterable[float]) -> list[float]:
    return [value for value in values if math.isfinite(value)]


def _mean(values: Sequence[float]) -> float:
    return statistics.fmean(values) if values else math.nan


def _statistic(values: Iterable[float]) -> Statistic:
    numbers = _finite(values)
    deviation = statistics.stdev(numbers) if len(numbers) > 1 else math.nan
    return Statistic(_mean(numbers), deviation, len(numbers))


def _plain(statistic: Statistic) -> dict[str, float | int | None]:
    numbers = {"mean": statistic.mean, "deviation": statistic.deviation}
    return {**{name: value if math.isfinite(value) else None for name, value in numbers.items()}, "cases": statistic.n}


def _case_values(score: ClassScore) -> dict[str, Any]:
    values: dict[str, Any] = {measure: _value(score, measure) for measure in MEASURES}
    return {
        **values,
        "missing": score.missing,
        "predicted_voxels": score.predicted_voxels,
        "reference_voxels": score.reference_voxels,
    }


def _head(unit: str) -> tuple[str, ...]:
    return ("case", "structure", "Dice", "Jaccard", f"HD95 [{unit}]", f"ASD [{unit}]", "")


def _cells(score: ClassScore) -> list[str]:
    numbers = [_number(_value(score, measure), digits) for measure, digits in zip(MEASURES, _DIGITS, strict=True)]
    remark = "" if not score.missing else "not found" if score.predicted_voxels == 0 else "not in the reference"
    return [*numbers, remark]


def _number(value: float, digits: int) -> str:
    return f"{value:.{digits}f}" if math.isfinite(value) else "-"


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns of equal width; names to the left, numbers to the right."""
    rows = [[shown(cell) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    sides: list[Callable[[str, int], str]] = [str.ljust, str.ljust, *[str.rjust] * len(MEASURES), str.ljust]
    padded = [[side(cell, width) for side, cell, width in zip(sides, row, widths, strict=True)] for row in rows]
    return ["  ".join(row).rstrip() for row in padded]
