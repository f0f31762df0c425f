"""Kept facts: what a check found out about a case, as a text without its name, and back."""

from __future__ import annotations

import base64
import json
import zlib
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from alhvr.checking.facts import CaseFacts, ImageFacts, LabelFacts, StructureFacts
from alhvr.core.errors import UserError
from alhvr.data.cases import Case
from alhvr.data.fingerprint import Fingerprint
from alhvr.data.geometry import Geometry
from alhvr.data.intensity import Statistics
from alhvr.data.reading import scan_name

VERSION = 1
"""Of everything that facts say and how it is found out; facts of another version are not used."""
_DAMAGED = (ValueError, KeyError, TypeError, IndexError, AttributeError, zlib.error, UserError)


def to_text(facts: CaseFacts) -> str | None:
    """One line of JSON; None for facts that cannot be kept: files with a problem, which is told with their names."""
    if not facts.usable or len(facts.images) != len(facts.case.images):
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
