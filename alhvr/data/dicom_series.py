"""DICOM series: slices grouped, with gaps and copies found."""

from __future__ import annotations

import warnings
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from alhvr.core.files import shown
from alhvr.data.dicom_file import stack_path, why_not_used
from alhvr.data.dicom_slice import PASS_TAGS, SliceHeader, Unusable
from alhvr.data.scan import Modality

LABELS = ("SEG", "RTSTRUCT")
"""Modalities of DICOM files that hold labels; whoever lists a folder says what became of them."""
_LEAST = 3
"""Slices that a part of a series needs beside other parts."""
_SAME_SERIES_TAGS = ("StudyInstanceUID", "FrameOfReferenceUID", "SeriesDescription")
"""What series of one image each have in common where they are one series in truth."""
_COPY = "Copy or export the series again."
_APART = "Put each of them into a folder of its own."

_TIMES = ("TriggerTime", "TemporalPositionIdentifier", "AcquisitionTime")
"""Tags that grow from pass to pass, though not alike at each place."""
_SAME_PLACE_MM = 0.01
"""Slices nearer than this lie at the same place."""
_UNEVEN = 1.5
"""A gap this many times the usual one, or a fraction as small, means that slices are missing or too many."""


@dataclass(frozen=True)
class Series:
    """The slices of one stack, in no order yet."""

    slices: tuple[SliceHeader, ...]
    notes: tuple[str, ...] = ()
    """What was left out, split or joined: sentences without the name of the scan."""
    fault: str = ""
    """Why it cannot be read; "" where nothing is known against it. There are no slices where none can be used."""
    hint: str = _COPY
    left_out: tuple[Unusable, ...] = ()
    """Files that are damaged and may belong to it."""
    number: int = 0
    """Where one file of many frames holds several stacks: which of them it is, from 1; 0 for all else."""
    part: dict[str, str] = field(default_factory=dict)
    """Of a series that was split: the tags that tell this part from the others, and what they hold."""
    is_mixed: bool = False
    """Its images lie in several directions, as those of a localizer, so that they are no stack."""

    @property
    def summary(self) -> str:
        """Size in words, without anything that tells of the patient."""
        if not self.slices:
            return "no image that can be used"
        columns, rows = self.slices[0].size_ij
        return f"{len(self.slices)} images of {columns} x {rows}"

    @property
    def modality(self) -> Modality:
        """Of the first slice."""
        return self.slices[0].modality if self.slices else "other"

    @property
    def shared_instance(self) -> str:
        """How many images have a SOPInstanceUID that another has, in words; "" for none."""
        counts = Counter((item.instance_uid, item.frame) for item in self.slices if item.instance_uid)
        sharing = sum(count for count in counts.values() if count > 1)
        if len(counts) == 1 and sharing:
            return f"all {sharing} images have one SOPInstanceUID"
        return f"{sharing} images have a SOPInstanceUID that another has too" if sharing else ""

    @property
    def path(self) -> Path:
        """The first file, which stands for the series where its folder holds several."""
        first = self.slices[0].path
        return stack_path(first, self.number) if self.number else first


@dataclass(frozen=True)
class Found:
    """What one folder holds."""

    series: tuple[Series, ...]
    """By their first file."""
    unusable: tuple[Unusable, ...] = ()
    """Files that are no slice, of all kinds."""


def series_of(files: Iterable[tuple[Path, tuple[SliceHeader, ...] | Unusable | None]]) -> Found:
    """The series of some files that were read already, each as ``read_slices`` gives it."""
    slices: list[SliceHeader] = []
    unusable, unknown, count = [], [], 0
    for count, (path, found) in enumerate(files, start=1):  # noqa: B007 - how many there were
        if isinstance(found, tuple):
            slices += found
        elif isinstance(found, Unusable):
            unusable.append(found)
        else:
            unknown.append(path)
    endings = {ending(item.path) for item in slices}
    unusable += [Unusable(path, why_not_used(path), "damaged") for path in unknown if ending(path) in endings]
    series = sorted(_numbered(_stacks(slices)), key=lambda each: each.path)
    return Found(tuple(_with_unusable(series, unusable, count)), tuple(unusable))


def _numbered(series: Sequence[Series]) -> list[Series]:
    """The series, numbered where one file begins several."""
    times = Counter(each.slices[0].path for each in series)
    seen: Counter[Path] = Counter()
    found = []
    for each in series:
        first = each.slices[0].path
        seen[first] += 1
        found.append(replace(each, number=seen[first]) if times[first] > 1 else each)
    return found


