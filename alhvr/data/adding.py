"""Adding labelled cases to a project: which label belongs to which scan and why, and copies of both in the project."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from alhvr.core.errors import UserError
from alhvr.core.files import read_json, shown, write_json, write_refused, written_by_name
from alhvr.core.progress import Reporter
from alhvr.data.case_file import CASE_FILE
from alhvr.data.case_io import uncropped
from alhvr.data.cases import Case, find_cases
from alhvr.data.channel_names import Channel
from alhvr.data.folder_content import LABEL_FOLDERS, label_base
from alhvr.data.geometry import Geometry
from alhvr.data.label_names import IGNORED, parse_label_names
from alhvr.data.reading import (
    ENDINGS,
    distinct_values,
    is_image_file,
    probe,
    read_label,
    read_label_names,
    read_scan,
    scan_name,
)
from alhvr.formats.labels import folded
from alhvr.formats.segment_names import read_segment_names

NAMES_FILE = "labels.json"
_WITH_DATA_BESIDE = (".nhdr", ".mhd")
_MOST_FILES = 2000
_MOST_LABEL_VALUES = 60
_RESERVED = 255


@dataclass(frozen=True)
class Pair:
    """A scan and its label."""

    case: Case
    reason: str
    """Why they belong together, as a sentence."""
    is_sure: bool = True
    """Whether nobody needs to be asked."""


@dataclass(frozen=True)
class Pairs:
    """What can be added."""

    pairs: tuple[Pair, ...]
    label_names: Mapping[int, str]
    """Of label files that do not name their values; empty where nothing tells."""
    notes: tuple[str, ...] = ()
    """The layout that was recognised, and what was left out; one sentence each."""
    channels: tuple[Channel, ...] = ()
    """What every case has, in order; empty where there is but one."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for programs that ask a person."""
        return {"pairs": [{"name": pair.case.name, "image": str(pair.case.image), "label": str(pair.case.label),
                           "reason": pair.reason, "is_sure": pair.is_sure} for pair in self.pairs],
                "notes": list(self.notes)}


def find_pairs(paths: Sequence[Path]) -> Pairs:
    """Scans with labels in a folder, as every command reads it, or among files, by their names. Raises UserError."""
    if len(paths) == 1 and paths[0].is_dir():
        folder = Path(os.path.abspath(paths[0]))
        try:
            found = find_cases(folder, labeled=True, strict=False)
        except UserError as error:
            guessed = _guess(_files_in(folder))
            if not guessed:
                raise error from None
            return Pairs(guessed, {})
        reason = next((note for note in found.notes if note.startswith("Layout")), "Scan and label have the same name.")
        return Pairs(tuple(Pair(case, reason) for case in found.cases), found.label_names,
                     (*found.notes, *found.warnings), found.channels if found.n_channels > 1 else ())
    guessed = _guess([Path(os.path.abspath(path)) for path in paths])
    if not guessed:
        names = ", ".join(shown(path.name) for path in paths[:4])
        raise UserError(f"No scan with a label was found among {names}.",
                        'Call the label like its scan with "_seg" or "-label" at the end, or choose both files alone.')
    return Pairs(guessed, {})


def add_cases(project: Path, found: Pairs, reporter: Reporter) -> tuple[str, ...]:
    """Copies the pairs into PROJECT/cases, where they bear the names that are returned. Raises UserError.

    A file keeps its name; a DICOM series gets a neutral one, as its folder may be called like the patient.
    """
    cases, names = project / "cases", []
    named = _names_of(cases)
    values = _merged(named, found.label_names)
    try:
        for number, pair in enumerate(found.pairs):
            reporter.progress("copying cases", number, len(found.pairs))
            _require_channels(cases, pair.case, found.channels)
            names.append(_add(cases, pair.case, _values_of(pair.case, found.label_names, values)))
            entry = {"patient": pair.case.patient, "not_annotated": [found.label_names.get(value, value)
                                                                     for value in pair.case.not_annotated]}
            _tell(cases, names[-1], {key: value for key, value in entry.items() if value})
        if values != named:
            write_json(cases / NAMES_FILE, {str(value): name for value, name in sorted(values.items())})
    except OSError as error:
        raise write_refused(error, Path(os.fsdecode(error.filename or cases))) from error
    return tuple(names)


