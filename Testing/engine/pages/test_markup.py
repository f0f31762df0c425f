"""Markup is safe however it is put together: text stays text, and nothing runs or is loaded."""

from __future__ import annotations

import ast
import io

import numpy as np
import pytest
from page_reader import read_page
from PIL import Image
from support import ROOT

from alhvr.pages.markup import NOTHING, Html, element, embedded, joined, png

EVIL = '"><script>alert(1)</script>&\'\udcff\u202e\x1b'
HARMLESS = "&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;&amp;&#x27;\\udcff\\u202e\\x1b"


def test_text_is_escaped_wherever_it_stands() -> None:
    assert element("p", EVIL).markup == f"<p>{HARMLESS}</p>"
    assert element("p", aria_label=EVIL).markup == f'<p aria-label="{HARMLESS}"></p>'
    assert joined(["a", "b"], EVIL).markup == f"a{HARMLESS}b"


def test_markup_in_markup_is_not_escaped_again() -> None:
    assert element("p", "1 < ", element("b", 2), None, "").markup == "<p>1 &lt; <b>2</b></p>"


def test_markup_cannot_become_a_string_by_accident() -> None:
    with pytest.raises(TypeError, match="joined"):
        f"{element('p')}"


@pytest.mark.parametrize("tag", ["script", "iframe", "style", "link", "object", "input", "p><script"])
def test_an_element_that_runs_loads_or_asks_is_refused(tag: str) -> None:
    with pytest.raises(ValueError, match="may not hold the element"):
        element(tag)


@pytest.mark.parametrize("name", ["onclick", "style", "srcset", "srcdoc", "ping", 'x="" onload'])
def test_an_attribute_that_runs_loads_or_styles_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="may not hold the attribute"):
        element("p", **{name: "x"})


@pytest.mark.parametrize("address", ["https://example.org", "//example.org", "file.png", "javascript:alert(1)",
                                     "data:text/html;base64,AAAA", "data:image/png;base64,AAAA\n", "#a b", ""])
def test_an_address_outside_the_page_is_refused(address: str) -> None:
    for tag, name in (("a", "href"), ("img", "src"), ("use", "href")):
        with pytest.raises(ValueError, match="one file"):
            element(tag, **{name: address})


def test_addresses_inside_the_page_are_taken() -> None:
    assert element("a", "there", href="#c1").markup == '<a href="#c1">there</a>'
    assert element("img", src=embedded(b"\x89PNG")).markup == '<img src="data:image/png;base64,iVBORw==">'


def test_empty_pieces_leave_no_separator() -> None:
    assert joined(["a", None, NOTHING, "", "b"], ", ").markup == "a, b"
    assert not joined([None, NOTHING])


def test_parts_of_a_drawing_close_themselves() -> None:
    assert read_page(element("svg", element("path", d="M0 0"), viewBox="0 0 1 1").markup).words == ""
    assert element("path", d="M0 0", stroke_dasharray=None).markup == '<path d="M0 0"/>'


def test_a_png_holds_the_very_pixels_and_nothing_else() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (23, 41), dtype=np.uint8)
    with Image.open(io.BytesIO(png(pixels[:, ::-1]))) as opened:
        assert opened.mode == "L" and not opened.info
        assert np.array_equal(np.asarray(opened), pixels[:, ::-1])


def test_only_the_kit_makes_markup() -> None:
    """Whoever could call Html() could pass text by the escaping."""
    makers = set()
    for path in (ROOT / "alhvr").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            called = isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) == "Html"
            if called or (isinstance(node, ast.Attribute) and node.attr == "markup"):
                makers.add(path.relative_to(ROOT / "alhvr").as_posix())
    assert makers == {"pages/markup.py", "pages/parts.py"}
    assert Html("").markup == ""