def ending(path: Path) -> str:
    """What files of one kind have in common: the ending, "" where it is none but part of a number."""
    suffix = path.suffix.lower()
    return suffix if 1 < len(suffix) <= 6 and not suffix[1:].isdigit() else ""


def _with_unusable(series: Sequence[Series], unusable: Sequence[Unusable], n_files: int) -> list[Series]:
    """Each series with the files that it lacks; a series without slices where there is nothing but such files."""
    other = [item for item in unusable if item.kind in ("no image", "no place")]
    bad = [item for item in unusable if item not in other]
    if not series:
        if not bad:
            return []
        first = bad[0]
        fault = f"holds no DICOM image that can be used: {_counted(bad, n_files)}"
        return [Series((), left_out_notes((), other), fault, first.hint, tuple(bad))]
    mine = [[item for item in bad if item.series_uid and item.series_uid == each.slices[0].series_uid]
            for each in series]
    rest = [item for item in bad if not any(item in own for own in mine)]
    found = []
    for index, (each, own) in enumerate(zip(series, mine, strict=True)):
        told = [*own, *(rest if index == 0 else ())]
        notes = left_out_notes(told, other if index == 0 else ())
        found.append(replace(each, notes=(*each.notes, *notes), left_out=(*own, *rest)))
    return found


def left_out_notes(bad: Sequence[Unusable], other: Sequence[Unusable]) -> tuple[str, ...]:
    """How many files were left out and why: those that are ``bad``, and those that hold no image with a place."""
    notes = []
    if bad:
        notes.append(f"files that could not be used were left out: {_counted(bad)}")
    placeless = [item for item in other if item.kind == "no place"]
    if placeless:
        notes.append(f"images without a place in the patient were left out: {len(placeless)}, the first "
                     f"{shown(placeless[0].path.name)}")
    objects = Counter(item.reason for item in other if item.kind == "no image" and item.reason not in LABELS)
    if objects:
        kinds = ", ".join(f"{count} {shown(kind)}" for kind, count in sorted(objects.items()))
        notes.append(f"DICOM files that are no images were left out: {kinds}")
    return tuple(notes)


def _counted(items: Sequence[Unusable], n_files: int | None = None) -> str:
    """How many, the first one and why."""
    first = f"{shown(items[0].path.name)}: {items[0].reason}"
    total = "" if n_files is None else f" of {n_files} files"
    return first if n_files == 1 else f"{len(items)}{total}, the first {first}"


def _stacks(slices: Iterable[SliceHeader]) -> list[Series]:
    """The stacks that some slices make: by series, then by grid, joined and split where their places ask for it."""
    by_uid: dict[str, list[SliceHeader]] = defaultdict(list)
    for item in slices:
        by_uid[item.series_uid].append(item)
    series, joined = _join_singles([items[0] for items in by_uid.values() if len(items) == 1])
    for items in by_uid.values():
        if items[0].path not in joined:
            series += _of_one_uid(_by_grid(items))
    return series


def _join_singles(singles: Sequence[SliceHeader]) -> tuple[list[Series], set[Path]]:
    """Series of one image each that are one stack in truth, and the files that went into one."""
    kinds: dict[tuple, list[SliceHeader]] = defaultdict(list)
    for item in singles:
        kinds[item.modality, *(item.tags[tag] for tag in _SAME_SERIES_TAGS)].append(item)
    groups = [group for kind in kinds.values() for group in _by_grid(kind) if len(group) >= _LEAST]
    series = []
    for group in groups:
        stack = _stack(group)
        for part in stack:
            note = f"{len(group)} DICOM series of one image each (a SeriesInstanceUID a slice) were taken for one"
            fault = part.fault and f"{part.fault}; it was put together from {len(group)} series of one image each"
            series.append(replace(part, notes=(note, *part.notes), fault=fault))
    return series, {item.path for group in groups for item in group}


def _by_grid(slices: Iterable[SliceHeader]) -> list[list[SliceHeader]]:
    """Slices of one matrix size, orientation and pixel spacing together, in their order."""
    parts: list[list[SliceHeader]] = []
    for item in slices:
        part = next((part for part in parts if item.has_grid_of(part[0])), None)
        if part is None:
            parts.append([item])
        else:
            part.append(item)
    return parts