def _require_channels(cases: Path, case: Case, channels: Sequence[Channel]) -> None:
    """Names the channels of the first case; raises UserError for a case that has others than those before."""
    path = cases / CASE_FILE
    record = read_json(path) if path.exists() else {}
    images = cases / "images"
    if not images.is_dir() or not any(images.iterdir()):
        if channels:
            cases.mkdir(exist_ok=True)
            write_json(path, {**record, "channels": [asdict(channel) for channel in channels]})
        return
    n_before = len(record.get("channels") or [None])
    if n_before != len(case.images):
        raise UserError(f"Channels of {shown(case.name)}: {len(case.images)}; of the cases in the project: {n_before}.",
                        "Begin a project of its own for these scans.")


def _guess(files: Sequence[Path]) -> tuple[Pair, ...]:
    """Each label with the scan whose name is most like its own."""
    labels = [path for path in files if _is_label(path)]
    scans = [path for path in files if path not in labels]
    if not labels and len(files) == 2:
        labels = [path for path in files if _holds_labels(path)]
        scans = [path for path in files if path not in labels]
        if len(labels) == len(scans) == 1:
            return (Pair(Case(scan_name(scans[0]), scans[0], labels[0]),
                         f"The values of {shown(labels[0].name)} look like those of a label.", is_sure=False),)
        return ()
    pairs = []
    for label in labels:
        likeness, scan = max(((_likeness(scan, label), scan) for scan in scans), default=(0.0, None))
        if scan is not None and likeness > 0:
            sure = likeness >= 1
            reason = ("The names are the same but for what tells the label." if sure else
                      f"{shown(scan.name)} is the scan whose name is most like {shown(label.name)}.")
            pairs.append(Pair(Case(scan_name(scan), scan, label), reason, is_sure=sure))
    taken = [pair.case.image for pair in pairs]
    return tuple(Pair(pair.case, pair.reason, pair.is_sure and taken.count(pair.case.image) == 1) for pair in pairs)


def _is_label(path: Path) -> bool:
    stem = scan_name(path)
    return path.name.lower().endswith(".seg.nrrd") or label_base(stem) != stem or path.parent.name.lower() in (
        LABEL_FOLDERS)


def _holds_labels(path: Path) -> bool:
    try:
        return len(distinct_values(read_label(path).array)) <= _MOST_LABEL_VALUES
    except UserError:
        return False


def _likeness(scan: Path, label: Path) -> float:
    """1 for the same name but for what tells the label, else what the names share, less than 1."""
    one, other = ("".join(letter for letter in stem.casefold() if letter.isalnum())
                  for stem in (scan_name(scan), label_base(scan_name(label))))
    return 1.0 if one == other else 0.99 * SequenceMatcher(None, one, other).ratio()


def _files_in(folder: Path) -> list[Path]:
    found: list[Path] = []
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [path for name in sorted(names) if is_image_file(path := Path(place, name))]
        if len(found) > _MOST_FILES:
            break
    return found[:_MOST_FILES]


def _names_of(cases: Path) -> dict[int, str]:
    path = cases / NAMES_FILE
    return parse_label_names(NAMES_FILE, read_json(path)) if path.exists() else {}


def _merged(named: Mapping[int, str], others: Mapping[int, str]) -> dict[int, str]:
    """The names of the project with those that are new, each with its own value where that is free."""
    values, known = dict(named), {folded(name) for name in named.values()}
    for value, name in others.items():
        if folded(name) in known:
            continue
        free = value if value not in values else max(values) + 1
        values[free + (free == _RESERVED)] = name
        known.add(folded(name))
    return values


