"""Mean Teacher (Tarvainen and Valpola, NeurIPS 2017): a student agrees with the mean of its own weights."""

from __future__ import annotations

import torch
from torch import Tensor

from alhvr.losses.consistency import squared_difference
from alhvr.losses.supervised import supervised_loss
from alhvr.losses.tensors import widen, without_autocast
from alhvr.methods.base import DeviceBatch, Method, Objective, sum_up, unlabelled_pixels
from alhvr.networks.group import NetworkGroup, NetworkShape


class MeanTeacher(Method):
    """L = (CE + Dice) / 2 + lambda mean((p_student - p_teacher)^2) on pixels without a label; the student segments.

    The teacher sees the images with noise of its own, clipped at twice its deviation.
    """

    def build(self, shape: NetworkShape) -> NetworkGroup:
        """See Method.build; the teacher begins as the student."""
        networks = super().build(shape)
        networks["teacher"].load_state_dict(networks["student"].state_dict())
        return networks

    def learning(self, networks: NetworkGroup) -> tuple[str, ...]:
        """See Method.learning; the teacher learns by no gradient."""
        return ("student", *networks.auxiliary)

    @torch.no_grad()
    def after_step(self, networks: NetworkGroup, iteration: int) -> None:
        """Moves the teacher's weights towards the student's; a plain mean at first, as in the publication."""
        decay = min(1 - 1 / (iteration + 1), self.config.teacher_decay)
        torch._foreach_lerp_(list(networks["teacher"].parameters()), list(networks["student"].parameters()), 1 - decay)

    def loss(self, networks: NetworkGroup, batch: DeviceBatch, iteration: int, weight: float,
             autocast: torch.autocast) -> Objective:
        """See Method.loss."""
        learns = weight > 0 and batch.n_clean < len(batch.images)
        with autocast:
            student = networks["student"](batch.images)
            teacher = self.teacher_logits(networks, batch.images[batch.n_clean:]) if learns else None
        with without_autocast(batch.images.device.type):
            student = widen(student)
            supervised = supervised_loss(student[:len(batch.labels)], batch.labels, missing=batch.missing,
                                         dice=self.config.dice)
            unsupervised = {}
            if teacher is not None:
                p, q = student[batch.n_clean:].softmax(dim=1), widen(teacher).softmax(dim=1)
                counted = unlabelled_pixels(batch) & self.selected(p, weight)
                unsupervised["consistency"] = squared_difference(p, q, counted)
            return sum_up([supervised], unsupervised, weight, ce=0.5, dice=0.5)

    @torch.no_grad()
    def teacher_logits(self, networks: NetworkGroup, images: Tensor) -> Tensor:
        """The teacher's logits [B, C, *S] of ``images`` [B, M, *S] with noise, without gradient."""
        noise = self.config.teacher_noise
        return networks["teacher"](images + (torch.randn_like(images) * noise).clamp(-2 * noise, 2 * noise))

    def selected(self, student: Tensor, weight: float) -> Tensor:
        """bool [B, *S]: where the two are to agree, by the student's probabilities [B, C, *S]; here everywhere."""
        return torch.ones_like(student[:, 0], dtype=torch.bool)

    def rise(self, weight: float) -> float:
        """How far lambda has risen, 0 to 1; the publications' thresholds rise with the iterations instead."""
        return min(1.0, weight / self.config.max_weight) if self.config.max_weight > 0 else 0.0
