"""The demo's page: honest words whichever way the scores went, and one file that needs nothing from outside."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from demo_results import demo_results, scores
from page_reader import read_page, unclosed

from alhvr.demo.report import verdict, write_demo_report
from alhvr.formats.region_tables import REGION_NAMES


@pytest.mark.parametrize(
    ("after", "words"),
    [((0.91, 0.60), "The archive helped"), ((0.90, 0.30), "did not help"), ((0.905, 0.40), "no clear difference"),
     ((0.82, 0.48), "no clear difference")],
)
def test_the_verdict_follows_the_mean_of_the_scores(after: tuple[float, float], words: str) -> None:
    first = verdict(demo_results(scores(0.90, 0.40), scores(*after)))[0]
    assert words in first
    assert "0.650" in first


def test_the_verdict_names_what_became_worse_beside_what_became_better() -> None:
    second = verdict(demo_results(scores(0.90, 0.40), scores(0.85, 0.60)))[1]
    assert second == "Better: pancreas (+0.200). Worse: liver (\u22120.050)."


def test_the_verdict_says_so_when_nothing_was_learned() -> None:
    assert "Neither model learned" in verdict(demo_results(scores(0.05, 0.02), scores(0.15, 0.02)))[0]


def test_the_verdict_always_warns_that_the_test_is_small() -> None:
    assert "2 generated scans" in verdict(demo_results(scores(0.9, 0.4), scores(0.9, 0.6)))[-1]


@pytest.fixture
def page(tmp_path: Path) -> str:
    filled = demo_results(scores(0.90, 0.40), scores(0.91, 0.60), Machine="<b>fast & small</b>")
    return write_demo_report(tmp_path / "report.html", filled).read_text(encoding="utf-8")


def test_the_page_holds_both_scores_of_every_structure_and_the_mean(page: str) -> None:
    rows = [row.words for row in read_page(page).all("tr")]
    assert {"liver 0.900 0.910 +0.010", "pancreas 0.400 0.600 +0.200",
            "mean of all structures 0.650 0.755 +0.105"} <= set(rows)


def test_a_distance_that_does_not_exist_is_a_dash(page: str) -> None:
    assert "inf" not in re.sub(r"<[^>]+>", " ", page).split()
    assert "<td>\u2013</td>" in page


def test_the_page_needs_nothing_from_outside(page: str) -> None:
    assert re.findall(r'(?:src|href)="(?!data:|#)', page) == []
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
    assert unclosed(page) == []
