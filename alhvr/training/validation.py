"""Validation: the predictor that users run, on whole scans in their own geometry, scored with Dice per class."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from alhvr.bundle import InferenceSettings
from alhvr.data.cases import Case
from alhvr.data.labels import LabelSet
from alhvr.data.plan import Plan
from alhvr.data.reading import read_scan
from alhvr.data.store import read_label_of
from alhvr.evaluation.metrics import dice_by_class
from alhvr.inference.backends import Backend
from alhvr.inference.postprocess import keep_largest_component
from alhvr.inference.predictor import Predictor
from alhvr.progress import Reporter

CLEANED = "+largest component"


@dataclass(frozen=True)
class ValidationScore:
    """Dice of one way to segment, per class and over classes, each a mean over the validation cases."""

    by_class: dict[str, float]
    mean: float


@dataclass(frozen=True)
class Validator:
    """The held-out cases and how to segment them."""

    cases: Sequence[Case]
    plan: Plan
    labels: LabelSet
    settings: InferenceSettings
    should_stop: Callable[[], bool]
    reporter: Reporter

    def score(self, backend: Backend, rules: Sequence[str] = ("mean",), *, cleaned: bool = False,
              ) -> dict[str, ValidationScore]:
        """Scores every fusion rule ("mean", "competition", or one network: "a", "b").

        With ``cleaned``, each rule is also scored with the largest component per class, as RULE+CLEANED.
        Raises Cancelled when should_stop says so.
        """
        predictor = Predictor(backend, self.plan, self.labels, self.settings)
        rows: dict[str, list[list[float]]] = {}
        for done, case in enumerate(self.cases):
            self.reporter.progress("validating", done, len(self.cases))
            scan = read_scan(case.image)
            reference = self.labels.to_class_index(read_label_of(case, scan).array)
            found = predictor.segment_all(scan, rules=rules, should_stop=self.should_stop)
            if cleaned:
                classes = range(1, self.labels.n_classes)
                found |= {rule + CLEANED: keep_largest_component(seen, classes) for rule, seen in found.items()}
            for rule, seen in found.items():
                rows.setdefault(rule, []).append(dice_by_class(seen, reference, self.labels.n_classes))
        self.reporter.progress("validating", len(self.cases), len(self.cases))
        return {rule: self._summary(np.array(dice)) for rule, dice in rows.items()}

    def _summary(self, dice: np.ndarray) -> ValidationScore:
        """Mean over cases of ``dice`` [cases, classes - 1]."""
        by_class = dict(zip(self.labels.names, (round(float(d), 5) for d in dice.mean(axis=0)), strict=True))
        return ValidationScore(by_class=by_class, mean=round(float(dice.mean()), 5))
