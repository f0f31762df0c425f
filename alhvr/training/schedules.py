"""How the weight of the unsupervised losses and the learning rate move with the progress of a run."""

from __future__ import annotations

import math

from alhvr.config import MethodConfig, TrainingConfig

STAIRCASE_STEPS = 200
POLY_POWER = 0.9


def unsupervised_weight(progress: float, config: MethodConfig, iteration: int) -> float:
    """Lambda of Eq. 10: max_weight * exp(-5 (1 - x)^2), x = progress / warmup_fraction, at most 1.

    ``progress`` is the part of the run done before the step, 0 to 1 (iterations, or time for a run in minutes), and
    ``iteration`` the number of steps done: with ``warmup_iterations``, x is their share of these. The staircase rounds
    x down to 1/200, as the released code does.
    """
    x = min(1.0, progress / config.warmup_fraction)
    if config.warmup_iterations is not None:
        x = min(1.0, iteration / config.warmup_iterations)
    if config.warmup_shape == "staircase":
        x = math.floor(x * STAIRCASE_STEPS + 1e-9) / STAIRCASE_STEPS
    return config.max_weight * math.exp(-5.0 * (1.0 - x) ** 2)


def learning_rate(progress: float, config: TrainingConfig) -> float:
    """Learning rate after ``progress`` (0 to 1) of the run: constant, or (1 - progress) ** 0.9 of the start."""
    if config.learning_rate_decay == "constant":
        return config.learning_rate
    return config.learning_rate * max(0.0, 1.0 - progress) ** POLY_POWER


def ema_decay(iteration: int, config: TrainingConfig) -> float:
    """Decay of the weight mean at step ``iteration`` (from 0): min(1 - 1 / (t + 1), ema_decay)."""
    return min(1.0 - 1.0 / (iteration + 1), config.ema_decay)
