"""How well the high-value regions find errors: their share of the wrong voxels against their share of the volume.

Regions 2 and 3 are where one network, or none, stays confident under perturbation. Beside them stand two plain rules
that flag equally many voxels: the highest entropy, and the lowest largest probability, of the mean of both networks.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from alhvr.core import files
from alhvr.core.errors import UserError
from alhvr.core.files import shown
from alhvr.formats.region_tables import LEVELS, GammaCurve, regions_at, threshold_level

BETAS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
"""Reported where nobody asks for others."""
SHOWN_BETA = 0.8
"""Of which the table tells every case; the nearest one where it is not among those that were asked for."""
ENTROPY, PROBABILITY = "entropy", "probability"
RULES = {
    ENTROPY: "entropy of the mean of both networks' probabilities",
    PROBABILITY: "1 - largest probability of that mean",
}
"""What the regions are compared with."""


@dataclass(frozen=True)
class ErrorMaps:
    """One segmented scan with its truth; arrays [K, J, I] of one shape."""

    confidence_a: np.ndarray
    """uint16, 65535 = 1: largest class probability of network a under perturbation."""
    confidence_b: np.ndarray
    wrong: np.ndarray
    """bool: the segmentation differs from the reference."""
    known: np.ndarray
    """bool: annotated; nothing else is counted."""
    rules: Mapping[str, np.ndarray] = field(default_factory=dict)
    """uint16, larger is more doubtful, by name of RULES; empty where the networks were not run."""


@dataclass(frozen=True)
class RegionErrors:
    """What the regions of one beta hold of one case."""

    beta: float
    gamma: float
    """Threshold of Eq. 11 over the whole scan, 0 to 1."""
    voxels: tuple[int, int, int]
    """Annotated voxels of regions 1, 2 and 3."""
    wrong: tuple[int, int, int]
    """Those of them that are segmented wrongly."""
    wrong_by_rule: dict[str, float]
    """Wrong voxels among equally many by each rule of RULES; of equal values a share."""

    @property
    def volume(self) -> float:
        """Share of the annotated voxels that lie in regions 2 and 3, 0 to 1."""
        return sum(self.voxels[1:]) / sum(self.voxels)

    @property
    def found(self) -> float:
        """Share of the wrong voxels that lie in regions 2 and 3, 0 to 1; nan where nothing is wrong."""
        return self._share(sum(self.wrong[1:]))

    @property
    def error_rate_1(self) -> float:
        """Share of region 1 that is wrong, 0 to 1; nan where it is empty."""
        return self.wrong[0] / self.voxels[0] if self.voxels[0] else math.nan

    def found_by(self, rule: str) -> float:
        """Share of the wrong voxels that a rule of RULES finds in the same volume; nan where nobody knows."""
        return self._share(self.wrong_by_rule.get(rule, math.nan))

    def _share(self, wrong: float) -> float:
        return wrong / sum(self.wrong) if any(self.wrong) else math.nan

    def to_dict(self) -> dict[str, Any]:
        """Plain values; a share that does not exist is None."""
        shares = {"volume": self.volume, "found": self.found, "error_rate_region_1": self.error_rate_1,
                  **{f"found_by_{rule}": self.found_by(rule) for rule in RULES}}
        return {"gamma": self.gamma, "voxels": list(self.voxels), "wrong": list(self.wrong),
                **{name: _plain(value) for name, value in shares.items()}}


def find_errors(maps: ErrorMaps, betas: Sequence[float]) -> tuple[RegionErrors, ...]:
    """The regions of each of ``betas`` (above 0, at most 1) against the errors; raises UserError where none is known.
    """
    if not maps.known.any():
        raise UserError("nothing is annotated in the reference.")
    curve, wrong = GammaCurve(maps.confidence_a, maps.confidence_b), maps.wrong[maps.known]
    con_a, con_b = maps.confidence_a[maps.known], maps.confidence_b[maps.known]
    rankings = {name: _Ranking(levels[maps.known], wrong) for name, levels in maps.rules.items()}
    found = []
    for beta in betas:
        gamma = curve.gamma(beta)
        region = regions_at(con_a, con_b, threshold_level(gamma))
        voxels, errors = (tuple(np.bincount(part, minlength=4)[1:4].tolist()) for part in (region, region[wrong]))
        by_rule = {name: ranking.wrong_among(sum(voxels[1:])) for name, ranking in rankings.items()}
        found.append(RegionErrors(beta, gamma, voxels, errors, by_rule))
    return tuple(found)


class _Ranking:
    """Voxels from the most to the least doubtful one, and how many of them are wrong."""

    def __init__(self, levels: np.ndarray, wrong: np.ndarray) -> None:
        """``levels`` uint16 [N], larger is more doubtful; ``wrong`` bool [N]."""
        counts = [np.bincount(part, minlength=LEVELS + 1)[::-1] for part in (levels, levels[wrong])]
        self._voxels, self._wrong = (np.concatenate([[0], np.cumsum(count)]) for count in counts)

    def wrong_among(self, n_voxels: int) -> float:
        """Wrong ones of the ``n_voxels`` most doubtful; of those that are equally doubtful, their share."""
        return float(np.interp(n_voxels, self._voxels, self._wrong))


@dataclass(frozen=True)
class RegionReport:
    """All cases, for every beta."""

    cases: dict[str, tuple[RegionErrors, ...]]
    """By case name, in the order of the betas."""
    skipped: dict[str, str]
    """Case to the reason why it was not counted."""
    warnings: tuple[str, ...] = ()

    @property
    def betas(self) -> tuple[float, ...]:
        """As in every case."""
        return tuple(entry.beta for entry in next(iter(self.cases.values())))

    def mean(self, beta: float, measure: Callable[[RegionErrors], float]) -> float:
        """Mean of a measure over the cases where it is a number; nan where it is none."""
        values = [value for value in map(measure, self._at(beta).values()) if not math.isnan(value)]
        return statistics.fmean(values) if values else math.nan

    def worst(self, beta: float) -> str | None:
        """The case whose errors the regions find least well; None where nothing is wrong anywhere."""
        shares = {name: entry.found for name, entry in self._at(beta).items() if not math.isnan(entry.found)}
        return min(shares, key=lambda name: shares[name]) if shares else None

    def summary(self) -> dict[str, dict[str, Any]]:
        """By beta: the means over cases, and the worst case; a number that does not exist is None."""
        rows = {}
        for beta in self.betas:
            worst = self.worst(beta)
            rows[f"{beta:g}"] = {
                **{name: _plain(self.mean(beta, measure)) for name, measure in _MEASURES.items()},
                "worst_case": worst, "worst_found": self._at(beta)[worst].found if worst else None}
        return rows

    def table(self) -> str:
        """Aligned plain text: every case at one beta, then the means and the worst case at every beta."""
        shown_beta = min(self.betas, key=lambda beta: abs(beta - SHOWN_BETA))
        cases = [[shown(name), *_cells(lambda measure, one=entry: measure(one))]
                 for name, entry in self._at(shown_beta).items()]
        means = [[f"{beta:g}", *_cells(lambda measure, at=beta: self.mean(at, measure)), self._worst_cell(beta)]
                 for beta in self.betas]
        lines = [f"Regions 2 and 3 at beta {shown_beta:g}, in % of the annotated voxels and of the errors:", "",
                 *_aligned([["case", *_HEAD], *cases]), "", "Mean over the cases:", "",
                 *_aligned([["beta", *_HEAD, "worst case"], *means]), "", *_RULE_LINES]
        lines += [shown(f"not counted: {name}: {reason}") for name, reason in self.skipped.items()]
        return "\n".join([*lines, *(shown(f"note: {warning}") for warning in self.warnings)])

    def to_json(self) -> str:
        """The whole report as JSON text."""
        return files.to_json(self._to_dict())

    def write_json(self, path: Path) -> None:
        """Writes ``to_json`` to a temporary name and moves it to ``path``."""
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write_json(path, self._to_dict())

    def _to_dict(self) -> dict[str, Any]:
        return {"rules": RULES, "summary": self.summary(), "not_counted": self.skipped, "warnings": list(self.warnings),
                "cases": {name: {f"{entry.beta:g}": entry.to_dict() for entry in entries}
                          for name, entries in self.cases.items()}}

    def _at(self, beta: float) -> dict[str, RegionErrors]:
        index = self.betas.index(beta)
        return {name: entries[index] for name, entries in self.cases.items()}

    def _worst_cell(self, beta: float) -> str:
        worst = self.worst(beta)
        return "-" if worst is None else f"{_percent(self._at(beta)[worst].found)} {shown(worst)}"


_MEASURES: dict[str, Callable[[RegionErrors], float]] = {
    "volume": lambda entry: entry.volume,
    "found": lambda entry: entry.found,
    "found_by_entropy": lambda entry: entry.found_by(ENTROPY),
    "found_by_probability": lambda entry: entry.found_by(PROBABILITY),
    "error_rate_region_1": lambda entry: entry.error_rate_1,
}
"""The columns of the tables, by their names in JSON."""
_HEAD = ("volume", "errors found", "by entropy", "by 1 - max p", "wrong in region 1")
_RULE_LINES = (
    "volume: what regions 2 and 3 take. errors found: what they hold of the wrongly segmented voxels.",
    "by entropy, by 1 - max p: what as many voxels hold, taken by the highest entropy or by the lowest largest",
    "probability of the mean of both networks. A case without any error counts in volume and region 1 alone.")


def _cells(value_of: Callable[[Callable[[RegionErrors], float]], float]) -> list[str]:
    return [_percent(value_of(measure), 2 if name in ("volume", "error_rate_region_1") else 1)
            for name, measure in _MEASURES.items()]


def _percent(share: float, digits: int = 1) -> str:
    return "-" if math.isnan(share) else f"{100 * share:.{digits}f}"


def _plain(value: float) -> float | None:
    return None if math.isnan(value) else value


def _aligned(rows: Iterable[Sequence[str]]) -> list[str]:
    """Columns of equal width: names, in the first and in a sixth one after the numbers, to the left."""
    rows = list(rows)
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    last_number = len(_HEAD)
    return ["  ".join(cell.rjust(width) if 0 < column <= last_number else cell.ljust(width)
                      for column, (cell, width) in enumerate(zip(row, widths, strict=True))).rstrip() for row in rows]
