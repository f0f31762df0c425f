"""Thumbnails for the check's page: a grey PNG with the label's outline drawn over it, as one piece of SVG."""

from __future__ import annotations

import struct
import zlib
from base64 import b64encode
from collections.abc import Mapping
from html import escape

import numpy as np

COLOURS = ("#E69F00", "#56B4E9", "#CC79A7", "#F0E442", "#009E73", "#D55E00", "#0072B2")
"""Okabe and Ito's colours, which people with any colour vision tell apart; structures take them in turn."""

_DASHES = ("", "3 1.4", "1 1.4")
"""How the outline is dashed once the colours are used up."""


def structure_style(index: int) -> str:
    """SVG attributes of the outline of structure number ``index``, from 0: a colour, and a dash from the 8th on."""
    dash = _DASHES[index // len(COLOURS) % len(_DASHES)]
    return f'stroke="{COLOURS[index % len(COLOURS)]}"' + (f' stroke-dasharray="{dash}"' if dash else "")


def picture(thumbnail: np.ndarray, outline: np.ndarray | None, styles: Mapping[int, str], name: str) -> str:
    """SVG of ``thumbnail`` (uint8 [J, I]) under the outlines of the values of ``outline`` (same shape).

    ``styles``: SVG attributes by label value; other values are not drawn. ``name`` is an id, unique in its page.
    """
    height, width = thumbnail.shape
    data = b64encode(grey_png(thumbnail)).decode("ascii")
    parts = [f'<image width="{width}" height="{height}" href="data:image/png;base64,{data}"/>']
    if outline is not None and outline.shape == thumbnail.shape:
        parts += [_outlined(outline == value, style) for value, style in styles.items() if (outline == value).any()]
    return (f'<svg class="thumb" viewBox="0 0 {width} {height}" aria-hidden="true">'
            f'<g id="{name}">{"".join(parts)}</g></svg>')


def picture_again(thumbnail: np.ndarray, name: str, words: str) -> str:
    """SVG that shows the picture of id ``name`` once more; ``words`` say what it is to those who cannot see it."""
    height, width = thumbnail.shape
    return (f'<svg class="thumb" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(words)}">'
            f'<use href="#{name}"/></svg>')


def grey_png(array: np.ndarray) -> bytes:
    """``array`` (uint8 [J, I]) as an 8-bit greyscale PNG file."""
    pixels = np.ascontiguousarray(array, dtype=np.uint8)
    lines = np.zeros((pixels.shape[0], pixels.shape[1] + 1), np.uint8)  # each line begins with its filter, 0 for none
    lines[:, 1:] = pixels
    header = struct.pack(">IIBBBBB", pixels.shape[1], pixels.shape[0], 8, 0, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(lines.tobytes(), 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, content) for kind, content in parts)


def outline_path(mask: np.ndarray) -> str:
    """SVG path data along the edges of ``mask`` (bool [J, I]) in pixels; straight runs are one line."""
    padded = np.pad(mask.astype(np.int8), 1)
    across = np.diff(padded, axis=0)[:, 1:-1] != 0  # [J + 1, I]: an edge above pixel (j, i)
    down = np.diff(padded, axis=1)[1:-1] != 0  # [J, I + 1]: an edge left of pixel (j, i)
    level = [f"M{first} {row}H{last}" for row, first, last in _runs(across)]
    upright = [f"M{column} {first}V{last}" for column, first, last in _runs(down.T)]
    return "".join(level + upright)


def _runs(edges: np.ndarray) -> list[tuple[int, int, int]]:
    """Row, first and last + 1 of every run of True along the rows of ``edges``."""
    steps = np.diff(np.pad(edges.astype(np.int8), ((0, 0), (1, 1))), axis=1)
    rows, first = np.nonzero(steps == 1)
    last = np.nonzero(steps == -1)[1]
    return list(zip(rows.tolist(), first.tolist(), last.tolist(), strict=True))


def _outlined(mask: np.ndarray, style: str) -> str:
    """A dark line under the coloured one keeps it visible on any grey."""
    path = outline_path(mask)
    return f'<path class="under" d="{path}"/><path class="line" {style} d="{path}"/>'


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
