"""Which case, crop and random change belongs to an iteration; rare classes are oversampled."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from alhvr.formats.labels import NOT_ANNOTATED

FOREGROUND_SHARE = 2 / 3
"""Share of the labelled crops that are centred on a voxel of a foreground class."""
MAX_POINTS = 4096
"""Voxels kept per foreground class as possible centres of a crop."""
VISITS = 4
"""Crops taken from a scan while it is in memory, when the archive does not fit there as a whole (3-D)."""

_ORDER, _DRAW = 0, 1

SHARE = 1 / 8
"""Share of the labelled items that shall show any one foreground class: one in every two batches of four."""
MOST_OFTEN = 8
"""Largest number of times that one item is shown in an epoch."""
EMPTY_SHARE = 1 / 3
"""Largest share of the items shown that hold background alone, where repeating the others can reach it."""


@dataclass(frozen=True)
class Item:
    """One entry of a stream."""

    case: int
    """Index of the scan in its store."""
    part: int
    """2-D: the slice; 3-D: which crop of the scan, 0 unless it is visited several times."""


@dataclass(frozen=True)
class Epoch:
    """One permutation of a stream's items."""

    items: np.ndarray
    """int64 [N, 2]: case and part of each item, in the order they come."""
    block_ends: np.ndarray
    """int64 [blocks]: index after the last item of each block of scans."""

    def item(self, position: int) -> Item:
        """The item at ``position``; beyond the end it starts again."""
        case, part = self.items[position % len(self.items)]
        return Item(int(case), int(part))

    def block_end(self, position: int) -> int:
        """Index after the last item of the block that ``position`` lies in."""
        return int(self.block_ends[np.searchsorted(self.block_ends, position, side="right")])


