"""TrainingStep: one optimiser step: seeds, optimisers, precision. the loss is a method's, see ``alhvr/methods``."""

from __future__ import annotations

import numpy as np
import torch

from alhvr.config import TrainingConfig
from alhvr.data.batches import Batch
from alhvr.methods.base import DeviceBatch, Method, Objective
from alhvr.networks.group import NetworkGroup
from alhvr.training.device import Compute

TORCH_STREAM = 1
"""Which of the random streams of a run seeds torch before each step."""


class TrainingStep:
    """The networks of a run, those that learn by gradient with an SGD optimiser each.

    Every random draw of step ``t`` comes from (seed, t) alone, so a resumed run repeats an uninterrupted one.
    """

    def __init__(self, networks: NetworkGroup, method: Method, training: TrainingConfig, compute: Compute) -> None:
        self.networks = networks
        self._method, self._training, self._compute = method, training, compute
        self.optimizers = [self._optimizer(networks[name]) for name in method.learning(networks)]
        self.scaler = torch.amp.GradScaler(compute.device, enabled=compute.precision == "fp16")

    def _optimizer(self, network: torch.nn.Module) -> torch.optim.SGD:
        c = self._training
        return torch.optim.SGD(network.parameters(), lr=c.learning_rate, momentum=c.momentum,
                               weight_decay=c.weight_decay, fused=self._compute.device == "cuda")

    def run(self, batch: Batch, iteration: int, *, weight: float, learning_rate: float) -> Objective:
        """One step on ``batch``; its first images are labelled, the first ``n_clean`` of them fully.

        ``weight`` is lambda (Eq. 10); with 0 the unlabelled images only share the batch statistics. Returns the loss
        and its named terms, detached.
        """
        self._seed(iteration)
        self.networks.train()
        labels, missing, inside = (self._moved(tensor) for tensor in (batch.labels, batch.missing, batch.inside))
        moved = DeviceBatch(self.to_device(batch.images), labels, batch.n_clean, missing, inside)
        objective = self._method.loss(self.networks, moved, iteration, weight, self._compute.autocast())
        self._update(objective.total, learning_rate)
        self._method.after_step(self.networks, iteration)
        return objective

    def _update(self, loss: torch.Tensor, learning_rate: float) -> None:
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = learning_rate
            self.scaler.step(optimizer)
        self.scaler.update()

    def _seed(self, iteration: int) -> None:
        state = np.random.SeedSequence([self._training.seed, TORCH_STREAM, iteration]).generate_state(1, np.uint64)
        torch.manual_seed(int(state[0]))

    def to_device(self, images: torch.Tensor) -> torch.Tensor:
        """Images [B, M, *S] where the networks are, in their memory format."""
        return self._moved(images).to(memory_format=self.networks.memory_format)

    def _moved(self, tensor: torch.Tensor | None) -> torch.Tensor | None:
        if tensor is not None and self._compute.device == "cuda":
            tensor = tensor.pin_memory()
        return None if tensor is None else tensor.to(self._compute.device, non_blocking=True)

    def state(self) -> dict:
        """Everything the next step depends on; plain tensors and numbers."""
        return {"networks": self.networks.state_dict(), "optimizers": [o.state_dict() for o in self.optimizers],
                "scaler": self.scaler.state_dict()}

    def load_state(self, state: dict) -> None:
        """Continues from ``state()``."""
        self.networks.load_state_dict(state["networks"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        self.scaler.load_state_dict(state["scaler"])
