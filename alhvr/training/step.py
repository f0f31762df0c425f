"""TrainingStep: one optimiser step. Here the networks run; the loss is summed in ``alhvr/losses/objective.py``."""

from __future__ import annotations

import numpy as np
import torch

from alhvr.config import MethodConfig, TrainingConfig
from alhvr.data.batches import Batch
from alhvr.losses.objective import Objective, alhvr_objective
from alhvr.networks.dual import DualNetwork, PassConfig
from alhvr.networks.perturbation import DualPerturbation, draw_dual_perturbation
from alhvr.training.device import Compute

_TORCH_STREAM, _NOISE_STREAM = 1, 2


class TrainingStep:
    """Both networks with an SGD optimiser each.

    Every random draw of step ``t`` comes from (seed, t) alone, so a resumed run repeats an uninterrupted one.
    """

    def __init__(self, networks: DualNetwork, method: MethodConfig, training: TrainingConfig, compute: Compute) -> None:
        self.networks = networks
        self._method, self._training, self._compute = method, training, compute
        self._passes = PassConfig(perturb_labeled=method.perturb_labeled,
                                  perturbed_statistics=method.perturbed_statistics)
        self.optimizers = [self._optimizer(networks.a), self._optimizer(networks.b)]
        self.scaler = torch.amp.GradScaler(compute.device, enabled=compute.precision == "fp16")

    def _optimizer(self, network: torch.nn.Module) -> torch.optim.SGD:
        c = self._training
        return torch.optim.SGD(network.parameters(), lr=c.learning_rate, momentum=c.momentum,
                               weight_decay=c.weight_decay, fused=self._compute.device == "cuda")

    def run(self, batch: Batch, iteration: int, *, weight: float, learning_rate: float) -> Objective:
        """One step on ``batch``; its first images are labelled, the first ``n_clean`` of them fully.

        ``weight`` is lambda (Eq. 10); with 0 the unlabelled images only share the batch statistics, and nothing is
        decoded perturbed. Returns the loss and its named terms, detached.
        """
        self._seed(iteration)
        self.networks.train()
        images = self.to_device(batch.images)
        labels, missing, inside = (self._moved(tensor) for tensor in (batch.labels, batch.missing, batch.inside))
        learns_unlabelled = weight > 0 and batch.n_clean < len(images)
        perturbations = self._draw(iteration, images) if learns_unlabelled else None
        with self._compute.autocast():
            views = self.networks.forward_views(images, batch.n_clean, perturbations, self._passes)
        objective = alhvr_objective(views, labels, weight, self._method, missing=missing, inside=inside)
        self._update(objective.total, learning_rate)
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
        state = np.random.SeedSequence([self._training.seed, _TORCH_STREAM, iteration]).generate_state(1, np.uint64)
        torch.manual_seed(int(state[0]))

    def _draw(self, iteration: int, images: torch.Tensor) -> DualPerturbation:
        rng = np.random.default_rng([self._training.seed, _NOISE_STREAM, iteration])
        return draw_dual_perturbation(rng, self.networks.a.level_shapes(images.shape[2:]))

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
