"""DICOM series: which files of a folder are one stack of slices, what is split, joined or left out, and why."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from alhvr.core.files import shown
from alhvr.data.dicom_file import why_not_used
from alhvr.data.dicom_places import has_doubles, is_even, why_uneven, without_copies
from alhvr.data.dicom_slice import PASS_TAGS, SliceHeader, Unusable, read_slice
from alhvr.data.scan import Modality

_LEAST = 3
"""Slices that a part of a series needs beside other parts."""
_SAME_SERIES_TAGS = ("StudyInstanceUID", "FrameOfReferenceUID", "SeriesDescription")
"""What series of one image each have in common where they are one series in truth."""
_COPY = "Copy or export the series again."
_APART = "Put each of them into a folder of its own."


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
        counts = Counter(item.instance_uid for item in self.slices if item.instance_uid)
        sharing = sum(count for count in counts.values() if count > 1)
        if len(counts) == 1 and sharing:
            return f"all {sharing} images have one SOPInstanceUID"
        return f"{sharing} images have a SOPInstanceUID that another has too" if sharing else ""

    @property
    def path(self) -> Path:
        """The first file, which stands for the series where its folder holds several."""
        return self.slices[0].path


@dataclass(frozen=True)
class Found:
    """What one folder holds."""

    series: tuple[Series, ...]
    """By their first file."""
    unusable: tuple[Unusable, ...] = ()
    """Files that are no slice, of all kinds."""


def series_of_files(paths: Sequence[Path]) -> Found:
    """The series of some files."""
    slices, unusable, unknown = [], [], []
    for path in paths:
        found = read_slice(path)
        if isinstance(found, SliceHeader):
            slices.append(found)
        elif isinstance(found, Unusable):
            unusable.append(found)
        else:
            unknown.append(path)
    endings = {ending(item.path) for item in slices}
    unusable += [Unusable(path, why_not_used(path), "damaged") for path in unknown if ending(path) in endings]
    series = sorted(_stacks(slices), key=lambda each: each.path)
    return Found(tuple(_with_unusable(series, unusable, len(paths))), tuple(unusable))


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
        return [Series((), left_out_notes((), other), fault, first.hint)]
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
    objects = Counter(item.reason for item in other if item.kind == "no image")
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
        return [Series(tuple(item for part in parts for item in part), (), fault, _APART)]
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
    """One stack of slices of one grid; several where the slices are several passes that a tag tells apart."""
    slices, notes = without_copies(slices, same_instance=True)
    if is_even(slices):
        return [Series(tuple(slices), notes)]
    for tag in PASS_TAGS:
        parts: dict[str, list[SliceHeader]] = defaultdict(list)
        for item in slices:
            parts[item.tags[tag]].append(item)
        if len(parts) > 1 and all(len(part) >= _LEAST and is_even(part) for part in parts.values()):
            note = f"the images of its series were split by {tag} into {len(parts)} stacks; each is a scan of its own"
            passes = [Series(tuple(part)) for part in parts.values()]
            return [replace(passes[0], notes=(note, *notes)), *passes[1:]]
    single, more = without_copies(slices, same_instance=False)
    if is_even(single):
        return [Series(tuple(single), (*notes, *more))]
    return [Series(tuple(slices), notes, why_uneven(slices), _hint(slices))]


def _hint(slices: Sequence[SliceHeader]) -> str:
    if has_doubles(slices):
        return "Split its time points, echoes or phases into series of their own."
    return "Copy or export the series again, or keep the images of one stack only."
