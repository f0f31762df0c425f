"""Layouts of data sets as people download them: ACDC, BraTS, AbdomenCT-1K, the HDF5 files of SSL4MIS, and BIDS.

Each is known by its names. Of a folder that has one of them exactly its files are taken, and what else lies there is
said.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from alhvr.core.files import read_bytes
from alhvr.data.channel_names import Channel, Images, modality_of
from alhvr.data.folder_content import Content, Item
from alhvr.data.h5_file import IMAGE, LABEL, datasets_of
from alhvr.data.listing import Listing, name_items

_ACDC = re.compile(r"(patient\d+)_frame\d+")
_ACDC_4D = re.compile(r"patient\d+_4d")
_BRATS = re.compile(r"(.+)[_-](t1ce|t1gd|t1c|t1n|t1w|t1|t2w|t2f|t2|flair)", re.IGNORECASE)
_BRATS_CHANNELS = {"T1": ("t1", "t1n", "t1w"), "T1ce": ("t1ce", "t1gd", "t1c"), "T2": ("t2", "t2w"),
                   "FLAIR": ("flair", "t2f")}
"""What BraTS calls a channel, old and new."""
_BRATS_VISIT = re.compile(r"(BraTS-[A-Za-z]+-\d+)-\d{3}")
_ABDOMEN = re.compile(r"(Case_\d{5})_0000")
_SLICE = re.compile(r"(.+?)(?:_frame\d+)?_slice_?\d+")
_PATIENT = re.compile(r"(patient\d+)_frame\d+")
_BIDS = re.compile(r"sub-[A-Za-z0-9]+(?:_[a-z]+-[A-Za-z0-9]+)*_[A-Za-z0-9]+")
_BIDS_PLACES = ("anat", "pet", "ct")
_BIDS_LABELS = ("dseg", "mask")
_LIST_FILE_BYTES = 16_000_000


def recognise(content: Content) -> Listing | None:
    """The cases of a layout that is known; None for any other. What of it is not taken goes into content.passed."""
    for layout in (_ssl4mis, _bids, _acdc, _brats, _abdomen):
        found = layout(content)
        if found is not None:
            return found
    return None


def _acdc(content: Content) -> Listing | None:
    """patientNNN/patientNNN_frameMM.nii.gz, the label _frameMM_gt beside it, and a film of all frames."""
    frames = [item for item in content.volumes if _ACDC.fullmatch(item.stem)]
    if not frames:
        return None
    for item in content.volumes:
        if _ACDC_4D.fullmatch(item.stem):
            content.passed.add("films of all frames (4-D), whose two labelled frames lie beside them", item.path)
    _pass_rest(content.volumes, frames, content, (_ACDC_4D,))
    images = name_items(frames)
    labels = _same_stem(images, [item for item in content.labels if _ACDC.fullmatch(item.stem)])
    patients = {name: _ACDC.fullmatch(item.stem)[1] for name, item in images.items()}
    return Listing({name: {0: item.path} for name, item in images.items()}, labels, modality="MR", patients=patients,
                   notes=(_say("ACDC", images, labels, f"of {_count(len(set(patients.values())), 'patient')}"),))


def _brats(content: Content) -> Listing | None:
    """CASE/CASE_flair.nii.gz, _t1, _t1ce, _t2 and the label _seg; since 2023 CASE/CASE-t1n.nii.gz and so on."""
    matches = [(item, match) for item in content.volumes if (match := _BRATS.fullmatch(item.stem))
               and _parts(item, content)[-1] == match[1]]
    by_parts = {_parts(item, content): item.path for item in content.labels if _parts(item, content)[-1] == item.stem}
    kinds = {_brats_channel(match) for _, match in matches}
    if not matches or len(kinds) < 2 and not any(_parts(item, content) in by_parts for item, _ in matches):
        return None
    cases: dict[tuple[str, ...], dict[str, Path]] = defaultdict(dict)
    for item, match in matches:
        cases[_parts(item, content)].setdefault(_brats_channel(match), item.path)
    _pass_rest(content.volumes, [item for item, _ in matches], content)
    times = Counter(kind for found in cases.values() for kind in found)
    channels = [kind for kind in _BRATS_CHANNELS if times[kind] > len(cases) / 2]
    names = name_items(Item(Path(*parts), parts[-1], parts[:-1]) for parts in cases)
    parts_of = {name: (*item.parts, item.stem) for name, item in names.items()}
    images = {name: _by_number(cases[parts], channels) for name, parts in parts_of.items()}
    labels = {name: by_parts[parts] for name, parts in parts_of.items() if parts in by_parts}
    patients = {name: match[1] for name in images if (match := _BRATS_VISIT.fullmatch(parts_of[name][-1]))}
    return Listing(images, labels, modality="MR", channels=tuple(Channel(kind, "MR") for kind in channels),
                   patients=patients, notes=(_say("BraTS", images, labels, f"with {', '.join(channels)}"),))


def _parts(item: Item, content: Content) -> tuple[str, ...]:
    """The folders that lead to an image; the given folder itself where it lies directly in it."""
    return item.parts or (content.folder.name,)


def _brats_channel(match: re.Match[str]) -> str:
    return next(name for name, words in _BRATS_CHANNELS.items() if match[2].lower() in words)


def _by_number(found: dict[str, Path], channels: Sequence[str]) -> Images:
    """The channels of a case by their place in ``channels``; those that few cases have come after."""
    order = [*channels, *(kind for kind in _BRATS_CHANNELS if kind not in channels)]
    return {order.index(kind): path for kind, path in found.items()}


def _abdomen(content: Content) -> Listing | None:
    """Case_00001_0000.nii.gz in one or several folders, and Mask/Case_00001.nii.gz."""
    scans = [item for item in content.volumes if _ABDOMEN.fullmatch(item.stem)]
    if not scans:
        return None
    _pass_rest(content.volumes, scans, content)
    images = name_items(Item(item.path, _ABDOMEN.fullmatch(item.stem)[1], item.parts) for item in scans)
    labels = {item.stem: item.path for item in content.labels if item.stem in images}
    orphans = {item.stem: item.path for item in content.labels if item.stem not in images}
    return Listing({name: {0: item.path} for name, item in images.items()}, {**orphans, **labels}, modality="CT",
                   notes=(_say("AbdomenCT-1K", images, labels),))


def _ssl4mis(content: Content) -> Listing | None:
    """data/slices/*.h5 of the cases to learn from, named by train_slices.list, and data/*.h5, whole volumes."""
    if not content.h5 or content.volumes:
        return None
    holds = {item: datasets_of(item.path) for item in content.h5}
    for item, names in holds.items():
        if IMAGE not in names:
            content.passed.add('HDF5 files without a dataset "image"', item.path)
    found = [item for item, names in holds.items() if IMAGE in names]
    if not found:
        return None
    taken = set([item for item in found if item.parts and item.parts[-1] == "slices"] or found)
    wanted = _listed(content.folder) if len(taken) < len(found) or _is_slices(taken) else None
    for item in found:
        if item not in taken:
            content.passed.add("whole volumes beside the slices", item.path)
        elif wanted and item.stem not in wanted:
            content.passed.add("slices that train_slices.list does not name", item.path)
    images = name_items(item for item in found if item in taken and (not wanted or item.stem in wanted))
    labels = {name: item.path for name, item in images.items() if LABEL in holds[item]}
    patients = {name: match[1] for name, item in images.items()
                if (match := _PATIENT.match(item.stem) or _SLICE.fullmatch(item.stem))}
    return Listing({name: {0: item.path} for name, item in images.items()}, labels, patients=patients,
                   notes=(_say("SSL4MIS", images, labels, "in HDF5 files"),))


def _is_slices(items: Iterable[Item]) -> bool:
    return all(_SLICE.fullmatch(item.stem) for item in items)


def _listed(folder: Path) -> frozenset[str] | None:
    """The names in train_slices.list; None where it is not there."""
    path = folder / "train_slices.list"
    if not path.is_file():
        return None
    lines = read_bytes(path, at_most=_LIST_FILE_BYTES).decode("utf-8", "replace").split()
    return frozenset(line.removesuffix(".h5") for line in lines)


def _bids(content: Content) -> Listing | None:
    """sub-XX[/ses-YY]/anat/sub-XX_T1w.nii.gz; labels in derivatives/NAME/sub-XX/.../sub-XX_*_dseg.nii.gz or _mask."""
    inside = [item for item in content.volumes if _BIDS.fullmatch(item.stem) and "derivatives" not in item.parts
              and any(part.startswith("sub-") for part in item.parts)]
    placed = [item for item in inside if item.parts[-1] in _BIDS_PLACES]
    if not placed:
        return None
    times = Counter(_suffix(item) for item in placed)
    suffix = min(times, key=lambda word: (-times[word], word != "T1w", word))
    scans = [item for item in placed if _suffix(item) == suffix]
    for item in placed:
        if _suffix(item) != suffix:
            content.passed.add(f"images that are no {suffix} (list several channels in cases.json)", item.path)
    _pass_rest(content.volumes, placed, content)
    images = name_items(scans)
    labels = _bids_labels(content, images)
    patients = {name: item.stem.split("_")[0] for name, item in images.items()}
    line = _say("BIDS", images, labels, f"{suffix} of {_count(len(set(patients.values())), 'subject')}")
    return Listing({name: {0: item.path} for name, item in images.items()}, labels, modality=modality_of(suffix),
                   patients=patients, notes=(line,))


def _bids_labels(content: Content, images: dict[str, Item]) -> dict[str, Path]:
    """The label of each scan: of its subject and session, and of its acquisition and run where these are said."""
    labels: dict[str, Path] = {}
    taken = set()
    visits = Counter(_visit(item) for item in images.values())
    for name, item in images.items():
        needed = _visit(item) if visits[_visit(item)] == 1 else frozenset(_entities(item).items())
        own = [label for label in content.labels if needed <= _entities(label).items()
               and label.path.name.startswith("sub-") and _entities(label).get("desc") != "brain"]
        best = [label for label in own if label.path.name.split(".")[0].endswith("_dseg")] or own
        if len(best) == 1:
            labels[name] = best[0].path
            taken.add(best[0])
        elif best:
            for label in best:
                content.passed.add("labels of scans that have more than one, so that none is taken (name one in "
                                   "cases.json)", label.path)
            taken.update(best)
    for label in content.labels:
        if label not in taken:
            content.passed.add("labels that belong to no scan that is taken", label.path)
    return labels


def _visit(item: Item) -> frozenset[tuple[str, str]]:
    """Subject and session."""
    return frozenset(entry for entry in _entities(item).items() if entry[0] in ("sub", "ses"))


def _entities(item: Item) -> dict[str, str]:
    """{"sub": "01", "ses": "2", ...} of a BIDS name, without its suffix."""
    words = item.path.name.split(".")[0].split("_")
    return {key: value for key, _, value in (word.partition("-") for word in words) if value}


def _suffix(item: Item) -> str:
    return item.stem.rsplit("_", 1)[-1]


def _same_stem(images: dict[str, Item], labels: Sequence[Item]) -> dict[str, Path]:
    """The labels beside scans of their name; labels without a scan keep their own."""
    beside = {(item.parts, item.stem): name for name, item in images.items()}
    return {beside.get((label.parts, label.stem), label.stem): label.path for label in labels}


def _pass_rest(items: Sequence[Item], taken: Sequence[Item], content: Content,
               known: Sequence[re.Pattern[str]] = ()) -> None:
    """Says which images are not part of the layout."""
    there = {item.path for item in taken}
    for item in items:
        if item.path not in there and not any(pattern.fullmatch(item.stem) for pattern in known):
            content.passed.add("images that are not part of the layout", item.path)
    for item in (*content.pictures, *(content.h5 if content.volumes else ())):
        content.passed.add("files that are not part of the layout", item.path)


def _say(layout: str, images: Collection[str], labels: dict[str, Path], more: str = "") -> str:
    """One line on what was recognised."""
    n_labels = sum(name in labels for name in images)
    words = " ".join(text for text in (_count(len(images), "scan"), more) if text)
    return f"Layout {layout}: {words}; {_count(n_labels, 'label')}."


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'s' if number != 1 else ''}"
