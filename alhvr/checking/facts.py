"""CaseFacts: all that the check knows of one case, and its form in the cache."""

from __future__ import annotations

import base64
import json
import zlib
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from alhvr.core.errors import UserError
from alhvr.data.cases import Case
from alhvr.data.fingerprint import Fingerprint
from alhvr.data.geometry import Geometry
from alhvr.data.intensity import Statistics
from alhvr.data.reading import scan_name

VERSION = 2
"""Of everything that facts say and how it is found out; facts of another version are not used."""
_DAMAGED = (ValueError, KeyError, TypeError, IndexError, AttributeError, zlib.error, UserError)


@dataclass(frozen=True)
class Problem:
    """A file that cannot be used at all, as a UserError says it."""

    message: str
    hint: str = ""


@dataclass(frozen=True)
class ImageFacts:
    """One channel of one scan."""

    content: str
    """SHA-256 of voxels and grid (``reading.content_hash``)."""
    print: Fingerprint
    """Grid, modality and intensities; ``print.foreground`` is of the labelled voxels, on the grid of the label only."""
    lowest: float
    """Smallest finite intensity."""
    highest: float
    """Largest finite intensity."""
    n_not_finite: int
    """Voxels that are NaN or infinite."""
    histogram: tuple[int, ...]
    """Counts of an even sample of voxels in 64 equal bins between the 0.5th and the 99.5th percentile."""
    thumbnail: np.ndarray
    """uint8 [<= 64, <= 64]: the slice with most of the label, else the middle one, right way up for a reader (rows run
    to posterior or inferior, columns to the left or to posterior)."""
    patient: str | None = None
    """A keyed digest of the DICOM patient ID, comparable within one check; None where no file tells patients apart."""
    field_strength_t: float | None = None
    """MR field strength in tesla from the DICOM header."""
    warnings: tuple[str, ...] = ()
    """What was odd while reading."""

    @property
    def geometry(self) -> Geometry:
        """The scan's own grid."""
        return self.print.geometry


@dataclass(frozen=True)
class StructureFacts:
    """One label value in one case."""

    voxels: int
    volume_ml: float
    slices: int
    """Slices along the slice axis that show it."""
    centroid_lps_mm: tuple[float, float, float]
    n_parts: int
    """Connected parts (26 neighbours)."""
    largest_part: float
    """Share of its voxels in its largest part, 0 to 1."""
    hole_voxels: int
    """Background voxels that it encloses within one slice or, in a stack of slices, in space."""


@dataclass(frozen=True)
class LabelFacts:
    """The label of one case."""

    content: str
    """SHA-256 of values and grid."""
    geometry: Geometry
    other_grid: str
    """How its grid differs from the scan's, as a sentence; empty where both are the same."""
    structures: dict[int, StructureFacts]
    """By label value; without background and the value for not annotated."""
    n_voxels: int
    n_not_annotated: int
    """Voxels with the value for not annotated."""
    annotated_slices: int
    """Slices along the slice axis in which anything is annotated, background included."""
    slices: int
    """All slices."""
    outline: np.ndarray | None = None
    """uint8 like the scan's thumbnail: label values (255 at most) of the same slice, for the picture."""
    warnings: tuple[str, ...] = ()
    """What was changed while reading it; facts with any are not kept, as they tell names."""


@dataclass(frozen=True)
class CaseFacts:
    """One case: its channels and its label, or why they cannot be used."""

    part: str
    """labeled, unlabeled or validation."""
    case: Case
    images: tuple[ImageFacts, ...] = ()
    """By channel, as far as they can be read."""
    label: LabelFacts | None = None
    image_problem: Problem | None = None
    """Why a channel cannot be read."""
    label_problem: Problem | None = None
    """Why the label cannot be read."""
    known: bool = field(default=False, compare=False)
    """The facts were kept from a check before."""

    @property
    def usable(self) -> bool:
        """True when image and, where there is one, label could be read."""
        return self.image_problem is None and self.label_problem is None


def to_text(facts: CaseFacts) -> str | None:
    """One line of JSON; None for facts that cannot be kept: files with a problem, which is told with their names."""
    if not facts.usable or len(facts.images) != len(facts.case.images) or (facts.label and facts.label.warnings):
        return None
    try:
        images = [_from_image(i, path) for i, path in zip(facts.images, facts.case.images, strict=True)]
        return json.dumps({"images": images, "label": facts.label and _from_label(facts.label)}, allow_nan=False)
    except ValueError:
        return None


