"""Charts as SVG and small pictures as PNG, embedded in the page."""

from __future__ import annotations

import struct
import zlib
from base64 import b64encode
from collections.abc import Mapping, Sequence
from html import escape

import numpy as np

from alhvr.checking.facts import ImageFacts

_POINTS = 96
"""Bins of the common axis."""
_WIDE, _HIGH = 560, 150
_FAR_OFF = 5.0
"""Scans whose range is this many times wider or narrower than the usual one do not stretch the common axis."""
_LINES_AT_MOST = 60

COLOURS = ("#E69F00", "#56B4E9", "#CC79A7", "#F0E442", "#009E73", "#D55E00", "#0072B2")
"""Okabe and Ito's colours, which people with any colour vision tell apart; structures take them in turn."""

_DASHES = ("", "3 1.4", "1 1.4")
"""How the outline is dashed once the colours are used up."""


def figure(value: float) -> str:
    """Three digits, or whole thousands; never an exponent that people must decode."""
    if value != value or abs(value) == float("inf"):
        return "\u2013"
    size = abs(value)
    if size >= 1e7 or 0 < size < 1e-4:
        return f"{value:.2e}".replace("-", "\u2212")
    text = f"{value:,.0f}" if size >= 1000 else f"{value:.3g}"
    return text.replace("-", "\u2212")


def histogram(image: ImageFacts) -> str:
    """The scan's intensities between its 0.5th and 99.5th percentile; heights by square root."""
    counts = np.sqrt(np.asarray(image.histogram, dtype=float))
    if image.print.intensity is None or not counts.size or counts.max() <= 0:
        return ""
    heights = 30 * counts / counts.max()
    steps = "".join(f"V{30 - height:.1f}h{120 / len(heights):.3g}" for height in heights)
    low, high = figure(image.print.intensity.lower), figure(image.print.intensity.upper)
    return (f'<svg class="histogram" viewBox="0 0 120 42" role="img" aria-label="Intensities from {low} to {high}">'
            f'<path d="M0 30{steps}V30Z"/><text x="0" y="40">{low}</text>'
            f'<text x="120" y="40" text-anchor="end">{high}</text></svg>')


def intensity_chart(labelled: Sequence[ImageFacts], archive: Sequence[ImageFacts]) -> str:
    """One line per labelled scan over a band that holds the middle 80 % of the archive; empty without scans."""
    labelled, archive = (_measured(images) for images in (labelled, archive))
    known = [*labelled, *archive]
    if not known:
        return ""
    low, high, outside = _common_axis(known)
    grid = np.linspace(low, high, _POINTS)
    lines = _curves(labelled[:_LINES_AT_MOST], grid)
    band = _band(_curves(archive, grid))
    top = max((curve.max() for curve in (*lines, *band)), default=0.0) or 1.0
    drawn = [f'<path class="band" d="{_area(band[0] / top, band[1] / top)}"/>'] if len(band) else []
    drawn += [f'<path class="curve" d="{_line(curve / top)}"/>' for curve in lines]
    words = "Intensities of the labelled scans as lines" + (" over the archive as a band" if len(band) else "")
    note = f"<p class=soft>{outside} of {len(known)} scans lie on quite another scale.</p>" if outside else ""
    return (f'<svg class="chart" viewBox="0 0 {_WIDE} {_HIGH + 18}" role="img" aria-label="{words}">{"".join(drawn)}'
            f'<path class="axis" d="M0 {_HIGH}H{_WIDE}"/><text x="0" y="{_HIGH + 14}">{figure(low)}</text>'
            f'<text x="{_WIDE}" y="{_HIGH + 14}" text-anchor="end">{figure(high)}</text></svg>{note}')


def dots(values: Sequence[float], largest: float, words: str) -> str:
    """One dot per value on an axis from 0 to ``largest``."""
    marks = "".join(f'<circle cx="{4 + 192 * value / (largest or 1):.1f}" cy="7" r="3.2"/>' for value in values)
    return (f'<svg class="dots" viewBox="0 0 200 14" role="img" aria-label="{escape(words)}">'
            f'<path class="axis" d="M4 7H196"/>{marks}</svg>')


def _measured(images: Sequence[ImageFacts]) -> list[ImageFacts]:
    return [image for image in images if image.print.intensity is not None]


def _common_axis(images: Sequence[ImageFacts]) -> tuple[float, float, int]:
    """Lower and upper end for all scans of the usual scale, and how many are not of it."""
    ranges = np.array([[image.print.intensity.lower, image.print.intensity.upper] for image in images])
    widths = np.maximum(ranges[:, 1] - ranges[:, 0], 1e-12)
    usual = np.median(widths)
    alike = (widths < _FAR_OFF * usual) & (widths > usual / _FAR_OFF)
    kept = ranges[alike] if alike.any() else ranges
    low, high = float(kept[:, 0].min()), float(kept[:, 1].max())
    return low, max(high, low + 1e-12), int((~alike).sum())


def _curves(images: Sequence[ImageFacts], grid: np.ndarray) -> list[np.ndarray]:
    """Square root of the share of voxels per step of ``grid``, for each scan that reaches into it."""
    curves = []
    for image in images:
        counts = np.asarray(image.histogram, dtype=float)
        low, high = image.print.intensity.lower, image.print.intensity.upper
        if high <= low or counts.sum() <= 0:
            continue
        width = (high - low) / len(counts)
        centres = low + width * (np.arange(len(counts)) + 0.5)
        density = counts / counts.sum() / width * (grid[1] - grid[0])
        curves.append(np.sqrt(np.interp(grid, centres, density, left=0.0, right=0.0)))
    return curves


def _band(curves: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The 10th and the 90th percentile of many curves, nothing for none."""
    return list(np.percentile(np.stack(curves), (10, 90), axis=0)) if curves else []


def _points(heights: np.ndarray) -> list[str]:
    columns = np.linspace(0, _WIDE, len(heights))
    return [f"{x:.0f} {_HIGH * (1 - y):.1f}" for x, y in zip(columns, heights, strict=True)]


def _line(heights: np.ndarray) -> str:
    return "M" + "L".join(_points(heights))


def _area(lower: np.ndarray, upper: np.ndarray) -> str:
    return "M" + "L".join([*_points(lower), *reversed(_points(upper))]) + "Z"


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
