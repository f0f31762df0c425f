"""Charts for the check's page as inline SVG: one scan's histogram, all scans of a channel, volumes of a structure."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np

from alhvr.checking.facts import ImageFacts

_POINTS = 96
"""Bins of the common axis."""
_WIDE, _HIGH = 560, 150
_FAR_OFF = 5.0
"""Scans whose range is this many times wider or narrower than the usual one do not stretch the common axis."""
_LINES_AT_MOST = 60


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
