"""Curve: how good the drafts were over the scans that were corrected, and the minutes each took, as a small picture."""

from __future__ import annotations

from collections.abc import Sequence

import qt
from slicer.i18n import tr as _

from ALHVRTrainerLib.review.record import ACCEPTED, Decision

HEIGHT, MARGIN, DOT = 110, 18, 5
LEAST_MINUTES = 10.0
"""The bars reach the top with so many minutes at least."""
LONGEST = 200
"""Scans that are drawn, the last ones."""


def accepted(decisions: Sequence[Decision]) -> list[Decision]:
    """Those that became cases."""
    return [decision for decision in decisions if decision.decision == ACCEPTED]


def in_words(decisions: Sequence[Decision]) -> str:
    """What the picture shows; "" without any case."""
    done = accepted(decisions)
    scores = [decision.meanDice for decision in done if decision.meanDice is not None]
    if not done:
        return ""
    minutes = sum(decision.minutes for decision in done[-3:]) / len(done[-3:])
    if not scores:
        return _("{n} scans accepted, {minutes} min each lately.").format(n=len(done), minutes=f"{minutes:.1f}")
    text = _("{n} scans accepted. Drafts against what they became: Dice {first} in the first, {last} lately; "
             "{minutes} min each lately.")
    last = sum(scores[-3:]) / len(scores[-3:])
    return text.format(n=len(done), first=f"{scores[0]:.2f}", last=f"{last:.2f}", minutes=f"{minutes:.1f}")


def picture(decisions: Sequence[Decision], width: int, palette: qt.QPalette) -> qt.QPixmap:
    """Dice 0 to 1 as a line with dots, minutes as bars behind; colours of the palette, so that it suits dark panels."""
    done = accepted(decisions)[-LONGEST:]
    pixmap = qt.QPixmap(width, HEIGHT)
    pixmap.fill(palette.color(qt.QPalette.Base))
    painter = qt.QPainter(pixmap)
    painter.setRenderHint(qt.QPainter.Antialiasing)
    step = (width - 2 * MARGIN) / max(1, len(done))
    room, floor = HEIGHT - 2 * MARGIN, HEIGHT - MARGIN
    painter.setPen(palette.color(qt.QPalette.Mid))
    painter.drawLine(MARGIN, floor, width - MARGIN, floor)
    painter.drawLine(MARGIN, MARGIN, width - MARGIN, MARGIN)
    most = max([LEAST_MINUTES, *(decision.minutes for decision in done)])
    points = []
    for number, decision in enumerate(done):
        left = MARGIN + step * number
        high = round(room * decision.minutes / most)
        painter.fillRect(round(left + step * 0.2), floor - high, max(1, round(step * 0.6)), high,
                         palette.color(qt.QPalette.Mid))
        if decision.meanDice is not None:
            points.append((round(left + step / 2), round(floor - room * decision.meanDice)))
    pen = qt.QPen(palette.color(qt.QPalette.Highlight))
    pen.setWidth(2)
    painter.setPen(pen)
    for one, other in zip(points, points[1:], strict=False):
        painter.drawLine(*one, *other)
    painter.setBrush(qt.QBrush(palette.color(qt.QPalette.Highlight)))
    for across, down in points:
        painter.drawEllipse(across - DOT // 2, down - DOT // 2, DOT, DOT)
    painter.setPen(palette.color(qt.QPalette.Text))
    painter.drawText(2, MARGIN - 4, _("Dice 1"))
    painter.drawText(2, HEIGHT - 4, _("0; bars: up to {minutes} min").format(minutes=f"{most:.0f}"))
    painter.end()
    return pixmap
