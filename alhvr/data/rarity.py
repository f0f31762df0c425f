"""Rarity: how often each labelled item is shown, so that annotated slices and rare classes are met often enough."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

SHARE = 1 / 8
"""Share of the labelled items that shall show any one foreground class: one in every two batches of four."""
MOST_OFTEN = 8
"""Largest number of times that one item is shown in an epoch."""


def shown_parts(classes: Mapping[int, Sequence[frozenset[int]]]) -> dict[int, list[int]]:
    """The items of each case, one as often as it is to be shown in an epoch.

    ``classes``: by case and item, the class indices that are annotated there, background (0) included. Items without
    any are left out, and so are cases without such items. An item with a foreground class that fewer than SHARE of
    the items show is repeated so that it comes near that share.
    """
    shown = {case: [n for n, found in enumerate(parts) if found] for case, parts in classes.items()}
    counts = Counter(value for case, parts in shown.items() for n in parts for value in classes[case][n] if value)
    n_items = sum(map(len, shown.values()))
    times = {value: min(MOST_OFTEN, round(SHARE * n_items / count)) for value, count in counts.items()}
    return {
        case: [n for n in parts for _ in range(max([1, *(times.get(value, 1) for value in classes[case][n])]))]
        for case, parts in shown.items() if parts
    }
