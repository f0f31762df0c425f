"""Listing: the scans and labels of a folder by case name, how names arise, and which label belongs to which scan."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from alhvr.core.errors import UserError
from alhvr.core.files import shown
from alhvr.data.channel_names import Channel, Images, split_number
from alhvr.data.dicom_folder import LeftOut
from alhvr.data.folder_content import LABEL_FOLDERS, Item, PassedOver, label_base

_IMAGE_FOLDERS = ("images", "image", "imagestr", "imagests", "img", "imgs", "scans", "volumes")
_BESIDE = 2
"""Rank of a label that lies beside its scan, known by its name."""


@dataclass(frozen=True)
class Listing:
    """What a folder holds, by case name."""

    images: dict[str, Images]
    """Of each case its channels, complete or not: image file or series folder (or one file of a series)."""
    labels: dict[str, Path] = field(default_factory=dict)
    """Label file of each case that has one; of HDF5 files the file itself."""
    label_names: dict[int, str] = field(default_factory=dict)
    """Meaning of the label values, as far as a file tells."""
    modality: str | None = None
    """"CT", "MR" or "other" where a file tells."""
    warnings: tuple[str, ...] = ()
    """What was left out."""
    channels: tuple[Channel, ...] = ()
    """What a file calls the channels; empty where none does."""
    regions: dict[str, tuple[int, ...]] = field(default_factory=dict)
    """Structures that a dataset.json makes of several label values, by name."""
    patients: dict[str, str] = field(default_factory=dict)
    """Whose scan a case is, where the layout tells."""
    left_out: tuple[LeftOut, ...] = ()
    """DICOM series that are not used, each with its reason."""
    notes: tuple[str, ...] = ()
    """The layout that was recognised, and what was taken by a guess or not read, one sentence each."""


def name_items(items: Iterable[Item]) -> dict[str, Item]:
    """Images by case name: that of the file or series folder, with the folders above where two have the same.

    Raises UserError where two have one name nevertheless: two files that differ in their endings, a file and a series.
    """
    items = list(items)
    times = Counter(item.stem for item in items)
    found: dict[str, Item] = {}
    for item in items:
        name = item.stem if times[item.stem] == 1 else "-".join((*item.parts, item.stem))
        other = found.setdefault(name, item)
        if other is not item:
            raise _clash(name, other, item)
    return found


def pair_labels(scans: Mapping[str, Item], labels: Sequence[Item], passed: PassedOver) -> dict[str, Path]:
    """The label of each scan by name; labels without a scan keep their own.

    A label has the name of its scan, with or without what tells that it is a label, in the same folder or in one of
    labels, wherever that lies if but one scan has the name. One in a folder "labels" comes before others; of two others
    neither is taken.
    """
    places = {(_place(item), item.stem): name for name, item in scans.items()}
    places |= {(place, base): split_number(name)[0] for (place, stem), name in list(places.items())
               for base, number in (split_number(stem),) if number is not None}
    times = Counter(stem for _, stem in places)
    alone = {stem: name for (_, stem), name in places.items() if times[stem] == 1}
    found: dict[str, list[Item]] = defaultdict(list)
    for item in labels:
        stems = [stem for stem in (item.stem, label_base(item.stem)) if stem]
        anywhere = {} if _rank(item) == _BESIDE else alone
        names = [places.get((_place(item), stem)) or anywhere.get(stem) for stem in stems]
        own = stems[-1] if stems[-1] not in scans else "-".join((*item.parts, stems[-1]))
        found[next((name for name in names if name), own)].append(item)
    return {name: best.path for name, items in found.items() if (best := _best(items, passed)) is not None}


def _best(items: list[Item], passed: PassedOver) -> Item | None:
    """The label that is taken of those of one case."""
    ranks = sorted((_rank(item), index) for index, item in enumerate(items))
    first = [items[index] for rank, index in ranks if rank == ranks[0][0]]
    for item in items:
        if len(first) > 1:
            passed.add("labels of cases that have more than one, so that none is taken (name one in cases.json)",
                       item.path)
        elif item is not first[0]:
            passed.add("labels of cases that have one in another folder", item.path)
    return first[0] if len(first) == 1 else None


def _rank(item: Item) -> int:
    """0 in a folder "labels", 1 in another folder of labels, _BESIDE for all else."""
    folders = {part.lower() for part in item.parts}
    return 0 if folders & {"labels", "labelstr"} else 1 if folders & set(LABEL_FOLDERS) else _BESIDE


def _place(item: Item) -> tuple[str, ...]:
    """The folders that lead to an image, without those that only say whether it is a scan or a label."""
    return tuple(part for part in item.parts if part.lower() not in (*LABEL_FOLDERS, *_IMAGE_FOLDERS))


def _clash(name: str, one: Item, two: Item) -> UserError:
    hint = "Rename or remove one of them."
    if one.is_series != two.is_series:
        return UserError(f"Two images are named {shown(name)}: a file and a DICOM series.", hint)
    return UserError(f"{_shown(one)} and {_shown(two)} have the same name.", hint)


def _shown(item: Item) -> str:
    return shown("/".join((*item.parts, item.path.name)))