def _of_one_uid(parts: Sequence[list[SliceHeader]]) -> list[Series]:
    """The stacks of one series, whose slices are given by grid; parts of a few slices beside others are left out."""
    if len(parts) == 1:
        return _stack(parts[0])
    whole = [part for part in parts if len(part) >= _LEAST]
    if not whole:
        count = sum(len(part) for part in parts)
        fault = (f"is no stack: its {count} images have {len(parts)} different orientations, matrix sizes or pixel "
                 "spacings")
        return [Series(tuple(item for part in parts for item in part), (), fault, _APART, is_mixed=True)]
    few = [item for part in parts if len(part) < _LEAST for item in part]
    series = [stack for part in whole for stack in _stack(part)]
    notes = []
    if few:
        notes.append(f"images of the same series with another orientation, matrix size or pixel spacing were left out "
                     f"(localizers?): {len(few)}, the first {shown(few[0].path.name)}")
    if len(whole) > 1:
        notes.append(f"its series has {len(whole)} stacks of different orientation, matrix size or pixel spacing; each "
                     "is a scan of its own")
    return [replace(series[0], notes=(*notes, *series[0].notes)), *series[1:]]


def _stack(slices: list[SliceHeader]) -> list[Series]:
    """One stack of slices of one grid; several where the slices are several passes that tags tell apart."""
    slices, notes = without_copies(slices, same_instance=True)
    if is_even(slices):
        return [Series(tuple(slices), notes)]
    passes = _passes(slices, PASS_TAGS) or _passes_by_rank(slices)
    if passes:
        tags = " and ".join(passes[0].part)
        note = f"the images of its series were split by {tags} into {len(passes)} stacks; each is a scan of its own"
        return [replace(passes[0], notes=(note, *notes)), *passes[1:]]
    single, more = without_copies(slices, same_instance=False)
    if is_even(single):
        return [Series(tuple(single), (*notes, *more))]
    return [Series(tuple(slices), notes, why_uneven(slices), _hint(slices))]


def _passes(slices: Sequence[SliceHeader], tags: Sequence[str]) -> list[Series]:
    """The passes that the first of the ``tags`` tells apart, or that several tell apart together; none otherwise."""
    splits = []
    for number, tag in enumerate(tags):
        parts: dict[str, list[SliceHeader]] = defaultdict(list)
        for item in slices:
            parts[item.tags.get(tag, "")].append(item)
        if len(parts) > 1 and all(len(part) >= _LEAST for part in parts.values()):
            if all(is_even(part) for part in parts.values()):
                return [Series(tuple(part), part={tag: value}) for value, part in parts.items()]
            splits.append((number, tag, parts))
    for number, tag, parts in splits:
        found = []
        for value, part in parts.items():
            inner = [Series(tuple(part))] if is_even(part) else _passes(part, tags[number + 1:])
            if not inner:
                break
            found += [replace(each, part={tag: value, **each.part}) for each in inner]
        else:
            return found
    return []


def _passes_by_rank(slices: Sequence[SliceHeader]) -> list[Series]:
    """The passes of a cine whose times differ from place to place: the first time of each place, the second, ..."""
    heights = np.round(_heights(slices) / _SAME_PLACE_MM).astype(np.int64)
    order = np.argsort(heights, kind="stable")
    places = np.split(order, 1 + np.flatnonzero(np.diff(heights[order]) > 1))
    n_passes = len(places[0])
    if len(places) < _LEAST or n_passes < 2 or any(len(place) != n_passes for place in places):
        return []
    for tag in _TIMES:
        values = np.array([_number(item.tags.get(tag, "")) for item in slices])
        if not np.isfinite(values).all() or any(len(set(values[place])) != n_passes for place in places):
            continue
        ranked = [place[np.argsort(values[place])] for place in places]
        passes = [[slices[place[rank]] for place in ranked] for rank in range(n_passes)]
        if all(is_even(part) for part in passes):
            return [Series(tuple(part), part={tag: f"rank {rank}"}) for rank, part in enumerate(passes, start=1)]
    return []


def _number(text: str) -> float:
    """NaN for what is no number."""
    try:
        return float(text)
    except ValueError:
        return float("nan")


def _hint(slices: Sequence[SliceHeader]) -> str:
    if has_doubles(slices):
        return "Split its time points, echoes or phases into series of their own."
    return "Copy or export the series again, or keep the images of one stack only."


