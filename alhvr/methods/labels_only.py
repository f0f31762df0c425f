"""Labels only: two networks, each on the labelled images alone; what a run without an archive uses."""

from __future__ import annotations

import torch

from alhvr.losses.supervised import supervised_loss
from alhvr.losses.tensors import widen, without_autocast
from alhvr.methods.base import DeviceBatch, Method, Objective, labels_objective
from alhvr.networks.group import NetworkGroup


class LabelsOnly(Method):
    """Cross-entropy and Dice of every network on the pixels that have a label."""

    def loss(self, networks: NetworkGroup, batch: DeviceBatch, iteration: int, weight: float,
             autocast: torch.autocast) -> Objective:
        """See Method.loss; ``weight`` does not matter. Unlabelled images take part in the batch statistics only."""
        with autocast:
            logits = [network(batch.images) for _, network in networks.items()]
        with without_autocast(batch.labels.device.type):
            count = len(batch.labels)
            labelled = [widen(found) if len(found) == count else widen(found)[:count] for found in logits]
            return labels_objective([supervised_loss(found, batch.labels, missing=batch.missing, dice=self.config.dice)
                                     for found in labelled])
