"""Fusion: from the two networks' logits to probabilities, confidences, and one answer for both."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from alhvr.errors import UserError

RULES = ("mean", "competition", "a", "b")
"""Mean of both networks, the more confident one at each pixel, or one network alone."""


def networks_of(rules: Iterable[str]) -> tuple[str, ...]:
    """The networks whose probabilities these rules need: both, but for the rule of one alone."""
    alone = set(rules)
    return tuple(sorted(alone)) if len(alone) == 1 and alone <= {"a", "b"} else ("a", "b")


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


def competing_confidence(prob_a: np.ndarray, prob_b: np.ndarray) -> np.ndarray:
    """Largest probability of the competing teacher (Eq. 21), float32 [N, *S], from those of both networks.

    The teacher is at each pixel the network with the higher maximum, so this is the higher one.
    """
    return np.maximum(prob_a.max(axis=1), prob_b.max(axis=1))


def sharpen(probability: np.ndarray, temperature: float) -> np.ndarray:
    """Probabilities 0..1 of any shape moved towards 0 and 1, each against the rest (Eq. 22).

    That is p^(1/T) / (p^(1/T) + (1-p)^(1/T)). It keeps their order, so the largest of the sharpened ones is the
    sharpened largest one. temperature: above 0 and at most 1, which changes nothing.
    """
    rest = 1 - probability
    largest = np.maximum(probability, rest)
    share, others = (probability / largest) ** (1 / temperature), (rest / largest) ** (1 / temperature)
    return share / (share + others)


def fuse(prob_a: np.ndarray, prob_b: np.ndarray, rule: str) -> np.ndarray:
    """One probability vector per pixel, float32 [N, C, *S], from those of networks a and b.

    "mean": the mean of both. "competition" (Eq. 21): at each pixel the whole vector of the network with the higher
    maximum; where both are equal, network a. "a", "b": that network. Raises UserError for another rule.
    """
    if rule == "mean":
        total = prob_a + prob_b
        total *= 0.5
        return total
    if rule == "competition":
        a_wins = prob_a.max(axis=1, keepdims=True) >= prob_b.max(axis=1, keepdims=True)
        return np.where(a_wins, prob_a, prob_b)
    if rule in ("a", "b"):
        return prob_a if rule == "a" else prob_b
    raise UserError(f"fusion is {rule!r}.", f"Accepted: {', '.join(RULES)}.")
