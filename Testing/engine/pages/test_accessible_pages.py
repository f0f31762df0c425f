"""All pages can be read by everybody: with a keyboard, by ear, without colours, in the dark, on paper, offline."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise, product

import pytest
from checked import case_facts, check_result, finding, image_facts
from demo_results import demo_results, scores
from page_reader import Element, read_page
from support import ROOT

from alhvr.checking.findings import Severity
from alhvr.checking.html_report import view
from alhvr.checking.html_report.page import to_html
from alhvr.comparison.outcome import CaseOutcome, Outcome, StructureScore, Training
from alhvr.comparison.page import to_html as outcome_page
from alhvr.demo.report import write_demo_report
from alhvr.pages.parts import Row, page, section, table

EVIL = '"><script>alert(1)</script>&\u202e\x1b'
CSS = re.sub(r"/\*.*?\*/", "", (ROOT / "alhvr" / "pages" / "page.css").read_text(encoding="utf-8"), flags=re.DOTALL)
PAGES = ("check", "demo", "comparison")
NAMED_COLOUR = {"color": r"(?<![\w-])color:", "background": r"background:"}


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """All pages with everything that they can show, and hostile names."""
    found = (finding("unreadable_image", Severity.FAULT, "labeled/broken", seen=EVIL),
             finding("intensity_scale", Severity.WARNING, *(f"unlabeled/scan{i}" for i in range(12))),
             finding("few_cases", Severity.NOTE))
    result = check_result(findings=found, archive=12)
    two_channels = case_facts("labeled", EVIL, images=(image_facts(1), image_facts(2)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(view, "PICTURES", 12)
        check = to_html(replace(result, facts=(*result.facts, two_channels)))
    results = demo_results(scores(0.9, 0.4), scores(0.91, 0.6), Machine=EVIL)
    demo = write_demo_report(tmp_path_factory.mktemp("demo") / "report.html", results).read_text(encoding="utf-8")
    return {"check": check, "demo": demo, "comparison": outcome_page(outcome_of(EVIL), by_minutes=True)}


def outcome_of(name: str) -> Outcome:
    """A comparison of all arms on two patients, with a structure that was missed and one that nobody annotated."""
    scores = {arm: {name: StructureScore(dice, 2.5), "missed": StructureScore(0.0, None, missed=True),
                    "unknown": StructureScore(None, None)}
              for arm, dice in (("before", 0.4), ("labels-only", 0.6), ("archive", 0.55))}
    trainings = {arm: Training(15.0, 400, 380, f"{arm}/model", arm == "archive") for arm in ("labels-only", "archive")}
    cases = tuple(CaseOutcome(f"{name} {number}", f"p{number}", scores, {}) for number in range(2))
    return Outcome((name, "missed", "unknown"), cases, trainings, "mm")


@pytest.fixture(params=PAGES)
def source(request: pytest.FixtureRequest, sources: dict[str, str]) -> str:
    return sources[request.param]


@pytest.fixture
def root(source: str) -> Element:
    return read_page(source)


def only(root: Element, tag: str) -> Element:
    (found,) = root.all(tag)
    return found


def declared(name: str) -> list[tuple[str, str]]:
    """Selector and value of each declaration of a colour property in the style sheet."""
    rules = re.findall(r"([^{}]+)\{([^{}]*)\}", CSS)
    return [(selector.strip(), value.strip()) for selector, body in rules
            for value in re.findall(NAMED_COLOUR[name] + r"([^;}]+)", body)]


def schemes() -> dict[str, dict[str, str]]:
    """The colours by name in each scheme; print comes last and holds whatever the screen was."""
    roots = [dict(re.findall(r"--(\w+):(#\w+)", body)) for body in re.findall(r":root\{([^}]*)\}", CSS)]
    light, dark, paper = roots
    return {"light": light, "dark": light | dark, "print": light | dark | paper}


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2 defines it."""
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    parts = [int(digits[i:i + 2], 16) / 255 for i in (0, 2, 4)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_the_page_is_one_file_that_runs_nothing(source: str, root: Element) -> None:
    leads = [e.attributes[name] for e in root.all() for name in ("href", "src") if name in e.attributes]
    assert leads and all(address.startswith(("#", "data:image/png;base64,")) for address in leads)
    assert not list(root.all("script", "link", "iframe", "object"))
    assert not re.search(r"https?:|@import|url\(", source)
    policy = next(e.attributes["content"] for e in root.all("meta") if "http-equiv" in e.attributes)
    assert policy.startswith("default-src 'none'")


def test_hostile_names_are_shown_as_text(source: str) -> None:
    assert "&lt;script&gt;alert(1)&lt;/script&gt;&amp;\\u202e\\x1b" in source
    assert "\u202e" not in source and "\x1b" not in source


def test_the_page_says_its_language_and_its_title(root: Element) -> None:
    assert only(root, "html").attributes["lang"] == "en"
    assert only(next(root.all("head")), "title").words.startswith("ALHVR")


def test_there_is_one_first_heading_and_no_level_is_left_out(root: Element) -> None:
    levels = [int(heading.tag[1]) for heading in root.all("h1", "h2", "h3", "h4", "h5", "h6")]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert all(heading.words for heading in root.all("h1", "h2", "h3"))


def test_every_picture_has_words_or_is_marked_as_decoration(root: Element) -> None:
    pictures = list(root.all("img", "svg"))
    assert pictures
    for picture in pictures:
        label = picture.attributes.get("alt" if picture.tag == "img" else "aria-label")
        hidden = picture.attributes.get("aria-hidden") == "true"
        assert (label and not hidden) or (label == "" if picture.tag == "img" else hidden), picture.attributes
        assert picture.tag == "img" or hidden or picture.attributes["role"] == "img"


def test_a_decoration_stands_beside_words_that_say_the_same(root: Element) -> None:
    decorations = [svg for svg in root.all("svg") if "aria-hidden" in svg.attributes]
    assert decorations
    for svg in decorations:
        around = svg.parent if svg.parent.words or svg.parent.tag != "td" else svg.parent.parent
        assert around.words, svg.attributes


def test_every_table_has_a_caption_and_headings_for_columns_and_rows(root: Element) -> None:
    tables = list(root.all("table"))
    assert len(tables) >= 2
    for found in tables:
        assert found.content[0].tag == "caption" and found.content[0].words
        head, *rows = found.all("tr")
        assert {cell.attributes.get("scope") for cell in head.content} == {"col"}
        for row in rows:
            first, *rest = row.content
            assert (first.tag, first.attributes["scope"]) == ("th", "row") and first.words
            assert {cell.tag for cell in rest} == {"td"} and len(row.content) == len(head.content)


def test_a_caption_that_is_not_seen_is_still_read_aloud() -> None:
    rule = re.search(r"\.untitled caption\{([^}]*)\}", CSS)[1]
    assert "display:none" not in rule and "visibility:hidden" not in rule


def test_the_first_stop_of_the_keyboard_skips_to_the_content(root: Element) -> None:
    first = next(root.all("a", "summary"))
    assert first is next(e for e in next(root.all("body")).content if isinstance(e, Element))
    assert first.attributes["href"] == f"#{only(root, 'main').attributes['id']}"
    assert only(root, "main").attributes["tabindex"] == "-1"


def test_whatever_can_be_used_is_reached_by_the_keyboard(root: Element) -> None:
    ids = [e.attributes["id"] for e in root.all() if "id" in e.attributes]
    assert len(ids) == len(set(ids))
    assert all(link.attributes["href"][1:] in ids and link.words for link in root.all("a"))
    assert list(root.all("details"))
    assert all(folded.content[0].tag == "summary" and folded.content[0].words for folded in root.all("details"))
    assert [e.tag for e in root.all() if "tabindex" in e.attributes] == ["main"]
    assert not re.search(r"overflow(-\w)?:(auto|scroll)", CSS), "what scrolls must be reached too"


def test_the_place_of_the_keyboard_is_seen() -> None:
    assert re.search(r":focus-visible[^{]*\{outline:3px solid var\(--link\)", CSS)
    assert re.findall(r"([^{}]+)\{outline:none", CSS) == ["\nmain:focus,main:target"]
    assert re.search(r"\.skip:focus\{left:", CSS)
    for name, colours in schemes().items():
        assert all(contrast(colours["link"], colours[ground]) >= 3 for ground in ("paper", "wash")), name


@pytest.mark.parametrize("scheme", ["light", "dark", "print"])
def test_all_text_stands_out_from_its_ground(scheme: str) -> None:
    inks = {re.fullmatch(r"var\(--(\w+)\)", value)[1] for _, value in declared("color")}
    assert inks == {"ink", "soft", "link", "fault", "warning", "note"}
    assert "svg text{fill:var(--soft)" in CSS
    colours = schemes()[scheme]
    weak = {(ink, ground): contrast(colours[ink], colours[ground]) for ink, ground in product(inks, ("paper", "wash"))}
    assert min(weak.values()) >= 4.5, weak


def test_no_text_stands_on_another_ground(root: Element) -> None:
    others = {selector for selector, value in declared("background") if value not in ("var(--paper)", "var(--wash)")}
    assert others == {".box.dark", ".box.light", ".thumb", ".key.curve", ".key.band", ".key.full"}
    for e in root.all("div", "svg", "span"):
        if e.classes() & {"dark", "light", "key"}:
            assert not e.words, e.words


def test_the_contrast_is_reckoned_as_the_guidelines_do() -> None:
    assert contrast("#000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#fff") == pytest.approx(4.48, abs=0.005)


def test_a_printed_page_sets_every_colour_that_the_dark_scheme_changes() -> None:
    light, dark, paper = (set(re.findall(r"--(\w+):", body)) for body in re.findall(r":root\{([^}]*)\}", CSS))
    assert dark <= paper and dark <= light
    assert "@media (prefers-color-scheme:dark)" in CSS and "@media print" in CSS and "break-inside:avoid" in CSS


def test_severities_differ_in_sign_and_word(sources: dict[str, str]) -> None:
    badges = [e.words for e in read_page(sources["check"]).all("span") if "badge" in e.classes()]
    signs, kinds = zip(*(badge.split()[:2] for badge in badges), strict=True)
    assert len(set(signs)) == 3 and kinds == ("fault", "warning", "note")


def test_the_two_models_differ_in_shape_and_each_bar_has_its_figure(sources: dict[str, str]) -> None:
    root = read_page(sources["demo"])
    keys = [e.classes() - {"key"} for e in root.all("span") if "key" in e.classes()]
    bars = [svg for svg in root.all("svg") if "bar" in svg.classes()]
    assert len(bars) == 3 and all([rect.classes() for rect in svg.all("rect")] == keys for svg in bars)
    assert re.search(r"\.hollow\{fill:none", CSS) and not re.search(r"\.full\{fill:none", CSS)


def test_links_are_told_from_text_by_more_than_colour() -> None:
    bare = [selector for selector, body in re.findall(r"([^{}]+)\{([^{}]*)\}", CSS) if "text-decoration:none" in body]
    assert [selector.strip() for selector in bare] == [".ref"]
    assert re.search(r"\.ref\{[^}]*border:1px solid", CSS)


def test_the_pages_name_the_styles_of_the_style_sheet_and_no_others(sources: dict[str, str]) -> None:
    named = set().union(*(e.classes() for source in sources.values() for e in read_page(source).all()))
    assert named == set(re.findall(r"\.([a-z]+)", CSS))


def test_a_section_without_content_is_left_out() -> None:
    assert not section("Empty", None, "")


def test_a_row_that_does_not_fit_its_table_is_refused() -> None:
    with pytest.raises(ValueError, match="3 cells, its table 2 columns"):
        table("A table", ("a", "b"), [Row((1, 2, 3))])


def test_text_for_a_page_is_never_taken_for_a_placeholder() -> None:
    root = read_page(page("$main", "$style ${x}", ["$ $$ $footer"], footer="$title"))
    assert only(root, "h1").words == "$style ${x}" and only(root, "footer").words == "$title"
    assert "$ $$ $footer" in only(root, "main").words
