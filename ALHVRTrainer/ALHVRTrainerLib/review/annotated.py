"""Annotated: which slices of which structures somebody looked at, and the label that is made of that. Arrays only.

A structure counts in the slices that were edited or called right, along any axis of the scan: whoever edits sagittal
slices has looked at sagittal slices. An edit that reaches through many slices at once, as filters in 3-D do, counts
in the slices that are on the screen and no others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

AXES = "kji"
AT_ONCE = 3
"""An edit of more slices than this at a time is none by hand."""
LARGEST_SIDE = 100_000


@dataclass(frozen=True)
class Slice:
    """One slice of the scan."""

    axis: int
    """0, 1, 2 for K, J, I."""
    index: int


@dataclass
class Structure:
    """What was looked at of one structure."""

    slices: tuple[np.ndarray, np.ndarray, np.ndarray]
    """bool, by axis K, J, I: each slice of the scan."""
    before: np.ndarray
    """uint8: its voxels [K, J, I] when they were looked at last, 8 to a byte."""

    @property
    def isAnnotated(self) -> bool:
        """Whether anything of it counts."""
        return any(seen.any() for seen in self.slices)

    def where(self) -> np.ndarray:
        """bool [K, J, I]: the voxels that count."""
        k, j, i = self.slices
        return k[:, None, None] | j[None, :, None] | i[None, None, :]


@dataclass
class Annotated:
    """What was looked at of one scan."""

    shape: tuple[int, int, int]
    """Of the scan, [K, J, I]."""
    structures: dict[str, Structure] = field(default_factory=dict)
    """By name."""

    def begin(self, masks: Mapping[str, np.ndarray]) -> None:
        """The segments as they are now, bool [K, J, I] by name; of those that are new nothing counts."""
        for name, mask in masks.items():
            known = self.structures.get(name)
            slices = known.slices if known else tuple(np.zeros(length, bool) for length in self.shape)
            self.structures[name] = Structure(slices, np.packbits(mask))

    def edited(self, masks: Mapping[str, np.ndarray], shown: Iterable[Slice]) -> bool:
        """Take in what was edited since; shown: the slices on the screen. Whether anything was."""
        changed = False
        shown = tuple(shown)
        for name, mask in masks.items():
            if name not in self.structures:
                self.begin({name: np.zeros(self.shape, bool)})
            structure, now = self.structures[name], np.packbits(mask)
            if np.array_equal(structure.before, now):
                continue
            voxels = np.unpackbits(structure.before ^ now, count=mask.size).reshape(self.shape).view(bool)
            structure.before, changed = now, True
            for one in _slices_of(voxels, shown):
                structure.slices[one.axis][one.index] = True
        return changed

    def callRight(self, names: Iterable[str], where: Iterable[Slice]) -> None:
        """These structures are right in these slices."""
        where = tuple(where)
        for name in names:
            for one in where:
                self.structures[name].slices[one.axis][one.index] = True

    def callAllRight(self, names: Iterable[str]) -> None:
        """These structures are right in the whole scan."""
        for name in names:
            self.structures[name].slices[0][:] = True

    def forget(self, names: Iterable[str]) -> None:
        """Nothing of these structures counts any more."""
        for name in names:
            for seen in self.structures[name].slices:
                seen[:] = False

    def annotated(self) -> tuple[str, ...]:
        """Structures of which anything counts."""
        return tuple(name for name, structure in self.structures.items() if structure.isAnnotated)

    def count(self, name: str) -> tuple[int, int]:
        """Along the axis with most of them, how many slices count, and of how many."""
        seen = max(self.structures[name].slices, key=lambda slices: slices.mean() if slices.size else 0.0)
        return int(seen.sum()), seen.size

    def open(self, masks: Mapping[str, np.ndarray]) -> np.ndarray:
        """bool [K, J, I]: voxels of which the label must not say what they are.

        A voxel is known where a structure that is there counts, or where every structure counts that counts anywhere:
        then it is background, as far as the annotated structures go.
        """
        known, everywhere = np.zeros(self.shape, bool), np.ones(self.shape, bool)
        for name in self.annotated():
            where = self.structures[name].where()
            everywhere &= where
            if name in masks:
                known |= where & masks[name]
        return ~(known | everywhere)

    def toNotes(self) -> dict[str, Any]:
        """As plain values."""
        return {name: {axis: np.flatnonzero(seen).tolist() for axis, seen in zip(AXES, one.slices, strict=True)}
                for name, one in self.structures.items()}

    def fromNotes(self, notes: object) -> None:
        """What `toNotes` gave, for structures that are known; all else is passed over."""
        for name, axes in notes.items() if isinstance(notes, dict) else ():
            structure = self.structures.get(name)
            for seen, axis in zip(structure.slices, AXES, strict=True) if structure and isinstance(axes, dict) else ():
                indices = axes.get(axis)
                for index in indices if isinstance(indices, list) else ():
                    if type(index) is int and 0 <= index < seen.size:
                        seen[index] = True

    def dice(self, drafts: Mapping[str, np.ndarray], masks: Mapping[str, np.ndarray]) -> dict[str, float]:
        """Of drafts against what they became, where that counts; without structures that are in neither."""
        found = {}
        for name in self.annotated():
            where, empty = self.structures[name].where(), np.zeros(self.shape, bool)
            draft, mask = drafts.get(name, empty)[where], masks.get(name, empty)[where]
            voxels = int(draft.sum()) + int(mask.sum())
            if voxels:
                found[name] = 2 * int((draft & mask).sum()) / voxels
        return found


def _slices_of(voxels: np.ndarray, shown: tuple[Slice, ...]) -> list[Slice]:
    """Slices that count for an edit of these voxels [K, J, I], of which there is one at least."""
    along = [np.flatnonzero(voxels.any(axis=tuple({0, 1, 2} - {axis}))) for axis in range(3)]
    axis = min(range(3), key=lambda axis: len(along[axis]))
    if len(along[axis]) <= AT_ONCE:
        return [Slice(axis, int(index)) for index in along[axis]]
    return [one for one in shown if one.index in along[one.axis]]
