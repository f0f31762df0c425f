"""ALHVR (Lei et al., ICCV 2025): the views of both networks, and the one place where their loss is summed (Eq. 10)."""

from __future__ import annotations

import contextlib
import functools
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from alhvr.config import MethodConfig
from alhvr.losses.competition import competition_loss, sharpen, teacher
from alhvr.losses.prototypes import prototype_loss
from alhvr.losses.regions import Regions, region_threshold, split_regions
from alhvr.losses.supervised import NOT_ANNOTATED, supervised_loss
from alhvr.losses.tensors import most_probable, widen, without_autocast
from alhvr.methods.base import DeviceBatch, Method, Objective, detached, labels_objective, supervised_terms
from alhvr.networks.blocks import SegmentationNetwork, frozen_running_statistics, tail_of_batch
from alhvr.networks.group import NetworkGroup
from alhvr.networks.perturbation import DualPerturbation, Perturbation, apply_perturbation, draw_dual_perturbation

NOISE_STREAM = 2
"""Which of the random streams of a run draws the perturbations."""


class Alhvr(Method):
    """Two networks: CG-CPCL where only one of them is sure, DTCT where neither is."""

    def loss(self, networks: NetworkGroup, batch: DeviceBatch, iteration: int, weight: float,
             autocast: torch.autocast) -> Objective:
        """See Method.loss; with a ``weight`` of 0 nothing is decoded perturbed."""
        learns_unlabelled = weight > 0 and batch.n_clean < len(batch.images)
        perturbations = self._draw(networks, iteration, batch.images) if learns_unlabelled else None
        passes = PassConfig(perturb_labeled=self.config.perturb_labeled,
                            perturbed_statistics=self.config.perturbed_statistics)
        with autocast:
            views = forward_views(networks, batch.images, batch.n_clean, perturbations, passes)
        return alhvr_objective(views, batch.labels, weight, self.config, missing=batch.missing, inside=batch.inside)

    def _draw(self, networks: NetworkGroup, iteration: int, images: Tensor) -> DualPerturbation:
        rng = np.random.default_rng([self.seed, NOISE_STREAM, iteration])
        return draw_dual_perturbation(rng, networks.first.level_shapes(images.shape[2:]))


@dataclass(frozen=True)
class PassConfig:
    """How the perturbed pass is run."""

    perturb_labeled: bool = False
    """Labelled images are decoded perturbed too; no loss uses them, only batch statistics change."""
    perturbed_statistics: bool = False
    """The perturbed pass also updates the running statistics of batch norm."""


UNLABELED_ONLY = PassConfig()
"""The perturbed pass of the paper preset: unlabelled images, running statistics left alone."""


@dataclass(frozen=True)
class Views:
    """What one network makes of a batch of B images, the last B_u of them unlabelled, or labelled in part."""

    clean_logits: Tensor
    """[B, C, *S], y_n1 before the softmax, labelled images first."""
    perturbed_logits: Tensor | None = None
    """[B_u, C, *S], y_n2 before the softmax; None when only labels are learnt from."""
    clean_features: Tensor | None = None
    """[B_u, F, *S / stride], F^d of the clean pass; None likewise."""
    perturbed_features: Tensor | None = None
    """[B_u, F, *S / stride], F^d of the perturbed pass; None likewise."""


@dataclass(frozen=True)
class DualViews:
    """The views of both networks on the same batch."""

    a: Views
    b: Views


def forward_views(networks: NetworkGroup, images: Tensor, n_clean: int, perturbations: DualPerturbation | None,
                  config: PassConfig = UNLABELED_ONLY) -> DualViews:
    """images [B, in_channels, *S], the first ``n_clean`` of them fully labelled -> the views of networks a and b.

    ``perturbations`` None, or a batch of fully labelled images: the clean pass only. Raises ValueError for sizes that
    are not multiples of 16 and for perturbations drawn for other shapes.
    """
    if perturbations is None or n_clean >= len(images):
        return DualViews(*(Views(net.decode(net.encode(images)).logits) for net in (networks["a"], networks["b"])))
    return DualViews(a=view_batch(networks["a"], images, n_clean, perturbations.a, config),
                     b=view_batch(networks["b"], images, n_clean, perturbations.b, config))


def view_batch(
    network: SegmentationNetwork, images: Tensor, n_clean: int, perturbation: Perturbation, config: PassConfig
) -> Views:
    """One encoder run, the clean decode of all images [B, in_channels, *S], then the perturbed decode."""
    levels = network.encode(images)
    clean = network.decode(levels)
    start = 0 if config.perturb_labeled else n_clean
    perturbed_levels = apply_perturbation([tail_of_batch(level, start) for level in levels], perturbation)
    with contextlib.nullcontext() if config.perturbed_statistics else frozen_running_statistics(network):
        perturbed = network.decode(perturbed_levels, perturbed=True)
    return Views(
        clean_logits=clean.logits,
        perturbed_logits=perturbed.logits[n_clean - start :],
        clean_features=clean.features[n_clean:],
        perturbed_features=perturbed.features[n_clean - start :],
    )


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
    that are not annotated count as unlabelled. inside: [B, *S] bool, the pixels that are no padding; None for all of
    them. Padding, which must be NOT_ANNOTATED in ``labels``, takes no part in any loss, in gamma or in the prototypes.
    With a weight of 0 the unsupervised losses are not computed. Runs in float32 under any autocast.
    """
    with without_autocast(labels.device.type):
        n_unlabelled = 0 if views.a.perturbed_logits is None else len(views.a.perturbed_logits)
        parts = [_parted(v.clean_logits, len(labels), n_unlabelled) for v in (views.a, views.b)]
        supervised = [supervised_loss(labelled, labels, missing=missing, dice=config.dice) for labelled, _ in parts]
        if not n_unlabelled:
            return labels_objective(supervised)
        inside = None if inside is None else inside[-n_unlabelled:]
        a, b = (_unlabelled(clean, v.perturbed_logits, inside)
                for (_, clean), v in zip(parts, (views.a, views.b), strict=True))
        pixels = _unlabelled_pixels(labels, len(views.a.clean_logits), a.confidence, inside)
        gamma = region_threshold((a.confidence + b.confidence) / 2, config, unlabelled=pixels)
        regions = split_regions(a.confidence, b.confidence, gamma, unlabelled=pixels)
        terms = supervised_terms(supervised) | _unsupervised_terms(views, (a, b), regions, config)
        weights = _term_weights(config)
        unsupervised = sum(weights[name] * terms[name] for name in weights if name in terms)
        total = terms["supervised_ce"] + terms["supervised_dice"] + weight * unsupervised
        named = {**terms, "unsupervised": total.new_zeros(()) + unsupervised, "total": total}
        return Objective(total, detached(named), gamma.mean(), regions.fractions())


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
    """L_mh of both networks: where neither is sure, the clean prediction of the more confident one teaches both."""
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
