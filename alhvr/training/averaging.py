"""WeightAverage: the exponential mean of both networks' weights and batch statistics; this is what is validated."""

from __future__ import annotations

import copy

import torch
from torch import nn


class WeightAverage:
    """Keeps a copy of ``model`` whose floating tensors follow it with an exponential mean (Tarvainen and Valpola)."""

    def __init__(self, model: nn.Module) -> None:
        self.model = copy.deepcopy(model).eval()
        for parameter in self.model.parameters():
            parameter.requires_grad_(False)

    @torch.no_grad()
    def update(self, model: nn.Module, decay: float) -> None:
        """Moves the mean towards ``model``: mean = decay * mean + (1 - decay) * model; integer buffers are copied."""
        means, values = [], []
        for mean, value in zip(self.model.state_dict().values(), model.state_dict().values(), strict=True):
            if mean.is_floating_point():
                means.append(mean)
                values.append(value)
            else:
                mean.copy_(value)
        torch._foreach_lerp_(means, values, 1.0 - decay)
