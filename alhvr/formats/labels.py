"""LabelSet: what the values of a segmentation mean, with names, colours and SNOMED CT codes."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

import numpy as np

from alhvr.core.errors import UserError, require

Colour = tuple[float, float, float]

NOT_ANNOTATED = 255
"""Class index, uint8, of a voxel of which nobody said what it is."""
PADDING = 254
"""In place of a class index, uint8: a voxel of a patch that lies beyond its scan."""
MAX_LABELS = 253
"""Class indices are uint8, and NOT_ANNOTATED and PADDING are none of them."""
MAX_VALUE = 65535
"""Largest value in a label file: uint16."""
NO_VALUE = MAX_VALUE + 1
"""Stands for the value of not annotated where a structure has that value: no label may hold it."""
LONGEST_NAME = 200
"""Letters of the name of a label."""


@dataclass(frozen=True)
class Code:
    """A coded term as in DICOM: scheme designator, code value, meaning."""

    scheme: str
    value: str
    meaning: str


@dataclass(frozen=True)
class Label:
    """One foreground class. Background has no Label."""

    value: int
    """Value in label files, 1 to 65535."""
    name: str
    """As the user wrote it."""
    colour_rgb: Colour
    """Red, green, blue, each 0 to 1."""
    category: Code
    """DICOM Segmented Property Category."""
    type: Code
    """DICOM Segmented Property Type."""
    modifier: Code | None = None
    """DICOM Segmented Property Type Modifier: left, right, anterior or posterior."""


@dataclass(frozen=True)
class LabelSet:
    """The foreground classes of a model in the order of its class indices 1, 2, ...; index 0 is background."""

    labels: tuple[Label, ...]

    def __post_init__(self) -> None:
        """Raises UserError for no labels, too many, bad values, or a value or name used twice."""
        if not 1 <= len(self.labels) <= MAX_LABELS:
            raise UserError(f"A model needs 1 to {MAX_LABELS} labels besides background; there are {len(self.labels)}.")
        for label in self.labels:
            if not 1 <= label.value <= MAX_VALUE:
                raise UserError(f'Label "{label.name}" has value {label.value}; 1 to {MAX_VALUE} is accepted.')
            if not label.name.strip():
                raise UserError(f"The label of value {label.value} has no name.", "Give every label a name.")
            if len(label.name) > LONGEST_NAME:
                raise UserError(f"The name of the label of value {label.value} has {len(label.name)} letters.",
                                f"Accepted: up to {LONGEST_NAME}.")
        for kind, used in (("value", self.values), ("name", self.names)):
            twice = sorted({str(entry) for entry in used if used.count(entry) > 1})
            if twice:
                raise UserError(f"Two labels have the same {kind}: {', '.join(twice)}.", "Make each one unique.")

    @property
    def names(self) -> tuple[str, ...]:
        """Names in class order, without background."""
        return tuple(label.name for label in self.labels)

    @property
    def values(self) -> tuple[int, ...]:
        """File values in class order, without background."""
        return tuple(label.value for label in self.labels)

    @property
    def n_classes(self) -> int:
        """Number of classes C of the network, background included."""
        return len(self.labels) + 1

    @classmethod
    def from_names(cls, names: Mapping[int, str]) -> LabelSet:
        """Labels ordered by value, each with the code and colour of the structure its name is known for.

        Value 0 is background and is left out. Unknown names get Tissue as code and a colour of their own.
        """
        labels: list[Label] = []
        for value, name in sorted(names.items()):
            if value != 0:
                labels.append(_describe(value, str(name), [label.colour_rgb for label in labels]))
        return cls(tuple(labels))

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"labels": [asdict(label) for label in self.labels]}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> LabelSet:
        """The inverse of ``to_dict``; raises UserError where an entry is missing or of another type."""
        try:
            return cls(tuple(_label_from_dict(entry) for entry in record["labels"]))
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise UserError(f"The list of labels cannot be read: {error!r:.200}.") from error

    def to_class_index(self, array: np.ndarray, *, not_annotated: int | None = None) -> np.ndarray:
        """File values (integers, any shape) to class indices 0..C-1, uint8; raises UserError for unknown values.

        The value ``not_annotated`` becomes NOT_ANNOTATED, unless it is the value of a label.
        """
        if array.size and not 0 <= array.min() <= array.max() <= max(MAX_VALUE, not_annotated or 0):
            raise UserError(f"The label has values from {array.min()} to {array.max()}; 0 to {MAX_VALUE} is accepted.")
        table = np.full(NO_VALUE + 1, NOT_ANNOTATED, dtype=np.uint8)
        table[[0, *self.values]] = range(self.n_classes)
        index = table[array]
        if index.size and index.max() == NOT_ANNOTATED:
            self._require_known(array[index == NOT_ANNOTATED], not_annotated)
        return index

    def _require_known(self, found: np.ndarray, not_annotated: int | None) -> None:
        """Raises UserError unless all values ``found`` that are no labels are ``not_annotated``."""
        unknown = [str(value) for value in np.unique(found) if value != not_annotated]
        if unknown:
            accepted = ", ".join(str(value) for value in (0, *self.values))
            raise UserError(f"The label has value {', '.join(unknown[:5])}; known are {accepted}.",
                            "Name it or set it to 0; if it marks voxels that are not annotated, give --not-annotated "
                            f"{unknown[0]}.")

    def to_values(self, class_array: np.ndarray) -> np.ndarray:
        """Class indices 0..C-1 to file values, uint8 where they fit, else uint16; same shape."""
        dtype = np.uint8 if max(self.values) <= 255 else np.uint16
        return np.array([0, *self.values], dtype=dtype)[class_array]


def folded(name: str) -> str:
    """A name as names are compared: without case, and with single blanks."""
    return " ".join(name.split()).casefold()


def clean_name(name: str) -> str:
    """A name on one line: line breaks, tabs and other control characters become blanks, runs of them one."""
    plain = "".join(" " if unicodedata.category(letter) == "Cc" else letter for letter in name)
    return " ".join(plain.split())


def anatomic_region(label: Label) -> Code | None:
    """Where in the body a structure lies: itself for an organ, the organ that its name tells of for a lesion in it.

    None where its name tells of no known organ.
    """
    anatomy = _anatomy()
    if label.category.value == anatomy.organ.value:
        return label.type
    words = set(_words(label.name))
    found = [(key, structure) for key, structure in anatomy.structures.items()
             if structure.category == anatomy.organ and set(key) <= words]
    return max(found, key=lambda item: len(item[0]))[1].type if found else None


def _label_from_dict(entry: Mapping[str, Any]) -> Label:
    value, name, colour, modifier = entry["value"], entry["name"], entry["colour_rgb"], entry.get("modifier")
    require(type(value) is int, "the value of a label", value, "a whole number")
    require(isinstance(name, str), f"the name of label {value}", name, "a text")
    good = isinstance(colour, (list, tuple)) and len(colour) == 3 and all(0 <= part <= 1 for part in colour)
    require(good, f"colour_rgb of {name!r:.50}", colour, "three numbers of 0 to 1")
    return Label(value, name, tuple(float(part) for part in colour), _code_from_dict(entry["category"], name),
                 _code_from_dict(entry["type"], name), None if modifier is None else _code_from_dict(modifier, name))


def _code_from_dict(entry: Mapping[str, Any], name: str) -> Code:
    code = Code(**entry)
    for part in (code.scheme, code.value, code.meaning):
        good = isinstance(part, str) and part.strip() and len(part) <= LONGEST_NAME
        require(bool(good), f"a code of {name!r:.50}", part, f"a text of up to {LONGEST_NAME} letters")
    return code


@dataclass(frozen=True)
class _Structure:
    """A known structure: its coded terms and its usual colour."""

    category: Code
    type: Code
    colour: Colour
    abnormal: bool


@dataclass(frozen=True)
class _Anatomy:
    """The content of anatomy.json, ready to look up."""

    palette: tuple[Colour, ...]
    tissue: Code
    organ: Code
    modifiers: dict[str, Code]
    structures: dict[tuple[str, ...], _Structure]


@cache
def _anatomy() -> _Anatomy:
    """Reads anatomy.json once."""
    from importlib import resources  # here, because segmenting needs none of it

    table = json.loads(resources.files("alhvr.formats").joinpath("anatomy.json").read_text("utf-8"))
    palette = {name: _rgb(value) for name, value in table["palette"].items()}
    categories = {key: _sct(entry) for key, entry in table["categories"].items()}
    structures = {
        _words(name): _Structure(
            categories[entry["category"]], _sct(entry), palette[entry["colour"]], entry["category"] == "abnormal"
        )
        for entry in table["structures"]
        for name in entry["names"]
    }
    modifiers = {word: _sct(entry) for word, entry in table["modifiers"].items()}
    return _Anatomy(tuple(palette.values()), categories["tissue"], categories["anatomy"], modifiers, structures)


def _sct(entry: Mapping[str, str]) -> Code:
    return Code("SCT", entry["code"], entry["meaning"])


def _rgb(hexadecimal: str) -> Colour:
    red, green, blue = bytes.fromhex(hexadecimal.removeprefix("#"))
    return red / 255, green / 255, blue / 255


def _words(name: str) -> tuple[str, ...]:
    """The words of a name in alphabetical order, without case, plural "s" and small words: LeftKidney = kidney_left."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    words = re.findall(r"[^\W_]+", spaced.casefold())
    return tuple(sorted(word.removesuffix("s") for word in words if word not in ("of", "the", "and")))


