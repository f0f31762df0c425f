"""WeightAverage: the exponential mean of both networks' weights, with batch-norm statistics measured for them.

A mean of running statistics does not belong to a mean of weights: it lags behind, and the networks answer wrongly for
hundreds of steps. So the mean is over the weights alone, and before it is validated or kept, its statistics are
measured on some of the run's own batches (as for stochastic weight averaging, Izmailov et al. 2018).
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn

from alhvr.networks.blocks import BATCH_NORM


class WeightAverage:
    """Keeps a copy of ``model`` whose weights follow it with an exponential mean (Tarvainen and Valpola 2017)."""

    def __init__(self, model: nn.Module) -> None:
        self.model = copy.deepcopy(model).eval()
        for parameter in self.model.parameters():
            parameter.requires_grad_(False)

    @torch.no_grad()
    def update(self, model: nn.Module, decay: float) -> None:
        """Moves the mean towards ``model``: mean = decay * mean + (1 - decay) * model; buffers are copied."""
        torch._foreach_lerp_(list(self.model.parameters()), list(model.parameters()), 1.0 - decay)
        for mean, value in zip(self.model.buffers(), model.buffers(), strict=True):
            mean.copy_(value)


@torch.no_grad()
def measure_statistics(networks: Iterable[nn.Module], images: Iterable[Tensor],
                       autocast: AbstractContextManager = nullcontext()) -> None:  # noqa: B008
    """Gives every batch norm of ``networks``, which are in eval mode, the mean statistics of these batches.

    images: [B, M, *S] each, on the networks' device; at least one. Dropout is off. Networks without batch norm stay
    as they are. The result depends on weights and images alone. ``autocast``: context in which the networks run.
    """
    networks = tuple(networks)
    norms = [m for network in networks for m in network.modules() if isinstance(m, tuple(BATCH_NORM.values()))]
    if not norms:
        return
    momentum = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean over the batches
        norm.train()
    try:
        for batch in images:
            with autocast:
                for network in networks:
                    network(batch)
    finally:
        for norm, value in zip(norms, momentum, strict=True):
            norm.momentum = value
            norm.eval()
