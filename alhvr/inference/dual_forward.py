"""Both networks on a batch of patches, and their fusion to one answer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, reduce
from itertools import combinations
from typing import Any

import numpy as np

from alhvr.bundle.model import InferenceSettings, rules_of
from alhvr.core.errors import ModelError, UserError
from alhvr.inference.backends import Backend
from alhvr.networks.perturbation import Perturbation, draw_perturbation

SLOTS = 2
"""Confidences that regions are made of: one of each of two networks, or two of one, each perturbed by itself."""


@dataclass(frozen=True)
class DualOutput:
    """What the networks say about N windows of size S."""

    probabilities: dict[str, np.ndarray]
    """By network, float32 [N, C, *S]: class probabilities, clean, mean over mirrored copies where asked for."""
    confidences: tuple[np.ndarray, ...]
    """Two of float32 [N, *S]: largest probability under perturbation, of either network; where there is one only, of
    it under two perturbations. Empty without regions."""


class DualForward:
    """The networks for one scan; the perturbation of the first window is that of all."""

    def __init__(self, backend: Backend, settings: InferenceSettings, *, regions: bool,
                 networks: Sequence[str] | None = None) -> None:
        """``regions`` adds the perturbed decode. The same seed in ``settings`` gives the same perturbation.

        ``networks``: those whose probabilities are needed, None for all; with ``regions`` all always run.
        """
        self._backend, self._mirror, self._regions = backend, settings.mirror, regions
        self._networks = tuple(backend.networks if regions or networks is None else networks)
        self._seed = settings.perturbation_seed

    def __call__(self, images: np.ndarray) -> DualOutput:
        """Runs images float32 [N, M, *S]; each is encoded once for its clean and its perturbed decode.

        Raises ModelError where a network gives NaN or infinity: such a map would look like one that found nothing.
        """
        probabilities: dict[str, np.ndarray] = {}
        confidences: list[np.ndarray] = []
        for slot, network in enumerate(self._networks):
            levels = self._backend.encode(network, images)
            if self._regions:
                logits, perturbed = self._decode_twice(network, levels, slot)
                confidences.append(confidence(_finite(perturbed)))
                if len(self._networks) < SLOTS:
                    confidences.append(confidence(_finite(self._decode_twice(network, levels, slot + 1)[1])))
                clean = softmax(_finite(logits))
            else:
                clean = softmax(_finite(self._backend.decode(network, levels)))
            probabilities[network] = self._mirrored_mean(network, images, clean) if self._mirror else clean
        return DualOutput(probabilities, tuple(confidences))

    def _decode_twice(self, network: str, levels: Any, slot: int) -> Sequence[np.ndarray]:
        """Logits [N, C, *S] of the clean and of the perturbed decode."""
        perturbation = _drawn(self._seed, slot, tuple(self._backend.level_shapes(levels)),
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


@lru_cache(maxsize=SLOTS)
def _drawn(seed: int, slot: int, level_shapes: tuple[tuple[int, ...], ...], channels_last: bool) -> Perturbation:
    """The perturbation of a slot, kept for the scans that follow with windows of the same size."""
    rng = np.random.default_rng(np.random.SeedSequence(seed).spawn(SLOTS)[slot])
    return draw_perturbation(rng, level_shapes, channels_last=channels_last)


def _mirrorings(dimensions: int) -> Iterator[tuple[int, ...]]:
    """Every non-empty choice of spatial axes of an array [N, C, *S]."""
    spatial = range(2, 2 + dimensions)
    for count in range(1, dimensions + 1):
        yield from combinations(spatial, count)


def networks_for(rules: Iterable[str], networks: Sequence[str]) -> tuple[str, ...]:
    """Those of ``networks`` whose probabilities these rules need: all, but for the rule of one alone."""
    alone = set(rules)
    return tuple(alone) if len(alone) == 1 and alone <= set(networks) else tuple(networks)


def softmax(logits: np.ndarray) -> np.ndarray:
    """Class probabilities of ``logits`` float32 [N, C, *S], which are overwritten with the result; sums to 1 over C."""
    logits -= logits.max(axis=1, keepdims=True)
    np.exp(logits, out=logits)
    logits /= logits.sum(axis=1, keepdims=True)
    return logits


def confidence(logits: np.ndarray) -> np.ndarray:
    """Largest class probability at each pixel, float32 [N, *S] in 1/C..1, of ``logits`` [N, C, *S] (overwritten)."""
    logits -= logits.max(axis=1, keepdims=True)
    np.exp(logits, out=logits)
    return 1 / logits.sum(axis=1)


def competing_confidence(probabilities: Mapping[str, np.ndarray]) -> np.ndarray:
    """Largest probability of the competing teacher (Eq. 21), float32 [N, *S], from those of the networks [N, C, *S].

    The teacher is at each pixel the network with the higher maximum, so this is the highest one.
    """
    return reduce(np.maximum, (probability.max(axis=1) for probability in probabilities.values()))


def uncertainties(probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of ``probabilities`` [N, C, *S]: the entropy as a share of that of C equal ones, and 1 - the largest one.

    Both float32 [N, *S], 0 to 1.
    """
    logs = np.log(np.maximum(probabilities, np.finfo(np.float32).tiny))
    entropy = -(probabilities * logs).sum(axis=1) / np.log(probabilities.shape[1])
    return np.clip(entropy, 0, 1), 1 - probabilities.max(axis=1)


def fuse(probabilities: Mapping[str, np.ndarray], rule: str) -> np.ndarray:
    """One probability vector per pixel, float32 [N, C, *S], from those of the networks by name.

    "mean": the mean of all. "competition" (Eq. 21): at each pixel the whole vector of the network with the higher
    maximum; where both are equal, the first. The name of a network: that one. Raises UserError for another rule.
    """
    if rule in probabilities:
        return probabilities[rule]
    first, *others = probabilities.values()
    if rule == "mean":
        if not others:
            return first
        total = first + others[0]
        total *= 0.5
        return total
    if rule == "competition" and others:
        first_wins = first.max(axis=1, keepdims=True) >= others[0].max(axis=1, keepdims=True)
        return np.where(first_wins, first, others[0])
    raise UserError(f"fusion is {rule!r:.100}.", f"Accepted: {', '.join(rules_of(tuple(probabilities)))}.")
