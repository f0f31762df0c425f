"""growth.png: every series of speed.json, one panel per title."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from records import RESULTS, Series, from_json

PICTURE = "growth.png"


def draw(entries: Mapping[str, Any], folder: Path = RESULTS) -> list[str]:
    """Draws all series into ``folder``; the names of the pictures, none without series."""
    panels: dict[str, list[Series]] = {}
    for entry in entries.values():
        for series in from_json(entry).series:
            panels.setdefault(series.title, []).append(series)
    if not panels:
        return []
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    figure, axes = pyplot.subplots(rows, columns, figsize=(4.6 * columns, 3.5 * rows), squeeze=False)
    for axis in axes.flat[len(panels):]:
        axis.set_visible(False)
    for axis, (title, lines) in zip(axes.flat, panels.items(), strict=False):
        _draw_panel(axis, title, lines)
    figure.tight_layout()
    figure.savefig(folder / PICTURE, dpi=110)
    pyplot.close(figure)
    return [PICTURE]


def _draw_panel(axis: Any, title: str, lines: list[Series]) -> None:
    """Logarithmic where the values span a wide range: across more than a factor of ten, upwards of a hundred."""
    for line, marker in zip(lines, "osd^vx*p" * 4, strict=False):
        axis.plot(line.x, line.y, marker=marker, label=line.label)
    for name, wide, values in (("x", 10, [v for s in lines for v in s.x]), ("y", 100, [v for s in lines for v in s.y])):
        if min(values) > 0 and max(values) / min(values) > wide:
            getattr(axis, f"set_{name}scale")("log")
        else:
            getattr(axis, f"set_{name}lim")(0, 1.08 * max(values))
    axis.set_title(title, fontsize=10)
    axis.set_xlabel(lines[0].x_name)
    axis.set_ylabel(lines[0].y_name)
    axis.grid(alpha=0.3)
    axis.legend(fontsize=8)
