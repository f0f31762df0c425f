"""TrainingStep: one optimiser step: seeds, optimisers, precision. The loss is a method's, see ``alhvr/methods``."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from alhvr.config import TrainingConfig
from alhvr.data.batches import Batch
from alhvr.methods.base import DeviceBatch, Method, Objective
from alhvr.networks.group import NetworkGroup
from alhvr.training.copy_paste import copy_paste, labeled_alone, teacher_probability
from alhvr.training.device import Compute

TORCH_STREAM = 1
"""Which of the random streams of a run seeds torch before each step."""
MIXING_STREAM = 3
"""Which of them mixes images."""


@dataclass(frozen=True)
class Mixing:
    """That the images of a step are mixed, see ``copy_paste``."""

    teacher: NetworkGroup | None
    """The networks, in eval mode, that label the archive's part; None while the labels alone are learnt from."""
    share: float = 1.0
    """Part of the images that are mixed, 0 to 1."""


class TrainingStep:
    """The networks of a run, those that learn by gradient with an optimiser each.

    Every random draw of step ``t`` comes from (seed, t) alone, so a resumed run repeats an uninterrupted one.
    """

    def __init__(self, networks: NetworkGroup, method: Method, training: TrainingConfig, compute: Compute) -> None:
        self.networks = networks
        self._method, self._training, self._compute = method, training, compute
        self.optimizers = [self._optimizer(networks[name]) for name in method.learning(networks)]
        self.scaler = torch.amp.GradScaler(compute.device, enabled=compute.precision == "fp16")

    def _optimizer(self, network: torch.nn.Module) -> torch.optim.Optimizer:
        c = self._training
        if c.optimizer == "adamw":
            return torch.optim.AdamW(network.parameters(), lr=c.learning_rate, weight_decay=c.weight_decay,
                                     fused=self._compute.device == "cuda")
        return torch.optim.SGD(network.parameters(), lr=c.learning_rate, momentum=c.momentum,
                               weight_decay=c.weight_decay, fused=self._compute.device == "cuda")

    def run(self, batch: Batch, iteration: int, *, weight: float, learning_rate: float,
            mixing: Mixing | None = None) -> Objective:
        """One step on ``batch``; its first images are labelled, the first ``n_clean`` of them fully.

        ``weight`` is lambda (Eq. 10); with 0 the unlabelled images only share the batch statistics. ``mixing``: None
        leaves every image whole. Returns the loss and its named terms, detached.
        """
        self._seed(iteration)
        self.networks.train()
        labels, missing, inside = (self._moved(tensor) for tensor in (batch.labels, batch.missing, batch.inside))
        moved = DeviceBatch(self.to_device(batch.images), labels, batch.n_clean, missing, inside)
        if mixing is not None:
            moved = self._mixed(moved, iteration, mixing)
        objective = self._method.loss(self.networks, moved, iteration, weight, self._compute.autocast())
        self._update(objective.total, learning_rate)
        self._method.after_step(self.networks, iteration)
        return objective

    def _mixed(self, batch: DeviceBatch, iteration: int, mixing: Mixing) -> DeviceBatch:
        if mixing.teacher is None or mixing.share == 0:
            return labeled_alone(batch)
        seen = teacher_probability(mixing.teacher, batch, self._compute.autocast())
        rng = np.random.default_rng([self._training.seed, MIXING_STREAM, iteration])
        mixed = copy_paste(batch, seen, self._training.copy_paste, rng, mixing.share)
        return replace(mixed, images=mixed.images.contiguous(memory_format=self.networks.memory_format))

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
