"""DICOM folders: every series at any depth, which folder or file stands for each, and what is said of the rest."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from pathlib import Path

from alhvr.core.files import shown
from alhvr.data.dicom_file import file_of, why_not_used
from alhvr.data.dicom_index import Headers, files_of_series, read_headers, remember_series, say_indexed
from alhvr.data.dicom_match import Identity, match_labels
from alhvr.data.dicom_rule import SeriesFacts, SeriesRule, facts_of
from alhvr.data.dicom_series import LABELS, Found, Series, ending, left_out_notes, series_of
from alhvr.data.dicom_slice import Unusable
from alhvr.data.image_2d import is_frame


@dataclass(frozen=True)
class LeftOut:
    """A series that is not used."""

    path: Path
    """Its folder, or its first file."""
    what: str
    """Size and kind in words, without anything that tells of the patient."""
    reason: str
    """Why, as the rest of a sentence."""


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
    left_out: tuple[LeftOut, ...] = ()
    """Series that are not used."""
    labels: dict[Path, Path] = field(default_factory=dict)
    """Of each series (as in ``images``) that a DICOM-SEG or RTSTRUCT refers to: that file."""
    channels: dict[str, dict[str, Path]] = field(default_factory=dict)
    """Where several rules choose the channels of a study: of each case, in place of ``images``, the series by the name
    of its rule; those that no series fits are missing."""
    channel_names: tuple[str, ...] = ()
    """Of ``channels``, in order."""
    identities: dict[Path, Identity] = field(default_factory=dict)
    """By what labels that lie elsewhere refer to each series."""


@dataclass(frozen=True)
class _Place:
    """One series as it was found in a folder, without its slices: there may be thousands."""

    folder: Path
    path: Path
    """What stands for it."""
    facts: SeriesFacts
    identity: Identity
    is_alone: bool
    """Nothing else is in its folder."""
    fault: str = ""
    is_mixed: bool = False
    unread: str = ""
    """Why none of its images can be used, where all are of a kind that is not read, such as colour."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """How many slices it has of each SeriesInstanceUID."""


def find_series(folder: Path) -> Found:
    """The image series whose files lie directly in ``folder``; files that show no sign of DICOM are passed over."""
    return series_of_files(visible_files(folder))


def series_of_files(paths: Sequence[Path]) -> Found:
    """The series of some files, whose headers come from the index where they are known."""
    return series_of(read_headers(paths))


def series_of_file(path: Path) -> Found:
    """The series of the files that belong to the one that ``path`` stands for, else of its folder."""
    files = files_of_series(path)
    if files is not None:
        found = series_of_files(files)
        if any(each.slices and each.path == path for each in found.series):
            return found
    return find_series(path.parent)


def series_of_folder(folder: Path) -> Found:
    """The series of ``folder``, or where it holds no DICOM file itself, of all folders below it together."""
    found = find_series(folder)
    if found.series or found.unusable:
        return found
    return series_of_files([path for place in _folders(folder) if place != folder for path in visible_files(place)])


def files_of_series_folder(folder: Path) -> list[Path]:
    """The visible files of ``folder`` by name, or where it holds none itself, of all folders below it."""
    return visible_files(folder) or [path for place in _folders(folder) for path in visible_files(place)]


def files_beside(path: Path) -> list[Path]:
    """The files of the series that a file or stack stands for; all of its folder where they are not known."""
    return files_of_series(path) or visible_files(file_of(path).parent)


def list_series(folder: Path, rules: Sequence[SeriesRule] = (),
                own_results: Callable[[Path], Set[str]] = lambda place: frozenset()) -> SeriesListing:
    """Every DICOM series at any depth, named after its folder, with parents where two folders have one name.

    A series with a fault is listed like any other: reading it tells the fault. Localizers and colour images beside
    other series are left out, and so is what none of the ``rules`` asks for. Slices of one series that lie in several
    folders are brought together where they make one stack. ``own_results`` tells the names of results in a folder,
    which are no labels.
    """
    walk = _Walk(folder, own_results)
    places = list(_folders(folder))
    for count, place in enumerate(places):
        say_indexed(count, len(places))
        walk.look(place)
    told = [*walk.told(), *walk.join()]
    usable, left_out = _chosen(walk.places, rules)
    channels: dict[str, dict[str, Path]] = {}
    if len(rules) > 1:
        channels, doubled = _by_study(folder, usable, rules)
        left_out += doubled
    identities = {place.path: place.identity for place in usable}
    matched = match_labels(walk.labels, identities, images_of_series)
    modalities = {place.facts.modality for place in usable if place.facts.n_slices}
    modality = modalities.pop() if len(modalities) == 1 else None
    return SeriesListing({} if channels else _named(folder, usable), modality, (*told, *matched.warnings),
                         tuple(walk.frames), tuple(left_out), matched.labels, channels,
                         tuple(rule.name for rule in rules) if channels else (), identities)


class _Walk:
    """What the folders hold, one after the other; slices are forgotten once a folder was looked at."""

    def __init__(self, folder: Path, own_results: Callable[[Path], Set[str]]) -> None:
        self.folder, self._own_results = folder, own_results
        self.places: list[_Place] = []
        self.frames: list[Path] = []
        self.labels: list[Path] = []
        self._empty: list[tuple[Path, tuple[Unusable, ...]]] = []
        self._endings: set[str] = set()
        self._with_dicom: set[Path] = set()

    def look(self, place: Path) -> None:
        """Takes in one folder."""
        files = visible_files(place)
        found = series_of_files(files)
        labels = [item.path for item in found.unusable if item.kind == "no image" and item.reason in LABELS]
        own = self._own_results(place) if labels else frozenset()
        self.labels += [path for path in labels if path.name not in own]
        frames = _frames(found)
        if frames:
            self.frames += sorted(frames)
            found = series_of_files([path for path in files if path not in frames])
        self._endings |= {ending(item.path) for each in found.series for item in each.slices}
        if found.series or found.unusable:
            self._with_dicom.add(place)
        if not found.series:
            self._empty.append((place, found.unusable))
        alone = len(found.series) == 1
        for each in found.series:
            path = place if alone else each.path
            if not alone and each.slices:
                remember_series(path, _files_of(found, {item.series_uid for item in each.slices}))
            self.places.append(_place(place, path, each, is_alone=alone))

    def told(self) -> Iterator[str]:
        """A sentence on each folder whose DICOM files are all no images, or only look like those of others."""
        for place, unusable in self._empty:
            where = shown(place.relative_to(self.folder).as_posix() if place != self.folder else place.name)
            notes = left_out_notes((), unusable)
            if not unusable:
                alike = [Unusable(path, why_not_used(path), "damaged") for path in visible_files(place)
                         if ending(path) in self._endings]
                notes = left_out_notes(alike, ())
            if notes:
                yield f"{where}: {'; '.join(notes)}." if unusable else f"{where}: {notes[0]}."

    def join(self) -> list[str]:
        """Brings series together that lie in several folders; returns what is said of it."""
        shared: dict[str, list[Path]] = defaultdict(list)
        for place in self.places:
            for uid in place.counts:
                if uid and place.folder not in shared[uid]:
                    shared[uid].append(place.folder)
        groups: dict[tuple[Path, ...], list[str]] = defaultdict(list)
        for uid, folders in shared.items():
            if len(folders) > 1:
                groups[tuple(folders)].append(uid)
        return [self._join(folders, uid) for folders, uids in groups.items() for uid in uids]

    def _join(self, folders: tuple[Path, ...], uid: str) -> str:
        names = " and ".join(shown(place.name) for place in folders[:2]) + (" and others" if len(folders) > 2 else "")
        parts = [place for place in self.places if place.folder in folders and uid in place.counts]
        files = [path for place in folders for path in visible_files(place)]
        found = series_of((path, _of_series(header, uid)) for path, header in read_headers(files))
        count = sum(place.counts[uid] for place in parts)
        only = found.series[0] if len(found.series) == 1 else None
        if only is None or only.fault or len(only.slices) != count:
            return (f"The DICOM series in the folders {names} have one SeriesInstanceUID but make no single stack; "
                    "each was taken for a scan of its own.")
        around = Path(os.path.commonpath(folders))
        whole = around not in folders and all(
            place in folders for place in self._with_dicom if place.is_relative_to(around)) and all(
            set(place.counts) == {uid} for place in self.places if place.folder in folders)
        path = around if whole else only.path
        if not whole and not remember_series(path, [item.path for item in only.slices]):
            return (f"The folders {names} hold parts of one DICOM series, and other series too; each part was taken "
                    "for a scan of its own. Put the files of the series into one folder.")
        for part in parts:
            rest = {other: n for other, n in part.counts.items() if other != uid}
            at = self.places.index(part)
            self.places[at:at + 1] = [replace(part, counts=rest)] if rest else []
        self.places.append(_place(around if whole else only.path.parent, path, only, is_alone=whole))
        if whole:
            return f"The folders {names} hold one DICOM series; it was taken for one scan, {shown(around.name)}."
        return f"The folders {names} hold one DICOM series, and other series too; its files were taken for one scan."


def _place(folder: Path, path: Path, series: Series, *, is_alone: bool) -> _Place:
    first = series.slices[0] if series.slices else None
    identity = Identity(first.series_uid, first.tags.get("FrameOfReferenceUID", "")) if first else Identity("", "")
    unread = first is None and all(item.kind == "unread" for item in series.left_out)
    return _Place(folder, path, facts_of(series), identity, is_alone, series.fault, series.is_mixed,
                  series.left_out[0].reason if unread and series.left_out else "",
                  Counter(item.series_uid for item in series.slices))


def _files_of(found: Found, uids: set[str]) -> list[Path]:
    """The files of these series, with all their parts and with those that are damaged, by name."""
    whole = {item.path for each in found.series for item in each.slices if item.series_uid in uids}
    return sorted(whole | {item.path for item in found.unusable if item.series_uid in uids})


def _of_series(header: Headers, uid: str) -> Headers:
    """What was read of a file where it belongs to the series; None for all else."""
    if isinstance(header, tuple):
        return header if header[0].series_uid == uid else None
    return header if isinstance(header, Unusable) and header.series_uid == uid else None


def images_of_series(path: Path) -> frozenset[str]:
    """The SOPInstanceUIDs of the series that ``path`` stands for."""
    found = series_of_folder(path) if path.is_dir() else series_of_file(path)
    return frozenset(item.instance_uid for each in found.series if path.is_dir() or each.path == path
                     for item in each.slices)


def _chosen(places: Sequence[_Place], rules: Sequence[SeriesRule]) -> tuple[list[_Place], list[LeftOut]]:
    """The series that are used, and the others with their reason."""
    kept, left_out = [], []
    some_usable = any(place.facts.n_slices and not place.is_mixed for place in places)
    for place in places:
        reason = ""
        if place.is_mixed and some_usable:
            reason = f"it {place.fault} (a localizer?)"
        elif place.unread and some_usable:
            reason = place.unread
        elif rules:
            reasons = [rule.why_not(place.facts) for rule in rules]
            reason = "" if not all(reasons) else "; ".join(dict.fromkeys(reasons))
        if reason:
            left_out.append(LeftOut(place.path, place.facts.summary, reason))
        else:
            kept.append(place)
    return kept, left_out


def _by_study(folder: Path, places: Sequence[_Place], rules: Sequence[SeriesRule],
              ) -> tuple[dict[str, dict[str, Path]], list[LeftOut]]:
    """Of each study its channels by the name of their rule, and the series that another one is taken before.

    Of several that fit a rule the one with most slices is taken, then the one with the lowest number.
    """
    studies: dict[str, list[_Place]] = defaultdict(list)
    for place in places:
        studies[place.facts.study_uid or str(place.folder)].append(place)
    channels: dict[str, dict[str, Path]] = {}
    left_out = []
    for of_study in studies.values():
        found: dict[str, Path] = {}
        left = sorted(of_study, key=lambda place: (-place.facts.n_slices, place.facts.number, place.path))
        for rule in rules:
            best = next((place for place in left if not rule.why_not(place.facts)), None)
            if best is not None:
                found[rule.name] = best.path
                left.remove(best)
        left_out += [LeftOut(place.path, place.facts.summary, "another series of its study, with as many slices or "
                             "more, is taken for the same channel") for place in left]
        around = Path(os.path.commonpath([place.folder for place in of_study]))
        name = "-".join(around.relative_to(folder).parts) or of_study[0].folder.name
        channels[name if name not in channels else f"{name}-{len(channels) + 1}"] = found
    return channels, left_out


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


def _named(folder: Path, listed: Sequence[_Place]) -> dict[str, Path]:
    """Case names and paths of series."""
    places = [place.folder for place in listed]
    by_name: dict[str, set[Path]] = defaultdict(set)
    for place in places:
        by_name[place.name].add(place)
    times, seen = Counter(places), Counter()
    images = {}
    for each in listed:
        place = each.folder
        name = place.name if len(by_name[place.name]) == 1 else "-".join(place.relative_to(folder).parts) or place.name
        seen[place] += 1
        if times[place] > 1:
            name = f"{name}-{seen[place]}"
        images[name] = each.path
    return images
