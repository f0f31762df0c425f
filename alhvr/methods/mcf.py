"""MCF (Wang et al., CVPR 2023): two networks of different kinds; the one that is better on the labels teaches."""

from __future__ import annotations

import torch
from torch import Tensor

from alhvr.core.errors import UserError
from alhvr.losses.competition import sharpen
from alhvr.losses.consistency import mismatch_loss, squared_difference
from alhvr.losses.supervised import SupervisedLoss, supervised_loss
from alhvr.losses.tensors import widen, without_autocast
from alhvr.methods.base import DeviceBatch, Method, Objective, sum_up, unlabelled_pixels
from alhvr.networks.group import NetworkGroup, NetworkShape
from alhvr.networks.registry import DEEPEST_STRIDE, NETWORKS, build_network, is_accepted

MISMATCH_WEIGHT = 0.5


class Mcf(Method):
    """L_n = CE + Dice + 0.5 (p_n - y)^2 where the two differ + lambda (p_n - sharpened p of the better one)^2.

    Published for volumes with one structure, V-Net and a 3-D ResNet-34. Ours: the second network is another kind of
    the registry, "differ" means another most probable class, the square is the mean over classes, and the first
    network segments alone.
    """

    def build(self, shape: NetworkShape) -> NetworkGroup:
        """See Method.build; adds a network of another kind."""
        networks = super().build(shape)
        other = another_kind(shape.kind, shape.dimensions)
        networks.add_auxiliary("other", build_network(
            other, shape.dimensions, shape.n_classes, in_channels=shape.in_channels, width=shape.width,
            feature_stride=shape.feature_stride, clean_dropout=shape.clean_dropout))
        return networks

    def loss(self, networks: NetworkGroup, batch: DeviceBatch, iteration: int, weight: float,
             autocast: torch.autocast) -> Objective:
        """See Method.loss. Raises UserError where the patch is too small for the second network."""
        if max(batch.images.shape[2:]) <= DEEPEST_STRIDE:
            raise UserError(f"patch-size is {tuple(batch.images.shape[2:])}, too small for the method mcf.",
                            f"Give one side of {2 * DEEPEST_STRIDE} or more.")
        with autocast:
            logits = [networks[name](batch.images) for name in ("a", "other")]
        with without_autocast(batch.images.device.type):
            both = [widen(found) for found in logits]
            count = len(batch.labels)
            supervised = [supervised_loss(z[:count], batch.labels, missing=batch.missing, dice=self.config.dice)
                          for z in both]
            beside = {"mismatch": MISMATCH_WEIGHT * self._mismatch([z[:count] for z in both], batch)}
            unsupervised = {}
            if weight > 0 and batch.n_clean < len(batch.images):
                unlabelled = [z[batch.n_clean:] for z in both]
                unsupervised["rectified"] = self._rectified(unlabelled, supervised, unlabelled_pixels(batch))
            return sum_up(supervised, unsupervised, weight, beside=beside)

    def _mismatch(self, logits: list[Tensor], batch: DeviceBatch) -> Tensor:
        differs = logits[0].argmax(dim=1) != logits[1].argmax(dim=1)
        return sum(mismatch_loss(z.softmax(dim=1), batch.labels, differs, batch.missing) for z in logits)

    def _rectified(self, logits: list[Tensor], supervised: list[SupervisedLoss], pixels: Tensor) -> Tensor:
        """The network with the larger Dice loss on the labels learns the other's sharpened probabilities."""
        p, q = (z.softmax(dim=1) for z in logits)
        target_p, target_q = (sharpen(x.detach(), self.config.temperature, "normalized") for x in (p, q))
        first_is_better = (supervised[0].dice < supervised[1].dice).to(p.dtype)
        return (first_is_better * squared_difference(q, target_p, pixels)
                + (1 - first_is_better) * squared_difference(p, target_q, pixels))


def another_kind(kind: str, dimensions: int) -> str:
    """The last network of the registry that is not ``kind``, and can be had in so many ``dimensions``."""
    return next(name for name in reversed(list(NETWORKS)) if name != kind and is_accepted(name, dimensions))
