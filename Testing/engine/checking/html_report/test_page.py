"""The check's page: one file that needs nothing else, the worst first, harmless whatever the files are called."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from checked import GRID, case_facts, check_result, finding, image_facts, label_facts, structure_facts
from page_reader import unclosed, words

from alhvr.checking.findings import KINDS, Severity
from alhvr.checking.html_report import view
from alhvr.checking.html_report.page import to_html, write_html
from alhvr.checking.result import CheckResult, Forecast
from alhvr.data.cases import Channel

FOUND = (finding("unreadable_image", Severity.FAULT, "labeled/broken", seen="It is cut off."),
         finding("archive_unlike", Severity.WARNING, "unlabeled/scan1"), finding("few_cases", Severity.NOTE))


def of_part(page: str, heading: str) -> str:
    """What follows one heading up to the next."""
    return page.split(f"<h2>{heading}</h2>")[1].split("<h2>")[0]


@pytest.fixture(scope="module")
def page() -> str:
    return to_html(check_result(findings=FOUND))


def test_the_page_needs_nothing_from_outside(page: str) -> None:
    assert re.findall(r'(?:src|href)="(?!data:|#)', page) == []
    assert "http://" not in page
    assert "https://" not in page
    assert "<script" not in page


def test_every_tag_is_closed_in_order(page: str) -> None:
    assert unclosed(page) == []


def test_every_drawing_is_well_formed(page: str) -> None:
    drawings = re.findall(r"<svg.*?</svg>", page)
    assert len(drawings) > 10
    for drawing in drawings:
        ElementTree.fromstring(drawing)


def test_every_link_leads_somewhere_in_the_page(page: str) -> None:
    ids = re.findall(r'id="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(ids)


def test_the_first_sentence_says_whether_training_would_start(page: str) -> None:
    assert "Training would not start: 1 fault, 1 warning and 1 note." in words(page)
    assert "Training can start: 1 warning." in words(to_html(check_result(findings=FOUND[1:2])))
    assert "Training can start: nothing was found." in words(to_html(check_result()))


def test_each_finding_shows_what_was_seen_where_and_what_to_do_in_order(page: str) -> None:
    first, second, third = re.findall(r'<article class="box finding (\w+)".*?<h3>(.*?)</h3>(.*?)</article>', page)
    assert (first[0], second[0], third[0]) == ("fault", "warning", "note")
    assert KINDS["unreadable_image"] in first[1]
    assert "It is cut off. What to do: Do something about it." in words(first[2])
    assert "broken (labelled)" in words(first[2])
    assert "labelled: broken.nii.gz" in words(first[2])


def test_a_severity_is_told_by_word_and_shape_not_by_colour_alone(page: str) -> None:
    assert re.findall(r'"badge">(.*?)<', page) == ["\u2716 fault 1", "\u25b2 warning 2", "\u25cf note 3"]


def test_a_case_refers_to_its_findings_and_says_why_it_cannot_be_read(page: str) -> None:
    part = of_part(page, "Labelled cases")
    assert "broken \u2716 1 It is cut off." in words(part)
    assert "one 20 \u00d7 16 \u00d7 5 voxels of 1.5 \u00d7 1.5 \u00d7 4 mm, LPS, MR" in words(part)
    assert "liver 9 ml , 3 slices spleen 2.5 ml , 3 slices" in words(part)


def test_the_archive_is_shown_with_the_furthest_off_first(page: str) -> None:
    part = words(of_part(page, "Archive"))
    assert part.index("scan1") < part.index("scan0")
    assert "How far off: 1 . Its intensity." in part


def test_the_label_is_drawn_over_the_first_channel_only() -> None:
    facts = case_facts("labeled", "two channels", images=(image_facts(1), image_facts(2)))
    page = to_html(CheckResult((facts,), (), labels=check_result().labels))
    first, second = re.findall(r'<g id="p0-\d">(.*?)</svg>', page)
    assert first.count('class="line"') == 2
    assert second.count('class="line"') == 0


def test_a_label_of_another_size_than_the_picture_is_not_drawn() -> None:
    facts = case_facts("labeled", "odd", label=label_facts(outline=np.ones((3, 3), np.uint8)))
    assert 'class="line"' not in to_html(replace(check_result(), facts=(facts,)))


def test_channels_are_called_by_their_names() -> None:
    facts = case_facts("labeled", "two channels", images=(image_facts(1), image_facts(2)))
    cases = replace(check_result().sets["labeled"], channels=(Channel("T1"), Channel("FLAIR")))
    part = of_part(to_html(CheckResult((facts,), (), {"labeled": cases})), "Intensities")
    assert re.findall("<h3>(.*?)</h3>", part) == ["T1", "FLAIR"]


def test_structures_are_counted_and_measured_over_all_cases(page: str) -> None:
    rows = [words(row) for row in re.findall("<tr>.*?</tr>", of_part(page, "Structures"))]
    assert rows[1:] == ["liver 1 2 of 2 1 of 1 9 \u2013 9 \u2013 9", "spleen 3 2 of 2 1 of 1 2.5 \u2013 2.5 \u2013 2.5"]


def test_volumes_are_in_voxels_where_no_spacing_is_known() -> None:
    unknown = replace(GRID, spacing_mm=(1.0, 1.0, 1.0))
    facts = case_facts("labeled", "one", label=label_facts(geometry=unknown))
    page = words(to_html(replace(check_result(), facts=(facts,))))
    assert "liver 1,000 voxels , 3 slices" in page
    assert "Smallest, median, largest [voxels]" in page


def test_a_value_without_a_name_is_listed_by_its_value() -> None:
    facts = case_facts("labeled", "odd", label=label_facts(structures={7: structure_facts()}))
    assert "value 7" in words(to_html(replace(check_result(), facts=(facts,))))


def test_what_nobody_annotated_is_told() -> None:
    facts = case_facts("labeled", "partly", label=label_facts(n_not_annotated=400, annotated_slices=3))
    facts = replace(facts, case=replace(facts.case, not_annotated=(3,)))
    shown = words(to_html(replace(check_result(), facts=(facts,))))
    assert "25 % of the voxels not annotated; something is annotated in 3 of 5 slices" in shown
    assert "spleen not annotated here" in shown


def test_the_forecast_is_shown_beside_what_is_free(page: str) -> None:
    assert "Memory 3.25 GB of 11 GB free Time 6.87 hours Disk 0.35 GB of 120 GB free" in words(page)
    unknown = to_html(check_result(forecast=Forecast(0.2, 0.4, 0.1, ())))
    assert "Memory 0.2 GB Time less than a minute Disk 0.1 GB" in words(unknown)


def test_a_large_archive_shows_no_more_pictures_than_allowed_and_says_how_many_are_left_out(
        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view, "PICTURES", 6)
    page = to_html(check_result(archive=9))
    assert page.count("<image ") == 6
    assert "6 scans are shown without one" in words(page)
    ranked = re.findall(r'id="c\d+"><(?:h3|th scope="row")>(scan\d)', page)
    assert ranked == [f"scan{i}" for i in range(8, -1, -1)]


def test_the_cases_of_the_findings_are_pictured_before_all_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view, "PICTURES", 1)
    page = to_html(check_result(findings=(finding("archive_unlike", Severity.WARNING, "unlabeled/scan0"),)))
    assert re.findall('<g id="(.*?)">', page) == ["p4-0"]


def test_a_finding_about_many_files_shows_a_few_and_folds_the_rest() -> None:
    many = finding("intensity_scale", Severity.WARNING, *(f"unlabeled/scan{i}" for i in range(300)))
    page = to_html(check_result(archive=300, findings=(many,)))
    assert "and 294 more cases" in words(page)
    assert "100 more are in the JSON file" in words(page)
    assert unclosed(page) == []


EVIL = '"><script>alert(1)</script>&\udcff'


def test_no_name_can_break_the_page(tmp_path: Path) -> None:
    facts = replace(case_facts("labeled", EVIL), images=(image_facts(warnings=(EVIL,)),))
    found = finding(EVIL, Severity.FAULT, f"labeled/{EVIL}", "labeled/not there <b>", seen=EVIL)
    result = check_result(findings=(replace(found, remedy=EVIL, files=(Path(f"/data/labeled/{EVIL}"), Path(EVIL))),))
    page = write_html(tmp_path / "check.html", replace(result, facts=(facts, *result.facts))).read_text("utf-8")
    assert "<script" not in page
    assert "not there &lt;b&gt;" in page
    assert unclosed(page) == []


def test_the_page_can_be_read_where_there_is_nothing_to_show() -> None:
    page = to_html(CheckResult((), ()))
    assert "Nothing was found that could be fixed." in words(page)
    assert unclosed(page) == []


def test_a_scan_without_statistics_or_with_a_flat_histogram_is_shown_all_the_same() -> None:
    odd = image_facts(histogram=(0,) * 64)
    bare = image_facts(print=replace(odd.print, intensity=None))
    cases = (case_facts("labeled", "flat", images=(odd,)), case_facts("unlabeled", "bare", images=(bare,)))
    assert unclosed(to_html(replace(check_result(), facts=cases))) == []


def test_a_picture_of_one_pixel_is_no_trouble() -> None:
    tiny = case_facts("unlabeled", "tiny", images=(image_facts(thumbnail=np.zeros((1, 1), np.uint8)),))
    assert 'viewBox="0 0 1 1"' in to_html(replace(check_result(), facts=(tiny,)))
