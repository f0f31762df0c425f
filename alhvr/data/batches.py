"""TwoStreamBatches: batch number n of a run, labelled patches first; the same at any time, on any cache."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain, count

import numpy as np
import torch

from alhvr.core.errors import UserError
from alhvr.core.files import shown
from alhvr.data.augment import Augmenter
from alhvr.data.plan import Plan
from alhvr.data.sampling import (
    VISITS,
    Item,
    StreamOrder,
    annotated_background,
    cut,
    draw_start,
    foreground_points,
    oversample_rare,
    patch_generator,
)
from alhvr.data.store import PreparedCase, ScanStore
from alhvr.formats.labels import NOT_ANNOTATED, PADDING

AHEAD = 2
"""Batches prepared in the background while one is used."""

_LABELED, _UNLABELED = 0, 1


@dataclass(frozen=True)
class Batch:
    """What one training step sees."""

    images: torch.Tensor
    """float32 [B, M, *S], M channels; the first ``n_labeled`` have labels."""
    labels: torch.Tensor
    """int64 [n_labeled, *S], class indices, or NOT_ANNOTATED."""
    n_labeled: int
    """How many of the images have labels."""
    n_clean: int
    """How many of these, the first ones, have every pixel annotated."""
    missing: torch.Tensor | None = None
    """bool [n_labeled, C]: classes that are not annotated in an image; None where there are none."""
    inside: torch.Tensor | None = None
    """bool [B, *S]: pixels of a scan, not of the padding beyond it; None where there is no padding.

    Padding is NOT_ANNOTATED in ``labels`` too; of ``n_clean`` only pixels inside count.
    """


class TwoStreamBatches:
    """Labelled and unlabelled patches, drawn from two stores.

    An epoch of either stream shows each of its items once: every slice in 2-D, one random crop of every scan in 3-D.
    Labelled items with a rare structure come several times, those without any structure make up a third at most, and
    those without any annotation do not come at all.
    The two streams have epochs of their own, so the whole archive is seen before any of it is seen again.
    """

    def __init__(self, labeled: ScanStore, unlabeled: ScanStore | None, plan: Plan, augmenter: Augmenter,
                 seed: int, *, balanced: bool = True) -> None:  # noqa: PLR0913
        """``unlabeled`` None: batches of ``plan.labeled_batch_size`` labelled patches only.

        ``balanced`` False: every labelled item comes once an epoch, whatever it shows.

        Reads the headers and the labels. Raises UserError when one of these, or every unlabelled header, cannot be
        read, and when nothing is annotated.
        """
        self._labeled = _Stream(labeled, plan, augmenter, batch=plan.labeled_batch_size, seed=(seed, _LABELED),
                                balanced=balanced)
        self._streams = [self._labeled]
        self._n_classes = labeled.n_classes
        rest = plan.batch_size - plan.labeled_batch_size
        if unlabeled is not None and rest > 0:
            self._streams.append(_Stream(unlabeled, plan, augmenter, batch=rest, seed=(seed, _UNLABELED)))

    @property
    def iterations_per_epoch(self) -> int:
        """Iterations in which every labelled item is shown once."""
        return self._labeled.order.iterations_per_epoch

    def batch(self, iteration: int) -> Batch:
        """Batch ``iteration`` (from 0): a function of it, the seed and the data alone. Raises UserError."""
        labeled, *others = [stream.patches(iteration) for stream in self._streams]
        labeled = sorted(labeled, key=lambda patch: patch.leaves_open)
        patches = list(chain(labeled, *others))
        images = np.stack([patch.image for patch in patches])
        labels = np.stack([patch.label for patch in labeled]).astype(np.int64)
        missing = None
        if any(patch.missing for patch in labeled):
            missing = torch.zeros(len(labeled), self._n_classes, dtype=torch.bool)
            for row, patch in zip(missing, labeled, strict=True):
                row[list(patch.missing)] = True
        return Batch(torch.from_numpy(images), torch.from_numpy(labels), len(labeled),
                     sum(not patch.leaves_open for patch in labeled), missing, _inside(patches))

    def iterate(self, start: int) -> Iterator[tuple[int, Batch]]:
        """Yields (iteration, batch) from ``start`` on, without end; the next ones are prepared in the background."""
        pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="alhvr-batches")
        try:
            coming = deque(pool.submit(self._prefetched_batch, start + n) for n in range(AHEAD))
            for iteration in count(start):
                batch = coming.popleft().result()
                coming.append(pool.submit(self._prefetched_batch, iteration + AHEAD))
                yield iteration, batch
        finally:
            pool.shutdown(cancel_futures=True)
            for stream in self._streams:
                stream.store.prefetch(())

    def _prefetched_batch(self, iteration: int) -> Batch:
        for stream in self._streams:
            stream.look_ahead(iteration)
        return self.batch(iteration)


@dataclass(frozen=True)
class _Patch:
    """A patch after its random changes, and what its case leaves open."""

    image: np.ndarray
    """float32 [1, *S]."""
    label: np.ndarray | None
    """uint8 [*S], NOT_ANNOTATED beyond the scan; None for an unlabelled patch."""
    missing: tuple[int, ...]
    """Class indices of structures that are not annotated."""
    inside: np.ndarray | None
    """bool [*S]: pixels of the scan; None where the patch has no padding."""

    @property
    def leaves_open(self) -> bool:
        """Whether there is no annotation of some of the pixels of the scan."""
        unknown = self.label == NOT_ANNOTATED
        return bool((unknown if self.inside is None else unknown & self.inside).any())


def _inside(patches: Sequence[_Patch]) -> torch.Tensor | None:
    """bool [B, *S]: the pixels of scans; None where no patch has padding."""
    if all(patch.inside is None for patch in patches):
        return None
    everywhere = np.ones(patches[0].image.shape[1:], dtype=bool)
    return torch.from_numpy(np.stack([everywhere if p.inside is None else p.inside for p in patches]))


class _Stream:
    """One store, the order of its items, and how a patch is cut from one of them."""

    def __init__(self, store: ScanStore, plan: Plan, augmenter: Augmenter, *, batch: int, seed: tuple[int, int],
                 balanced: bool = True) -> None:
        self.store, self._plan, self._augmenter, self._seed = store, plan, augmenter, seed
        self._balanced = balanced
        self._warned: set[int] = set()
        self._looked_at: tuple[int, int] | None = None
        sizes = self._sizes_bytes()
        fits = sum(sizes.values()) <= store.budget_bytes
        parts = self._parts(sizes, 1 if fits else VISITS)
        self.order = StreamOrder(parts, sizes, batch=batch, budget_bytes=store.budget_bytes, seed=seed)

    def patches(self, iteration: int) -> list[_Patch]:
        """The patches of one iteration, in order; each scan is asked for once and let go before the next."""
        items = self.order.items(iteration)
        found: list[_Patch | None] = [None] * len(items)
        kept: dict[int, PreparedCase] = {}
        for entry in sorted(range(len(items)), key=lambda n: items[n].case):
            if items[entry].case not in kept:
                kept.clear()
            item = self._readable(items[entry], iteration, entry, kept)
            found[entry] = self._patch(kept[item.case], item, patch_generator(self._seed, iteration, entry))
        return found

    def look_ahead(self, iteration: int) -> None:
        """Tells the store what is needed soon, once per block of scans."""
        epoch, position = self.order.place(iteration)
        block = (epoch, self.order.epoch(epoch).block_end(position))
        if block != self._looked_at:
            self._looked_at = block
            self.store.prefetch(self.order.upcoming_cases(iteration))

    def _parts(self, cases: Iterable[int], crops: int) -> dict[int, Sequence[int]]:
        """The items of each case: slices in 2-D, else ``crops`` of it; raises UserError where nothing is annotated."""
        flat = self._plan.dimensions == 2
        if not self.store.labeled:
            return {case: range(self.store.shape(case)[0] if flat else crops) for case in cases}
        slices = {case: self.store.classes_by_slice(case) for case in cases}
        shown = oversample_rare(slices if flat else {case: [frozenset().union(*s)] for case, s in slices.items()},
                                balanced=self._balanced)
        if not shown:
            raise UserError("Nothing is annotated in any labelled case.", "Check the value given by --not-annotated.")
        return shown if flat else {case: range(crops * len(times)) for case, times in shown.items()}

    def _sizes_bytes(self) -> dict[int, int]:
        """Memory of each case whose header can be read; a damaged one of the archive is left out with a warning."""
        sizes = {}
        for case in range(len(self.store)):
            self.store.raise_if_stopped()
            try:
                sizes[case] = self.store.expected_bytes(case)
            except UserError as error:
                self._leave_out(case, error)
        if not sizes:
            raise UserError(f"None of the {len(self.store)} scans can be read.", "Check the folder of scans.")
        largest = max(sizes, key=sizes.__getitem__)
        if sizes[largest] > self.store.budget_bytes:
            self.store.reporter.warning(
                f"{self.store.cases[largest].image.name} needs {sizes[largest] / 1e9:.2f} GB of the "
                f"{self.store.budget_bytes / 1e9:.2f} GB for its scans and is read again for every batch. "
                "Raise training.memory_gb.")
        return sizes

    def _readable(self, item: Item, iteration: int, entry: int, kept: dict[int, PreparedCase]) -> Item:
        """The item, or the next one in the epoch's order whose scan can be read; its scan is put into ``kept``."""
        for candidate in chain([item], self.order.successors(iteration, entry)):
            if candidate.case in kept:
                return candidate
            try:
                kept[candidate.case] = self.store.get(candidate.case)
                return candidate
            except UserError as error:
                self._leave_out(candidate.case, error)
        raise UserError(f"None of the {len(self.store)} scans can be read.", "Check the folder of scans.")

    def _leave_out(self, case: int, error: UserError) -> None:
        """Warns once about a damaged scan of the archive; a labelled one, and a folder that vanished, is an error."""
        if self.store.labeled:
            raise error
        gone = self.store.folder_gone()
        if gone is not None:
            raise UserError(f"The archive folder {shown(gone)} is not there any more.",
                            "Plug in or connect the disk that it is on, and resume: the run goes on from where it was "
                            "saved last.") from error
        if case not in self._warned:
            self._warned.add(case)
            name = self.store.cases[case].image.name
            self.store.reporter.warning(f"{name} is left out of the archive; another scan takes its place. {error}")

    def _patch(self, case: PreparedCase, item: Item, rng: np.random.Generator) -> _Patch:
        """Cuts the item's patch with the augmenter's margin, fills it beyond the scan, and changes it at random."""
        image, label, points, background = case.image, case.label, case.points, case.background_points
        if self._plan.dimensions == 2:
            image, label = image[:, item.part], None if label is None else label[item.part]
        patch = self._augmenter.patch_size
        if self._plan.dimensions == 2 and label is not None and any(np.greater(image.shape[1:], patch)):
            points, background = foreground_points(label), annotated_background(label)
        start = draw_start(image.shape[1:], patch, rng, points, background)
        corner = [s - m for s, m in zip(start, self._augmenter.margin, strict=True)]
        field = self._augmenter.field_size
        parts = [cut(channel, corner, field, fill) for channel, fill in zip(image, case.background, strict=True)]
        has_padding = _reaches_beyond(image.shape[1:], corner, field)
        if label is None and has_padding:
            label = np.zeros(image.shape[1:], dtype=np.uint8)
        marks = None if label is None else cut(label, corner, field, PADDING)
        changed = self._augmenter(np.stack(parts) if len(parts) > 1 else parts[0][np.newaxis], marks, rng)
        inside, label = (changed.label != PADDING if has_padding else None), changed.label
        if inside is not None and inside.all():
            inside = None
        if inside is not None:
            label = np.where(inside, label, np.uint8(NOT_ANNOTATED))
        return _Patch(changed.image, label if self.store.labeled else None, case.missing, inside)


def _reaches_beyond(shape: Sequence[int], start: Sequence[int], size: Sequence[int]) -> bool:
    """Whether ``size`` voxels from ``start`` on leave an array of ``shape``."""
    return any(s < 0 or s + n > whole for s, n, whole in zip(start, size, shape, strict=True))
