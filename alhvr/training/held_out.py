"""Held-out cases: which labelled cases a run sets aside to choose its best model on, when none are given."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

SHARE = 0.2
"""Part of the labelled cases that is set aside, at least one case."""


def choose_held_out(values: Sequence[frozenset[int]], seed: int) -> list[int]:
    """Indices, in rising order, of the cases to set aside; ``values`` are the label values that each case shows.

    A case is passed over while setting it aside would leave a label value to no other case; where all cases are like
    that, the first ones drawn are taken all the same. Needs two cases or more.
    """
    count = max(1, round(SHARE * len(values)))
    order = [int(index) for index in np.random.default_rng(seed).permutation(len(values))]
    everything, aside = frozenset().union(*values), []
    for index in order:
        rest = [values[other] for other in order if other not in (*aside, index)]
        if len(aside) < count and frozenset().union(*rest) == everything:
            aside.append(index)
    return sorted(aside or order[:count])
