"""Cross Pseudo Supervision (Chen et al., CVPR 2021): each of two networks learns the other's classes."""

from __future__ import annotations

import torch

from alhvr.losses.consistency import pseudo_label_loss, pseudo_labels
from alhvr.losses.supervised import supervised_loss
from alhvr.losses.tensors import widen, without_autocast
from alhvr.methods.base import DeviceBatch, Method, Objective, sum_up, unlabelled_pixels
from alhvr.networks.group import NetworkGroup


class CrossPseudoSupervision(Method):
    """L_n = (CE + Dice) / 2 + lambda CE(z_n, argmax of the other's), on pixels without a label; both summed."""

    def loss(self, networks: NetworkGroup, batch: DeviceBatch, iteration: int, weight: float,
             autocast: torch.autocast) -> Objective:
        """See Method.loss."""
        with autocast:
            logits = [networks[name](batch.images) for name in ("a", "b")]
        with without_autocast(batch.images.device.type):
            a, b = (widen(found) for found in logits)
            supervised = [supervised_loss(z[:len(batch.labels)], batch.labels, missing=batch.missing,
                                          dice=self.config.dice) for z in (a, b)]
            unsupervised = {}
            if weight > 0 and batch.n_clean < len(batch.images):
                pixels, a, b = unlabelled_pixels(batch), a[batch.n_clean:], b[batch.n_clean:]
                unsupervised["cross_pseudo"] = (pseudo_label_loss(a, pseudo_labels(b), pixels)
                                                + pseudo_label_loss(b, pseudo_labels(a), pixels))
            return sum_up(supervised, unsupervised, weight, ce=0.5, dice=0.5)
