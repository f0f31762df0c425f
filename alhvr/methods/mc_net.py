"""MC-Net (Wu et al., MICCAI 2021): two decoders of one encoder, each the sharpened target of the other."""

from __future__ import annotations

import torch
from torch import Tensor

from alhvr.losses.competition import sharpen
from alhvr.losses.consistency import squared_difference
from alhvr.losses.supervised import supervised_loss
from alhvr.losses.tensors import widen, without_autocast
from alhvr.methods.base import DeviceBatch, Method, Objective, inside_of, sum_up
from alhvr.networks.group import NetworkGroup, NetworkShape
from alhvr.networks.second_decoder import SecondDecoder, is_upsampled_by_convolution


class McNet(Method):
    """L = Dice of both decoders + lambda sum over i != j of mean((p_i - sharpened p_j)^2), on all pixels.

    Version 1: the second decoder doubles sizes by transposed convolutions, linearly where the network's own does that.
    Nothing is detached, as in the released code. The network with its own decoder segments.
    """

    def build(self, shape: NetworkShape) -> NetworkGroup:
        """See Method.build; adds the second decoder."""
        networks = super().build(shape)
        other = "linear" if is_upsampled_by_convolution(networks["a"]) else "transposed"
        networks.add_auxiliary("decoder", SecondDecoder(networks["a"], shape.n_classes, other))
        return networks

    def loss(self, networks: NetworkGroup, batch: DeviceBatch, iteration: int, weight: float,
             autocast: torch.autocast) -> Objective:
        """See Method.loss."""
        with autocast:
            levels = networks["a"].encode(batch.images)
            logits = [networks["a"].decode(levels).logits, networks["decoder"](levels).logits]
        with without_autocast(batch.images.device.type):
            logits = [widen(found) for found in logits]
            supervised = [supervised_loss(z[:len(batch.labels)], batch.labels, missing=batch.missing,
                                          dice=self.config.dice) for z in logits]
            unsupervised = {"mutual": self._mutual(*logits, inside_of(batch))} if weight > 0 else {}
            return sum_up(supervised, unsupervised, weight, ce=0.0)

    def _mutual(self, first: Tensor, second: Tensor, inside: Tensor) -> Tensor:
        p, q = first.softmax(dim=1), second.softmax(dim=1)
        return sum(squared_difference(one, sharpen(other, self.config.temperature), inside)
                   for one, other in ((p, q), (q, p)))
