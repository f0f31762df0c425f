"""DICOM folders: every series at any depth, which folder or file stands for each, and what is said of the rest."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from alhvr.core.files import shown
from alhvr.data.dicom_file import why_not_used
from alhvr.data.dicom_series import Found, Series, ending, left_out_notes, series_of_files
from alhvr.data.dicom_slice import Unusable
from alhvr.data.image_2d import is_frame


@dataclass(frozen=True)
class SeriesListing:
    """Every series of a folder at any depth."""

    images: dict[str, Path]
    """Case name to series folder, or to one file of the series where the folder holds several."""
    modality: str | None
    """"CT", "MR" or "other" where it is the same for all."""
    warnings: tuple[str, ...]
    """What was joined, or left out without a series that could say so."""
    frames: tuple[Path, ...] = ()
    """X-rays and the like, each an image by itself without a place in the patient, in folders without a series."""


@dataclass(frozen=True)
class Joined:
    """Series whose slices lie in several folders."""

    series: dict[Path, Series]
    """The folder around each: it stands for the series, and nothing else below it is to be taken."""
    notes: tuple[str, ...]
    """What was joined and what was not, one sentence each."""


def find_series(folder: Path) -> Found:
    """The image series whose files lie directly in ``folder``; files that show no sign of DICOM are passed over."""
    return series_of_files(visible_files(folder))


def series_of_folder(folder: Path) -> Found:
    """The series of ``folder``, or where it holds no DICOM file itself, of all folders below it together."""
    found = find_series(folder)
    if found.series or found.unusable:
        return found
    return series_of_files([path for place in _folders(folder) if place != folder for path in visible_files(place)])


def files_of_series_folder(folder: Path) -> list[Path]:
    """The visible files of ``folder`` by name, or where it holds none itself, of all folders below it."""
    return visible_files(folder) or [path for place in _folders(folder) for path in visible_files(place)]


def list_series(folder: Path) -> SeriesListing:
    """Every DICOM series at any depth, named after its folder, with parents where two folders have one name.

    A series with a fault is listed like any other: reading it tells the fault. One that is spread over several folders
    is one where nothing else lies among them.
    """
    found = {place: find_series(place) for place in _folders(folder)}
    frames = {place: _frames(each) for place, each in found.items()}
    for place, paths in frames.items():
        if paths:
            found[place] = series_of_files([path for path in visible_files(place) if path not in paths])
    told = _tell_of_no_images(folder, found)
    joined = join_folders(folder, found)
    listed: list[tuple[Path, Path, Series]] = [(place, place, series) for place, series in joined.series.items()]
    inside = {place for place in found if any(place.is_relative_to(around) for around in joined.series)}
    for place, each in found.items():
        if place not in inside:
            alone = len(each.series) == 1
            listed += [(place, place if alone else series.path, series) for series in each.series]
    modalities = {series.modality for _, _, series in listed if series.slices}
    modality = modalities.pop() if len(modalities) == 1 else None
    return SeriesListing(_named(folder, listed), modality, (*told, *joined.notes),
                         tuple(path for paths in frames.values() for path in sorted(paths)))


def join_folders(folder: Path, found: dict[Path, Found]) -> Joined:
    """The series that lie in several of the folders that were ``found`` below ``folder``."""
    places: dict[str, list[Path]] = defaultdict(list)
    for place, each in found.items():
        for uid in {item.series_uid for one in each.series for item in one.slices if item.series_uid}:
            places[uid].append(place)
    series, told = {}, []
    for shared in dict.fromkeys(tuple(of_one) for of_one in places.values() if len(of_one) > 1):
        around = Path(os.path.commonpath(shared))
        names = " and ".join(shown(place.name) for place in shared[:2]) + (" and others" if len(shared) > 2 else "")
        stack = _one_stack(shared, found)
        if stack is None:
            told.append(f"The DICOM series in the folders {names} have one SeriesInstanceUID but make no single stack; "
                        "each was taken for a scan of its own.")
        elif around in shared or not _is_all(around, shared, found):
            told.append(f"The folders {names} hold parts of one DICOM series, and other series too; each part was "
                        "taken for a scan of its own. Put the files of the series into one folder.")
        else:
            series[around] = stack
            told.append(f"The folders {names} hold one DICOM series; it was taken for one scan, {shown(around.name)}.")
    return Joined(series, tuple(told))


def _frames(found: Found) -> set[Path]:
    """The files of a folder without any slice that are images by themselves."""
    if any(series.slices for series in found.series):
        return set()
    return {item.path for item in found.unusable if item.kind in ("no place", "unread") and is_frame(item.path)}


def visible_files(folder: Path) -> list[Path]:
    """What lies in ``folder`` and is no folder, by name, without hidden files and DICOMDIR; pipes and the like too."""
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if not entry.name.startswith(".") and not entry.is_dir()]
    return [folder / name for name in sorted(names) if name.upper() != "DICOMDIR"]


def _folders(folder: Path) -> Iterator[Path]:
    """``folder`` and all visible folders below it by name, links followed, each once.

    Folders that cannot be opened and links to folders around ``folder`` are left out; whoever lists the whole folder
    says so (folder_content).
    """
    around = set(Path(os.path.realpath(folder)).parents)
    waiting, seen = [folder], set()
    while waiting:
        place = waiting.pop()
        real = Path(os.path.realpath(place))
        if real in around or real in seen:
            continue
        seen.add(real)
        try:
            with os.scandir(place) as entries:
                below = [place / entry.name for entry in entries if not entry.name.startswith(".") and entry.is_dir()]
        except OSError:
            if place == folder:
                raise
            continue
        yield place
        waiting += sorted(below, reverse=True)


def _tell_of_no_images(folder: Path, found: dict[Path, Found]) -> tuple[str, ...]:
    """A sentence on each folder whose DICOM files are all no images, or whose files only look like those of others."""
    endings = {ending(item.path) for each in found.values() for series in each.series for item in series.slices}
    told = []
    for place, each in found.items():
        where = shown(place.relative_to(folder).as_posix() if place != folder else place.name)
        if each.unusable and not each.series:
            told.append(f"{where}: {'; '.join(left_out_notes((), each.unusable))}.")
        elif not each.series:
            alike = [Unusable(path, why_not_used(path), "damaged") for path in visible_files(place)
                     if ending(path) in endings]
            told += [f"{where}: {note}." for note in left_out_notes(alike, ())]
    return tuple(told)


def _one_stack(shared: Sequence[Path], found: dict[Path, Found]) -> Series | None:
    """The stack that the folders make together; None where they make several, or hold an image twice."""
    series = series_of_files([path for place in shared for path in visible_files(place)]).series
    n_slices = sum(len(each.slices) for place in shared for each in found[place].series)
    return series[0] if len(series) == 1 and not series[0].fault and len(series[0].slices) == n_slices else None


def _is_all(around: Path, shared: Sequence[Path], found: dict[Path, Found]) -> bool:
    """Whether the folder ``around`` holds no DICOM but that of the folders ``shared``."""
    return all(place in shared for place, each in found.items()
               if place.is_relative_to(around) and (each.series or each.unusable))


def _named(folder: Path, listed: Sequence[tuple[Path, Path, Series]]) -> dict[str, Path]:
    """Case names and paths of series, each given by its folder, its path and itself."""
    places = [place for place, _, _ in listed]
    images = {}
    for index, (place, path, _) in enumerate(listed):
        same_name = {other for other in places if other.name == place.name}
        name = place.name if len(same_name) == 1 else "-".join(place.relative_to(folder).parts) or place.name
        if places.count(place) > 1:
            name = f"{name}-{places[: index + 1].count(place)}"
        images[name] = path
    return images
