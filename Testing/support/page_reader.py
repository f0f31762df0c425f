"""A page as a browser takes it: its elements with what is around and in them, and the tags that are left open."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = ("meta", "br", "img")


@dataclass(eq=False)
class Element:
    """A tag, its attributes and what is in it."""

    tag: str
    attributes: dict[str, str | None]
    parent: Element | None = None
    content: list[Element | str] = field(default_factory=list)

    def all(self, *tags: str) -> Iterator[Element]:
        """The elements in it with one of these tags, or all of them, in the order of the page."""
        for piece in self.content:
            if isinstance(piece, Element):
                if not tags or piece.tag in tags:
                    yield piece
                yield from piece.all(*tags)

    def classes(self) -> set[str]:
        """Its classes."""
        return set((self.attributes.get("class") or "").split())

    @property
    def words(self) -> str:
        """Its text, with single spaces."""
        pieces = (piece if isinstance(piece, str) else piece.words for piece in self.content)
        return " ".join(" ".join(pieces).split())


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.root = self.inside = Element("", {})
        self.wrong: list[str] = []

    def handle_starttag(self, tag: str, attrs: list) -> None:
        """Goes into an element."""
        made = Element(tag, dict(attrs), self.inside)
        self.inside.content.append(made)
        if tag not in VOID:
            self.inside = made

    def handle_startendtag(self, tag: str, attrs: list) -> None:
        """An element that is closed already."""
        self.inside.content.append(Element(tag, dict(attrs), self.inside))

    def handle_endtag(self, tag: str) -> None:
        """Goes out of an element, or notes that another one was to be closed."""
        if self.inside.tag == tag and self.inside.parent is not None:
            self.inside = self.inside.parent
        else:
            self.wrong.append(f"/{tag}")

    def handle_data(self, data: str) -> None:
        """Text."""
        self.inside.content.append(data)


def read_page(page: str) -> Element:
    """The root of a page, which must be well formed."""
    reader = _read(page)
    assert reader.inside is reader.root and not reader.wrong, (reader.inside.tag, reader.wrong)
    return reader.root


def unclosed(page: str) -> list[str]:
    """The tags left open, and those closed without being the innermost."""
    reader = _read(page)
    return reader.wrong + ([reader.inside.tag] if reader.inside is not reader.root else [])


def words(page: str) -> str:
    """Text without tags and what pictures are called, as it stands in the file."""
    return " ".join(re.sub(r"<title>.*?</title>|<[^>]+>", " ", page).split())


def _read(page: str) -> _Reader:
    reader = _Reader()
    reader.feed(page)
    reader.close()
    return reader
