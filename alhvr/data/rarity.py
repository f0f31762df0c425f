"""Rarity: how often each labelled item is shown, so that annotated slices and rare classes are met often enough."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

SHARE = 1 / 8
"""Share of the labelled items that shall show any one foreground class: one in every two batches of four."""
MOST_OFTEN = 8
"""Largest number of times that one item is shown in an epoch."""
EMPTY_SHARE = 1 / 3
"""Largest share of the items shown that hold background alone, where repeating the others can reach it."""


def shown_parts(classes: Mapping[int, Sequence[frozenset[int]]], *, balanced: bool = True) -> dict[int, list[int]]:
    """The items of each case, one as often as it is to be shown in an epoch.

    ``classes``: by case and item, the class indices that are annotated there, background (0) included. Items without
    any are left out, and so are cases without such items. An item with a foreground class that fewer than SHARE of
    the items show is repeated so that it comes near that share. Where more than EMPTY_SHARE of the items hold
    background alone, as in a stack that is mostly above or below the organ, all others are repeated. Not ``balanced``,
    nothing is repeated.
    """
    shown = {case: [n for n, found in enumerate(parts) if found] for case, parts in classes.items()}
    if not balanced:
        return {case: parts for case, parts in shown.items() if parts}
    counts = Counter(value for case, parts in shown.items() for n in parts for value in classes[case][n] if value)
    n_items = sum(map(len, shown.values()))
    often = _repeats_against_empty(n_items, sum(not classes[c][n] - {0} for c, parts in shown.items() for n in parts))
    times = {value: min(MOST_OFTEN, max(often, round(SHARE * n_items / count))) for value, count in counts.items()}
    return {
        case: [n for n in parts for _ in range(max([1, *(times.get(value, 1) for value in classes[case][n])]))]
        for case, parts in shown.items() if parts
    }


def _repeats_against_empty(n_items: int, n_empty: int) -> int:
    """How often items with a structure are shown so that those without make up EMPTY_SHARE of all at most."""
    n_full = n_items - n_empty
    if not n_full or n_empty <= EMPTY_SHARE * n_items:
        return 1
    return min(MOST_OFTEN, math.ceil(n_empty * (1 - EMPTY_SHARE) / (EMPTY_SHARE * n_full) - 1e-9))
