"""alhvr_objective: the one place where the loss is summed (Eq. 10)."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from alhvr.config import MethodConfig
from alhvr.losses.competition import competition_loss, sharpen, teacher
from alhvr.losses.one_hot import most_probable
from alhvr.losses.precision import widen, without_autocast
from alhvr.losses.prototypes import prototype_loss
from alhvr.losses.regions import Regions, confidence_threshold, split_regions
from alhvr.losses.supervised import NOT_ANNOTATED, SupervisedLoss, supervised_loss

if TYPE_CHECKING:
    from alhvr.networks.dual import DualViews


@dataclass(frozen=True)
class Objective:
    """What one batch costs, and what is worth showing about it."""

    total: Tensor
    """L, scalar: call backward on it."""
    terms: dict[str, Tensor]
    """Each named loss, scalar without gradient, summed over both networks and before any weight; and the total."""
    gamma: Tensor | None
    """Confidence threshold of this batch, scalar 0..1; None without unlabelled images."""
    region_fractions: dict[str, Tensor]
    """Share of the unlabelled pixels per region, scalars 0..1; empty without unlabelled images."""


@dataclass(frozen=True)
class _Unlabelled:
    """One network's unlabelled predictions as probabilities, with what is derived from them."""

    clean: Tensor
    """y_n1 [B_u, C, *S]."""
    perturbed: Tensor
    """y_n2 [B_u, C, *S]."""
    classes: Tensor
    """pl_n [B_u, C, *S], one-hot: most probable class of the clean prediction, without gradient."""
    confidence: Tensor
    """con_n2 [B_u, *S]: largest probability of the perturbed prediction, without gradient."""


def alhvr_objective(
    views: DualViews, labels: Tensor, weight: float, config: MethodConfig, *, missing: Tensor | None = None
) -> Objective:
    """L = sum over both networks of L_s + lambda (L_pc + L_mh) (Eqs. 9 and 10).

    views: what both networks made of a batch whose first images are labelled; without perturbed outputs only L_s is
    taken. labels: [B_l, *S] int64, class indices or NOT_ANNOTATED. weight: lambda, 0 or more. missing: [B_l, C] bool,
    classes not annotated in an image; None for none. Where labelled images have perturbed outputs too, their pixels
    that nobody annotated count as unlabelled. Runs in float32 under any autocast.
    """
    with without_autocast(labels.device.type):
        n_unlabelled = 0 if views.a.perturbed_logits is None else len(views.a.perturbed_logits)
        parts = [_parted(v.clean_logits, len(labels), n_unlabelled) for v in (views.a, views.b)]
        supervised = [supervised_loss(labelled, labels, missing=missing, dice=config.dice) for labelled, _ in parts]
        if not n_unlabelled:
            return _labels_only(supervised)
        a, b = (_unlabelled(clean, v.perturbed_logits)
                for (_, clean), v in zip(parts, (views.a, views.b), strict=True))
        unlabelled = _unlabelled_pixels(labels, len(views.a.clean_logits), a.confidence)
        mean = (a.confidence + b.confidence) / 2
        gamma = confidence_threshold(mean if unlabelled is None else mean[unlabelled], config.beta)
        regions = split_regions(a.confidence, b.confidence, gamma, unlabelled=unlabelled)
        terms = {
            **_supervised_terms(supervised),
            **_prototype_terms(views, (a, b), regions, config),
            **_competition_terms((a, b), regions, config),
        }
        unsupervised = (
            config.ce_weight * terms["prototype_ce"] + terms["prototype_cosine"]
            + terms["competition_mse"] + terms["competition_entropy"]
        )
        total = terms["supervised_ce"] + terms["supervised_dice"] + weight * unsupervised
        named = {**terms, "unsupervised": unsupervised, "total": total}
        return Objective(total, _detached(named), gamma, regions.fractions())


def _labels_only(supervised: list[SupervisedLoss]) -> Objective:
    terms = _supervised_terms(supervised)
    total = terms["supervised_ce"] + terms["supervised_dice"]
    return Objective(total, _detached({**terms, "total": total}), None, {})


def _supervised_terms(supervised: list[SupervisedLoss]) -> dict[str, Tensor]:
    """L_s of both networks."""
    a, b = supervised
    return {"supervised_ce": a.ce + b.ce, "supervised_dice": a.dice + b.dice}


def _prototype_terms(
    views: DualViews, both: tuple[_Unlabelled, _Unlabelled], regions: Regions, config: MethodConfig
) -> dict[str, Tensor]:
    """L_pc of both networks: where one is unsure, its perturbed features follow the other's clean ones."""
    a, b = both
    loss = functools.partial(prototype_loss, config=config)
    of_a = loss(views.a.perturbed_features, views.b.clean_features, b.classes, regions.learn_a)
    of_b = loss(views.b.perturbed_features, views.a.clean_features, a.classes, regions.learn_b)
    return {"prototype_ce": of_a.ce + of_b.ce, "prototype_cosine": of_a.cosine + of_b.cosine}


def _competition_terms(
    both: tuple[_Unlabelled, _Unlabelled], regions: Regions, config: MethodConfig
) -> dict[str, Tensor]:
    """L_mh of both networks: where neither is sure, the clean prediction of the surer one teaches both."""
    a, b = both
    with torch.set_grad_enabled(torch.is_grad_enabled() and not config.detach_teacher):
        target = sharpen(teacher(a.clean, b.clean, tie=config.tie_teacher), config.temperature, config.sharpening)
    of_a, of_b = (
        competition_loss(n.clean, n.perturbed, target, regions.unreliable_stable, entropy_mean=config.entropy_mean,
                         n_pixels=regions.n_pixels)
        for n in both
    )
    return {"competition_mse": of_a.mse + of_b.mse, "competition_entropy": of_a.entropy + of_b.entropy}


def _parted(clean_logits: Tensor, n_labelled: int, n_unlabelled: int) -> tuple[Tensor, Tensor]:
    """The first and the last images of [B, C, *S]; they may overlap.

    Where they do not, both are parts of one split, whose gradient is put together once instead of twice padded.
    """
    logits = widen(clean_logits)
    if n_labelled + n_unlabelled == len(logits):
        return torch.split(logits, [n_labelled, n_unlabelled])
    return logits[:n_labelled], logits[len(logits) - n_unlabelled:]


def _unlabelled_pixels(labels: Tensor, n_images: int, confidence: Tensor) -> Tensor | None:
    """The pixels that are unlabelled: bool like ``confidence`` [B_u, *S] of the last images; None for all of them."""
    n_partly = len(labels) + len(confidence) - n_images
    if n_partly <= 0:
        return None
    pixels = torch.ones_like(confidence, dtype=torch.bool)
    pixels[:n_partly] = labels[-n_partly:] == NOT_ANNOTATED
    return pixels


def _unlabelled(clean_logits: Tensor, perturbed_logits: Tensor) -> _Unlabelled:
    """Probabilities of the unlabelled images [B_u, C, *S], and the decisions that carry no gradient."""
    clean, perturbed = clean_logits.softmax(dim=1), widen(perturbed_logits).softmax(dim=1)
    return _Unlabelled(
        clean=clean,
        perturbed=perturbed,
        classes=most_probable(clean.detach()),
        confidence=perturbed.detach().amax(dim=1),
    )


def _detached(terms: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach() for name, value in terms.items()}
