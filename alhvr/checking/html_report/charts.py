"""The check's charts and small pictures, drawn as SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from alhvr.checking.facts import ImageFacts
from alhvr.pages.markup import NOTHING, Html, element, embedded, joined, png
from alhvr.pages.parts import drawing, soft

_POINTS = 96
"""Bins of the common axis."""
_WIDE, _HIGH = 560, 150
_FAR_OFF = 5.0
"""Scans whose range is this many times wider or narrower than the usual one do not stretch the common axis."""
_LINES_AT_MOST = 60

COLOURS = ("#E69F00", "#56B4E9", "#CC79A7", "#F0E442", "#009E73", "#D55E00", "#0072B2")
"""Okabe and Ito's colours, which people with any colour vision tell apart; structures take them in turn."""

_DASHES = (None, "3 1.4", "1 1.4")
"""How outlines are dashed, in turn: neighbours in the list differ for those who see no colours too."""


@dataclass(frozen=True)
class LineStyle:
    """How the outline of a structure looks, and what it is."""

    name: str
    colour: str
    dash: str | None = None
    """Lengths of dashes and gaps as SVG has them; None for a solid line."""

    @classmethod
    def of_structure(cls, index: int, name: str) -> LineStyle:
        """Of structure number ``index``, from 0; no two of 21 look alike."""
        return cls(name, COLOURS[index % len(COLOURS)], _DASHES[index % len(_DASHES)])

    def path(self, line: str, style: str | None = None) -> Html:
        """The path ``line`` (SVG path data) drawn this way."""
        return element("path", class_=style, stroke=self.colour, stroke_dasharray=self.dash, d=line)


def rounded(value: float) -> str:
    """Three digits, or whole thousands; never an exponent that people must decode."""
    if value != value or abs(value) == float("inf"):
        return "\u2013"
    size = abs(value)
    if size >= 1e7 or 0 < size < 1e-4:
        return f"{value:.2e}".replace("-", "\u2212")
    text = f"{value:,.0f}" if size >= 1000 else f"{value:.3g}"
    return text.replace("-", "\u2212")


def histogram(image: ImageFacts) -> Html:
    """The scan's intensities between its 0.5th and 99.5th percentile; heights by square root."""
    counts = np.sqrt(np.asarray(image.histogram, dtype=float))
    if image.print.intensity is None or not counts.size or counts.max() <= 0:
        return NOTHING
    heights = 30 * counts / counts.max()
    steps = "".join(f"V{30 - height:.1f}h{120 / len(heights):.3g}" for height in heights)
    low, high = rounded(image.print.intensity.lower), rounded(image.print.intensity.upper)
    return drawing("histogram", (120, 42), element("path", d=f"M0 30{steps}V30Z"), *_ends(low, high, 120, 40),
                   words=f"Intensities from {low} to {high}")


def intensity_chart(labelled: Sequence[ImageFacts], archive: Sequence[ImageFacts]) -> Html:
    """One line per labelled scan over a band that holds the middle 80 % of the archive; empty without scans."""
    labelled, archive = (_measured(images) for images in (labelled, archive))
    known = [*labelled, *archive]
    if not known:
        return NOTHING
    low, high, outside = _common_axis(known)
    grid = np.linspace(low, high, _POINTS)
    lines = _curves(labelled[:_LINES_AT_MOST], grid)
    band = _band(_curves(archive, grid))
    top = max((curve.max() for curve in (*lines, *band)), default=0.0) or 1.0
    drawn = [element("path", class_="band", d=_area(band[0] / top, band[1] / top))] if len(band) else []
    drawn += [element("path", class_="curve", d=_line(curve / top)) for curve in lines]
    words = "Intensities of the labelled scans as lines" + (" over the archive as a band" if len(band) else "")
    chart = drawing("chart", (_WIDE, _HIGH + 18), *drawn, element("path", class_="axis", d=f"M0 {_HIGH}H{_WIDE}"),
                    *_ends(rounded(low), rounded(high), _WIDE, _HIGH + 14), words=words)
    note = soft(f"{outside} of {len(known)} scans lie on quite another scale.") if outside else NOTHING
    return joined((chart, note))


def dots(values: Sequence[float], largest: float, words: str) -> Html:
    """One dot per value on an axis from 0 to ``largest``."""
    marks = (element("circle", cx=f"{4 + 192 * value / (largest or 1):.1f}", cy=7, r=3.2) for value in values)
    return drawing("dots", (200, 14), element("path", class_="axis", d="M4 7H196"), *marks, words=words)


def swatch(style: LineStyle) -> Html:
    """A short piece of a structure's outline; the structure's name stands beside it."""
    return drawing("swatch", (16, 8), style.path("M0 4H16"), words="")


def _ends(low: str, high: str, width: int, y: int) -> tuple[Html, Html]:
    """What stands under both ends of an axis."""
    return element("text", low, x=0, y=y), element("text", high, x=width, y=y, text_anchor="end")


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


def picture(thumbnail: np.ndarray, outlines: Sequence[Html], name: str, words: str) -> Html:
    """``thumbnail`` (uint8 [J, I]) under ``outlines``; ``name`` is an id, unique in its page."""
    height, width = thumbnail.shape
    scan = element("image", width=width, height=height, href=embedded(png(thumbnail)))
    return drawing("thumb", (width, height), element("g", scan, *outlines, id=name), words=words)


def picture_again(thumbnail: np.ndarray, name: str, words: str) -> Html:
    """The picture of id ``name`` once more."""
    height, width = thumbnail.shape
    return drawing("thumb", (width, height), element("use", href=f"#{name}"), words=words)


def outlined(labels: np.ndarray, styles: Mapping[int, LineStyle]) -> list[Html]:
    """The outline of each value in ``labels`` (int [J, I]) that has a style, over a dark line that keeps it visible."""
    drawn = []
    for value, style in styles.items():
        path = outline_path(labels == value)
        if path:
            drawn.append(element("g", element("title", style.name), element("path", class_="under", d=path),
                                 style.path(path, "line")))
    return drawn


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
