"""Dots: the mean Dice of each held-out case before, with labels only and with the archive, joined by lines."""

from __future__ import annotations

import qt
from slicer.i18n import tr as _

from ALHVRTrainerLib.outcome.result import Outcome, column_title

WIDTH, HEIGHT = 360, 170
RIGHT, TOP, EDGE = 24, 10, 8
"""Pixels; numbers stand left, names below."""
RADIUS = 4
ON_PALE = ((0, 114, 178), (213, 94, 0))
ON_DARK = ((86, 180, 233), (240, 140, 60))
"""Cases that got better with the last step or stayed, and those that got worse: blue and orange, as the ground is."""
MIDDLE = 128
"""Of the lightness, 0 to 255."""


def dots_picture(outcome: Outcome, palette: qt.QPalette, font: qt.QFont) -> qt.QPixmap:
    """The picture, in the colours and letters of the panel."""
    picture = qt.QPixmap(WIDTH, HEIGHT)
    picture.fill(palette.color(qt.QPalette.Window))
    painter = qt.QPainter()
    painter.begin(picture)
    painter.setFont(font)
    painter.setRenderHint(qt.QPainter.Antialiasing, True)
    colours = ON_DARK if palette.color(qt.QPalette.Window).lightness() < MIDDLE else ON_PALE
    _Drawing(painter, outcome, palette.color(qt.QPalette.WindowText), colours).draw()
    painter.end()
    return picture


class _Drawing:
    """One picture on its way."""

    def __init__(self, painter: qt.QPainter, outcome: Outcome, ink: qt.QColor,
                 colours: tuple[tuple[int, int, int], tuple[int, int, int]]) -> None:
        self._painter, self._outcome, self._ink = painter, outcome, ink
        self._colours = colours
        self._metrics = qt.QFontMetrics(painter.font())
        self._left = self._metrics.boundingRect("0.00").width() + 2 * EDGE
        self._floor = HEIGHT - self._metrics.height() - EDGE
        values = [score for case in outcome.cases for score in case.values()]
        low = min([0.1 * int(10 * score) for score in values] or [0.0])
        self._low, self._high = (low, 1.0) if low < 1 else (0.0, 1.0)

    def draw(self) -> None:
        """Axis, cases, names."""
        self._drawAxis()
        for case in self._outcome.cases:
            self._drawCase([(arm, case[arm]) for arm in self._outcome.shown if arm in case])
        self._drawNames()

    def _x(self, arm: str) -> int:
        """In the middle of the arm's share of the width."""
        shown = self._outcome.shown
        return self._left + int((WIDTH - self._left - RIGHT) * (shown.index(arm) + 0.5) / len(shown))

    def _y(self, score: float) -> int:
        part = (min(max(score, self._low), self._high) - self._low) / (self._high - self._low)
        return self._floor - int(part * (self._floor - TOP))

    def _drawAxis(self) -> None:
        faint = qt.QColor(self._ink)
        faint.setAlpha(60)
        for number in range(3):
            score = self._low + number / 2 * (self._high - self._low)
            self._painter.setPen(faint)
            self._painter.drawLine(self._left, self._y(score), WIDTH - RIGHT, self._y(score))
            self._painter.setPen(self._ink)
            self._painter.drawText(qt.QPoint(4, self._y(score) + 4), f"{score:.2f}")

    def _drawCase(self, scores: list[tuple[str, float]]) -> None:
        if not scores:
            return
        worse = len(scores) > 1 and scores[-1][1] < scores[-2][1]
        colour = qt.QColor(*self._colours[worse])
        points = [(self._x(arm), self._y(score)) for arm, score in scores]
        self._painter.setPen(qt.QPen(colour))
        for (x, y), (next_x, next_y) in zip(points, points[1:], strict=False):
            self._painter.drawLine(x, y, next_x, next_y)
        self._painter.setBrush(qt.QBrush(colour))
        for x, y in points:
            self._painter.drawEllipse(x - RADIUS, y - RADIUS, 2 * RADIUS, 2 * RADIUS)

    def _drawNames(self) -> None:
        self._painter.setPen(self._ink)
        for arm in self._outcome.shown:
            name = column_title(arm)
            left = self._x(arm) - self._metrics.boundingRect(name).width() // 2
            self._painter.drawText(qt.QPoint(left, HEIGHT - EDGE), name)


def dots_text(outcome: Outcome) -> str:
    """What the picture shows, for those who do not see it."""
    text = _("Mean Dice of {n} held-out cases, each joined by a line; orange where the last step made it worse.")
    return text.format(n=len(outcome.cases))
