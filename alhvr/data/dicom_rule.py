"""Which series of a study are wanted: a rule that a person writes in one line.

    FLAIR: modality=MR, description=*flair*, slices>=20, orientation=axial, contrast=no

Conditions are joined by commas and all of them hold. A name before a colon makes the series a channel of that name.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

import numpy as np

from alhvr.core.errors import UserError
from alhvr.core.files import shown
from alhvr.data.dicom_series import Series
from alhvr.formats.labels import folded

_ORIENTATIONS = ("sagittal", "coronal", "axial")
"""By the patient's axis that a series is cut across: L, P, S."""
_COMPARE: dict[str, Callable[[float, float], bool]] = {">=": operator.ge, "<=": operator.le, "=": operator.eq}
_TEXTS = ("modality", "description", "orientation", "contrast")
_NUMBERS = {"slices": "", "spacing": "", "thickness": "", "echo": "EchoNumbers", "echotime": "EchoTime",
            "b": "DiffusionBValue", "time": "TemporalPositionIdentifier"}
"""Conditions on numbers, and the tag of a part of a series that each asks for."""
_CONDITION = re.compile(r"\s*([a-z]+)\s*(>=|<=|=)\s*(.+?)\s*", re.IGNORECASE)
_NAME = re.compile(r"\s*([^:=<>,]{1,40})\s*:(?!\\)(.*)", re.DOTALL)
_LONGEST = 500
EXAMPLE = "modality=MR, description=*flair*, slices>=20, orientation=axial, contrast=no"


@dataclass(frozen=True)
class SeriesFacts:
    """What a rule may ask of a series."""

    modality: str
    """"CT", "MR" or "other"."""
    description: str
    n_slices: int
    orientation: str
    """One of axial, coronal, sagittal; the closest where it is oblique; "" without an image."""
    has_contrast: bool
    """A contrast agent is named in its header."""
    spacing_mm: float
    """Of neighbouring pixels of a row."""
    thickness_mm: float
    """0 where the header does not tell."""
    study_uid: str = ""
    series_number: str = ""
    part: dict[str, str] = field(default_factory=dict)
    """What tells it from the other parts of its series."""
    size: str = ""

    @property
    def number(self) -> float:
        """Of the series; infinite where it has none."""
        return float(self.series_number) if self.series_number.strip().isdigit() else float("inf")

    @property
    def summary(self) -> str:
        """Kind and size in words, without anything that tells of the patient."""
        return f"{self.modality}, {self.size}" if self.n_slices else "no image that can be used"


@dataclass(frozen=True)
class Condition:
    """One condition of a rule."""

    key: str
    sign: str
    value: str

    def holds(self, facts: SeriesFacts) -> bool:
        """Whether a series fulfils it."""
        if self.key in _NUMBERS:
            number = _number_of(self.key, facts)
            return number is not None and _COMPARE[self.sign](number, float(self.value))
        return any(fnmatchcase(folded(_text_of(self.key, facts)), folded(choice.strip()))
                   for choice in self.value.split("|"))

    def __str__(self) -> str:
        """As it was written."""
        return f"{self.key}{self.sign}{self.value}"


@dataclass(frozen=True)
class SeriesRule:
    """What a series must be like."""

    name: str
    """Of the channel that it becomes; "" where no name was given."""
    conditions: tuple[Condition, ...]

    def why_not(self, facts: SeriesFacts) -> str:
        """The first condition that a series does not fulfil, as the rest of a sentence; "" where it fulfils all."""
        for condition in self.conditions:
            if not condition.holds(facts):
                return f"the rule asks for {shown(condition)}, and it has {_seen(condition.key, facts)}"
        return ""

    def __str__(self) -> str:
        """As it can be written."""
        listed = ", ".join(map(str, self.conditions))
        return f"{self.name}: {listed}" if self.name else listed


