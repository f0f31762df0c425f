"""Fusion: from the two networks' logits to probabilities, confidences, and one answer for both."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import reduce

import numpy as np

from alhvr.bundle.model import rules_of
from alhvr.core.errors import UserError


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