def _describe(value: int, name: str, used: list[Colour]) -> Label:
    """The label of a name: known structure, else known structure with a side, else an abnormality, else Tissue."""
    anatomy = _anatomy()
    words = _words(name)
    modifier = None
    found = anatomy.structures.get(words)
    if found is None:
        sides = [word for word in words if word in anatomy.modifiers]
        words = tuple(word for word in words if word not in sides)
        modifier = anatomy.modifiers[sides[0]] if len(sides) == 1 else None
        found = anatomy.structures.get(words) or _abnormality(words)
    if found is None:
        return Label(value, name, _distinct(None, used), anatomy.tissue, anatomy.tissue, modifier)
    return Label(value, name, _distinct(found.colour, used), found.category, found.type, modifier)


def _abnormality(words: tuple[str, ...]) -> _Structure | None:
    """The abnormality that one of the words names, as in "liver tumour"; the first of anatomy.json's order."""
    candidates = (item for item in _anatomy().structures.items() if item[1].abnormal)
    return next((structure for key, structure in candidates if set(key) <= set(words)), None)


def _distinct(wished: Colour | None, used: list[Colour]) -> Colour:
    """The wished colour if none in use is near it, else the palette's colour (or a shade) farthest from all in use."""
    if wished is not None and _apart(wished, used) > 0.25:
        return wished
    palette = _anatomy().palette
    shades = [palette, *[tuple(_shade(colour, share) for colour in palette) for share in (0.7, 0.45)]]
    for candidates in shades:
        best = max(candidates, key=lambda colour: _apart(colour, used))
        if _apart(best, used) > 0.1:
            return best
    return palette[len(used) % len(palette)]


def _apart(colour: Colour, used: list[Colour]) -> float:
    """Smallest distance in RGB (0 to 1.7) from the colours in use; 2 when none is."""
    return float(np.linalg.norm(np.subtract(used, colour), axis=1).min()) if used else 2.0


def _shade(colour: Colour, share: float) -> Colour:
    return colour[0] * share, colour[1] * share, colour[2] * share