class StreamOrder:
    """The order of one stream: an epoch is a permutation of all its items, what does not fill a batch is dropped.

    Where the scans exceed ``budget_bytes``, an epoch goes through blocks of scans of half the budget (a block is used
    while the next one is read) and permutes the items within each block.
    """

    def __init__(self, parts: Mapping[int, Sequence[int]], sizes_bytes: Mapping[int, int], *, batch: int,
                 budget_bytes: int, seed: Sequence[int]) -> None:
        """``parts``: the items of each case, one twice where it is to be shown twice; ``sizes_bytes``: memory of each
        case; ``batch``: items per iteration.

        ``seed``: numbers that name the run and the stream. Raises ValueError when there is no item.
        """
        if not parts or not all(map(len, parts.values())) or batch < 1:
            raise ValueError(f"A stream needs items and a batch of 1 or more, not {parts} and {batch}.")
        self._parts, self._sizes = parts, sizes_bytes
        self._batch, self._seed = batch, tuple(seed)
        whole = sum(sizes_bytes[case] for case in parts) <= budget_bytes
        self._block_bytes = None if whole else budget_bytes // 2
        self._recent: dict[int, Epoch] = {}

    @property
    def iterations_per_epoch(self) -> int:
        """Batches of one epoch, at least 1."""
        return max(1, sum(map(len, self._parts.values())) // self._batch)

    def place(self, iteration: int) -> tuple[int, int]:
        """Epoch of ``iteration`` (from 0), and the position of its first item there."""
        epoch, within = divmod(iteration, self.iterations_per_epoch)
        return epoch, within * self._batch

    def items(self, iteration: int) -> list[Item]:
        """The items of one iteration, in order; items repeat only where there are fewer than a batch."""
        number, first = self.place(iteration)
        epoch = self.epoch(number)
        return [epoch.item(first + n) for n in range(self._batch)]

    def successors(self, iteration: int, entry: int) -> Iterator[Item]:
        """All other items in the order in which they stand in for entry ``entry`` of an iteration's batch."""
        number, first = self.place(iteration)
        epoch = self.epoch(number)
        for step in range(1, len(epoch.items)):
            yield epoch.item(first + entry + step)

    def upcoming_cases(self, iteration: int) -> list[int]:
        """Cases needed from ``iteration`` to the end of the block after its own, in order of first use."""
        number, first = self.place(iteration)
        epoch = self.epoch(number)
        end = epoch.block_end(first)
        coming = [epoch.items[first:end, 0]]
        if end < len(epoch.items):
            coming.append(epoch.items[end:epoch.block_end(end), 0])
        else:
            following = self.epoch(number + 1)
            coming.append(following.items[:following.block_end(0), 0])
        cases, first_use = np.unique(np.concatenate(coming), return_index=True)
        return [int(case) for case in cases[np.argsort(first_use)]]

    def epoch(self, number: int) -> Epoch:
        """Epoch ``number``, drawn from the seed; the last ones are kept, which changes nothing but the time."""
        recent = self._recent
        if number not in recent:  # two threads may ask at once: neither changes what the other one holds
            recent = {k: v for k, v in recent.items() if abs(k - number) <= 1}
            recent[number] = self._draw_epoch(np.random.default_rng([*self._seed, _ORDER, number]))
            self._recent = recent
        return recent[number]

    def _draw_epoch(self, rng: np.random.Generator) -> Epoch:
        blocks: list[np.ndarray] = []
        while sum(map(len, blocks)) < self._batch or not blocks:
            cases = rng.permutation(np.array(sorted(self._parts)))
            blocks += [self._shuffled(block, rng) for block in self._blocks(cases)]
        return Epoch(np.concatenate(blocks), np.cumsum([len(block) for block in blocks]))

    def _blocks(self, cases: np.ndarray) -> list[list[int]]:
        """``cases`` in their order, cut where the next one would exceed the block's bytes; one scan at least."""
        if self._block_bytes is None:
            return [[int(case) for case in cases]]
        blocks: list[list[int]] = [[]]
        filled = 0
        for case in map(int, cases):
            if blocks[-1] and filled + self._sizes[case] > self._block_bytes:
                blocks.append([])
                filled = 0
            blocks[-1].append(case)
            filled += self._sizes[case]
        return blocks

    def _shuffled(self, cases: list[int], rng: np.random.Generator) -> np.ndarray:
        """int64 [N, 2]: the items of ``cases`` in a random order."""
        items = [(case, part) for case in cases for part in self._parts[case]]
        return rng.permutation(np.array(items, dtype=np.int64))


def patch_generator(seed: Sequence[int], iteration: int, entry: int) -> np.random.Generator:
    """The generator for the crop and the changes of entry ``entry`` of one iteration of the stream ``seed``."""
    return np.random.default_rng(np.random.SeedSequence([*seed, _DRAW, iteration, entry]))


def foreground_points(label: np.ndarray) -> tuple[np.ndarray, ...]:
    """Indices int32 [n, dimensions] of voxels of each class in ``label`` (uint8 [*S]), evenly taken, n <= MAX_POINTS.

    Background and NOT_ANNOTATED are left out, and so are classes that are not there.
    """
    counts = np.zeros(256, dtype=np.int64)
    for plane in label:
        counts += np.bincount(plane.ravel(), minlength=256)
    return tuple(_points(label == value) for value in 1 + np.flatnonzero(counts[1:NOT_ANNOTATED]))


def annotated_background(label: np.ndarray) -> np.ndarray | None:
    """Indices as ``foreground_points`` of voxels annotated as background; None where all of ``label`` is annotated."""
    return _points(label == 0) if (label == NOT_ANNOTATED).any() else None


def _points(mask: np.ndarray) -> np.ndarray:
    """Indices int32 [n, dimensions] of true voxels, evenly taken, n <= MAX_POINTS."""
    flat = np.flatnonzero(mask)
    flat = flat[:: max(1, -(-len(flat) // MAX_POINTS))]
    return np.stack(np.unravel_index(flat, mask.shape), axis=1).astype(np.int32)


def draw_start(shape: Sequence[int], patch: Sequence[int], rng: np.random.Generator,
               points: tuple[np.ndarray, ...] = (), background: np.ndarray | None = None) -> tuple[int, ...]:
    """First index of a random crop of ``patch`` voxels in ``shape``, per axis.

    With ``points`` (per foreground class), FOREGROUND_SHARE of the crops are centred on one of them, moved inside
    the scan where they would leave it; with ``background``, the others are centred on one of those, so that something
    is annotated in each. Along an axis shorter than the patch the scan is centred: the start is below 0.
    """
    room = [n - p for n, p in zip(shape, patch, strict=True)]
    centre = None
    if points and rng.random() < FOREGROUND_SHARE:
        of_class = points[rng.integers(len(points))]
        centre = of_class[rng.integers(len(of_class))]
    elif background is not None and len(background):
        centre = background[rng.integers(len(background))]
    if centre is None:
        wanted = [int(rng.integers(max(r, 0) + 1)) for r in room]
    else:
        wanted = [int(c) - p // 2 for c, p in zip(centre, patch, strict=True)]
    return tuple(min(max(w, 0), r) if r >= 0 else -(-r // 2) for w, r in zip(wanted, room, strict=True))


def cut(array: np.ndarray, start: Sequence[int], size: Sequence[int], fill: float) -> np.ndarray:
    """``size`` voxels of ``array`` [*S] from ``start`` on, as a copy; what lies outside the array is ``fill``."""
    result = np.full(tuple(size), fill, dtype=array.dtype)
    inside = [slice(max(0, s), max(0, min(n, s + p))) for s, p, n in zip(start, size, array.shape, strict=True)]
    target = tuple(slice(i.start - s, i.stop - s) for i, s in zip(inside, start, strict=True))
    result[target] = array[tuple(inside)]
    return result


def oversample_rare(classes: Mapping[int, Sequence[frozenset[int]]], *, balanced: bool = True) -> dict[int, list[int]]:
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