def parse_rule(text: str) -> SeriesRule:
    """The rule that a person wrote; raises UserError, naming the part that is not understood."""
    if len(text) > _LONGEST:
        raise UserError(f"The rule for series has {len(text)} letters; {_LONGEST} are accepted.", _hint())
    named = _NAME.fullmatch(text)
    name, rest = (named[1].strip(), named[2]) if named else ("", text)
    conditions = [_condition(part) for part in rest.split(",") if part.strip()]
    if not conditions:
        raise UserError(f'The rule for series "{shown(text)}" has no condition.', _hint())
    return SeriesRule(name, tuple(conditions))


def parse_rules(texts: Sequence[str]) -> tuple[SeriesRule, ...]:
    """Several rules; raises UserError as ``parse_rule``, and where several do not each have a name of their own."""
    rules = tuple(parse_rule(text) for text in texts)
    names = [folded(rule.name) for rule in rules]
    if len(rules) > 1 and (not all(names) or len(set(names)) < len(names)):
        raise UserError("Several rules for series make channels, and each needs a name of its own.",
                        'Write them as --series "T1: description=*t1*" --series "FLAIR: description=*flair*".')
    return rules


def facts_of(series: Series) -> SeriesFacts:
    """What a rule may ask of a series."""
    if not series.slices:
        return SeriesFacts("other", "", 0, "", False, 0.0, 0.0)
    first = series.slices[0]
    row, column = np.reshape(first.orientation, (2, 3))
    columns, rows = first.size_ij
    return SeriesFacts(
        first.modality, first.tags.get("SeriesDescription", ""), len(series.slices),
        _ORIENTATIONS[int(np.abs(np.cross(row, column)).argmax())],
        bool(first.tags.get("ContrastBolusAgent", "").strip()), first.spacing_ij_mm[0], first.thickness_mm or 0.0,
        first.tags.get("StudyInstanceUID", ""), first.tags.get("SeriesNumber", ""),
        {tag: first.tags.get(tag, "") if not value.startswith("rank ") else value[5:]
         for tag, value in series.part.items()},
        f"{len(series.slices)} images of {columns} x {rows}")


def _condition(text: str) -> Condition:
    found = _CONDITION.fullmatch(text)
    key = found[1].lower() if found else ""
    if found is None or key not in (*_TEXTS, *_NUMBERS):
        raise UserError(f'"{shown(text.strip())}" is no condition of a rule for series.', _hint())
    sign, value = found[2], found[3].strip("\"'")
    if key in _NUMBERS:
        try:
            good = np.isfinite(float(value))
        except ValueError:
            good = False
        if not good:
            raise UserError(f'"{shown(text.strip())}": {key} is compared with a number.', _hint())
    elif sign != "=":
        raise UserError(f'"{shown(text.strip())}": {key} takes = alone.', _hint())
    elif key == "orientation" and not set(value.lower().split("|")) <= set(_ORIENTATIONS):
        raise UserError(f'"{shown(text.strip())}": orientation is {", ".join(_ORIENTATIONS)}.', _hint())
    elif key == "contrast" and value.lower() not in ("yes", "no"):
        raise UserError(f'"{shown(text.strip())}": contrast is yes or no.', _hint())
    return Condition(key, sign, value)


def _hint() -> str:
    return (f'Write it as "{EXAMPLE}"; {", ".join((*_TEXTS, *_NUMBERS))} can be asked for, * stands for any letters, '
            "and | for or.")


def _text_of(key: str, facts: SeriesFacts) -> str:
    return {"modality": facts.modality, "description": facts.description, "orientation": facts.orientation,
            "contrast": "yes" if facts.has_contrast else "no"}[key]


def _number_of(key: str, facts: SeriesFacts) -> float | None:
    """None where the series does not tell."""
    if key in ("slices", "spacing", "thickness"):
        return {"slices": facts.n_slices, "spacing": facts.spacing_mm, "thickness": facts.thickness_mm}[key]
    try:
        return float(facts.part[_NUMBERS[key]])
    except (KeyError, ValueError):
        return None


def _seen(key: str, facts: SeriesFacts) -> str:
    if key in _NUMBERS:
        number = _number_of(key, facts)
        return "none" if number is None else f"{number:g}"
    return f'"{shown(_text_of(key, facts))[:60]}"'
