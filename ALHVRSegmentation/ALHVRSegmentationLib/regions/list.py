"""List: the connected parts of the uncertain regions, worst first. Arrays only, so that a thread may run it."""

from dataclasses import dataclass

import numpy as np

from ALHVRSegmentationLib.regions.values import RELIABLE_UNSTABLE, UNRELIABLE_STABLE, write_regions

LONGEST = 50
"""Places in a list; what comes after is not worth a look."""
_SAMPLE = 4000
"""Voxels of a part whose surroundings are looked at."""
_FULL = 65535


class Stopped(Exception):
    """The answer is not wanted any more."""


@dataclass(frozen=True)
class Part:
    """Neighbouring voxels (6 neighbours) of one uncertain region."""

    region: int
    """2: one network is confident; 3: none is."""
    voxels: int
    doubt: float
    """Sum over the voxels of 1 - (con_a + con_b) / 2: the score of the list, in voxels."""
    worst: tuple
    """(I, J, K) of its least certain voxel."""
    box: tuple
    """Slices [K, J, I] around it."""
    teacher: float | None
    """Mean certainty of the sharpened teacher in it, 0 to 1; None where there is no teacher or region is not 3."""
    around: np.ndarray
    """Flat indices of its voxels and their neighbours, thinned out where it is large."""


def find_parts(con_a, con_b, level, teacher=None, stopped=lambda: False):
    """The parts of regions 2 and 3 at a threshold, those with most doubt first, at most LONGEST.

    con_a, con_b, teacher: uint16 [K, J, I], 65535 = 1. Raises Stopped as soon as `stopped` says so.
    """
    regions = np.empty(con_a.shape, np.uint8)
    write_regions(regions, con_a, con_b, level)
    found = []
    for region in (UNRELIABLE_STABLE, RELIABLE_UNSTABLE):
        labels = connected(regions == region, stopped)
        certain = teacher if region == UNRELIABLE_STABLE else None
        found += _parts_of(region, labels, (con_a, con_b, certain), stopped)
    return tuple(sorted(found, key=lambda part: -part.doubt)[:LONGEST])


def connected(mask, stopped=lambda: False):
    """Labels 1, 2, ... of the connected parts of a mask, int [K, J, I]; neighbours share a face."""
    import SimpleITK

    _check(stopped)
    image = SimpleITK.ConnectedComponent(SimpleITK.GetImageFromArray(mask.view(np.uint8)), False)
    _check(stopped)
    return SimpleITK.GetArrayFromImage(image)


def part_mask(con_a, con_b, level, part):
    """Where a part is: bool array of the part's box."""
    inner_a, inner_b = con_a[part.box], con_b[part.box]
    regions = np.empty(inner_a.shape, np.uint8)
    write_regions(regions, np.ascontiguousarray(inner_a), np.ascontiguousarray(inner_b), level)
    labels = connected(regions == part.region)
    place = tuple(index - axis.start for index, axis in zip(part.worst[::-1], part.box, strict=True))
    return labels == labels[place] if labels[place] else np.zeros(labels.shape, bool)


def _check(stopped):
    if stopped():
        raise Stopped


def _parts_of(region, labels, maps, stopped):
    """The worst Parts of one region."""
    con_a, con_b, teacher = maps
    flat = np.flatnonzero(labels)
    ids = labels.reshape(-1)[flat]
    doubt = con_a.reshape(-1)[flat].astype(np.float32)
    doubt += con_b.reshape(-1)[flat]
    doubt = 1 - doubt / (2 * _FULL)
    sums = np.bincount(ids, doubt)
    _check(stopped)
    worst = np.argsort(-sums[1:], kind="stable")[:LONGEST] + 1
    kept = np.zeros(len(sums), bool)
    kept[worst] = True
    chosen = kept[ids]
    flat, ids, doubt = flat[chosen], ids[chosen], doubt[chosen]
    order = np.lexsort((-doubt, ids))
    _check(stopped)
    groups = np.split(order, np.flatnonzero(np.diff(ids[order])) + 1) if len(order) else []
    return [_part(region, flat[group], float(doubt[group].sum(dtype=np.float64)), teacher, labels.shape)
            for group in groups]


def _part(region, flat, doubt, teacher, shape):
    """A Part from the flat indices of its voxels, the least certain first."""
    voxels = np.stack(np.unravel_index(flat, shape))
    box = tuple(slice(int(axis.min()), int(axis.max()) + 1) for axis in voxels)
    certain = float(teacher.reshape(-1)[flat].mean() / _FULL) if teacher is not None else None
    worst = tuple(int(axis[0]) for axis in voxels[::-1])
    return Part(region, len(flat), doubt, worst, box, certain, _around(voxels, shape))


def _around(voxels, shape):
    """Flat indices of voxels [3, N] and their 6 neighbours, of every n-th voxel where there are many."""
    some = voxels[:, :: max(1, voxels.shape[1] // _SAMPLE)]
    found = [np.ravel_multi_index(some, shape)]
    for axis, step in ((axis, step) for axis in range(3) for step in (-1, 1)):
        moved = some.copy()
        moved[axis] = np.clip(moved[axis] + step, 0, shape[axis] - 1)
        found.append(np.ravel_multi_index(moved, shape))
    return np.unique(np.concatenate(found))
