"""The demo's page: honest words whichever way the scores went, and one file that needs nothing from outside."""

from __future__ import annotations

import math
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from alhvr.demo.report import DemoResults, verdict, write_demo_report
from alhvr.evaluation.metrics import ClassScore
from alhvr.evaluation.results import CaseScores, Report
from alhvr.formats.region_tables import REGION_NAMES


def report(liver: float, pancreas: float) -> Report:
    def case(name: str, change: float) -> CaseScores:
        return CaseScores(name, {"liver": ClassScore(liver + change, 0.5, 7.0, 2.0, 10, 10),
                                 "pancreas": ClassScore(pancreas + change, 0.5, math.inf, math.inf, 0, 10)})

    return Report(("liver", "pancreas"), (case("scan_1", 0.02), case("scan_2", -0.02)), {}, "mm")


def results(before: Report, after: Report, **facts: str) -> DemoResults:
    pictures = {name: b"\x89PNG" for name in ("segmentation", "regions", "curves")}
    return DemoResults(before, after, {1: 0.9, 2: 0.04, 3: 0.06}, pictures, {"Seed": "0", **facts}, {"study/": "scans"})


@pytest.mark.parametrize(
    ("after", "words"),
    [((0.91, 0.60), "The archive helped"), ((0.90, 0.30), "did not help"), ((0.905, 0.40), "no clear difference"),
     ((0.82, 0.48), "no clear difference")],
)
def test_the_verdict_follows_the_mean_of_the_scores(after: tuple[float, float], words: str) -> None:
    first = verdict(results(report(0.90, 0.40), report(*after)))[0]
    assert words in first
    assert "0.650" in first


def test_the_verdict_names_what_became_worse_beside_what_became_better() -> None:
    second = verdict(results(report(0.90, 0.40), report(0.85, 0.60)))[1]
    assert second == "Better: pancreas (+0.200). Worse: liver (\u22120.050)."


def test_the_verdict_says_so_when_nothing_was_learned() -> None:
    assert "Neither model learned" in verdict(results(report(0.05, 0.02), report(0.15, 0.02)))[0]


def test_the_verdict_always_warns_that_the_test_is_small() -> None:
    assert "2 generated scans" in verdict(results(report(0.9, 0.4), report(0.9, 0.6)))[-1]


@pytest.fixture
def page(tmp_path: Path) -> str:
    filled = results(report(0.90, 0.40), report(0.91, 0.60), Machine="<b>fast & small</b>")
    return write_demo_report(tmp_path / "report.html", filled).read_text(encoding="utf-8")


def test_the_page_holds_both_scores_of_every_structure_and_the_mean(page: str) -> None:
    cells = [re.sub(r"<[^>]+>", " ", row).split() for row in re.findall(r"<tr.*?</tr>", page)]
    assert ["liver", "0.900", "0.910", "+0.010"] in cells
    assert ["pancreas", "0.400", "0.600", "+0.200"] in cells
    assert ["mean", "of", "all", "structures", "0.650", "0.755", "+0.105"] in cells


def test_a_distance_that_does_not_exist_is_a_dash(page: str) -> None:
    assert "inf" not in re.sub(r"<[^>]+>", " ", page).split()
    assert "<td>\u2013</td>" in page


def test_the_page_needs_nothing_from_outside(page: str) -> None:
    assert re.findall(r'(?:src|href)="(?!data:)', page) == []
    assert "http://" not in page
    assert "https://" not in page
    assert page.count("data:image/png;base64,") == 3


def test_every_picture_has_words_for_those_who_cannot_see_it(page: str) -> None:
    assert len(re.findall(r'<img alt="[^"]{20,}"', page)) == 3


def test_the_page_says_that_it_is_no_medical_device_and_what_the_regions_mean(page: str) -> None:
    assert page.count("ot a medical device") == 2
    for name in REGION_NAMES.values():
        assert name in page


def test_values_cannot_break_the_page(page: str) -> None:
    assert "&lt;b&gt;fast &amp; small&lt;/b&gt;" in page
    assert Balance.unclosed(page) == []


class Balance(HTMLParser):
    """Notes every tag that is not closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    @classmethod
    def unclosed(cls, page: str) -> list[str]:
        """The tags left open, or closed without being open."""
        parser = cls()
        parser.feed(page)
        return parser.open

    def handle_starttag(self, tag: str, attrs: list) -> None:
        """Remembers a tag that needs an end."""
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Takes the tag off, or leaves a mark that it was not the innermost."""
        if self.open and self.open[-1] == tag:
            self.open.pop()
        else:
            self.open.append(f"/{tag}")
