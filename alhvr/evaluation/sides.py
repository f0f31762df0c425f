"""The two sides of an evaluation: label files of predictions and references, and what their values are called.

Both may number their structures as they like: a structure is known by its name, from the header of a .seg.nrrd, from
labels.json, dataset.json or cases.json, or from the labels of a model. Values that nothing names stay as they are.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from alhvr.core.errors import UserError
from alhvr.core.files import require_plain, shown
from alhvr.data.case_file import CASE_FILE
from alhvr.data.case_io import read_values
from alhvr.data.case_layouts import read_json
from alhvr.data.cases import Case, CaseSet, find_cases
from alhvr.data.image_2d import PICTURE_ENDINGS
from alhvr.data.label_names import (
    LabelMeaning,
    NameClash,
    Structures,
    add_names,
    align,
    find_structures,
    parse_label_names,
)
from alhvr.data.reading import ENDINGS, LabelVolume, distinct_values, scan_name
from alhvr.formats.labels import MAX_LABELS, MAX_VALUE, NO_VALUE, LabelSet, folded
from alhvr.formats.segment_names import read_segment_names

_NAMES_FILE = "labels.json"


@dataclass(frozen=True)
class Side:
    """The label files of one side, by case name, and what its folder says of them."""

    files: dict[str, list[Path]]
    structures: Structures = Structures()
    """What the folder calls the values; without names where it does not."""
    gaps: dict[str, tuple[int, ...]] = field(default_factory=dict)
    """Label values of structures that are not annotated in a case."""
    notes: tuple[str, ...] = ()
    """What people should know of the names, one sentence each."""

    def only(self, case: str, what: str) -> Path:
        """The one file of a case; raises UserError where there is none, or more than one."""
        paths = self.files.get(case, [])
        if not paths:
            raise UserError(f"there is no {what} of this name.")
        if len(paths) > 1:
            raise UserError(f"there are {len(paths)} files for one {what}: {', '.join(path.name for path in paths)}.")
        return paths[0]

    def headers(self, cases: Iterable[str]) -> dict[str, dict[int, str]]:
        """What the files of ``cases`` call their values in their headers; those that do not, or cannot be read, lack.
        """
        found = {}
        for case in cases:
            if len(self.files.get(case, ())) == 1:
                with contextlib.suppress(UserError, OSError):
                    found[case] = read_segment_names(self.files[case][0])
        return {case: table for case, table in found.items() if table}


@dataclass(frozen=True)
class Naming:
    """What the values mean in which both sides are compared, and how those of each side become these."""

    names: dict[int, str]
    """Every name of any file, by value."""
    listed: dict[int, str]
    """Those that the folder of references lists, present or not."""
    predictions: LabelMeaning
    references: LabelMeaning
    gaps: dict[str, tuple[int, ...]]
    clashes: dict[str, str]
    """Case to the reason why its names cannot be matched."""
    notes: tuple[str, ...]


def find_predictions(folder: Path) -> Side:
    """The predictions in ``folder``; raises UserError where it is missing, or its labels.json cannot be understood."""
    return Side(_label_files(folder), _named_beside(folder))


def find_references(folder: Path) -> Side:
    """The references in a folder of label files or a cases folder; raises UserError where there are none."""
    if (folder / "labels").is_dir() or any((folder / name).is_file() for name in ("dataset.json", CASE_FILE)):
        return of_cases(find_cases(folder, labeled=True, strict=False))
    files = _label_files(folder) or _label_files(folder, PICTURE_ENDINGS)
    if not files:
        with contextlib.suppress(UserError):
            return of_cases(find_cases(folder, labeled=True, strict=False))
        raise UserError(f"{folder} holds no label files.", "Give a folder of NIfTI, NRRD or MetaImage files.")
    own = Side(files, _named_beside(folder))
    if own.structures.names or folder.resolve().name not in ("labels", "labelsTr"):
        return own
    parent = folder.resolve().parent
    try:
        beside = of_cases(find_cases(parent, labeled=True))
    except UserError as error:  # names and gaps are welcome, and the folder may be no cases folder
        told = [name for name in ("dataset.json", CASE_FILE) if (parent / name).is_file()]
        notes = (f"{' and '.join(told)} beside {folder.name} cannot be used: {error.message}",) if told else ()
        return replace(own, structures=_named_beside(parent), notes=notes)
    return replace(beside, files=files)


def match_names(labels: LabelSet | None, references: Side, predictions: Side) -> Naming:
    """One meaning for the values of both sides; ``labels`` come first, then the names of the references.

    Raises NameClash where the folders themselves contradict each other; a file that does costs its case.
    """
    names = {label.value: label.name for label in labels.labels} if labels else {}
    for side, what in ((references, "the references"), (predictions, "the predictions")):
        names |= add_names(names, side.structures.names, what)
    clashes: dict[str, str] = {}
    cases = references.files.keys() & predictions.files.keys()
    unnamed: dict[str, list[str]] = {}
    for side, what in ((references, "reference"), (predictions, "prediction")):
        headers = side.headers(cases)
        if not side.structures.names:
            unnamed[what] = sorted(cases - headers.keys())
        for case, table in sorted(headers.items(), key=lambda entry: (-len(entry[1]), entry[0])):
            try:
                names |= add_names(names, table, f"the {what} {side.files[case][0].name}")
            except NameClash as error:
                clashes[case] = f"{error.message} {error.hint}"
    moved = {value: _value_of(name, value, names) for value, name in references.structures.names.items()}
    return Naming(
        names=names,
        listed={moved[value]: name for value, name in references.structures.names.items()},
        predictions=_meaning(predictions, names),
        references=_meaning(references, names),
        gaps={case: tuple(moved.get(value, value) for value in values) for case, values in references.gaps.items()},
        clashes=clashes,
        notes=(*references.notes, *references.structures.notes, *([] if labels else _say_unnamed(unnamed))))


def read_side(path: Path, meaning: LabelMeaning, not_annotated: int | None) -> LabelVolume:
    """A label file with the values of ``meaning``; raises UserError where it is none, as far as can be told."""
    try:
        require_plain(path)
        label = read_values(Case(scan_name(path), path, path, meaning=meaning), not_annotated)
    except (OSError, RuntimeError, ValueError, EOFError, MemoryError, LookupError, TypeError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise UserError(f"{shown(path.name)} cannot be read ({shown(reason[:200])}).") from error
    allowed = NO_VALUE if not_annotated is None else MAX_VALUE
    if not 0 <= label.array.min() <= label.array.max() <= allowed:
        raise UserError(f"{shown(path.name)} has values from {label.array.min()} to {label.array.max()}; 0 to "
                        f"{MAX_VALUE} is accepted.", "Is this the scan itself?")
    n_values = len(distinct_values(label.array))
    if n_values > MAX_LABELS + 2:
        raise UserError(f"{shown(path.name)} has {n_values} different values; {MAX_LABELS} structures are scored at "
                        "most.", "Is this the scan itself?")
    return label


def say_mapped(path: Path, names: Mapping[int, str]) -> str:
    """Which value in the header of a file is another in ``names``; empty where none is."""
    with contextlib.suppress(UserError, OSError):
        for value, name in read_segment_names(path).items():
            other = _value_of(name, value, names)
            if other != value:
                return f"in {shown(path.name)} {shown(name)} is {value}, elsewhere {other}"
    return ""


def _label_files(folder: Path, endings: tuple[str, ...] = ENDINGS) -> dict[str, list[Path]]:
    """By case name; also what is no plain file, so that it is told of."""
    if not folder.is_dir():
        raise UserError(f"There is no folder {folder}.", "Give a folder of label files.")
    files: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir()):
        if path.name.lower().endswith(endings) and not path.name.startswith(".") and not path.is_dir():
            files.setdefault(scan_name(path), []).append(path)
    return files


def of_cases(found: CaseSet) -> Side:
    """The labels of a cases folder."""
    return Side({case.name: [case.label] for case in found.cases if case.label},
                Structures(found.label_names, found.cases[0].meaning, found.label_notes),
                {case.name: case.not_annotated for case in found.cases})


def _named_beside(folder: Path) -> Structures:
    """What the labels.json of a folder says."""
    path = folder / _NAMES_FILE
    if not path.exists():
        return Structures()
    return find_structures(_NAMES_FILE, parse_label_names(_NAMES_FILE, read_json(path)), {}, {})


def _value_of(name: str, value: int, names: Mapping[int, str]) -> int:
    """The value of a structure among ``names``: its own where that is called so."""
    if folded(names.get(value, "")) == folded(name):
        return value
    return next((other for other, text in names.items() if folded(text) == folded(name)), value)


def _meaning(side: Side, names: Mapping[int, str]) -> LabelMeaning:
    """How the values of a side become those of ``names``."""
    aligned = align(side.structures, names) or side.structures
    by_name = (*((name, value) for value, name in names.items()), *aligned.meaning.by_name)
    return LabelMeaning(tuple(dict.fromkeys(by_name)), aligned.meaning.by_value)


def _say_unnamed(unnamed: Mapping[str, list[str]]) -> list[str]:
    """Says of which side nothing names the values."""
    said = [f"{len(cases)} {what}{'s' if len(cases) > 1 else ''}" for what, cases in unnamed.items() if cases]
    return [f"Nothing names the structures of {' and '.join(said)}: values are compared as they are."] if said else []
