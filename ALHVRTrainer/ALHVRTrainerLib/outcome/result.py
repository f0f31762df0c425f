"""Outcome of a run, as outcome.json says it: scores on held-out cases, the change, the sentence. No Qt, no scene.

The file may be anybody's: what is no good is left out, and a file that is none is told as one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slicer.i18n import tr as _

from alhvr.core.errors import UserError
from alhvr.core.files import is_plain, parse_json, read_bytes
from alhvr.formats.model_folder import is_safe_name
from alhvr.formats.project import ARCHIVE, ARMS, LABELS_ONLY
from ALHVRLib.child_events import finite
from ALHVRLib.models.untrusted_files import one_line

FILE, PAGE = "outcome.json", "outcome.html"
FORMAT = "alhvr outcome 1"
BEFORE = "before"
COLUMNS = (BEFORE, *ARMS)
LARGEST_BYTES = 16_000_000
MOST_STRUCTURES, MOST_CASES = 200, 2000
SENTENCE_LETTERS = 500
_told: dict[Path, tuple[tuple[int, int] | None, str]] = {}


@dataclass(frozen=True)
class Arm:
    """What one way to segment achieved on the held-out cases, and its model."""

    dice: dict[str, float]
    """Mean over cases by structure, 0 to 1."""
    hd95: dict[str, float]
    """The same of the 95 % Hausdorff distance, in the outcome's unit, where it can be measured."""
    missed: dict[str, float]
    """In how many cases the structure was missed, or found where there is none."""
    mean_dice: float | None
    model: Path | None
    """Its folder; None for the model that was begun from."""
    minutes: float | None


@dataclass(frozen=True)
class Change:
    """The mean change of Dice from labels only to the archive."""

    dice: float
    by_structure: dict[str, float]


@dataclass(frozen=True)
class Worst:
    """The case and structure with the lowest score."""

    case: str
    structure: str
    dice: float | None
    arm: str
    segmentation: Path | None
    """What the arm's model made of the case; None where it was not kept."""


@dataclass(frozen=True)
class Outcome:
    """All of it."""

    run: Path
    structures: tuple[str, ...]
    arms: dict[str, Arm]
    """By those of COLUMNS that there are."""
    cases: tuple[dict[str, float], ...]
    """Mean Dice over structures of each case, by arm."""
    change: Change | None
    n_patients: int
    too_few: bool
    sentence: str
    worst: Worst | None
    unit: str
    offered: str
    """The arm whose model is offered to be kept."""

    @property
    def shown(self) -> tuple[str, ...]:
        """The arms that there are, in their order."""
        return tuple(arm for arm in COLUMNS if arm in self.arms)


def read_outcome(run: Path) -> Outcome | None:
    """The outcome of a run; None where it has none yet. Raises UserError for a file that is no outcome."""
    try:
        values = parse_json(read_bytes(run / FILE, at_most=LARGEST_BYTES), FILE)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UserError(_("{file} cannot be read: {reason}.").format(file=run / FILE, reason=error.strerror)) from error
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise UserError(_("{file} is no outcome that this version can read.").format(file=run / FILE))
    return _parsed(run, values)


def outcome_sentence(run: Path) -> str:
    """What came of a run, in one sentence; "" where nothing can be read. A file that has not changed is not read again.
    """
    stamp = stamp_of(run / FILE)
    if stamp is None:
        return ""
    if _told.get(run, (None, ""))[0] != stamp:
        try:
            _told[run] = (stamp, read_outcome(run).sentence)
        except (UserError, AttributeError):
            _told[run] = (stamp, "")
    return _told[run][1]


