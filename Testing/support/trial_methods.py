"""Two other semi-supervised methods as small as they can be, to try what the seam for methods asks of a new one."""

from __future__ import annotations

import torch

from alhvr.losses.supervised import supervised_loss
from alhvr.losses.tensors import widen, without_autocast
from alhvr.methods.base import DeviceBatch, Method, Objective, detached, supervised_terms
from alhvr.networks.group import NetworkGroup


class CrossPseudoSupervision(Method):
    """Each of two networks learns the classes that the other finds in unlabelled images (Chen et al. 2021)."""

    def loss(self, networks: NetworkGroup, batch: DeviceBatch, iteration: int, weight: float,
             autocast: torch.autocast) -> Objective:
        """See Method.loss."""
        with autocast:
            logits = [network(batch.images) for _, network in networks.items()]
        with without_autocast(batch.images.device.type):
            a, b = (widen(found) for found in logits)
            count = len(batch.labels)
            terms = supervised_terms([supervised_loss(x[:count], batch.labels) for x in (a, b)])
            total = terms["supervised_ce"] + terms["supervised_dice"]
            if len(batch.images) > count:
                terms["cross_pseudo"] = sum(torch.nn.functional.cross_entropy(x[count:], y[count:].argmax(1))
                                            for x, y in ((a, b), (b, a)))
                total = total + weight * terms["cross_pseudo"]
            return Objective(total, detached({**terms, "total": total}))


class MeanTeacher(Method):
    """A student agrees with the mean of its own weights (Tarvainen and Valpola 2017); the teacher segments."""

    def learning(self, networks: NetworkGroup) -> tuple[str, ...]:
        """See Method.learning."""
        return ("student",)

    def loss(self, networks: NetworkGroup, batch: DeviceBatch, iteration: int, weight: float,
             autocast: torch.autocast) -> Objective:
        """See Method.loss."""
        with autocast:
            student = networks["student"](batch.images)
            with torch.no_grad():
                teacher = networks["teacher"](batch.images)
        with without_autocast(batch.images.device.type):
            student, teacher, count = widen(student), widen(teacher), len(batch.labels)
            terms = supervised_terms([supervised_loss(student[:count], batch.labels)])
            terms["consistency"] = (student.softmax(1) - teacher.softmax(1)).square().mean()
            total = terms["supervised_ce"] + terms["supervised_dice"] + weight * terms["consistency"]
            return Objective(total, detached({**terms, "total": total}))

    @torch.no_grad()
    def after_step(self, networks: NetworkGroup, iteration: int) -> None:
        """See Method.after_step."""
        decay = min(0.9, iteration / (iteration + 1))
        for mean, value in zip(networks["teacher"].parameters(), networks["student"].parameters(), strict=True):
            mean.lerp_(value, 1 - decay)
