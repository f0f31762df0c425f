"""Folder content: every file below a folder, told apart into scans, labels, own results, 2-D images and what is
passed over.

Linked folders are followed once. Hidden folders are never looked into.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path

from alhvr.core.errors import UserError
from alhvr.core.files import read_json, require_plain, shown
from alhvr.data.dicom_file import DICOM_ENDINGS, is_dicom_file
from alhvr.data.dicom_folder import SeriesListing, list_series
from alhvr.data.dicom_labels import is_dicom_label
from alhvr.data.dicom_rule import SeriesRule
from alhvr.data.h5_file import H5_ENDINGS
from alhvr.data.image_2d import PICTURE_ENDINGS
from alhvr.data.reading import ENDINGS, scan_name

RESULTS_RECORD = "alhvr-segment.json"
"""The file in which ``alhvr segment`` keeps the names of its results, beside them."""
LABEL_FOLDERS = ("labels", "label", "labelstr", "masks", "mask", "segmentations", "segmentation", "seg", "gt",
                 "groundtruth", "ground_truth", "annotations")
"""Folders of label files, by their names in small letters; "labels" comes before all others."""
_LABEL_SUFFIXES = ("_seg", "-seg", "_gt", "-gt", "-label", "_label", "_labels", "-labels", "_mask", "-mask",
                   "_segmentation", "-segmentation", "_dseg", ".seg")
"""Ends of the names of label files that lie beside their scans."""
_NEVER = ("scribbles", "labelsts")
"""Folders of labels that are not those of the cases."""
_RESULTS = (".regions.nrrd", ".confidence-a.nrrd", ".confidence-b.nrrd", ".teacher.nrrd")
_OWN_FILES = ("cases.json", "labels.json", "dataset.json", RESULTS_RECORD, "dicomdir", "thumbs.db", "desktop.ini")
_VOXELS = (".raw", ".zraw", ".img", ".bin", ".raw.gz")
"""Files with the voxels that a header beside them names."""
_DOCUMENTS = (".txt", ".md", ".pdf", ".json", ".csv", ".tsv", ".xlsx", ".xls", ".cfg", ".html", ".yaml", ".yml",
              ".list", ".docx", ".py", ".bval", ".bvec", ".log")
_SHOWN = 3


class PassedOver:
    """What is not taken from a folder, and why."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._names: dict[str, list[str]] = {}
        self._documents: list[str] = []
        self._said: list[str] = []

    def say(self, text: str) -> None:
        """A sentence that says all there is to say of some files."""
        self._said.append(text)

    def add(self, reason: str, path: Path) -> None:
        """``reason``: what such files are, such as "hidden files"."""
        self._names.setdefault(reason, []).append(self._name(path))

    def add_other(self, path: Path) -> None:
        """A file that holds no image; one that looks like a document is only worth a note."""
        lower = path.name.lower()
        if lower.endswith(_DOCUMENTS) or "." not in lower:
            self._documents.append(self._name(path))
        else:
            self.add("files of other kinds", path)

    def warnings(self) -> tuple[str, ...]:
        """One sentence with the number, the first names and the reason of everything, and what was said otherwise."""
        parts = [_part(reason, names) for reason, names in self._names.items()]
        line = (f"Passed over in {shown(self._folder.name)}: {'; '.join(parts)}.",) if parts else ()
        return (*line, *self._said)

    def notes(self) -> tuple[str, ...]:
        """One sentence on the documents, where there are some."""
        if not self._documents:
            return ()
        return (f"Not read in {shown(self._folder.name)}: {_part('files of other kinds', self._documents)}.",)

    def _name(self, path: Path) -> str:
        return shown(path.relative_to(self._folder).as_posix() if path.is_relative_to(self._folder) else path.name)


@dataclass(frozen=True)
class Item:
    """One image that may be a scan or a label."""

    path: Path
    """Image file, series folder, or one file of a series where a folder holds several."""
    stem: str
    """File name without its ending, and without what tells that it is a label; or name of the series folder."""
    parts: tuple[str, ...]
    """Folders that lead to it."""
    is_series: bool = False


