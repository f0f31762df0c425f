"""The pair of networks and their views of one batch: clean for all images, perturbed for the unlabelled ones."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Literal, Protocol, Unpack

import torch
from torch import Tensor, nn

from alhvr.networks.blocks import SegmentationNetwork, frozen_running_statistics, tail_of_batch
from alhvr.networks.build import NetworkKind, NetworkOptions, build_network
from alhvr.networks.perturbation import DualPerturbation, Perturbation, apply_perturbation


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


class NetworkShape(Protocol):
    """What has to be known to build the pair."""

    kind: NetworkKind
    dimensions: Literal[2, 3]
    n_classes: int
    feature_stride: int
    clean_dropout: bool
    in_channels: int
    width: int


class DualNetwork(nn.Module):
    """Networks ``a`` and ``b``: one architecture, initialised one after the other so that they differ."""

    def __init__(self, kind: NetworkKind, dimensions: Literal[2, 3], n_classes: int,
                 **options: Unpack[NetworkOptions]) -> None:
        """The arguments of ``build_network``; raises ValueError as it does."""
        super().__init__()
        self.a = build_network(kind, dimensions, n_classes, **options)
        self.b = build_network(kind, dimensions, n_classes, **options)

    @classmethod
    def build(cls, spec: NetworkShape) -> DualNetwork:
        """The pair that ``spec`` describes, freshly initialised."""
        return cls(spec.kind, spec.dimensions, spec.n_classes, in_channels=spec.in_channels,
                   feature_stride=spec.feature_stride, clean_dropout=spec.clean_dropout, width=spec.width)

    @property
    def memory_format(self) -> torch.memory_format:
        """Channels last in the networks' number of dimensions: ``dual.to(memory_format=dual.memory_format)``."""
        return self.a.memory_format

    def forward_views(
        self,
        images: Tensor,
        n_clean: int,
        perturbations: DualPerturbation | None,
        config: PassConfig = UNLABELED_ONLY,
    ) -> DualViews:
        """images [B, in_channels, *S], the first ``n_clean`` of them fully labelled -> both networks' views.

        ``perturbations`` None, or a batch of fully labelled images: the clean pass only. Raises ValueError for
        sizes that are not multiples of 16 and for perturbations drawn for other shapes.
        """
        if perturbations is None or n_clean >= len(images):
            return DualViews(*(Views(net.decode(net.encode(images)).logits) for net in (self.a, self.b)))
        return DualViews(
            a=view_batch(self.a, images, n_clean, perturbations.a, config),
            b=view_batch(self.b, images, n_clean, perturbations.b, config),
        )


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
