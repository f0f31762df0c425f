"""Health in words: what is said of curves as trainings really have them."""

from __future__ import annotations

from typing import Any

import pytest

GOOD = (0.206, 0.538, 0.602, 0.627, 0.636)
"""Of a training on three hearts."""
LEVEL = (0.31, 0.50, 0.600, 0.631, 0.632, 0.633, 0.631, 0.634)
FALLING = (0.317, 0.494, 0.543, 0.550, 0.502, 0.49)


def curves(dice: tuple[float, ...], *, minutes_each: float = 5.0, agreed: float = 0.9, losses: bool = True) -> Any:
    from ALHVRTrainerLib.training.curves import ArmCurves

    made = ArmCurves()
    for step in range(40 if losses else 0):
        rest = (1 - agreed) / 2
        made.take({"iteration": step, "elapsed_s": float(step), "losses": {"total": 1.0},
                   "regions": {"reliable_stable": agreed, "reliable_unstable": rest, "unreliable_stable": rest}})
    for number, mean in enumerate(dice, 1):
        made.take({"iteration": number, "elapsed_s": 60 * minutes_each * number, "dice": {}, "mean_dice": mean})
    return made


@pytest.mark.parametrize(("dice", "options", "words"), [
    (GOOD, {}, "learning"),
    (GOOD[:1], {}, "learning"),
    (LEVEL, {}, "levelling off (could stop)"),
    (LEVEL[:4], {}, "learning"),
    (FALLING[:5], {}, "learning"),
    (FALLING, {}, "levelling off (could stop)"),
    (FALLING, {"minutes_each": 10.0}, "worse on held-out cases for 10 min"),
    (FALLING, {"minutes_each": 25.0}, "worse on held-out cases for 25 min"),
    (GOOD, {"agreed": 0.5}, "archive disagrees a lot"),
    (GOOD, {"agreed": 0.65}, "learning"),
    ((), {}, "learning; the first score comes with the next validation"),
    ((), {"losses": False}, ""),
])
def test_health_is_said_in_words(dice: tuple[float, ...], options: dict[str, Any], words: str) -> None:
    from ALHVRTrainerLib.training.health import health

    assert health(curves(dice, **options)) == words


def test_a_training_that_stands_still_after_a_fall_is_worse_for_longer_and_longer() -> None:
    from ALHVRTrainerLib.training.health import health

    made = curves(FALLING[:5], minutes_each=10.0)
    made.take({"iteration": 99, "elapsed_s": 60 * 62.0, "losses": {"total": 0.4}})
    assert health(made) == "worse on held-out cases for 12 min"