def stamp_of(path: Path) -> tuple[int, int] | None:
    """What changes when a file does; None where it is not there."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def _parsed(run: Path, values: dict[str, Any]) -> Outcome:
    names = values.get("structures")
    structures = tuple(map(str, names[:MOST_STRUCTURES])) if isinstance(names, list) else ()
    given = values.get("arms") if isinstance(values.get("arms"), dict) else {}
    arms = {arm: _arm(run, arm, given[arm], structures) for arm in COLUMNS if isinstance(given.get(arm), dict)}
    offered, n_patients = values.get("offered"), finite(values.get("n_patients"))
    return Outcome(
        run=run, structures=structures, arms=arms, cases=_cases(values.get("cases"), structures),
        change=_change(values.get("change"), structures), n_patients=int(n_patients or 0),
        too_few=values.get("too_few") is True, sentence=one_line(values.get("sentence", ""), SENTENCE_LETTERS),
        worst=_worst(run, values), unit=one_line(values.get("distance_unit", "mm"), 10),
        offered=offered if isinstance(offered, str) and offered in arms and arms[offered].model else next(
            (arm for arm in ARMS if arm in arms and arms[arm].model), ""))


def _arm(run: Path, arm: str, values: dict[str, Any], structures: tuple[str, ...]) -> Arm:
    model = values.get("model")
    inside = isinstance(model, str) and is_safe_name(model) and (run / model).is_dir()
    return Arm(dice=_numbers(values.get("dice"), structures), hd95=_numbers(values.get("hd95_mm"), structures),
               missed=_numbers(values.get("hd95_missed"), structures),
               mean_dice=finite(values.get("mean_dice")), minutes=finite(values.get("minutes")),
               model=run / model if inside and arm in ARMS else None)


def _cases(values: Any, structures: tuple[str, ...]) -> tuple[dict[str, float], ...]:
    found = []
    for entry in values[:MOST_CASES] if isinstance(values, list) else ():
        scores = entry.get("scores") if isinstance(entry, dict) else None
        if isinstance(scores, dict):
            found.append({arm: mean for arm in COLUMNS if (mean := _mean(scores.get(arm), structures)) is not None})
    return tuple(found)


def _mean(scores: Any, structures: Iterable[str]) -> float | None:
    """Mean Dice over the structures of a case that have a score."""
    scores = scores if isinstance(scores, dict) else {}
    entries = [scores.get(name) for name in structures]
    dice = [number for entry in entries if isinstance(entry, dict)
            and (number := finite(entry.get("dice"))) is not None]
    return sum(dice) / len(dice) if dice else None


def _change(values: Any, structures: tuple[str, ...]) -> Change | None:
    dice = finite(values.get("dice")) if isinstance(values, dict) else None
    if dice is None:
        return None
    each = values.get("by_structure") if isinstance(values.get("by_structure"), dict) else {}
    found = {name: one.get("dice") for name, one in each.items() if isinstance(one, dict)}
    return Change(float(dice), _numbers(found, structures))


def _worst(run: Path, values: dict[str, Any]) -> Worst | None:
    worst = values.get("worst")
    if not isinstance(worst, dict) or worst.get("arm") not in COLUMNS or not isinstance(worst.get("case"), str):
        return None
    cases = values.get("cases") if isinstance(values.get("cases"), list) else []
    case = next((one for one in cases if isinstance(one, dict) and one.get("case") == worst["case"]), {})
    files = case.get("segmentations") if isinstance(case.get("segmentations"), dict) else {}
    file = files.get(worst["arm"])
    inside = isinstance(file, str) and is_safe_name(file) and is_plain(run / file)
    return Worst(worst["case"], one_line(worst.get("structure", "")), finite(worst.get("dice")), worst["arm"],
                 run / file if inside else None)


def _numbers(values: Any, names: Iterable[str]) -> dict[str, float]:
    """The finite numbers of an object, by these names."""
    values = values if isinstance(values, dict) else {}
    return {name: float(number) for name in names if (number := finite(values.get(name))) is not None}


def column_title(arm: str) -> str:
    """What people call a column of the table."""
    return {BEFORE: _("before"), LABELS_ONLY: _("labels only"), ARCHIVE: _("with archive")}[arm]
