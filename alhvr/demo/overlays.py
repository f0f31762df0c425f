"""Pictures for reports as PNG: segmentations, regions and confidence over a scan in three planes; training curves."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import ListedColormap, to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from alhvr.data.axes import AxisTransform, arrangement
from alhvr.data.scan import Scan
from alhvr.formats.labels import LabelSet
from alhvr.formats.region_tables import REGION_NAMES

CLASS_COLOURS = ("#E69F00", "#56B4E9", "#CC79A7", "#F0E442", "#009E73", "#D55E00", "#0072B2")
"""Okabe and Ito's colours, which people with any colour vision tell apart; classes take them in turn."""

REGION_COLOURS = {1: "#0072B2", 2: "#E69F00", 3: "#D55E9B"}
"""Region value to colour."""

_ROWS_AND_COLUMNS = {"axial": (1, 2), "coronal": (0, 2), "sagittal": (0, 1)}
"""Planes in the order shown, and which of S, P, L runs down and across."""
_SOFT_TISSUE_HU = (-150.0, 250.0)
_DARK, _INK = "#10151c", "#e8edf2"


@dataclass(frozen=True)
class Curve:
    """One training run as it went."""

    name: str
    """What the run learned from."""
    colour: str
    """Its colour in every panel."""
    losses: Mapping[str, tuple[Sequence[int], Sequence[float]]]
    """Loss name to iterations and values."""
    dice: tuple[Sequence[int], Sequence[float]]
    """Iterations and mean validation Dice, 0 to 1."""


