"""UG-MCL (Zhang et al., Artif. Intell. Med. 2023): a mean teacher and a second task, the distance map."""

from __future__ import annotations

import torch
from torch import Tensor

from alhvr.losses.consistency import relative_entropy, squared_difference
from alhvr.losses.supervised import NOT_ANNOTATED, dice_per_class, merge_missing, supervised_loss
from alhvr.losses.tensors import one_hot, widen, without_autocast
from alhvr.methods.base import DeviceBatch, Objective, inside_of, sum_up
from alhvr.methods.mean_teacher import MeanTeacher
from alhvr.networks.blocks import CONVOLUTION
from alhvr.networks.group import NetworkGroup, NetworkShape

THRESHOLD = (0.75, 1.0)
"""Of the teacher's entropy as a share of the largest, at the beginning and where lambda is largest."""
SLOPE = 10.0
"""Of the sigmoid that makes a mask of a distance map. Ours: with the 1500 of the released code nearly every pixel is
saturated and nothing is learnt from the map."""


class UgMcl(MeanTeacher):
    """L = (CE + Dice + Dice of the map) / 2 + lambda (agreement with the teacher where it is sure + map against mask).

    The map of each class comes from a convolution of its own on the last features, as in the publication; the released
    code takes the tanh of the segmentation's logits. Published for two classes: one map a class is ours.
    """

    def build(self, shape: NetworkShape) -> NetworkGroup:
        """See Method.build; adds the head of the distance maps."""
        networks = super().build(shape)
        for _, network in networks.items():
            network.feature_stride = 1
        width = networks["student"].level_channels[0]
        networks.add_auxiliary("distance", CONVOLUTION[shape.dimensions](width, shape.n_classes, 1))
        return networks

    def loss(self, networks: NetworkGroup, batch: DeviceBatch, iteration: int, weight: float,
             autocast: torch.autocast) -> Objective:
        """See Method.loss."""
        with autocast:
            student = networks["student"]
            decoded = student.decode(student.encode(batch.images))
            distance = networks["distance"](decoded.features)
            teachers = self._teachers(networks, batch.images) if weight > 0 else []
        with without_autocast(batch.images.device.type):
            logits, mask, count = widen(decoded.logits), mask_of_distance(widen(distance)), len(batch.labels)
            supervised = supervised_loss(logits[:count], batch.labels, missing=batch.missing, dice=self.config.dice)
            map_dice = self._map_dice(mask[:count], batch)
            unsupervised = {}
            if teachers:
                p, inside = logits.softmax(dim=1), inside_of(batch)
                q = [widen(found).softmax(dim=1) for found in teachers]
                sure = self._sure(q[1:], weight)
                unsupervised = {"consistency": 0.5 * squared_difference(p, q[0], inside & sure),
                                "cross_task": squared_difference(mask, p, inside)}
            return sum_up([supervised], unsupervised, weight, ce=0.5, dice=0.5,
                          beside={"distance_dice": 0.5 * map_dice})

    def _teachers(self, networks: NetworkGroup, images: Tensor) -> list[Tensor]:
        """Logits [B, C, *S] of one noisy pass to agree with, and of those that the uncertainty is taken from."""
        return [self.teacher_logits(networks, images) for _ in range(1 + self.config.teacher_passes)]

    def _sure(self, passes: list[Tensor], weight: float) -> Tensor:
        """bool [B, *S]: where the entropy of the passes' mean probability [B, C, *S] is below the threshold."""
        low, high = THRESHOLD
        return relative_entropy(sum(passes) / len(passes)) < low + (high - low) * self.rise(weight)

    def _map_dice(self, mask: Tensor, batch: DeviceBatch) -> Tensor:
        """Dice loss of the masks [B_l, C, *S] of the maps, mean over the foreground; scalar."""
        onehot = one_hot(batch.labels, mask.shape[1], mask.dtype)
        mask = mask * (batch.labels != NOT_ANNOTATED).unsqueeze(1)
        if batch.missing is not None:
            mask, onehot = merge_missing(mask, batch.missing), merge_missing(onehot, batch.missing)
        return dice_per_class(mask, onehot, dice=self.config.dice)[1:].mean()


def mask_of_distance(logits: Tensor, slope: float = SLOPE) -> Tensor:
    """sigmoid(-slope tanh(z)): the mask of a distance map that is negative inside; any shape."""
    return torch.sigmoid(-slope * logits.tanh())
