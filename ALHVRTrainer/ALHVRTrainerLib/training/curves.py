"""Curves: the numbers of a training as points that stay few however long it goes on. No Qt, no scene."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ALHVRLib.child_events import finite
from ALHVRLib.models.untrusted_files import one_line

MOST_POINTS = 2000
"""Of one curve; twice as many become half as many, each the mean of two neighbours."""
MOST_CURVES = 64
NAME_LETTERS = 60
LOSSES, DICE = "losses", "dice"


@dataclass(frozen=True)
class Best:
    """The best mean Dice on held-out cases so far."""

    dice: float
    """0 to 1."""
    minute: float
    """Minutes of training of its arm."""


class Curve:
    """One named number over the minutes of a training."""

    def __init__(self, most: int = MOST_POINTS) -> None:
        self._kept = np.empty((2, most))
        self._n_kept = 0
        self._each = 1
        """How many points a kept one stands for."""
        self._sum = np.zeros(2)
        self._n_waiting = 0

    def add(self, minute: float, value: float) -> None:
        """The next point."""
        self._sum += (minute, value)
        self._n_waiting += 1
        if self._n_waiting < self._each:
            return
        self._kept[:, self._n_kept] = self._sum / self._n_waiting
        self._n_kept += 1
        self._sum[:], self._n_waiting = 0.0, 0
        if self._n_kept == self._kept.shape[1]:
            self._halve()

    def points(self) -> np.ndarray:
        """Float64 [2, N]: minutes and values, at most as many as were allowed; the newest point is the last."""
        kept = self._kept[:, : self._n_kept]
        if not self._n_waiting:
            return kept.copy()
        return np.column_stack([kept, self._sum / self._n_waiting])

    def __len__(self) -> int:
        return self._n_kept + bool(self._n_waiting)

    def _halve(self) -> None:
        pairs = self._kept[:, : self._n_kept // 2 * 2].reshape(2, -1, 2).mean(axis=2)
        self._n_kept = pairs.shape[1]
        self._kept[:, : self._n_kept] = pairs
        self._each *= 2


@dataclass
class ArmCurves:
    """What metrics.jsonl tells of one training."""

    dice: dict[str, Curve] = field(default_factory=dict)
    """Held-out Dice, 0 to 1, by structure."""
    mean: Curve = field(default_factory=Curve)
    """Held-out Dice, the mean over structures."""
    losses: dict[str, Curve] = field(default_factory=dict)
    regions: dict[str, Curve] = field(default_factory=dict)
    """Share of the archive's pixels in each region, 0 to 1."""
    best: Best | None = None
    iteration: int = 0
    elapsed_s: float = 0.0
    """Seconds trained, over all sittings."""

    def take(self, values: Any) -> str:
        """Add what one line says; returns "dice", "losses", or "" for a line that is no good. Nothing is raised."""
        if not isinstance(values, dict):
            return ""
        iteration, elapsed_s = finite(values.get("iteration")), finite(values.get("elapsed_s"))
        if iteration is None or elapsed_s is None or elapsed_s < 0:
            return ""
        self.iteration, self.elapsed_s = int(iteration), float(elapsed_s)
        minute = elapsed_s / 60
        mean = finite(values.get("mean_dice"))
        if mean is not None and 0 <= mean <= 1:
            _add(self.dice, values.get("dice"), minute)
            self._take_mean(minute, float(mean))
            return DICE
        _add(self.losses, values.get("losses"), minute)
        _add(self.regions, values.get("regions"), minute)
        return LOSSES

    def _take_mean(self, minute: float, mean: float) -> None:
        self.mean.add(minute, mean)
        if self.best is None or mean > self.best.dice:
            self.best = Best(mean, minute)


def _add(curves: dict[str, Curve], values: Any, minute: float) -> None:
    for name, value in values.items() if isinstance(values, dict) else ():
        number, title = finite(value), one_line(str(name).replace("_", " "), NAME_LETTERS)
        if number is not None and (title in curves or len(curves) < MOST_CURVES):
            curves.setdefault(title, Curve()).add(minute, float(number))
