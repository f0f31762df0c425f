"""Markup that is safe by construction: text is escaped, and a page can neither run a script nor load anything."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from io import BytesIO

import numpy as np

from alhvr.core.files import shown

_EMPTY = {"br", "img"}
_DRAWING = {"path", "circle", "rect", "image", "use"}
"""Elements of SVG that hold nothing; they close themselves, so that a drawing is XML too."""
_TAGS = _EMPTY | _DRAWING | {
    "a", "article", "b", "caption", "code", "dd", "details", "div", "dl", "dt", "figcaption", "figure", "footer", "g",
    "h1", "h2", "h3", "li", "main", "ol", "p", "pre", "section", "small", "span", "summary", "svg", "table", "tbody",
    "td", "text", "th", "thead", "title", "tr", "ul"}
"""Every element that a page may hold; none runs a script, takes input or opens a frame."""
_ATTRIBUTES = {"alt", "aria-hidden", "aria-label", "class", "cx", "cy", "d", "fill", "height", "href", "id", "r",
               "role", "scope", "src", "stroke", "stroke-dasharray", "tabindex", "text-anchor", "title", "viewBox",
               "width", "x", "y"}
"""Every attribute that an element may have."""
_INSIDE = re.compile(r"#[\w-]+|data:image/png;base64,[A-Za-z0-9+/]*={0,2}", re.ASCII)
"""Addresses that lead nowhere outside the file."""


@dataclass(frozen=True)
class Html:
    """Finished markup; only this folder makes it."""

    markup: str

    def __bool__(self) -> bool:
        return bool(self.markup)

    def __str__(self) -> str:
        raise TypeError("Markup put into a string would be escaped a second time; pass it to element() or joined().")


Content = Html | str | int | None
"""What may stand in an element: markup as it is, text and numbers escaped, None for nothing."""

NOTHING = Html("")


def element(tag: str, *content: Content, **attributes: str | float | None) -> Html:
    """One element around ``content``.

    Attributes: ``class_`` is ``class``, ``aria_label`` is ``aria-label``; None leaves one out. Raises ValueError for an
    element or attribute that a page may not hold, and for an address outside the page.
    """
    if tag not in _TAGS:
        raise ValueError(f"A page may not hold the element {tag!r}.")
    opening = tag + "".join(_attribute(name, value) for name, value in attributes.items() if value is not None)
    if tag in _EMPTY or tag in _DRAWING:
        return Html(f"<{opening}/>" if tag in _DRAWING else f"<{opening}>")
    return Html(f"<{opening}>{joined(content).markup}</{tag}>")


def joined(content: Iterable[Content], separator: str = "") -> Html:
    """The pieces that are not empty, one after the other, with escaped text between them."""
    pieces = (_safe(piece) for piece in content if piece is not None and piece != "")
    return Html(_escaped(separator).join(piece for piece in pieces if piece))


def png(pixels: np.ndarray) -> bytes:
    """``pixels`` (uint8 [J, I], grey) as a PNG file, with nothing in it but the pixels."""
    from PIL import Image

    file = BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels, dtype=np.uint8)).save(file, "PNG", optimize=True)
    return file.getvalue()


def embedded(picture: bytes) -> str:
    """A PNG file as an address that holds the file itself."""
    return f"data:image/png;base64,{b64encode(picture).decode('ascii')}"


def _safe(piece: Html | str | int) -> str:
    return piece.markup if isinstance(piece, Html) else _escaped(piece)


def _escaped(value: object) -> str:
    """Any value as harmless text; control characters and marks that turn the writing are written out."""
    return escape(shown(value))


def _attribute(name: str, value: str | float) -> str:
    name = name.rstrip("_").replace("_", "-")
    if name not in _ATTRIBUTES:
        raise ValueError(f"A page may not hold the attribute {name!r}.")
    if name in ("href", "src") and not _INSIDE.fullmatch(str(value)):
        raise ValueError(f"A page may not lead to {shown(str(value)[:80])!r}: it is one file.")
    return f' {name}="{_escaped(value)}"'
