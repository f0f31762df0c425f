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
from alhvr.losses.regions import Regions, region_threshold, split_regions
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
    """pl_n [B_u, C, *S], one-hot, all zero in padding: most probable class of the clean prediction, no gradient."""
    confidence: Tensor
    """con_n2 [B_u, *S]: largest probability of the perturbed prediction, without gradient."""


def alhvr_objective(
    views: DualViews, labels: Tensor, weight: float, config: MethodConfig, *, missing: Tensor | None = None,
    inside: Tensor | None = None,
) -> Objective:
    """L = sum over both networks of L_s + lambda (L_pc + L_mh) (Eqs. 9 and 10).

    views: what both networks made of a batch whose first images are labelled; without perturbed outputs only L_s is
    taken. labels: [B_l, *S] int64, class indices or NOT_ANNOTATED. weight: lambda, 0 or more. missing: [B_l, C] bool,
    classes not annotated in an image; None for none. Where labelled images have perturbed outputs too, their pixels
    that nobody annotated count as unlabelled. inside: [B, *S] bool, the pixels that are no padding; None for all of
    them. Padding, which must be NOT_ANNOTATED in ``labels``, takes no part in any loss, in gamma or in the prototypes.
    With a weight of 0 the unsupervised losses are not computed. Runs in float32 under any autocast.
    """
    with without_autocast(labels.device.type):
        n_unlabelled = 0 if views.a.perturbed_logits is None else len(views.a.perturbed_logits)
        parts = [_parted(v.clean_logits, len(labels), n_unlabelled) for v in (views.a, views.b)]
        supervised = [supervised_loss(labelled, labels, missing=missing, dice=config.dice) for labelled, _ in parts]
        if not n_unlabelled:
            return _labels_only(supervised)
        inside = None if inside is None else inside[-n_unlabelled:]
        a, b = (_unlabelled(clean, v.perturbed_logits, inside)
                for (_, clean), v in zip(parts, (views.a, views.b), strict=True))
        pixels = _unlabelled_pixels(labels, len(views.a.clean_logits), a.confidence, inside)
        gamma = region_threshold((a.confidence + b.confidence) / 2, config, unlabelled=pixels)
        regions = split_regions(a.confidence, b.confidence, gamma, unlabelled=pixels)
        terms = _supervised_terms(supervised) | _unsupervised_terms(views, (a, b), regions, config)
        weights = _term_weights(config)
        unsupervised = sum(weights[name] * terms[name] for name in weights if name in terms)
        total = terms["supervised_ce"] + terms["supervised_dice"] + weight * unsupervised
        named = {**terms, "unsupervised": total.new_zeros(()) + unsupervised, "total": total}
        return Objective(total, _detached(named), gamma.mean(), regions.fractions())


def _labels_only(supervised: list[SupervisedLoss]) -> Objective:
    terms = _supervised_terms(supervised)
    total = terms["supervised_ce"] + terms["supervised_dice"]
    return Objective(total, _detached({**terms, "total": total}), None, {})


def _term_weights(config: MethodConfig) -> dict[str, float]:
    """Weight of each unsupervised term beside lambda."""
    return {"prototype_ce": config.ce_weight, "prototype_cosine": config.cosine_weight,
            "competition_mse": config.mse_weight, "competition_entropy": config.entropy_weight,
            "cross_pseudo": config.cross_pseudo_weight if config.cross_pseudo_regions else 0.0}


def _unsupervised_terms(views: DualViews, both: tuple[_Unlabelled, _Unlabelled], regions: Regions,
                        config: MethodConfig) -> dict[str, Tensor]:
    """The terms of the modules that are on, summed over both networks."""
    terms: dict[str, Tensor] = {}
    if config.prototype_consistency:
        terms |= _prototype_terms(views, both, regions, config)
    if config.teacher_competition:
        terms |= _competition_terms(both, regions, config)
    if config.cross_pseudo_regions and config.cross_pseudo_weight:
        terms |= _cross_pseudo_terms(both, regions, config)
    return terms


def _supervised_terms(supervised: list[SupervisedLoss]) -> dict[str, Tensor]:
    """L_s of both networks."""
    a, b = supervised
    return {"supervised_ce": a.ce + b.ce, "supervised_dice": a.dice + b.dice}


def _prototype_terms(
    views: DualViews, both: tuple[_Unlabelled, _Unlabelled], regions: Regions, config: MethodConfig
) -> dict[str, Tensor]:
    """L_pc of both networks: where one is unsure, its perturbed features follow the other's clean ones."""
    a, b = both
    loss = functools.partial(prototype_loss, config=config, n_pixels=regions.n_pixels)
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


def _cross_pseudo_terms(
    both: tuple[_Unlabelled, _Unlabelled], regions: Regions, config: MethodConfig
) -> dict[str, Tensor]:
    """Cross pseudo supervision (Chen et al. 2021) in some regions only, as in the paper's table 1, clean predictions.

    Cross-entropy of each network against the other's most probable classes, mean over the pixels of these regions.
    """
    names = {1: regions.reliable_stable, 2: regions.reliable_unstable, 3: regions.unreliable_stable}
    weights = torch.stack([names[number] for number in config.cross_pseudo_regions]).any(dim=0).to(both[0].clean.dtype)
    a, b = both
    ce = sum(-(student.clean.clamp(min=torch.finfo(student.clean.dtype).tiny).log() * source.classes).sum(dim=1)
             for student, source in ((a, b), (b, a)))
    return {"cross_pseudo": (ce * weights).sum() / weights.sum().clamp(min=1)}


def _parted(clean_logits: Tensor, n_labelled: int, n_unlabelled: int) -> tuple[Tensor, Tensor]:
    """The first and the last images of [B, C, *S]; they may overlap.

    Where they do not, both are parts of one split, whose gradient is put together once instead of twice padded.
    """
    logits = widen(clean_logits)
    if n_labelled + n_unlabelled == len(logits):
        return torch.split(logits, [n_labelled, n_unlabelled])
    return logits[:n_labelled], logits[len(logits) - n_unlabelled:]


def _unlabelled_pixels(labels: Tensor, n_images: int, confidence: Tensor, inside: Tensor | None) -> Tensor | None:
    """The pixels that are unlabelled: bool like ``confidence`` [B_u, *S] of the last images; None for all of them.

    ``inside``: bool [B_u, *S], the pixels that are no padding; None for all.
    """
    n_partly = len(labels) + len(confidence) - n_images
    if n_partly <= 0:
        return inside
    pixels = torch.ones_like(confidence, dtype=torch.bool) if inside is None else inside.clone()
    pixels[:n_partly] &= labels[-n_partly:] == NOT_ANNOTATED
    return pixels


def _unlabelled(clean_logits: Tensor, perturbed_logits: Tensor, inside: Tensor | None) -> _Unlabelled:
    """Probabilities of the unlabelled images [B_u, C, *S], and the decisions that carry no gradient."""
    clean, perturbed = clean_logits.softmax(dim=1), widen(perturbed_logits).softmax(dim=1)
    classes = most_probable(clean.detach())
    return _Unlabelled(
        clean=clean,
        perturbed=perturbed,
        classes=classes if inside is None else classes * inside.unsqueeze(1),
        confidence=perturbed.detach().amax(dim=1),
    )


def _detached(terms: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach() for name, value in terms.items()}
