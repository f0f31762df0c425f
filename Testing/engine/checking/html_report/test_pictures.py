"""Thumbnails and charts of the check's page: true pictures, true outlines, readable figures."""

from __future__ import annotations

import re

import numpy as np
import pytest
from checked import image_facts

from alhvr.checking.html_report.charts import (
    COLOURS,
    LineStyle,
    dots,
    histogram,
    intensity_chart,
    outline_path,
    outlined,
    rounded,
)
from alhvr.data.fingerprint import Fingerprint
from alhvr.data.intensity import Statistics


def edges(path: str) -> set[tuple[int, int, int, int]]:
    """The path's lines, cut into pieces one pixel long."""
    pieces = set()
    for x, y, way, end in ((int(x), int(y), way, int(end)) for x, y, way, end in
                           re.findall(r"M(\d+) (\d+)([HV])(\d+)", path)):
        if way == "H":
            pieces |= {(i, y, i + 1, y) for i in range(x, end)}
        else:
            pieces |= {(x, j, x, j + 1) for j in range(y, end)}
    return pieces


def test_one_pixel_is_outlined_by_its_four_edges() -> None:
    mask = np.zeros((3, 4), bool)
    mask[1, 2] = True
    assert edges(outline_path(mask)) == {(2, 1, 3, 1), (2, 2, 3, 2), (2, 1, 2, 2), (3, 1, 3, 2)}


def test_an_outline_lies_wherever_a_pixel_differs_from_its_neighbour() -> None:
    mask = np.random.default_rng(1).random((9, 7)) < 0.5
    around = np.pad(mask, 1)
    expected = {(i, j, i + 1, j) for j in range(10) for i in range(7) if around[j, i + 1] != around[j + 1, i + 1]}
    expected |= {(i, j, i, j + 1) for j in range(9) for i in range(8) if around[j + 1, i] != around[j + 1, i + 1]}
    assert edges(outline_path(mask)) == expected


def test_a_mask_that_fills_the_picture_is_outlined_along_its_border() -> None:
    assert outline_path(np.ones((2, 3), bool)) == "M0 0H3M0 2H3M0 0V2M3 0V2"


def test_only_the_values_with_a_style_are_drawn_and_each_says_what_it_is() -> None:
    outline = np.array([[0, 1], [2, 255]], np.uint8)
    drawn = outlined(outline, {1: LineStyle("liver <b>", "red"), 9: LineStyle("spleen", "blue")})
    assert [re.findall(r'<title>(.*?)</title>.*class="line" (\S+)', one.markup) for one in drawn] == [
        [("liver &lt;b&gt;", 'stroke="red"')]]


def test_many_structures_have_lines_that_differ() -> None:
    assert len({LineStyle.of_structure(index, "") for index in range(3 * len(COLOURS))}) == 3 * len(COLOURS)


def test_the_first_structures_differ_without_their_colours() -> None:
    assert len({LineStyle.of_structure(index, "").dash for index in range(3)}) == 3


@pytest.mark.parametrize(("value", "shown"), [
    (0.0, "0"), (1234567.0, "1,234,567"), (-1024.4, "\u22121,024"), (3.14159, "3.14"), (0.00012, "0.00012"),
    (2.5e9, "2.50e+09"), (1e-7, "1.00e\u221207"), (float("nan"), "\u2013"), (float("-inf"), "\u2013")])
def test_figures_are_short_and_readable(value: float, shown: str) -> None:
    assert rounded(value) == shown


def test_a_histogram_names_its_range() -> None:
    assert re.findall(">([^<>]+)</text>", histogram(image_facts()).markup) == ["\u22122", "120"]


def scaled(seed: int, factor: float) -> object:
    seen = Statistics(0.0, 50 * factor, 100 * factor, 50 * factor, 20 * factor)
    image = image_facts(seed)
    return image_facts(seed, print=Fingerprint(image.print.geometry, "MR", seen))


def test_scans_on_another_scale_do_not_squeeze_the_others_and_are_counted() -> None:
    chart = intensity_chart([scaled(i, 1.0) for i in range(4)], [scaled(9, 1000.0)]).markup
    assert re.findall(">([^<>]+)</text>", chart) == ["0", "100"]
    assert "1 of 5 scans lie on quite another scale." in chart


def test_a_chart_has_a_line_per_labelled_scan_over_one_band() -> None:
    chart = intensity_chart([image_facts(i) for i in range(3)], [image_facts(i) for i in range(5, 9)]).markup
    assert (chart.count('class="curve"'), chart.count('class="band"')) == (3, 1)
    assert not intensity_chart([], [])


def test_dots_lie_between_zero_and_the_largest() -> None:
    assert re.findall('cx="([^"]+)"', dots([0.0, 5.0, 10.0], 10.0, "Volumes").markup) == ["4.0", "100.0", "196.0"]
    assert re.findall('cx="([^"]+)"', dots([0.0], 0.0, "Volumes").markup) == ["4.0"]