@dataclass(frozen=True)
class Content:
    """What lies below a folder."""

    folder: Path
    passed: PassedOver
    volumes: list[Item] = field(default_factory=list)
    """Files and DICOM series that may be scans."""
    labels: list[Item] = field(default_factory=list)
    """Label files, by their names or folders."""
    pictures: list[Item] = field(default_factory=list)
    """2-D images."""
    h5: list[Item] = field(default_factory=list)
    """HDF5 files."""
    modalities: set[str] = field(default_factory=set)
    """Of the DICOM series."""
    series: list[SeriesListing] = field(default_factory=list)
    """What the listing of DICOM series says; empty where no DICOM was looked for."""


def read_content(folder: Path, passed: PassedOver, *, named_labels: Set[str] = frozenset(),
                 rules: Sequence[SeriesRule] = ()) -> Content:
    """Everything below ``folder``; what is not taken goes into ``passed``.

    ``named_labels``: names of labels that lie elsewhere; a file of one of these names is a scan whatever it is called.
    ``rules``: which DICOM series are wanted; none for all.
    """
    content = Content(folder, passed)
    others: dict[Path, list[Path]] = {}
    for place, files in _places(folder, passed):
        results = _results(place) if any(path.name == RESULTS_RECORD for path in files) else frozenset()
        others[place] = [path for path in files
                         if not _sort(path, place.relative_to(folder).parts, content, results, named_labels)
                         and path.name.lower() not in _OWN_FILES]
    if any(others.values()):
        with_series = _sort_series(content, rules)
        for place, files in others.items():
            has_series = bool(with_series & {place, *place.parents})
            for path in files:
                _sort_other(path, content, beside_series=has_series)
    return content


def read_labels(folder: Path, passed: PassedOver) -> tuple[list[Item], list[Path]]:
    """Every image file below ``folder``, which holds labels and nothing else, and every DICOM-SEG and RTSTRUCT."""
    found: list[Item] = []
    dicom: list[Path] = []
    for place, files in _places(folder, passed):
        for path in files:
            if path.name.lower().endswith((*ENDINGS, *PICTURE_ENDINGS)) and not path.name.lower().endswith(_RESULTS):
                found.append(Item(path, scan_name(path), (folder.name, *place.relative_to(folder).parts)))
            elif is_dicom_label(path):
                dicom.append(path)
            elif path.name.lower() not in _OWN_FILES:
                passed.add_other(path)
    return found, dicom


def label_base(stem: str) -> str:
    """A name without what tells that it is a label's: "a" of "a_seg"; as it is where nothing tells so."""
    lower = stem.lower()
    suffix = next((end for end in _LABEL_SUFFIXES if lower.endswith(end) and len(stem) > len(end)), "")
    return stem[: len(stem) - len(suffix)]


def _sort(path: Path, parts: tuple[str, ...], content: Content, results: Set[str], named_labels: Set[str]) -> bool:
    """Puts an image file or a result where it belongs; False for every other file."""
    lower, stem = path.name.lower(), scan_name(path)
    if path.name in results or lower.endswith(_RESULTS):
        content.passed.add("results of alhvr segment", path)
        return True
    if not lower.endswith((*ENDINGS, *PICTURE_ENDINGS, *H5_ENDINGS)):
        return False
    folders = {part.lower() for part in parts}
    base = label_base(stem)
    is_label = base != stem or lower.endswith(".seg.nrrd")
    if folders & set(_NEVER):
        content.passed.add("label files of another set", path)
    elif folders & set(LABEL_FOLDERS):
        content.labels.append(Item(path, stem, parts))
    elif is_label and stem not in named_labels:
        content.labels.append(Item(path, base, parts))
    else:
        kind = content.h5 if lower.endswith(H5_ENDINGS) else content.volumes if lower.endswith(ENDINGS) \
            else content.pictures
        kind.append(Item(path, stem, parts))
    return True


