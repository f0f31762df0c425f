"""copy_paste: labelled and unlabelled images of one batch mixed into images that are labelled in part."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack

import numpy as np
import torch
from torch import Tensor

from alhvr.config import CopyPasteConfig
from alhvr.formats.labels import NOT_ANNOTATED
from alhvr.methods.base import DeviceBatch
from alhvr.networks.blocks import BATCH_NORM, frozen_running_statistics
from alhvr.networks.group import NetworkGroup


def copy_paste(batch: DeviceBatch, probability: Tensor, config: CopyPasteConfig, rng: np.random.Generator,
               share: float = 1.0) -> DeviceBatch:
    """Each labelled image with a box of an unlabelled one in it, or the other way round: [B_l, M, *S], no other image.

    probability: [B_u, C, *S], what a teacher makes of the unlabelled images; where its largest value is below
    ``config.confidence``, and in padding, the pixel is NOT_ANNOTATED. share: part of the images that are mixed, 0 to 1;
    the others stay as they are. A batch without unlabelled images is returned as it is.
    """
    count = len(batch.labels)
    others = batch.images[count:]
    if not len(others):
        return batch
    pairs = torch.as_tensor(rng.integers(0, len(others), count), device=others.device)
    own = _boxes(batch.labels.shape, config.side, rng)  # where the labelled image shows
    own[rng.random(count) < 0.5] ^= True
    own[rng.random(count) >= share] = True
    own = torch.from_numpy(own).to(others.device)
    confidence, classes = probability.max(dim=1)
    pseudo = torch.where(confidence >= config.confidence, classes, NOT_ANNOTATED)
    inside = None
    if batch.inside is not None:
        pseudo = torch.where(batch.inside[count:], pseudo, NOT_ANNOTATED)
        inside = torch.where(own, batch.inside[:count], batch.inside[count:][pairs])
    images = torch.where(own.unsqueeze(1), batch.images[:count], others[pairs])
    return _clean_first(images, torch.where(own, batch.labels, pseudo[pairs]), batch.missing, inside)


def labeled_alone(batch: DeviceBatch) -> DeviceBatch:
    """The batch without its unlabelled images."""
    count = len(batch.labels)
    inside = None if batch.inside is None else batch.inside[:count]
    return DeviceBatch(batch.images[:count], batch.labels, batch.n_clean, batch.missing, inside)


@torch.no_grad()
def teacher_probability(teacher: NetworkGroup, batch: DeviceBatch, autocast: AbstractContextManager) -> Tensor:
    """Mean probability [B_u, C, *S] float32 of the networks of ``teacher`` for the unlabelled images of a batch.

    Batch norm takes the statistics of the whole batch, labelled images too, as the running ones of a mean of weights
    are stale; dropout is off; the teacher is left as it was.
    """
    count, found = len(batch.labels), []
    with ExitStack() as stack:
        for _, network in teacher.items():
            norms = [m for m in network.modules() if isinstance(m, tuple(BATCH_NORM.values()))]
            for norm in norms:
                norm.train()
                stack.callback(norm.eval)
            stack.enter_context(frozen_running_statistics(network))
            with autocast:
                found.append(network(batch.images)[count:])
    return torch.stack([logits.float().softmax(dim=1) for logits in found]).mean(dim=0)


def _boxes(shape: Sequence[int], side: float, rng: np.random.Generator) -> np.ndarray:
    """bool [B, *S]: True outside a box in each image whose sides are ``side`` of its own, at a place of its own."""
    outside = np.ones(tuple(shape), dtype=bool)
    for image in outside:
        lengths = [max(1, round(side * n)) for n in image.shape]
        starts = [int(rng.integers(0, n - length + 1)) for n, length in zip(image.shape, lengths, strict=True)]
        image[tuple(slice(start, start + length) for start, length in zip(starts, lengths, strict=True))] = False
    return outside


def _clean_first(images: Tensor, labels: Tensor, missing: Tensor | None, inside: Tensor | None) -> DeviceBatch:
    """The batch in the order that methods expect: images of which every pixel is annotated first."""
    unknown = labels == NOT_ANNOTATED
    leaves_open = (unknown if inside is None else unknown & inside).flatten(1).any(dim=1)
    order = leaves_open.to(torch.uint8).argsort(stable=True)
    return DeviceBatch(images[order], labels[order], int((~leaves_open).sum()),
                       None if missing is None else missing[order], None if inside is None else inside[order])
