"""Held-out cases: which labelled cases a run sets aside to choose its best model on, when none are given."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

SHARE = 0.2
"""Part of the labelled cases that is set aside, at least one case."""


def choose_held_out(values: Sequence[frozenset[int]], seed: int,
                    patients: Sequence[Hashable] | None = None) -> list[int]:
    """Indices, in rising order, of the cases to set aside; ``values`` are the label values that each case shows.

    ``patients`` tells whose each case is; None: all of different people. Cases of one patient stay together, and half
    of the cases at least is left to learn from. A patient is passed over while setting the cases aside would leave a
    label value to no other one; where all are like that, the first ones drawn are taken all the same. Needs two cases
    or more; where all are of one patient they are split as if they were not.
    """
    everybody = list(range(len(values))) if patients is None or len(set(patients)) < 2 else list(patients)
    count = max(1, round(SHARE * len(values)))
    order = [int(index) for index in np.random.default_rng(seed).permutation(len(values))]
    groups = {everybody[index]: [other for other in order if everybody[other] == everybody[index]] for index in order}
    small = [group for group in groups.values() if 2 * len(group) <= len(values)]
    everything, aside = frozenset().union(*values), []
    for group in small:
        rest = [values[other] for other in order if other not in (*aside, *group)]
        fits = len(aside) < count and 2 * (len(aside) + len(group)) <= len(values)
        if fits and frozenset().union(*rest) == everything:
            aside += group
    return sorted(aside or _first(small, count) or min(groups.values(), key=len))


def _first(groups: Sequence[Sequence[int]], count: int) -> list[int]:
    """The first groups until there are ``count`` cases."""
    taken: list[int] = []
    for group in groups:
        if len(taken) < count:
            taken += group
    return taken
