"""Method: the seam between a training run and what it learns by."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from alhvr.config import MethodConfig
from alhvr.losses.supervised import NOT_ANNOTATED, SupervisedLoss
from alhvr.methods.registry import method_type
from alhvr.networks.group import NetworkGroup, NetworkShape


@dataclass(frozen=True)
class DeviceBatch:
    """One batch where the networks are; the first images are labelled, the rest is not."""

    images: Tensor
    """float32 [B, M, *S]."""
    labels: Tensor
    """int64 [B_l, *S], class indices or NOT_ANNOTATED."""
    n_clean: int
    """How many of the images, the first ones, have every pixel annotated."""
    missing: Tensor | None = None
    """bool [B_l, C]: classes that are not annotated in an image; None where there are none."""
    inside: Tensor | None = None
    """bool [B, *S]: pixels that are no padding; None for all of them."""


@dataclass(frozen=True)
class Objective:
    """What one batch costs, and what is worth showing about it."""

    total: Tensor
    """L, scalar: call backward on it."""
    terms: dict[str, Tensor]
    """Each named loss, scalar without gradient, summed over the networks and before any weight; and the total."""
    gamma: Tensor | None = None
    """Confidence threshold of this batch, scalar 0..1; None where the method has none."""
    region_fractions: dict[str, Tensor] = field(default_factory=dict)
    """Share of the unlabelled pixels per region, scalars 0..1; empty where the method has no regions."""


class Method(ABC):
    """How the networks of a run learn from labelled and unlabelled images; made once a run, keeps no state.

    Everything random in ``loss`` comes from ``iteration`` and the seed, or from torch's generator, which is seeded
    before each step: a resumed run repeats one that was never stopped.
    """

    def __init__(self, config: MethodConfig, seed: int) -> None:
        """``config``: the settings of the method; ``seed``: that of the run."""
        self.config, self.seed = config, seed

    def build(self, shape: NetworkShape) -> NetworkGroup:
        """The networks of a run, freshly initialised: those that the registry names, all of the structure ``shape``.

        A method may add auxiliary modules of its own structure to the group.
        """
        return NetworkGroup.build(shape, method_type(self.config.name).networks)

    @abstractmethod
    def loss(self, networks: NetworkGroup, batch: DeviceBatch, iteration: int, weight: float,
             autocast: torch.autocast) -> Objective:
        """Runs the networks on ``batch`` within ``autocast`` and sums the loss, in float32.

        ``weight``: lambda (Eq. 10), 0 or more, of all that is learnt from pixels without a label; with 0 they only
        take part in the batch statistics.
        """

    def learning(self, networks: NetworkGroup) -> tuple[str, ...]:
        """Names of the networks with an optimiser of their own; all that there is unless a method says otherwise."""
        return (*networks.names, *networks.auxiliary)

    def after_step(self, networks: NetworkGroup, iteration: int) -> None:  # noqa: B027  most have nothing to do
        """What follows a step of the optimisers, such as moving a teacher towards its student."""


def sum_up(supervised: Sequence[SupervisedLoss], unsupervised: dict[str, Tensor], weight: float, *,
           ce: float = 1.0, dice: float = 1.0, beside: dict[str, Tensor] | None = None) -> Objective:
    """L = ce * CE + dice * Dice + beside + weight * unsupervised, the supervised terms summed over the networks.

    ``unsupervised``: what is learnt without labels, each with its own weight inside already; empty where nothing is.
    ``beside``: other terms learnt from labels.
    """
    terms = supervised_terms(list(supervised)) | (beside or {})
    total = ce * terms["supervised_ce"] + dice * terms["supervised_dice"] + sum((beside or {}).values())
    if unsupervised:
        terms |= unsupervised
        terms["unsupervised"] = sum(unsupervised.values())
        total = total + weight * terms["unsupervised"]
    return Objective(total, detached({**terms, "total": total}))


def inside_of(batch: DeviceBatch) -> Tensor:
    """bool [B, *S]: the pixels that are no padding."""
    shape = (len(batch.images), *batch.images.shape[2:])
    return torch.ones(shape, dtype=torch.bool, device=batch.images.device) if batch.inside is None else batch.inside


def unlabelled_pixels(batch: DeviceBatch) -> Tensor:
    """bool [B - n_clean, *S] of the images from ``n_clean`` on: neither padding nor annotated."""
    found = inside_of(batch)[batch.n_clean:].clone()
    n_partly = len(batch.labels) - batch.n_clean
    found[:n_partly] &= batch.labels[batch.n_clean:] == NOT_ANNOTATED
    return found


def labels_objective(supervised: list[SupervisedLoss]) -> Objective:
    """The supervised loss L_s alone, summed over the networks."""
    terms = supervised_terms(supervised)
    total = terms["supervised_ce"] + terms["supervised_dice"]
    return Objective(total, detached({**terms, "total": total}))


def supervised_terms(supervised: list[SupervisedLoss]) -> dict[str, Tensor]:
    """L_s of all networks by part."""
    return {"supervised_ce": sum(loss.ce for loss in supervised),
            "supervised_dice": sum(loss.dice for loss in supervised)}


def detached(terms: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same values without gradient."""
    return {name: value.detach() for name, value in terms.items()}