def _sort_series(content: Content, rules: Sequence[SeriesRule]) -> set[Path]:
    """Adds the DICOM series and the DICOM images without a place in the patient; returns the folders of the series."""
    found = list_series(content.folder, rules, _results)
    content.series.append(found)
    for text in found.warnings:
        content.passed.say(text)
    folders = {item.path if item.path.is_dir() else item.path.parent for item in found.left_out}
    for name, path in found.images.items():
        place = path if path.is_dir() else path.parent
        folders.add(place)
        parts = place.relative_to(content.folder).parts
        if _is_among_labels(parts):
            content.passed.add("DICOM series in folders of labels", path)
        else:
            content.volumes.append(Item(path, name, parts[:-1], True))
    for path in found.frames:
        content.pictures.append(Item(path, scan_name(path), path.parent.relative_to(content.folder).parts))
    if found.modality is not None:
        content.modalities.add(found.modality)
    return folders


def _is_among_labels(parts: tuple[str, ...]) -> bool:
    return bool({part.lower() for part in parts} & {*LABEL_FOLDERS, *_NEVER})


def _sort_other(path: Path, content: Content, *, beside_series: bool) -> None:
    """A file that is no image file; what DICOM files are no slices is told with the series."""
    if path.name.lower().endswith(_VOXELS) and _has_header(path, content):
        return
    ending = path.suffix.lower()
    if ending in DICOM_ENDINGS or (beside_series and (not ending or ending[1:].isdigit())):
        return
    if not is_dicom_file(path):
        content.passed.add_other(path)


def _has_header(path: Path, content: Content) -> bool:
    """Whether an image file of the same name lies beside a file of voxels."""
    start = f"{path.name.lower().split('.')[0]}."
    return any(item.path.parent == path.parent and item.path.name.lower().startswith(start)
               for item in (*content.volumes, *content.labels))


def _results(place: Path) -> frozenset[str]:
    """Names of the results that the record in ``place`` lists; empty where it cannot be understood."""
    try:
        entries = read_json(place / RESULTS_RECORD)["results"].values()
        return frozenset(str(name) for entry in entries for name in (*entry["files"], *entry.get("before", {})))
    except (UserError, OSError, LookupError, TypeError, AttributeError):
        return frozenset()


def _places(folder: Path, passed: PassedOver) -> Iterator[tuple[Path, list[Path]]]:
    """Every folder once, in order, with its visible plain files; links to folders come last."""
    seen = {_identity(place) for place in folder.resolve().parents}
    waiting, links = [folder], []
    while waiting or links:
        place = waiting.pop() if waiting else links.pop(0)
        identity = _identity(place)
        if identity in seen:
            passed.add("links to folders that are listed already or that hold this one", place)
            continue
        seen.add(identity)
        try:
            entries = sorted(os.scandir(place), key=lambda entry: entry.name)
        except OSError:
            passed.add("folders that may not be read", place)
            continue
        files, folders = [], []
        for entry in entries:
            path = place / entry.name
            if entry.is_dir():
                if not entry.name.startswith("."):
                    (links if entry.is_symlink() else folders).append(path)
            elif _is_wanted(path, passed):
                files.append(path)
        waiting += reversed(folders)
        yield place, files


def _is_wanted(path: Path, passed: PassedOver) -> bool:
    """True for a visible plain file."""
    if path.name.startswith("."):
        if path.name.lower().endswith(ENDINGS):
            passed.add("hidden files", path)
        return False
    try:
        require_plain(path)
    except UserError:
        passed.add("pipes or devices", path)
        return False
    except OSError:
        passed.add("links that lead nowhere", path)
        return False
    return True


def _identity(place: Path) -> tuple[object, ...]:
    """By what a folder is known again."""
    try:
        status = place.stat()
    except OSError:
        return (str(place),)
    return (status.st_dev, status.st_ino) if status.st_ino else (os.path.realpath(place),)


def _part(reason: str, names: list[str]) -> str:
    more = ", ..." if len(names) > _SHOWN else ""
    return f"{reason}: {len(names)} ({', '.join(names[:_SHOWN])}{more})"
