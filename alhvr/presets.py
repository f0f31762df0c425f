"""The presets: which values of the settings belong together, and why."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from alhvr.config import AugmentConfig, CopyPasteConfig, MethodConfig, PresetName, RunConfig, TrainingConfig

MIXED_METHOD = MethodConfig(preset="mixed")
"""The method of the recipe: images are mixed, and the losses of the method act where nothing is known of them."""

PAPER_METHOD = MethodConfig(
    preset="paper",
    teacher_competition=True,
    threshold_scope="image",
    warmup_fraction=1.0,
    feature_stride=1,
    prototype_mean="pixels",
    entropy_mean="masked",
    clean_dropout=False,
)
"""The paper's text taken literally where it says something, evident bugs of the released code fixed; in 2-D."""

OFFICIAL_METHOD = MethodConfig(
    preset="official",
    beta=0.8,
    teacher_competition=True,
    temperature=0.1,
    max_weight=0.1,
    warmup_fraction=1.0,
    warmup_shape="staircase",
    warmup_iterations=30_000,
    ce_alignment="broadcast",
    ce_weight=1.0,
    cosine_loss="all",
    feature_stride=8,
    absent_class="zero",
    sharpening="binary",
    detach_teacher=False,
    detach_prototypes=False,
    entropy_mean="all",
    dice="official",
    clean_dropout=True,
    tie_teacher="b",
    perturbed_statistics=True,
    perturb_labeled=True,
)
"""The released code's semantics, for parity; in 2-D."""

RELEASED_AUGMENT = AugmentConfig(mirror=True, quarter_turns=True, rotate_degrees=20.0, scale=0.0, intensity=False,
                                 law="released")
"""Mirrors, quarter turns and rotations, as the released code has them."""


_RELEASED_OPTIMIZER = {"optimizer": "sgd", "learning_rate": 0.01, "learning_rate_warmup": 0.0, "momentum": 0.9,
                       "weight_decay": 1e-4}
_OUR_OPTIMIZER = {name: getattr(TrainingConfig(), name) for name in _RELEASED_OPTIMIZER}


def before_optimizers(training: Any) -> dict[str, Any]:
    """What counts for settings ``training`` that were written before there was a choice of optimiser: SGD.

    Empty for others, and for those that say nothing of it.
    """
    old = isinstance(training, dict) and "momentum" in training and "optimizer" not in training
    return dict(_RELEASED_OPTIMIZER) if old else {}


def with_preset(config: RunConfig, preset: PresetName) -> RunConfig:
    """``config`` with the method, the optimiser and, where they say something, the augmentation of ``preset``.

    ``paper`` and ``official``: SGD at a constant rate, no mean of the weights, running statistics, every slice once an
    epoch, the released augmentation (the paper names none). ``official`` also: fp32, the released normalization and
    grid, and the best state of each network. Both take the V-Net in 3-D. Seeds, length, device, and what only users
    decide stay.
    """
    ours = preset in ("standard", "mixed")
    if ours:
        chosen = TrainingConfig()
        method = MethodConfig() if preset == "standard" else MIXED_METHOD
        augment, statistics = AugmentConfig(), chosen.batch_norm_statistics
        decay, ema, balanced = chosen.learning_rate_decay, chosen.ema_decay, chosen.balanced
    else:
        method = replace(PAPER_METHOD if preset == "paper" else OFFICIAL_METHOD, beta=None)
        augment, decay, ema, statistics, balanced = RELEASED_AUGMENT, "constant", 0.0, "running", False
    official = preset == "official"
    training = replace(config.training, augment=augment, **(_OUR_OPTIMIZER if ours else _RELEASED_OPTIMIZER),
                       copy_paste=CopyPasteConfig(use=preset == "mixed"), learning_rate_decay=decay, ema_decay=ema,
                       batch_norm_statistics=statistics, selection="network" if official else "pair",
                       balanced=balanced, precision="fp32" if official else config.training.precision)
    plan = replace(config.plan, network_3d="unet" if ours else "vnet")
    if official:
        plan = replace(plan, stretch=True, normalization=plan.normalization or "released")
    return replace(config, method=method, training=training, plan=plan)
