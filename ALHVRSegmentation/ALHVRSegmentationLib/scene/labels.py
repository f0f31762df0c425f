"""Labels: what the values in a model's results mean, read from the model folder, and as Slicer's terminology."""

import json
import math
import pathlib
from dataclasses import dataclass

from slicer.i18n import tr as _

from ALHVRSegmentationLib.scene.errors import SceneError

FILE = "alhvr.json"
LARGEST_FILE = 1 << 26
MOST_LABELS = 254
LARGEST_VALUE = 65535
LONGEST_TEXT = 200
CATEGORY_CONTEXT = "Segmentation category and type - DICOM master list"
REGION_CONTEXT = "Anatomic codes - DICOM master list"
NO_CODE = "^^"
SEPARATORS = str.maketrans(dict.fromkeys("~^|&;\n\r\t", " "))


@dataclass(frozen=True)
class Code:
    """A coded term as in DICOM."""

    scheme: str
    value: str
    meaning: str


@dataclass(frozen=True)
class ModelLabel:
    """One structure that a model finds; background has none."""

    value: int
    """In result files, 1 to 65535."""
    name: str
    colour_rgb: tuple
    """Red, green, blue, each 0 to 1."""
    category: Code
    type: Code
    modifier: Code | None = None


def labels_of(model_folder):
    """The labels of a model folder, in the order of its classes; SceneError where it does not tell them properly."""
    path = pathlib.Path(model_folder) / FILE
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise ValueError(_("it is too large"))
        record = json.loads(path.read_text(encoding="utf-8"))
        labels = labels_from(record)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        text = _("The labels of the model {name} cannot be read from {file}: {reason}.")
        raise SceneError(text.format(name=path.parent.name, file=FILE, reason=reason)) from error
    return labels


def labels_from(record):
    """The labels in what alhvr.json holds; raises ValueError, TypeError, KeyError or AttributeError."""
    entries = record["labels"]["labels"]
    if not isinstance(entries, list) or not 1 <= len(entries) <= MOST_LABELS:
        raise ValueError(_("it names no labels, or too many"))
    labels = tuple(_label(entry) for entry in entries)
    for known in ([label.value for label in labels], [label.name for label in labels]):
        if len(set(known)) != len(known):
            raise ValueError(_("two labels are the same"))
    return labels


def terminology_entry(label):
    """Slicer's seven parts between "~": context, category, type, modifier, region context, region, region modifier."""
    codes = [_code_text(code) for code in (label.category, label.type, label.modifier)]
    return "~".join((CATEGORY_CONTEXT, *codes, REGION_CONTEXT, NO_CODE, NO_CODE))


def tag_text(text):
    """`text` as the tag of a segment keeps it when it is saved: without the signs that part tags."""
    return " ".join(text.translate(SEPARATORS).split())


def _label(entry):
    value, colour = entry["value"], tuple(float(part) for part in entry["colour_rgb"])
    if not isinstance(value, int) or not 1 <= value <= LARGEST_VALUE:
        raise ValueError(_("a label has the value {value}").format(value=str(value)[:20]))
    if len(colour) != 3 or not all(math.isfinite(part) and 0 <= part <= 1 for part in colour):
        raise ValueError(_("the label {value} has no proper colour").format(value=value))
    category, kind, modifier = _code(entry["category"]), _code(entry["type"]), entry.get("modifier")
    return ModelLabel(value, _text(entry["name"]), colour, category, kind, modifier and _code(modifier))


def _code(entry):
    return Code(_text(entry["scheme"]), _text(entry["value"]), _text(entry["meaning"]))


def _text(text):
    if not isinstance(text, str) or not text.strip() or len(text) > LONGEST_TEXT:
        raise ValueError(_("a name is missing or too long"))
    return text


def _code_text(code):
    if code is None:
        return NO_CODE
    return "^".join(tag_text(text) for text in (code.scheme, code.value, code.meaning))
