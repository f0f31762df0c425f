"""AAU (Adiga et al., Medical Image Analysis 2024): a mean teacher, trusted where an autoencoder of labels agrees."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from alhvr.losses.consistency import pseudo_labels, squared_difference
from alhvr.losses.supervised import dice_per_class, supervised_loss
from alhvr.losses.tensors import one_hot, widen, without_autocast
from alhvr.methods.base import DeviceBatch, Objective, inside_of, sum_up
from alhvr.methods.mean_teacher import MeanTeacher
from alhvr.networks.blocks import CONVOLUTION, ConvBlock
from alhvr.networks.group import NetworkGroup, NetworkShape
from alhvr.networks.norm_act import MAX_POOL, upsample2x

GAMMA = 1.0
"""How fast trust falls with the squared distance of the teacher's probabilities from the autoencoder's."""
CORRUPTED = 0.25
"""Share of the label maps that each kind of corruption changes."""
MOVED = 0.1
"""Share of the pixels that change places in such a map."""
SHIFTS, RADII = (3, 8), (1, 4)
"""Fewest and most pixels that a pixel moves, and that a structure grows or shrinks."""
NOISE = 0.1
"""Standard deviation of the noise on the label maps, clipped at twice of it."""


class Aau(MeanTeacher):
    """L = (CE + Dice) / 2 + lambda / 2 sum(w (p_s - p_t)^2) / sum(w), w = exp(-(autoencoder - p_t)^2), on all pixels.

    Ours: the autoencoder learns beside the networks from the same labelled patches, in the publication for 50,000
    steps before them. It has no fully connected layer, so that a patch may have any size, and takes one map a class.
    """

    def build(self, shape: NetworkShape) -> NetworkGroup:
        """See Method.build; adds the autoencoder."""
        networks = super().build(shape)
        networks.add_auxiliary("prior", LabelAutoencoder(shape.dimensions, shape.n_classes, shape.width))
        return networks

    def loss(self, networks: NetworkGroup, batch: DeviceBatch, iteration: int, weight: float,
             autocast: torch.autocast) -> Objective:
        """See Method.loss."""
        prior, count = networks["prior"], len(batch.labels)
        clean = one_hot(batch.labels, networks["student"].head.out_channels, torch.float32)
        with autocast:
            student = networks["student"](batch.images)
            restored = prior.train()(corrupt(clean))
            teacher = self.teacher_logits(networks, batch.images) if weight > 0 else None
            plausible = prior.restore(pseudo_labels(teacher)) if weight > 0 else None
        with without_autocast(batch.images.device.type):
            student = widen(student)
            supervised = supervised_loss(student[:count], batch.labels, missing=batch.missing, dice=self.config.dice)
            beside = {"prior": restoring_loss(widen(restored), clean, batch.missing)}
            unsupervised = {}
            if teacher is not None:
                p, q = student.softmax(dim=1), widen(teacher).softmax(dim=1)
                trust = (-GAMMA * (widen(plausible).sigmoid() - q).square()).exp() * inside_of(batch).unsqueeze(1)
                unsupervised["consistency"] = 0.5 * squared_difference(p, q, trust)
            return sum_up([supervised], unsupervised, weight, ce=0.5, dice=0.5, beside=beside)


class LabelAutoencoder(nn.Module):
    """Label maps to label maps by way of an eighth of their size, without any other connection."""

    def __init__(self, dimensions: int, n_classes: int, width: int) -> None:
        """``n_classes`` C counts the background; ``width``: channels at full resolution."""
        super().__init__()
        sizes = [n_classes, width, 2 * width, 4 * width]
        self.down = nn.ModuleList(ConvBlock(dimensions, i, o, dropout=0.0) for i, o in pairwise(sizes))
        ups = [sizes[-1], *sizes[:0:-1]]
        self.up = nn.ModuleList(ConvBlock(dimensions, i, o, dropout=0.0) for i, o in pairwise(ups))
        self.head = CONVOLUTION[dimensions](width, n_classes, 1)

    def forward(self, maps: Tensor) -> Tensor:
        """maps [B, C, *S], S multiples of 8 -> logits [B, C, *S] of each class by itself."""
        for block in self.down:
            maps = MAX_POOL[maps.ndim - 2](block(maps), 2)
        for block in self.up:
            maps = block(upsample2x(maps))
        return self.head(maps)

    @torch.no_grad()
    def restore(self, maps: Tensor) -> Tensor:
        """The same in eval mode, without gradient; train mode comes back afterwards."""
        self.eval()
        found = self(maps)
        self.train()
        return found


def corrupt(maps: Tensor) -> Tensor:
    """One-hot label maps [B, C, *S] with pixels moved, structures grown, and noise; drawn from torch's generator."""
    drawn = torch.rand(len(maps), 2).tolist()
    changed = [_grown(_moved(one[None], moved), grown) for one, (moved, grown) in zip(maps, drawn, strict=True)]
    noise = (torch.randn_like(maps) * NOISE).clamp(-2 * NOISE, 2 * NOISE)
    return torch.cat(changed) + noise


def _moved(maps: Tensor, drawn: float) -> Tensor:
    """Some pixels take the class of one a few pixels away; only near a border does that change anything."""
    if drawn >= CORRUPTED:
        return maps
    axis, shift = _whole(2, maps.ndim - 1), _whole(*SHIFTS) * (1, -1)[_whole(0, 1)]
    takes = torch.rand_like(maps[:, :1]) < MOVED
    return torch.where(takes, maps.roll(shift, axis), maps)


def _grown(maps: Tensor, drawn: float) -> Tensor:
    """One class, background too, grows into its neighbours."""
    if drawn >= CORRUPTED:
        return maps
    chosen, radius = _whole(0, maps.shape[1] - 1), _whole(*RADII)
    grown = MAX_POOL[maps.ndim - 2](maps[:, chosen:chosen + 1], 2 * radius + 1, 1, radius)
    rest = maps * (1 - grown)
    rest[:, chosen:chosen + 1] = grown
    return rest


def _whole(low: int, high: int) -> int:
    return int(torch.randint(low, high + 1, ()))


def restoring_loss(logits: Tensor, clean: Tensor, missing: Tensor | None) -> Tensor:
    """(mean squared error + Dice) / 2 of sigmoid(logits) against ``clean``, both [B, C, *S]; scalar.

    Pixels without a class take no part, nor does the background of an image where classes are ``missing``, bool [B, C].
    """
    counts = clean.sum(dim=1)
    if missing is not None:
        open_ = missing.any(dim=1).reshape(-1, *[1] * (clean.ndim - 2))
        counts = counts * ~(open_ & (clean[:, 0] > 0))
    probability = logits.sigmoid()
    kept = counts.unsqueeze(1)
    return 0.5 * (squared_difference(probability, clean, counts)
                  + dice_per_class(probability * kept, clean * kept).mean())