def is_even(slices: Sequence[SliceHeader]) -> bool:
    """Whether the slices follow each other at much the same distance, none at the place of another."""
    gaps_mm = gaps(slices)
    if not len(gaps_mm):
        return True
    usual = _usual(gaps_mm)
    return bool(gaps_mm.min() >= max(_SAME_PLACE_MM, usual / _UNEVEN) and gaps_mm.max() <= usual * _UNEVEN)


def gaps(slices: Sequence[SliceHeader]) -> np.ndarray:
    """Distances [K - 1] in mm from slice to slice along their normal, in the order of their places."""
    return np.diff(np.sort(_heights(slices)))


def _usual(gaps_mm: np.ndarray) -> float:
    """The median, of an even number the lower one: of two gaps, one of which holds a missing slice, the true one."""
    return float(np.sort(gaps_mm)[(len(gaps_mm) - 1) // 2])


def why_uneven(slices: Sequence[SliceHeader]) -> str:
    """Where and how much the slices are not even, as a sentence without its subject."""
    heights = _heights(slices)
    order = np.argsort(heights, kind="stable")
    gaps_mm, names = np.diff(heights[order]), [shown(slices[index].path.name) for index in order]
    double = np.flatnonzero(gaps_mm < _SAME_PLACE_MM)
    if len(double):
        first = int(double[0])
        return (f"has several images at the same place: {len(double)} of {len(slices)} lie where another does; the "
                f"first are {names[first]} and {names[first + 1]}")
    usual = _usual(gaps_mm)
    widest, least = int(np.argmax(gaps_mm)), int(np.argmin(gaps_mm))
    at = widest if gaps_mm[widest] > usual * _UNEVEN else least
    what = "a hole" if at == widest else "slices too near to each other"
    return (f"has {what}: {gaps_mm[at]:.4g} mm between {names[at]} and {names[at + 1]}, where {usual:.4g} mm "
            "are usual")


def _heights(slices: Sequence[SliceHeader]) -> np.ndarray:
    """Places [K] in mm along the normal of the first slice."""
    row, column = np.reshape(slices[0].orientation, (2, 3))
    normal = np.cross(row, column)
    return np.array([item.position_lps_mm for item in slices]) @ (normal / np.linalg.norm(normal))


def has_doubles(slices: Sequence[SliceHeader]) -> bool:
    """Whether several slices lie at the same place."""
    return len(slices) > 1 and gaps(slices).min() < _SAME_PLACE_MM


def without_copies(slices: list[SliceHeader], *, same_instance: bool) -> tuple[list[SliceHeader], tuple[str, ...]]:
    """Each image once, and what was left out: copies at the same place, of one SOPInstanceUID where that is asked."""
    if len(slices) < 2:
        return slices, ()
    heights = _heights(slices)
    copies: set[tuple[Path, int | None]] = set()
    last_mm = -np.inf
    here: list[SliceHeader] = []
    for index in np.argsort(heights, kind="stable"):
        item = slices[index]
        here = here if heights[index] - last_mm < _SAME_PLACE_MM else []
        last_mm = heights[index]
        if any((not same_instance or item.instance_uid == other.instance_uid) and _is_copy(item, other)
               for other in here):
            copies.add((item.path, item.frame))
        else:
            here.append(item)
    kept = [item for item in slices if (item.path, item.frame) not in copies]
    first = next((shown(item.path.name) for item in slices if (item.path, item.frame) in copies), "")
    return kept, ((f"images that are there twice were taken once: {len(copies)}, the first {first}",) if copies else ())


def _is_copy(one: SliceHeader, other: SliceHeader) -> bool:
    """Whether two files at one place hold the same voxels."""
    if one.frame is not None or other.frame is not None:
        return False
    if np.abs(np.subtract(one.position_lps_mm, other.position_lps_mm)).max() >= _SAME_PLACE_MM:
        return False
    try:
        if one.path.read_bytes() == other.path.read_bytes():
            return True
        import pydicom

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            here, there = (pydicom.dcmread(item.path, force=True) for item in (one, other))
            return all(here.get(tag) == there.get(tag) for tag in ("PixelData", "RescaleSlope", "RescaleIntercept"))
    except Exception:  # noqa: BLE001 - a file that cannot be read whole is no copy of another; reading it tells why
        return False
