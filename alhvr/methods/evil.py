"""EVIL (Chen et al., ISBI 2023): an evidential network, whose uncertainty says what a plain one may learn from it."""

from __future__ import annotations

import torch
from torch import Tensor

from alhvr.losses.consistency import pseudo_label_loss, pseudo_labels
from alhvr.losses.evidential import allowed_classes, annotated, belief, evidence, evidential_loss
from alhvr.losses.supervised import SupervisedLoss, supervised_loss
from alhvr.losses.tensors import widen, without_autocast
from alhvr.methods.base import DeviceBatch, Method, Objective, sum_up, unlabelled_pixels
from alhvr.networks.group import NetworkGroup

ENOUGH_EVIDENCE = 16.0
"""Sum of a pixel's evidence from which on the plain network learns it. For the publication's four classes this is its
uncertainty C / S below 0.2; that bound itself is never reached with 14 classes or more."""


class Evil(Method):
    """L_a = (EDL + Dice) / 2 + lambda EDL(a, argmax b); L_b = (CE + Dice) / 2 + lambda CE(b, argmax a) where a is sure.

    Network a is evidential, b plain. Both segment: tanh and exp keep the order of the classes. The divergence from no
    evidence rises with lambda, in the publication over the first half of the epochs.
    """

    def loss(self, networks: NetworkGroup, batch: DeviceBatch, iteration: int, weight: float,
             autocast: torch.autocast) -> Objective:
        """See Method.loss."""
        with autocast:
            logits = [networks[name](batch.images) for name in ("a", "b")]
        with without_autocast(batch.images.device.type):
            found, plain = evidence(logits[0]), widen(logits[1])
            count, annealing = len(batch.labels), self._annealing(weight)
            supervised = [self._evidential(found[:count], batch, annealing),
                          supervised_loss(plain[:count], batch.labels, missing=batch.missing, dice=self.config.dice)]
            unsupervised = {}
            if weight > 0 and batch.n_clean < len(batch.images):
                pixels, found, plain = unlabelled_pixels(batch), found[batch.n_clean:], plain[batch.n_clean:]
                unsupervised = {
                    "pseudo_evidential": evidential_loss(found, pseudo_labels(plain), pixels, annealing),
                    "pseudo_plain": learnt_where_sure(plain, found, pixels)}
            return sum_up(supervised, unsupervised, weight, ce=0.5, dice=0.5)

    def _annealing(self, weight: float) -> float:
        return min(1.0, weight / self.config.max_weight) if self.config.max_weight > 0 else 0.0

    def _evidential(self, found: Tensor, batch: DeviceBatch, annealing: float) -> SupervisedLoss:
        """Evidential loss in place of the cross-entropy, and Dice of the softmax of the belief."""
        allowed = allowed_classes(batch.labels, found.shape[1], batch.missing, found.dtype)
        dice = supervised_loss(belief(found), batch.labels, missing=batch.missing, dice=self.config.dice).dice
        return SupervisedLoss(evidential_loss(found, allowed, annotated(batch.labels), annealing), dice)


def learnt_where_sure(logits: Tensor, found: Tensor, pixels: Tensor) -> Tensor:
    """CE of ``logits`` against the classes of the evidence ``found`` where there is enough, both [B, C, *S]; scalar.

    pixels: bool [B, *S], those that may count. The mean is over all of them, as in the released code.
    """
    sure = (found.detach().sum(dim=1) > ENOUGH_EVIDENCE) & pixels
    return pseudo_label_loss(logits, pseudo_labels(found), sure, n_pixels=pixels.sum())
