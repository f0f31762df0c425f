"""The parts of a page, from the whole page to a badge; they keep headings in order and ask for words to pictures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import resources
from string import Template

from alhvr.pages.markup import NOTHING, Content, Html, element, embedded, joined


@dataclass(frozen=True)
class Row:
    """A row of a table; its first cell is its heading."""

    cells: Sequence[Content]
    id: str | None = None
    style: str | None = None


def page(title: str, heading: str, content: Iterable[Content], *, footer: str, above: str = "") -> str:
    """A whole page as one file: its style and pictures are in it, no script is.

    ``title`` is the window's, ``heading`` the page's; ``above`` is a soft line over the heading.
    """
    body = (soft(above) if above else NOTHING, element("h1", heading), *content)
    parts = {"title": element("title", title), "main": element("main", *body, id="content", tabindex="-1"),
             "footer": element("footer", footer)}
    return Template(_file("page.html")).substitute({name: part.markup for name, part in parts.items()},
                                                   style=_file("page.css"))


def section(title: str, *content: Content) -> Html:
    """A section under a heading of the second level; nothing where it would be empty."""
    inside = joined(content)
    return element("section", element("h2", title), inside) if inside else NOTHING


def box(*content: Content, style: str | None = None) -> Html:
    """A frame around content."""
    return element("div", *content, class_=_classes("box", style))


def group(style: str, content: Iterable[Content]) -> Html:
    """Content laid out in a way of the style sheet; nothing where there is none."""
    inside = joined(content)
    return element("div", inside, class_=style) if inside else NOTHING


def callout(*sentences: str, style: str | None = None) -> Html:
    """What the page says first, the first sentence in large letters."""
    return element("div", *(element("p", sentence) for sentence in sentences), class_=_classes("box callout", style))


def card(heading: Content, *content: Content, style: str = "card", id: str | None = None) -> Html:
    """A framed entry of a section, under a heading of the third level."""
    return element("article", element("h3", heading), *content, class_=_classes("box", style), id=id)


def badge(sign: str, words: str) -> Html:
    """A sign with words in the colour of what it stands on."""
    return element("span", f"{sign} {words}", class_="badge")


def table(caption: str, columns: Sequence[str], rows: Iterable[Row], *, style: str | None = None) -> Html:
    """A table; its caption is read aloud, and seen unless ``style`` has "untitled".

    Raises ValueError for a row with more or fewer cells than there are columns.
    """
    head = element("tr", *(element("th", name, scope="col") for name in columns))
    lines = [_line(row, len(columns)) for row in rows]
    return element("table", element("caption", caption), element("thead", head), element("tbody", *lines), class_=style)


def definitions(entries: Iterable[tuple[Content, Content]], *, style: str | None = None) -> Html:
    """Names and what they stand for."""
    pairs = (element("div", element("dt", name), element("dd", value)) for name, value in entries)
    return element("dl", *pairs, class_=style)


def items(entries: Iterable[Content], *, ordered: bool = False) -> Html:
    """A list."""
    return element("ol" if ordered else "ul", *(element("li", entry) for entry in entries))


def folded(summary: str, *content: Content) -> Html:
    """Content behind a line that unfolds it."""
    return element("details", element("summary", summary), *content)


def soft(*content: Content) -> Html:
    """A paragraph that stands back."""
    return element("p", *content, class_="soft")


def key(style: str) -> Html:
    """The small sign of a style in the line that explains a chart; the words follow it."""
    return element("span", class_=f"key {style}")


def figure(shape: Html, caption: str) -> Html:
    """A picture over its caption."""
    return element("figure", shape, element("figcaption", caption))


def image(picture: bytes, words: str) -> Html:
    """A PNG file as a picture; ``words`` say what it shows, empty where it adds nothing to the text."""
    return element("img", alt=words, src=embedded(picture))


def drawing(style: str, size: tuple[float, float], *shapes: Content, words: str) -> Html:
    """SVG of ``size`` (width, height); ``words`` say what it shows, empty where it adds nothing to the text."""
    seen = {"role": "img", "aria_label": words} if words else {"aria_hidden": "true"}
    return element("svg", *shapes, class_=style, viewBox=f"0 0 {size[0]:g} {size[1]:g}", **seen)


def _line(row: Row, n_columns: int) -> Html:
    if len(row.cells) != n_columns:
        raise ValueError(f"A row has {len(row.cells)} cells, its table {n_columns} columns.")
    cells = (element("td", cell) for cell in row.cells[1:])
    return element("tr", element("th", row.cells[0], scope="row"), *cells, id=row.id, class_=row.style)


def _classes(*names: str | None) -> str:
    return " ".join(name for name in names if name)


def _file(name: str) -> str:
    return resources.files("alhvr.pages").joinpath(name).read_text("utf-8")
