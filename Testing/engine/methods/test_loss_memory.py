"""Peak memory of the losses: features count at their own size only, never at that of the image."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from direct_losses import direct_objective, leaves, random_views
from peak_memory import peak_bytes

from alhvr.config import MethodConfig
from alhvr.methods.alhvr import alhvr_objective
from alhvr.presets import OFFICIAL_METHOD

BOTH = MethodConfig(teacher_competition=True)
"""Our own choices, with both of the method's modules on."""

FEW, MANY, IMAGES = 16, 256, 2
FLOAT = 4


def peak(objective: Callable, channels: int, size: tuple[int, ...], config: MethodConfig) -> int:
    """Bytes of the loss, forward and backward, with gradients of all outputs of both networks."""
    views = random_views(size, images=(IMAGES, IMAGES), channels=channels)
    labels = torch.zeros(IMAGES, *size, dtype=torch.int64)

    def step() -> None:
        loss = objective(views, labels, 0.1, config)
        torch.autograd.grad(getattr(loss, "total", loss), leaves(views), materialize_grads=True)

    step()
    return peak_bytes(step)


@pytest.mark.parametrize("config", [BOTH, OFFICIAL_METHOD], ids=lambda c: c.preset)
@pytest.mark.parametrize("size", [(64, 64), (32, 32, 32)])
def test_more_feature_channels_cost_memory_at_their_own_size_only(size, config):
    growth = peak(alhvr_objective, MANY, size, config) - peak(alhvr_objective, FEW, size, config)
    small = FLOAT * IMAGES * (MANY - FEW) * torch.Size(size).numel() // 8 ** len(size)
    assert growth <= 12 * small
    assert growth < small * 8 ** len(size) / 4


def test_the_direct_way_holds_features_at_full_size():
    size = (64, 64)
    growth = peak(direct_objective, MANY, size, BOTH) - peak(direct_objective, FEW, size, BOTH)
    assert growth >= 2 * FLOAT * IMAGES * (MANY - FEW) * torch.Size(size).numel()
