"""DualPass: both networks on one batch of windows: clean probabilities, mirrored copies, perturbed confidences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from typing import Any

import numpy as np

from alhvr.bundle import InferenceSettings
from alhvr.errors import ModelError
from alhvr.inference.backends import NETWORKS, Backend
from alhvr.inference.fusion import confidence, softmax
from alhvr.networks.perturbation import Perturbation, draw_perturbation


@dataclass(frozen=True)
class DualViews:
    """What both networks say about N windows of size S."""

    prob_a: np.ndarray
    """float32 [N, C, *S]: class probabilities of network a, clean, mean over mirrored copies where asked for."""
    prob_b: np.ndarray
    """The same of network b; that of network a again where only one of both was asked for, and likewise."""
    confidences: tuple[np.ndarray, ...]
    """float32 [N, *S] of networks a and b: largest probability under perturbation. Empty without regions."""


class DualPass:
    """Both networks for one scan; the perturbation of the first window is that of all."""

    def __init__(self, backend: Backend, settings: InferenceSettings, *, regions: bool,
                 networks: Sequence[str] = NETWORKS) -> None:
        """``regions`` adds the perturbed decode. The same seed in ``settings`` gives the same perturbation.

        ``networks``: those whose probabilities are needed; with ``regions`` both always run.
        """
        self._backend, self._mirror, self._regions = backend, settings.mirror, regions
        self._networks = NETWORKS if regions else tuple(networks)
        self._seed = settings.perturbation_seed

    def __call__(self, images: np.ndarray) -> DualViews:
        """Runs images float32 [N, M, *S]; each is encoded once for its clean and its perturbed decode.

        Raises ModelError where a network gives NaN or infinity: such a map would look like one that found nothing.
        """
        probabilities: dict[str, np.ndarray] = {}
        confidences = []
        for network in self._networks:
            levels = self._backend.encode(network, images)
            if self._regions:
                logits, perturbed = self._decode_twice(network, levels)
                confidences.append(confidence(_finite(perturbed)))
                clean = softmax(_finite(logits))
            else:
                clean = softmax(_finite(self._backend.decode(network, levels)))
            probabilities[network] = self._mirrored_mean(network, images, clean) if self._mirror else clean
        one = next(iter(probabilities.values()))
        return DualViews(*(probabilities.get(network, one) for network in NETWORKS), tuple(confidences))

    def _decode_twice(self, network: str, levels: Any) -> Sequence[np.ndarray]:
        """Logits [N, C, *S] of the clean and of the perturbed decode."""
        perturbation = _drawn(self._seed, network, tuple(self._backend.level_shapes(levels)),
                              getattr(self._backend, "channels_last", False))
        if hasattr(self._backend, "decode_twice"):
            return self._backend.decode_twice(network, levels, perturbation)
        clean = self._backend.decode(network, levels)
        return clean, self._backend.decode(network, self._backend.perturb(levels, perturbation))

    def _mirrored_mean(self, network: str, images: np.ndarray, clean: np.ndarray) -> np.ndarray:
        """Mean of ``clean`` [N, C, *S] and the probabilities of all mirrored copies of ``images``, mirrored back."""
        total, count = clean, 1
        for axes in _mirrorings(images.ndim - 2):
            levels = self._backend.encode(network, np.flip(images, axes))
            total += np.flip(softmax(_finite(self._backend.decode(network, levels))), axes)
            count += 1
        total /= count
        return total


def _finite(logits: np.ndarray) -> np.ndarray:
    if not np.isfinite(logits).all():
        raise ModelError("The networks of this model give NaN or infinity in place of numbers.",
                         "Copy the model again or train it anew; look at the scan where others are segmented well; "
                         "close other programs where memory is short.")
    return logits


@lru_cache(maxsize=len(NETWORKS))
def _drawn(seed: int, network: str, level_shapes: tuple[tuple[int, ...], ...], channels_last: bool) -> Perturbation:
    """The perturbation of ``network``, kept for the scans that follow with windows of the same size."""
    seeds = np.random.SeedSequence(seed).spawn(len(NETWORKS))
    rng = np.random.default_rng(seeds[NETWORKS.index(network)])
    return draw_perturbation(rng, level_shapes, channels_last=channels_last)


def _mirrorings(dimensions: int) -> Iterator[tuple[int, ...]]:
    """Every non-empty choice of spatial axes of an array [N, C, *S]."""
    spatial = range(2, 2 + dimensions)
    for count in range(1, dimensions + 1):
        yield from combinations(spatial, count)
