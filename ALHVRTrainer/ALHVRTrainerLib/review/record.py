"""Record: what PROJECT/review holds: the ranking of the engine, what was decided about each scan, and unfinished edits.

All of it is text from files that may be anybody's: numbers and names have limits, drafts lie in the folder of the
review, and a scan is opened only where it lies in the project or its archive.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alhvr.core.errors import UserError
from alhvr.core.files import parse_json, read_bytes, write_json
from alhvr.formats.model_folder import is_safe_name
from ALHVRLib.child_events import finite
from ALHVRLib.models.untrusted_files import one_line

if TYPE_CHECKING:
    from alhvr.formats.project import Project

RANKING, DECISIONS, EDITS = "ranking.json", "decisions.jsonl", "edits"
FORMAT = "alhvr ranking 1"
ACCEPTED, DECLINED = "accepted", "declined"
LARGEST_BYTES = 10_000_000
MOST_SCANS, MOST_DECISIONS, MOST_STRUCTURES = 1000, 100_000, 300
LONGEST_NAME, LONGEST_PATH = 200, 4096
LONGEST_MINUTES = 100_000.0


@dataclass(frozen=True)
class RankedScan:
    """One scan of the archive that should be labelled."""

    case: str
    image: Path
    score: float
    """0 to 1."""
    reason: str
    """In words, such as "pancreas uncertain"."""
    atRandom: bool
    segmentation: Path
    """The model's draft."""
    regions: Path | None
    patient: str = ""


@dataclass(frozen=True)
class Ranking:
    """The last ranking; without scans where there is none."""

    scans: tuple[RankedScan, ...] = ()
    round: int = 0


@dataclass(frozen=True)
class Decision:
    """What became of one scan."""

    case: str
    decision: str
    """ACCEPTED or DECLINED."""
    label: str = ""
    """Name of the labelled case that it became."""
    minutes: float = 0.0
    """Spent on it."""
    dice: dict[str, float] = field(default_factory=dict)
    """Of the model's draft against what it became, by structure, where that was annotated and is not empty."""
    run: int = 0
    """Number of the newest run at that time."""
    round: int = 0
    atRandom: bool = False
    on: str = ""
    """The date."""

    @property
    def meanDice(self) -> float | None:
        """Over the structures; None without any."""
        return sum(self.dice.values()) / len(self.dice) if self.dice else None


def read_ranking(project: Project) -> Ranking:
    """The scans of the last ranking that are not decided yet and whose draft is there; never raises."""
    folder = project.review_folder
    try:
        record = parse_json(read_bytes(folder / RANKING, at_most=LARGEST_BYTES), RANKING)
    except (OSError, UserError):
        return Ranking()
    if not isinstance(record, dict) or record.get("format") != FORMAT or not isinstance(record.get("scans"), list):
        return Ranking()
    decided = {decision.case for decision in read_decisions(project)}
    scans = (_scan(folder, entry) for entry in record["scans"][:MOST_SCANS] if isinstance(entry, dict))
    return Ranking(tuple(scan for scan in scans if scan is not None and scan.case not in decided),
                   int(finite(record.get("round")) or 0))


def read_decisions(project: Project) -> tuple[Decision, ...]:
    """All decisions, the oldest first; lines that are none are passed over."""
    try:
        lines = read_bytes(project.review_folder / DECISIONS, at_most=LARGEST_BYTES).splitlines()
    except (OSError, UserError):
        return ()
    return tuple(_decisions(lines[:MOST_DECISIONS]))


def add_decision(project: Project, decision: Decision) -> None:
    """Remember one, at the end of the list; raises OSError."""
    project.review_folder.mkdir(parents=True, exist_ok=True)
    record = {key: value for key, value in asdict(decision).items() if value not in ("", {}, False)}
    with (project.review_folder / DECISIONS).open("a", encoding="utf-8") as file:
        file.write(json.dumps(record, ensure_ascii=False) + "\n")
        file.flush()
        os.fsync(file.fileno())


def edit_files(project: Project, case: str) -> tuple[Path, Path]:
    """Where the unfinished segmentation of a scan is kept, and what was annotated in it."""
    folder = project.review_folder / EDITS
    return folder / f"{case}.seg.nrrd", folder / f"{case}.json"


def keep_notes(path: Path, notes: dict[str, Any]) -> None:
    """Write what was annotated in an unfinished scan; raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, notes)


def read_notes(path: Path) -> dict[str, Any]:
    """What was annotated in an unfinished scan; {} without any that can be read."""
    with suppress(OSError, UserError):
        record = parse_json(read_bytes(path, at_most=LARGEST_BYTES), path.name)
        return record if isinstance(record, dict) else {}
    return {}


def drop_edits(project: Project, case: str) -> None:
    """Forget the unfinished edits of a scan."""
    for path in edit_files(project, case):
        with suppress(OSError):
            path.unlink(missing_ok=True)


def _scan(folder: Path, entry: dict[str, Any]) -> RankedScan | None:
    case, image, score = entry.get("case"), entry.get("image"), finite(entry.get("score"))
    draft, regions = _inside(folder, entry.get("segmentation")), _inside(folder, entry.get("regions"))
    good = isinstance(case, str) and is_safe_name(case) and "/" not in case and len(case) <= LONGEST_NAME
    if not good or not isinstance(image, str) or len(image) > LONGEST_PATH or draft is None or score is None:
        return None
    return RankedScan(case, Path(os.path.abspath(folder.parent / image)), min(max(score, 0.0), 1.0),
                      one_line(_text(entry, "reason"), LONGEST_NAME), entry.get("drawn_at_random") is True, draft,
                      regions, one_line(_text(entry, "patient"), LONGEST_NAME))


def _inside(folder: Path, text: object) -> Path | None:
    """A file below a folder; None for anything else, and for one that is not there."""
    if not isinstance(text, str) or not text or len(text) > LONGEST_PATH or "\0" in text:
        return None
    path = Path(os.path.abspath(folder / text))
    with suppress(OSError):
        if path.resolve().is_relative_to(folder.resolve()) and path.is_file():
            return path
    return None


def _decisions(lines: list[bytes]) -> Iterator[Decision]:
    for line in lines:
        with suppress(UserError):
            entry = parse_json(line, DECISIONS)
            if isinstance(entry, dict) and isinstance(entry.get("case"), str):
                yield _decision(entry)


def _decision(entry: dict[str, Any]) -> Decision:
    dice = entry.get("dice")
    scores = {name: finite(value) for name, value in list(dice.items())[:MOST_STRUCTURES]} if isinstance(
        dice, dict) else {}
    minutes = finite(entry.get("minutes")) or 0.0
    return Decision(entry["case"], ACCEPTED if entry.get("decision") == ACCEPTED else DECLINED,
                    _text(entry, "label"), min(max(minutes, 0.0), LONGEST_MINUTES),
                    {name: value for name, value in scores.items() if value is not None and 0 <= value <= 1},
                    int(finite(entry.get("run")) or 0), int(finite(entry.get("round")) or 0),
                    entry.get("atRandom") is True, _text(entry, "on"))


def _text(entry: dict[str, Any], key: str) -> str:
    value = entry.get(key)
    return value if isinstance(value, str) else ""
