"""How scans and labels lie in a folder: images/ and labels/, Decathlon, nnU-Net, plain files, DICOM series."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from alhvr.data.channel_names import (
    Channel,
    Images,
    gather_numbered,
    group_channels,
    list_channels,
    modality_of,
    parse_channels,
    split_number,
)
from alhvr.data.dicom_folder import list_series
from alhvr.data.reading import is_image_file, scan_name
from alhvr.errors import UserError

LAYOUTS = ("images/ with labels/ beside it, a Decathlon or nnU-Net dataset.json, image files, DICOM series, or a "
           "cases.json")


@dataclass(frozen=True)
class Listing:
    """What a folder holds, by case name."""

    images: dict[str, Images]
    """Of each case its channels, complete or not: image file or series folder (or one file of a series)."""
    labels: dict[str, Path] = field(default_factory=dict)
    """Label file of each case that has one."""
    label_names: dict[int, str] = field(default_factory=dict)
    """Meaning of the label values, as far as a file tells."""
    modality: str | None = None
    """"CT", "MR" or "other" where a file tells."""
    warnings: tuple[str, ...] = ()
    """What was left out."""
    channels: tuple[Channel, ...] = ()
    """What a file calls the channels; empty where none does."""


def list_folder(folder: Path, channels: int | None = None) -> Listing:
    """Recognises the layout of ``folder`` and lists its scans; raises UserError for broken or doubled entries.

    ``channels``: how many each scan must have, None where that is to be found out.
    """
    description = read_json(folder / "dataset.json") if (folder / "dataset.json").is_file() else {}
    if not isinstance(description, dict):
        raise UserError(f"dataset.json in {folder.name} is no description of a dataset.", "Mend or remove the file.")
    if (folder / "imagesTr").is_dir() or "training" in description:
        return _list_dataset(folder, description)
    if (folder / "images").is_dir():
        return _list_images_and_labels(folder, channels)
    labels, names = _files(folder / "labels"), _label_names(folder)
    files = [path for path in sorted(folder.iterdir()) if is_image_file(path)]
    if files:
        return Listing(group_channels(_by_name(files), labels.keys(), channels), labels, names)
    series = list_series(folder)
    return Listing(group_channels(series.images, labels.keys(), channels or 1), labels, names, series.modality,
                   series.warnings)


def _list_images_and_labels(folder: Path, channels: int | None) -> Listing:
    """images/ holds files or one folder per series; labels/ and labels.json are optional."""
    images = _by_name(path for path in sorted((folder / "images").iterdir()) if is_image_file(path))
    series = list_series(folder / "images")
    doubled = sorted(set(images) & set(series.images))
    if doubled:
        raise UserError(f"Two images are named {doubled[0]}: a file and a DICOM series.", "Rename one of them.")
    labels = _files(folder / "labels")
    scans = group_channels({**images, **series.images}, labels.keys(), channels)
    return Listing(scans, labels, _label_names(folder), None if images else series.modality, series.warnings)


def _label_names(folder: Path) -> dict[int, str]:
    """What labels.json says; nothing where it is not there."""
    path = folder / "labels.json"
    return parse_label_names(path.name, read_json(path)) if path.is_file() else {}


def _list_dataset(folder: Path, description: Mapping[str, Any]) -> Listing:
    """A Decathlon (lists of files) or nnU-Net (NAME_0000 files) dataset."""
    channels = _dataset_channels(description)
    label_names = parse_label_names("dataset.json", description.get("labels") or {})
    modalities = {channel.modality for channel in channels}
    if isinstance(description.get("training"), list):
        if len(channels) > 1:
            message = f"dataset.json in {folder.name} has {list_channels(channels)}, in images of four dimensions."
            raise UserError(message, "Make a file of each channel, NAME_0000, NAME_0001, ..., as nnU-Net has them.")
        files = _decathlon_files(folder, description["training"], description.get("test") or [])
    else:
        found, labels = {**_files(folder / "imagesTs"), **_files(folder / "imagesTr")}, _files(folder / "labelsTr")
        whole = any(split_number(name)[1] is not None for name in found.keys() & labels.keys())
        files = Listing({name: {0: found[name]} for name in found} if whole else gather_numbered(found), labels)
    modality = modalities.pop() if len(modalities) == 1 else None
    return replace(files, label_names=label_names, modality=modality, channels=channels)


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
        raise UserError(f"dataset.json in {folder.name} has an entry without an image.", "Mend or remove the file.")
    pairs = [pair for pair in pairs if not Path(pair["image"]).name.startswith(".")]
    there = [pair for pair in pairs if (folder / pair["image"]).is_file()]
    images = {name: {0: path} for name, path in _by_name(folder / pair["image"] for pair in there).items()}
    labels = {scan_name(Path(pair["image"])): folder / pair["label"] for pair in there if pair.get("label")}
    labels = {name: path for name, path in labels.items() if path.is_file()}
    missing = len(pairs) - len(there)
    warnings = (f"Images that dataset.json lists and that are not there: {missing}.",) if missing else ()
    return Listing(images, labels, warnings=warnings)


def parse_label_names(source: str, record: Any) -> dict[int, str]:
    """Label value to name from {"1": "liver"} or {"liver": 1}, without background; raises UserError."""
    names = {}
    try:
        for key, value in dict(record).items():
            number, name = (value, key) if isinstance(value, int) else (key, value)
            if not isinstance(name, str):
                raise TypeError(f"{key}: {value}")
            names[int(number)] = name
    except (TypeError, ValueError) as error:
        hint = 'Write it as {"1": "liver", "2": "spleen"}.'
        raise UserError(f"The labels in {source} are not one name for one whole number ({error}).", hint) from error
    return {number: names[number] for number in sorted(names) if number != 0}


def read_json(path: Path) -> Any:
    """The content of a JSON file that people write; raises UserError."""
    try:
        return json.loads(path.read_text("utf-8-sig"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path.name} cannot be read: {error}.", "Mend or remove the file.") from error


def _files(folder: Path) -> dict[str, Path]:
    """Image files of a folder by name; empty when it is not there."""
    return _by_name(path for path in sorted(folder.iterdir()) if is_image_file(path)) if folder.is_dir() else {}


def _by_name(paths: Iterable[Path]) -> dict[str, Path]:
    """Files by case name; raises UserError when two have the same."""
    found: dict[str, Path] = {}
    for path in paths:
        name = scan_name(path)
        if name in found:
            raise UserError(f"{found[name].name} and {path.name} have the same name.", "Rename or remove one of them.")
        found[name] = path
    return found