def _values_of(case: Case, own: Mapping[int, str], values: Mapping[int, str]) -> dict[int, int]:
    """What the values of a label file become that are others in the project; none for a file with segment names."""
    if read_segment_names(case.label):
        return {}
    by_name = {folded(name): value for value, name in values.items()}
    targets = {value: by_name[folded(name)] for value, name in (read_label_names(case.label) or own).items()}
    for value, target in case.meaning.by_value:
        targets[value] = _RESERVED if target == IGNORED else targets.get(target, target)
    return {value: target for value, target in targets.items() if value != target}


def _add(cases: Path, case: Case, changes: Mapping[int, int]) -> str:
    """Copies one case; returns its name in the project."""
    taken = {path.name.split(".")[0].casefold() for kind in ("images", "labels") for path in (cases / kind).glob("*")}
    wanted = "case 1" if case.image.is_dir() or not is_image_file(case.image) else case.name.split(".")[0]
    name, number = wanted, 1
    while name.casefold() in taken or f"{name}_0000".casefold() in taken:
        number += 1
        name = f"case {number}" if wanted == "case 1" else f"{wanted}-{number}"
    for channel, image in enumerate(case.images):
        stem = name if len(case.images) == 1 else f"{name}_{channel:04d}"
        _copy_or_write(image, cases / "images", stem, lambda path=image: _voxels(path))
    if changes:
        label = uncropped(case.label, read_label(case.label, case.image), lambda: probe(case.image).geometry)
        array = label.array.copy()
        for value, target in changes.items():
            array[label.array == value] = target
        _write(cases / "labels" / f"{name}.nrrd", array, label.geometry)
    else:
        _copy_or_write(case.label, cases / "labels", name, lambda: _label_voxels(case))
    return name


def _copy_or_write(source: Path, folder: Path, stem: str, read: Any) -> None:
    """The file itself where it is one of a kind that stands alone, else its voxels as NRRD."""
    folder.mkdir(parents=True, exist_ok=True)
    ending = next((ending for ending in ENDINGS if source.name.lower().endswith(ending)), "")
    if ending and ending not in _WITH_DATA_BESIDE and source.is_file():
        with written_by_name(folder / f"{stem}{ending}") as file:
            shutil.copyfile(source, file)
    else:
        _write(folder / f"{stem}.nrrd", *read())


def _voxels(path: Path) -> tuple[np.ndarray, Geometry]:
    scan = read_scan(path)
    return scan.array, scan.geometry


def _label_voxels(case: Case) -> tuple[np.ndarray, Geometry]:
    label = read_label(case.label, case.image)
    return label.array, label.geometry


def _write(path: Path, array: np.ndarray, geometry: Geometry) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = sitk.GetImageFromArray(array)
    geometry.stamp(image)
    with written_by_name(path) as file:
        sitk.WriteImage(image, str(file), useCompression=True)


def _tell(cases: Path, name: str, entry: dict[str, Any]) -> None:
    """Writes what is known of a case into cases.json."""
    if not entry:
        return
    path = cases / CASE_FILE
    record = read_json(path) if path.exists() else {}
    record.setdefault("cases", {}).setdefault(name, {}).update(entry)
    write_json(path, record)


def choose(found: Pairs, only: Path | None, reporter: Reporter) -> Pairs:
    """The pairs in the file ``only``, as a person chose them from ``to_dict``; without one those that are sure.

    Raises UserError for a file that is no list of pairs, and where nothing is left.
    """
    if only is not None:
        record = read_json(only)
        entries = [entry for entry in record if isinstance(entry, dict)] if isinstance(record, list) else []
        keys = {(entry.get("image"), entry.get("label")) for entry in entries}
        pairs = tuple(pair for pair in found.pairs if (str(pair.case.image), str(pair.case.label)) in keys)
    else:
        pairs = tuple(pair for pair in found.pairs if pair.is_sure)
        for pair in found.pairs:
            if not pair.is_sure:
                reporter.warning(f"Not added, as it is not sure: {pair.reason}")
    if not pairs:
        raise UserError("There is no pair to add.", "Choose some of those that --look tells.")
    return replace(found, pairs=pairs)
