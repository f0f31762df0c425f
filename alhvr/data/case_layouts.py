"""How scans and labels lie in a folder: images/ and labels/, Decathlon, nnU-Net, files and series at any depth."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from alhvr.core.errors import UserError
from alhvr.core.files import LARGEST_BYTES, parse_json, read_bytes, shown
from alhvr.data.case_paths import require_image_path, say_outside
from alhvr.data.channel_names import (
    Channel,
    gather_numbered,
    group_channels,
    list_channels,
    modality_of,
    parse_channels,
    split_number,
)
from alhvr.data.dicom_folder import SeriesListing, images_of_series
from alhvr.data.dicom_match import match_labels
from alhvr.data.dicom_rule import SeriesRule
from alhvr.data.folder_content import LABEL_FOLDERS, Content, Item, PassedOver, read_content, read_labels
from alhvr.data.h5_file import IMAGE, LABEL, datasets_of, has_h5py, require_h5py
from alhvr.data.image_2d import PICTURE_ENDINGS
from alhvr.data.label_names import parse_label_names, split_regions
from alhvr.data.layouts import recognise
from alhvr.data.listing import Listing, name_items, pair_labels
from alhvr.data.reading import ENDINGS, is_image_file, scan_name

LAYOUTS = ("images/ with labels/ beside it, a Decathlon or nnU-Net dataset.json, image files, DICOM series, a data set "
           "as it is downloaded (ACDC, BraTS, AbdomenCT-1K, SSL4MIS, BIDS), or a cases.json")


def list_folder(folder: Path, channels: int | None = None, rules: Sequence[SeriesRule] = ()) -> Listing:
    """Recognises the layout of ``folder`` and lists its scans; raises UserError for broken or doubled entries.

    ``channels``: how many each scan must have, None where that is to be found out. ``rules``: which DICOM series are
    wanted; none for all.
    """
    description = read_json(folder / "dataset.json") if os.path.lexists(folder / "dataset.json") else {}
    if not isinstance(description, dict):
        raise UserError(f"dataset.json in {folder.name} is no description of a dataset.", "Fix or remove the file.")
    passed = PassedOver(folder)
    if (folder / "imagesTr").is_dir() or "training" in description:
        listing = _list_dataset(folder, description, passed)
    elif (folder / "images").is_dir():
        listing = _list_images_and_labels(folder, channels, passed, rules)
    else:
        listing = _list_tree(folder, channels, passed, rules)
    return replace(listing, warnings=(*listing.warnings, *passed.warnings()), notes=(*listing.notes, *passed.notes()))


def _list_images_and_labels(folder: Path, channels: int | None, passed: PassedOver,
                            rules: Sequence[SeriesRule]) -> Listing:
    """images/ holds files or series at any depth; labels/ (or masks/ and the like) and labels.json are optional."""
    place = _label_folder(folder)
    labels, dicom_labels = ([], []) if place is None else read_labels(place, passed)
    content = read_content(folder / "images", passed, named_labels={item.stem for item in labels}, rules=rules)
    _pass_beside(folder, {"images"} | ({place.name} if place else set()), passed)
    for series in content.series if dicom_labels else ():
        matched = match_labels(dicom_labels, series.identities, images_of_series)
        series.labels.update(matched.labels)
        for text in matched.warnings:
            passed.say(text)
    listing = _list_content(folder, content, labels, channels)
    if place is None or place.name == "labels":
        return listing
    return replace(listing, notes=(*listing.notes, f"Labels are taken from the folder {shown(place.name)}."))


def _list_tree(folder: Path, channels: int | None, passed: PassedOver, rules: Sequence[SeriesRule]) -> Listing:
    """Scans at any depth, of all kinds, with label files beside them or in folders of labels."""
    place = _label_folder(folder)
    named = {scan_name(path) for path in place.iterdir()} if place is not None else set()
    content = read_content(folder, passed, named_labels=named, rules=rules)
    found = recognise(content)
    if found is not None:
        return replace(found, label_names=_label_names(folder))
    return _list_content(folder, content, [], channels)


def _list_content(folder: Path, content: Content, labels: list[Item], channels: int | None) -> Listing:
    """Scans and labels of a content that has no layout of its own."""
    h5 = _usable_h5(content)
    scans = name_items(_scans(content, list(h5)))
    beside = [item for item in content.labels if not {part.lower() for part in item.parts} & set(LABEL_FOLDERS)]
    paired = pair_labels(scans, [*labels, *content.labels], content.passed)
    for name, item in scans.items():
        if LABEL in h5.get(item, ()):
            paired.setdefault(name, item.path)
    of_series = {path: label for series in content.series for path, label in series.labels.items()}
    for name, item in scans.items():
        if item.path in of_series:
            paired.setdefault(name, of_series[item.path])
    only_series = bool(scans) and all(item.is_series for item in scans.values())
    count = 1 if channels is None and only_series and content.folder == folder else channels
    images = group_channels({name: item.path for name, item in scans.items()}, paired.keys(), count)
    modality = next(iter(content.modalities)) if only_series and len(content.modalities) == 1 else None
    note = (f"Taken for labels by their names: {len(beside)} ({', '.join(shown(i.path.name) for i in beside[:3])}"
            f"{', ...' if len(beside) > 3 else ''}).",) if beside else ()
    left_out = tuple(one for series in content.series for one in series.left_out)
    found = Listing(images, paired, _label_names(folder), modality, notes=note, left_out=left_out)
    return _with_channels(found, content.series[0]) if content.series and content.series[0].channels else found


def _with_channels(listing: Listing, series: SeriesListing) -> Listing:
    """``listing`` with the studies whose series become channels by rule; a label of any of them is that of the case."""
    images = {case: {series.channel_names.index(name): path for name, path in found.items()}
              for case, found in series.channels.items()}
    labels = {case: next((series.labels[path] for path in found.values() if path in series.labels), None)
              for case, found in images.items()}
    return replace(listing, images={**listing.images, **images}, modality=None,
                   labels={**listing.labels, **{case: label for case, label in labels.items() if label}},
                   channels=tuple(Channel(name) for name in series.channel_names))


def _scans(content: Content, h5: list[Item]) -> list[Item]:
    """The images that are scans: volumes, and 2-D images where there is no volume."""
    volumes = [*content.volumes, *h5]
    for item in content.pictures if volumes else ():
        content.passed.add("2-D images among volumes", item.path)
    return volumes or content.pictures


def _usable_h5(content: Content) -> dict[Item, tuple[str, ...]]:
    """HDF5 files that hold a scan, and what is in each; raises UserError where there is nothing else, but no h5py."""
    if content.h5 and not has_h5py():
        if not (content.volumes or content.pictures):
            require_h5py(content.h5[0].path)
        for item in content.h5:
            content.passed.add("HDF5 files, which need h5py (pip install h5py)", item.path)
        return {}
    held = {item: datasets_of(item.path) for item in content.h5}
    for item, names in held.items():
        if IMAGE not in names:
            content.passed.add('HDF5 files without a dataset "image"', item.path)
    return {item: names for item, names in held.items() if IMAGE in names}


def _label_folder(folder: Path) -> Path | None:
    """The folder of labels: "labels", or the only one that is called like one."""
    if (folder / "labels").is_dir():
        return folder / "labels"
    found = [path for path in sorted(folder.iterdir()) if path.name.lower() in LABEL_FOLDERS and path.is_dir()]
    return found[0] if len(found) == 1 else None


def _pass_beside(folder: Path, taken: set[str], passed: PassedOver) -> None:
    """Says what lies beside the folders of a layout and is not looked at."""
    for path in sorted(folder.iterdir()):
        if path.name in taken or path.name.startswith("."):
            continue
        if path.is_dir():
            passed.add("folders beside those of the layout", path)
        elif is_image_file(path, (*ENDINGS, *PICTURE_ENDINGS)):
            passed.add("images beside the folders of the layout", path)
        elif path.name not in ("labels.json", "dataset.json", "cases.json"):
            passed.add_other(path)


def _label_names(folder: Path) -> dict[int, str]:
    """What labels.json says; nothing where it is not there."""
    path = folder / "labels.json"
    return parse_label_names(path.name, read_json(path)) if os.path.lexists(path) else {}


def _list_dataset(folder: Path, description: Mapping[str, Any], passed: PassedOver) -> Listing:
    """A Decathlon (lists of files) or nnU-Net (NAME_0000 files) dataset."""
    channels = _dataset_channels(description)
    singles, regions = split_regions(description.get("labels") or {})
    label_names = parse_label_names("dataset.json", singles)
    modalities = {channel.modality for channel in channels}
    if isinstance(description.get("training"), list):
        if len(channels) > 1:
            message = f"dataset.json in {folder.name} has {list_channels(channels)}, in images of four dimensions."
            raise UserError(message, "Make a file of each channel, NAME_0000, NAME_0001, ..., as nnU-Net has them.")
        files = _decathlon_files(folder, description["training"], description.get("test") or [])
        _pass_beside(folder, {path.parent.name for path in _listed_paths(files)}, passed)
    else:
        found, labels = _dataset_images(folder, passed), _files(folder / "labelsTr", passed)
        _pass_beside(folder, {"imagesTs", "imagesTr", "labelsTr"}, passed)
        whole = any(split_number(name)[1] is not None for name in found.keys() & labels.keys())
        files = Listing({name: {0: found[name]} for name in found} if whole else gather_numbered(found), labels)
    modality = modalities.pop() if len(modalities) == 1 else None
    return replace(files, label_names=label_names, modality=modality, channels=channels, regions=regions)


def _dataset_images(folder: Path, passed: PassedOver) -> dict[str, Path]:
    """The images to learn from, and those of the test that have other names."""
    training, test = _files(folder / "imagesTr", passed), _files(folder / "imagesTs", passed)
    for name in sorted(training.keys() & test.keys()):
        passed.add("images of imagesTs that have a name of imagesTr", test[name])
    return {**test, **training}


def _listed_paths(listing: Listing) -> list[Path]:
    return [*(path for images in listing.images.values() for path in images.values()), *listing.labels.values()]


def _dataset_channels(description: Mapping[str, Any]) -> tuple[Channel, ...]:
    """The channels of a dataset.json, by whatever name it has for them."""
    record = description.get("channel_names") or description.get("modality") or {}
    entries = list(record.values()) if isinstance(record, dict) else [record]
    if len(entries) == 1:
        return (Channel(str(entries[0]), modality_of(entries[0])),)
    return parse_channels("dataset.json", record)


def _decathlon_files(folder: Path, training: list[Any], test: list[Any]) -> Listing:
    """The images and labels of the lists that are there; test scans count as scans without labels."""
    pairs = [entry if isinstance(entry, dict) else {"image": entry} for entry in [*training, *test]]
    if not all(isinstance(pair.get("image"), str) for pair in pairs):
        raise UserError(f"dataset.json in {folder.name} has an entry without an image.", "Fix or remove the file.")
    pairs = [pair for pair in pairs if not Path(pair["image"]).name.startswith(".")]
    there = [pair for pair in pairs if (folder / pair["image"]).is_file()]
    images = {name: {0: path} for name, path in _by_name(folder / pair["image"] for pair in there).items()}
    labels = {scan_name(Path(pair["image"])): folder / pair["label"] for pair in there if pair.get("label")}
    labels = {name: path for name, path in labels.items() if path.is_file()}
    missing = len(pairs) - len(there)
    warnings = (f"Images that dataset.json lists and that are not there: {missing}.",) if missing else ()
    listed = {text: folder / text for pair in there for text in (pair["image"], pair.get("label")) if text}
    for path in listed.values():
        require_image_path("dataset.json", path)
    return Listing(images, labels, warnings=(*warnings, *say_outside("dataset.json", folder, listed)))


def read_json(path: Path) -> Any:
    """The content of a JSON file that people write; raises UserError, also for a key that an object has twice."""
    try:
        data = read_bytes(path, at_most=LARGEST_BYTES)
        value = parse_json(data, shown(path.name))
    except OSError as error:
        raise UserError(f"{shown(path.name)} cannot be read ({error.strerror}).", "Fix or remove the file.") from error
    json.loads(data.decode("utf-8-sig"), object_pairs_hook=partial(_unique, shown(path.name)))
    return value


def _unique(name: str, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The entries of an object; of two of one key, JSON would keep the last one silently: raises UserError."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        if found.setdefault(key, value) != value:
            raise UserError(f'{name} has "{shown(key)}" twice: {shown(repr(found[key])[:60])} and '
                            f"{shown(repr(value)[:60])}.", "Take one of them out.")
    return found


def _files(folder: Path, passed: PassedOver) -> dict[str, Path]:
    """Image files of a folder by name; empty when it is not there."""
    if not folder.is_dir():
        return {}
    found = []
    for path in sorted(folder.iterdir()):
        if is_image_file(path):
            found.append(path)
        elif path.is_dir():
            passed.add("folders among files", path)
        elif not path.name.startswith("."):
            passed.add_other(path)
    return _by_name(found)


def _by_name(paths: Iterable[Path]) -> dict[str, Path]:
    """Files by case name; raises UserError when two have the same."""
    found: dict[str, Path] = {}
    for path in paths:
        name = scan_name(path)
        if name in found:
            raise UserError(f"{found[name].name} and {path.name} have the same name.", "Rename or remove one of them.")
        found[name] = path
    return found
