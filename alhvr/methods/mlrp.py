"""MLRP (Su et al., Medical Image Analysis 2024): two decoders; the surer one teaches where its features bear it out."""

from __future__ import annotations

import torch
from torch import Tensor

from alhvr.losses.competition import pixel_entropy
from alhvr.losses.consistency import prototype_reliability, pseudo_label_loss, pseudo_labels
from alhvr.losses.supervised import supervised_loss
from alhvr.losses.tensors import widen, without_autocast
from alhvr.methods.base import DeviceBatch, Method, Objective, inside_of, sum_up
from alhvr.networks.blocks import Decoded
from alhvr.networks.group import NetworkGroup, NetworkShape
from alhvr.networks.second_decoder import SecondDecoder


class Mlrp(Method):
    """L = Dice of both decoders / 2 + lambda sum over i != j of the weighted CE(z_i, argmax p_j) where j is surer.

    The weight of a pixel is how well j's features, compared with its class prototypes, bear out its prediction. The
    second decoder doubles sizes by repetition. The network with its own decoder segments.
    """

    def build(self, shape: NetworkShape) -> NetworkGroup:
        """See Method.build; adds the second decoder."""
        networks = super().build(shape)
        networks["a"].feature_stride = 1
        networks.add_auxiliary("decoder", SecondDecoder(networks["a"], shape.n_classes, "nearest"))
        return networks

    def loss(self, networks: NetworkGroup, batch: DeviceBatch, iteration: int, weight: float,
             autocast: torch.autocast) -> Objective:
        """See Method.loss."""
        with autocast:
            levels = networks["a"].encode(batch.images)
            decoded = [networks["a"].decode(levels), networks["decoder"](levels)]
        with without_autocast(batch.images.device.type):
            decoded = [Decoded(widen(found.logits), widen(found.features)) for found in decoded]
            supervised = [supervised_loss(found.logits[:len(batch.labels)], batch.labels, missing=batch.missing,
                                          dice=self.config.dice) for found in decoded]
            unsupervised = {}
            if weight > 0:
                first, second, inside = *decoded, inside_of(batch)
                unsupervised["mutual"] = taught(first, second, inside) + taught(second, first, inside)
            return sum_up(supervised, unsupervised, weight, ce=0.0, dice=0.5)


def taught(student: Decoded, source: Decoded, inside: Tensor) -> Tensor:
    """What ``student`` pays for not predicting as ``source`` where that one is surer, scalar; inside: bool [B, *S]."""
    p, q = student.logits.detach().softmax(dim=1), source.logits.detach().softmax(dim=1)
    surer = (pixel_entropy(p) > pixel_entropy(q)) & inside
    reliability = prototype_reliability(source.features, q, inside)
    return pseudo_label_loss(student.logits, pseudo_labels(source.logits), surer * reliability, n_pixels=surer.sum())