@dataclass(frozen=True)
class Upright:
    """Turns arrays on a scan's own grid so that they are seen as radiologists do, whatever order they are stored in."""

    transform: AxisTransform
    spacing_mm: tuple[float, float, float]
    """Along S, P, L."""
    frame: tuple[slice, slice, slice]
    """What is shown along S, P, L."""

    @classmethod
    def of(cls, scan: Scan) -> Upright:
        """For the grid of ``scan``: axes permuted and flipped, nothing resampled; air around the body is left out."""
        order = arrangement(scan.geometry, 3)
        shape = tuple(int(n) for n in order.pick(scan.geometry.shape_kji))
        transform = AxisTransform(scan.geometry.shape_kji, order, shape)
        low, high = _window(scan)
        lit = transform.arrange(scan.array) > low + 0.02 * (high - low)
        frame = [_extent(lit.mean(axis=tuple({0, 1, 2} - {axis})) > 0.01) for axis in range(3)]
        return cls(transform, order.pick(scan.geometry.spacing_mm[::-1]), (slice(None), frame[1], frame[2]))

    def plane(self, array: np.ndarray, plane: str, position: tuple[int, int, int]) -> np.ndarray:
        """2-D cut of [K, J, I] through ``position`` (S, P, L): patient's right on the left, head or front on top."""
        upright = self.transform.arrange(array)
        at_s, at_p, at_l = position
        by_s, by_p, by_l = self.frame
        if plane == "axial":
            return upright[at_s, by_p, by_l]
        return upright[by_s, at_p, by_l][::-1] if plane == "coronal" else upright[by_s, by_p, at_l][::-1]

    def aspect(self, plane: str) -> float:
        """Height of a pixel divided by its width."""
        rows, columns = _ROWS_AND_COLUMNS[plane]
        return self.spacing_mm[rows] / self.spacing_mm[columns]

    def middle_of(self, mask: np.ndarray) -> tuple[int, int, int]:
        """Position (S, P, L) of the busiest cuts through ``mask`` [K, J, I]; the centre of the grid if it is empty."""
        upright = self.transform.arrange(mask)
        if not upright.any():
            return tuple(n // 2 for n in upright.shape)
        sums = [upright.sum(axis=tuple({0, 1, 2} - {axis})) for axis in range(3)]
        return tuple(int(np.argmax(counts)) for counts in sums)


def segmentation_picture(scan: Scan, segmentations: Mapping[str, np.ndarray], labels: LabelSet,
                         around: np.ndarray) -> bytes:
    """PNG: the scan and, beside it, each named segmentation [K, J, I] of label values over it, in three planes.

    The cuts go through the busiest part of the mask ``around`` [K, J, I].
    """
    upright = Upright.of(scan)
    position = upright.middle_of(around)
    columns = {"the scan": None, **segmentations}

    def draw(axes: Axes, title: str, plane: str) -> None:
        values = columns[title]
        if values is not None:
            _paint_labels(axes, upright.plane(values, plane, position), labels)

    figure = _grid(scan, upright, position, tuple(columns), draw)
    _legend(figure, {label.name: CLASS_COLOURS[n % len(CLASS_COLOURS)] for n, label in enumerate(labels.labels)})
    return _png(figure)


def regions_picture(scan: Scan, region: np.ndarray, confidence: Mapping[str, np.ndarray], around: np.ndarray) -> bytes:
    """PNG: the scan, its three regions [K, J, I] (1, 2, 3), and each named confidence map [K, J, I] in 0..1."""
    upright = Upright.of(scan)
    position = upright.middle_of(around)

    def draw(axes: Axes, title: str, plane: str) -> None:
        aspect = upright.aspect(plane)
        if title == "three regions":
            _paint_regions(axes, upright.plane(region, plane, position), aspect)
        elif title in confidence:
            cut = upright.plane(confidence[title], plane, position)
            axes.imshow(cut, cmap="cividis_r", vmin=0.5, vmax=1.0, aspect=aspect, interpolation="nearest")

    figure = _grid(scan, upright, position, ("the scan", "three regions", *confidence), draw)
    _legend(figure, {REGION_NAMES[value]: colour for value, colour in REGION_COLOURS.items()})
    bar = figure.add_axes((0.80, 0.035, 0.17, 0.014))
    bar.imshow(np.linspace(0.5, 1, 64)[None], cmap="cividis_r", aspect="auto", extent=(0.5, 1, 0, 1))
    bar.set_yticks([])
    bar.set_xticks([0.5, 0.75, 1.0], ["50 % or less", "75 %", "100 % sure"], color=_INK, fontsize=8)
    return _png(figure)


def curves_picture(curves: Sequence[Curve]) -> bytes:
    """PNG: the supervised loss and the validation Dice of every run, and the losses that need no labels."""
    figure = Figure(figsize=(12, 3.6), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    left, middle, right = figure.subplots(1, 3)
    lines = ("-", "--", ":", "-.")
    for curve in curves:
        for name, (iterations, values) in curve.losses.items():
            if name == "labelled scans":
                left.plot(iterations, values, color=curve.colour, label=curve.name)
        hidden = {name: points for name, points in curve.losses.items() if name != "labelled scans"}
        for style, (name, (iterations, values)) in zip(lines, hidden.items(), strict=False):
            middle.plot(iterations, values, style, color=curve.colour, label=name)
        right.plot(*curve.dice, "o-", color=curve.colour, label=curve.name, markersize=4)
    titles = ("Loss on the labelled scans", "Losses on the archive (no labels needed)", "Dice on the validation scans")
    for axes, title in zip((left, middle, right), titles, strict=True):
        axes.set_title(title, fontsize=10, loc="left")
        axes.set_xlabel("iteration", fontsize=9)
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=8)
        if axes.get_lines():
            axes.legend(fontsize=8, frameon=False)
    right.set_ylim(0, 1)
    return _png(figure)


def _grid(scan: Scan, upright: Upright, position: tuple[int, int, int], titles: tuple[str, ...],
          draw: Callable[[Axes, str, str], None]) -> Figure:
    """Three rows of planes, one column per title; the scan in grey everywhere and ``draw`` over it."""
    cuts = {plane: upright.plane(scan.array, plane, position) for plane in _ROWS_AND_COLUMNS}
    heights = [3.0 * cut.shape[0] * upright.aspect(plane) / cut.shape[1] for plane, cut in cuts.items()]
    figure = Figure(figsize=(3.0 * len(titles) + 0.3, sum(heights) + 1.2), dpi=110, facecolor=_DARK)
    FigureCanvasAgg(figure)
    tall = figure.get_figheight()
    grid = figure.add_gridspec(3, len(titles), height_ratios=heights, left=0.03, right=0.995, bottom=0.75 / tall,
                               top=1 - 0.4 / tall, wspace=0.02, hspace=0.03)
    grey = _window(scan)
    for row, (plane, cut) in enumerate(cuts.items()):
        for column, title in enumerate(titles):
            axes = figure.add_subplot(grid[row, column])
            axes.imshow(cut, cmap="gray", vmin=grey[0], vmax=grey[1], aspect=upright.aspect(plane),
                        interpolation="nearest")
            draw(axes, title, plane)
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
            if row == 0:
                axes.set_title(title, color=_INK, fontsize=11)
            if column == 0:
                axes.set_ylabel(plane, color=_INK, fontsize=10)
    return figure


def _extent(shown: np.ndarray) -> slice:
    """From the first to the last True of a vector, with a margin; all of it where there is none."""
    found = np.flatnonzero(shown)
    return slice(max(int(found[0]) - 3, 0), int(found[-1]) + 4) if len(found) else slice(None)


def _window(scan: Scan) -> tuple[float, float]:
    """Grey values for black and white: a soft tissue window for CT, percentiles for everything else."""
    if scan.modality == "CT" or scan.array.min() < -500:
        return _SOFT_TISSUE_HU
    low, high = np.percentile(scan.array, (1, 99.5))
    return float(low), float(high)


def _paint_labels(axes: Axes, cut: np.ndarray, labels: LabelSet) -> None:
    """Each class as a thin veil with a firm outline."""
    for number, label in enumerate(labels.labels):
        mask = cut == label.value
        if mask.any():
            colour = CLASS_COLOURS[number % len(CLASS_COLOURS)]
            veil = np.zeros((*mask.shape, 4))
            veil[mask] = to_rgba(colour, 0.28)
            axes.imshow(veil, aspect=axes.get_aspect(), interpolation="nearest")
            axes.contour(mask, [0.5], colors=[colour], linewidths=1.2)


def _paint_regions(axes: Axes, cut: np.ndarray, aspect: float) -> None:
    """The reliable and stable region as a thin veil, the two others firmly."""
    veils = [to_rgba(REGION_COLOURS[value], alpha) for value, alpha in ((1, 0.22), (2, 0.8), (3, 0.8))]
    axes.imshow(cut, cmap=ListedColormap(veils), vmin=1, vmax=3, aspect=aspect, interpolation="nearest")


def _legend(figure: Figure, names: Mapping[str, str]) -> None:
    """Coloured names along the lower edge."""
    handles = [Patch(facecolor=colour, edgecolor=_INK, linewidth=0.5, label=name) for name, colour in names.items()]
    handles.append(Line2D([], [], linestyle="none", label="(patient's right is on the left)"))
    figure.legend(handles=handles, loc="lower left", ncols=len(handles), frameon=False, labelcolor=_INK, fontsize=10)


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", facecolor=figure.get_facecolor())
    return buffer.getvalue()