def from_text(text: str, part: str, case: Case) -> CaseFacts | None:
    """What ``to_text`` wrote, as facts about ``case``; None for a text that does not fit."""
    try:
        values = json.loads(text)
        images = tuple(_to_image(v, path) for v, path in zip(values["images"], case.images, strict=True))
        label = None if values["label"] is None else _to_label(values["label"])
    except _DAMAGED:
        return None
    return CaseFacts(part, case, images, label, known=True) if (label is None) == (case.label is None) else None


def _from_image(image: ImageFacts, path: Path) -> dict[str, Any]:
    return {
        "content": image.content, "lowest": image.lowest, "highest": image.highest, "patient": image.patient,
        "n_not_finite": image.n_not_finite, "histogram": image.histogram, "field_strength_t": image.field_strength_t,
        "print": {"geometry": asdict(image.print.geometry), "modality": image.print.modality,
                  "intensity": _or_none(asdict, image.print.intensity),
                  "foreground": _or_none(asdict, image.print.foreground)},
        "thumbnail": _from_picture(image.thumbnail),
        "warnings": [_without_name(warning, path) for warning in image.warnings],
    }  # fmt: skip


def _to_image(values: dict[str, Any], path: Path) -> ImageFacts:
    seen = values["print"]
    found = Fingerprint(_to_geometry(seen["geometry"]), seen["modality"],
                        _or_none(_to_statistics, seen["intensity"]), _or_none(_to_statistics, seen["foreground"]))
    return ImageFacts(
        content=values["content"], print=found, lowest=values["lowest"], highest=values["highest"],
        n_not_finite=values["n_not_finite"], histogram=tuple(values["histogram"]),
        thumbnail=_to_picture(values["thumbnail"]), patient=values["patient"],
        field_strength_t=values["field_strength_t"],
        warnings=tuple(_names(path)[which] + rest for which, rest in values["warnings"]),
    )


def _from_label(label: LabelFacts) -> dict[str, Any]:
    plain = {name: getattr(label, name) for name in _PLAIN}
    return {**plain, "geometry": asdict(label.geometry), "outline": _or_none(_from_picture, label.outline),
            "structures": [[value, asdict(structure)] for value, structure in label.structures.items()]}


def _to_label(values: dict[str, Any]) -> LabelFacts:
    structures = {value: StructureFacts(**{**entry, "centroid_lps_mm": tuple(entry["centroid_lps_mm"])})
                  for value, entry in values["structures"]}
    return LabelFacts(geometry=_to_geometry(values["geometry"]), structures=structures,
                      outline=_or_none(_to_picture, values["outline"]), **{name: values[name] for name in _PLAIN})


_PLAIN = ("content", "other_grid", "n_voxels", "n_not_annotated", "annotated_slices", "slices")


def _names(path: Path) -> tuple[str, str]:
    """What reading calls a file or series in what it says of it."""
    return path.name, path.parent.name


def _without_name(warning: str, path: Path) -> tuple[int, str]:
    """Which of the names a warning begins with, and the rest; raises ValueError when it holds a name elsewhere."""
    for which, name in enumerate(_names(path)):
        if name and warning.startswith(name):
            rest = warning[len(name):]
            if scan_name(path) not in rest:
                return which, rest
    raise ValueError("This warning tells a name.")


def _or_none(convert: Any, value: Any) -> Any:
    return None if value is None else convert(value)


def _to_geometry(values: dict[str, Any]) -> Geometry:
    return Geometry(**{name: tuple(entry) for name, entry in values.items()})


def _to_statistics(values: dict[str, float]) -> Statistics:
    return Statistics(**values)


def _from_picture(picture: np.ndarray) -> list[Any]:
    packed = zlib.compress(np.ascontiguousarray(picture, dtype=np.uint8).tobytes())
    return [*picture.shape, base64.b64encode(packed).decode("ascii")]


def _to_picture(values: list[Any]) -> np.ndarray:
    rows, columns, packed = values
    flat = np.frombuffer(zlib.decompress(base64.b64decode(packed)), dtype=np.uint8)
    return flat.reshape(rows, columns).copy()
