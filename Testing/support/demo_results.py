"""A made-up end of a demo, for tests of its page."""

from __future__ import annotations

import math

from alhvr.demo.report import DemoResults
from alhvr.evaluation.metrics import ClassScore
from alhvr.evaluation.results import CaseScores, Report


def scores(liver: float, pancreas: float) -> Report:
    """Two scans around these mean Dice; the pancreas has no distances."""
    def case(name: str, change: float) -> CaseScores:
        return CaseScores(name, {"liver": ClassScore(liver + change, 0.5, 7.0, 2.0, 10, 10),
                                 "pancreas": ClassScore(pancreas + change, 0.5, math.inf, math.inf, 0, 10)})

    return Report(("liver", "pancreas"), (case("scan_1", 0.02), case("scan_2", -0.02)), {}, "mm")


def demo_results(before: Report, after: Report, **facts: str) -> DemoResults:
    """Both models' scores with three pictures that are none."""
    pictures = {name: b"\x89PNG" for name in ("segmentation", "regions", "curves")}
    return DemoResults(before, after, {1: 0.9, 2: 0.04, 3: 0.06}, pictures, {"Seed": "0", **facts}, {"study/": "scans"})
