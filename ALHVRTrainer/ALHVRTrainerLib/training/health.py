"""Health of a training in words, for those who do not read curves. No Qt, no scene.

The numbers come from trainings on hearts, hippocampi and generated scans: validation Dice of a good training rises by
more than two points in a fifth of its time, and wavers by less than one; nine tenths of the archive become agreed
upon, three fifths at the very beginning.
"""

from __future__ import annotations

import numpy as np
from slicer.i18n import tr as _

from ALHVRTrainerLib.training.curves import ArmCurves

RISE = 0.005
"""A smaller rise of Dice is none."""
FALL = 0.01
"""A smaller fall of Dice is wavering."""
LEVEL_SHARE = 0.3
"""Of the time so far, without a rise, is levelling off."""
FEWEST_VALIDATIONS = 5
"""Before so many, nothing is said of levelling off."""
WORSE_MINUTES = 10.0
DISAGREED = 0.4
"""A larger share of the archive on which the networks disagree, or are both unsure, is a lot."""
FEWEST_SHARES = 20
"""Points of the shares before anything is said of them; the mean of the last so many counts."""
AGREED = "reliable stable"


def health(arm: ArmCurves) -> str:
    """One phrase on how a training goes; "" before there is anything to say."""
    minutes, dice = arm.mean.points()
    if not dice.size:
        return _("learning; the first score comes with the next validation") if arm.losses else ""
    worse = _minutes_worse(minutes, dice, arm.elapsed_s / 60)
    if worse >= WORSE_MINUTES:
        return _("worse on held-out cases for {minutes:.0f} min").format(minutes=worse)
    if _disagrees(arm):
        return _("archive disagrees a lot")
    if _is_level(minutes, dice):
        return _("levelling off (could stop)")
    return _("learning")


def _minutes_worse(minutes: np.ndarray, dice: np.ndarray, now: float) -> float:
    """Since when every score lies clearly below the best; 0 where the last does not."""
    below = dice < dice.max() - FALL
    if not below[-1]:
        return 0.0
    first = np.flatnonzero(~below)[-1] + 1
    return max(now, minutes[-1]) - minutes[first]


def _is_level(minutes: np.ndarray, dice: np.ndarray) -> bool:
    """Whether the best of the last part of the time is no better than the best before."""
    before = minutes <= (1 - LEVEL_SHARE) * minutes[-1]
    if dice.size < FEWEST_VALIDATIONS or not before.any() or before.all():
        return False
    return dice[~before].max() < dice[before].max() + RISE


def _disagrees(arm: ArmCurves) -> bool:
    agreed = arm.regions.get(AGREED)
    if agreed is None or len(agreed) < FEWEST_SHARES:
        return False
    return 1 - agreed.points()[1, -FEWEST_SHARES:].mean() > DISAGREED
