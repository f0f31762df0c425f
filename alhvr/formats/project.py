"""The project folder of a training: project.json, where its parts lie, and its runs.

project.json holds what the user chose and nothing that can be found otherwise. Entries that this version does not know
are kept when it is written back. Paths inside of the project are stored relative to it, so that the folder can be
moved; an archive may lie anywhere, and whoever opens a project has to show where.
"""

from __future__ import annotations

import json
import math
import os
import unicodedata
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from alhvr.core.errors import UserError
from alhvr.core.files import parse_json, read_bytes, read_json, shown, to_json, write_json, write_refused

PROJECT_FILE = "project.json"
FORMAT, FORMAT_VERSION = "alhvr project", 1
LABELS_ONLY, ARCHIVE = "labels-only", "archive"
ARMS = (LABELS_ONLY, ARCHIVE)
"""The trainings of one run, by the names of their folders."""
OUTCOME_FILE = "outcome.json"
"""In the folder of a comparison, what came of it."""
LARGEST_BYTES = 1_000_000
"""Of project.json."""
LONGEST_NAME, LONGEST_PATH, LONGEST_TEXT = 100, 4096, 1000
MOST_ARCHIVES, MOST_QUEUED, MOST_SETTINGS = 100, 100, 1000
DEEPEST_SETTING, DEEPEST_UNKNOWN = 5, 20
LONGEST_MINUTES = 100_000.0
LARGEST_RUN = 1_000_000
DEEPEST_RUN = 4
"""So many folders up at the most lies the project of a run: PROJECT/runs/1/archive."""
HERE = "{project}/"
"""Begins a path that is relative to the project in the files of a run."""
_PLAIN = f"numbers, texts of up to {LONGEST_TEXT} letters, true, false, null, and lists and objects of these"
_RESTORE = "Restore the file from a backup, or begin a new project and add the same cases."


@dataclass(frozen=True)
class Kept:
    """The model of a run that the user kept."""

    run: int
    """Number of the run, from 1."""
    arm: str
    """One of ARMS."""
    model: str
    """Its name among the installed models."""


@dataclass(frozen=True)
class Project:
    """What project.json says, and where the parts of the project lie."""

    folder: Path
    """The project folder, absolute."""
    name: str
    """For people."""
    archive: tuple[str, ...] = ()
    """Folders of scans without labels, as they are written: absolute, or relative to the project."""
    settings: dict[str, Any] = field(default_factory=dict)
    """Parts of alhvr.config.RunConfig, only what differs from the defaults. Only sizes and types are limited here; the
    engine says what it accepts."""
    minutes: float | None = 60.0
    """Minutes for the main training; None: the iterations of the settings count."""
    start_from: str | None = None
    """Model folder to begin from, written as ``archive`` is; None: from scratch."""
    compare: bool = True
    """Train with labels only too, to know whether the archive helped."""
    kept: Kept | None = None
    """Whose model was kept last."""
    queue: tuple[dict[str, Any], ...] = ()
    """Runs that wait, the next one first."""
    unknown: dict[str, Any] = field(default_factory=dict)
    """Entries that this version does not know."""

    @property
    def cases_folder(self) -> Path:
        """The labelled cases, a cases folder of the engine."""
        return self.folder / "cases"

    @property
    def runs_folder(self) -> Path:
        """Its folders are called 1, 2 and so on."""
        return self.folder / "runs"

    @property
    def review_folder(self) -> Path:
        """Ranking, decisions and drafts of the next cases."""
        return self.folder / "review"

    @property
    def archive_folders(self) -> tuple[Path, ...]:
        """The archive's folders, absolute; they need not be there."""
        return tuple(self.resolved(text) for text in self.archive)

    @property
    def missing_archive_folders(self) -> tuple[Path, ...]:
        """Those that are not there now, such as on a disk that is not plugged in."""
        return tuple(folder for folder in self.archive_folders if not folder.is_dir())

    @property
    def start_model(self) -> Path | None:
        """The model folder to begin from, absolute."""
        return None if self.start_from is None else self.resolved(self.start_from)

    def resolved(self, text: str) -> Path:
        """The absolute path of one that is written in project.json."""
        return Path(os.path.abspath(self.folder / text))

    def stored(self, path: Path | str) -> str:
        """How a path is written in project.json: relative, with forward slashes, where it is inside of the project."""
        absolute = Path(os.path.abspath(path))
        inside = absolute.is_relative_to(self.folder) and absolute != self.folder
        return absolute.relative_to(self.folder).as_posix() if inside else str(absolute)

    def with_archive(self, *paths: Path | str) -> Project:
        """This project with these folders as its archive, each once; nothing is written."""
        return replace(self, archive=tuple(dict.fromkeys(self.stored(path) for path in paths)))

    def run_folder(self, number: int) -> Path:
        """Where the run of this number is, or would be."""
        return self.runs_folder / str(number)

    def runs(self) -> tuple[int, ...]:
        """Numbers of the runs that have a folder, the oldest first."""
        return tuple(number for number in _numbers_in(self.runs_folder) if self.run_folder(number).is_dir())

    def newest_run(self) -> Path | None:
        """The folder of the run with the highest number; None before the first one."""
        numbers = self.runs()
        return self.run_folder(numbers[-1]) if numbers else None

    def next_run(self) -> Path:
        """The folder that a new run takes, where nothing is yet; it is not made."""
        numbers = _numbers_in(self.runs_folder)
        return self.run_folder(numbers[-1] + 1 if numbers else 1)

    def write(self) -> None:
        """Writes project.json, whole or not at all; raises UserError for values that it could not be read with again,
        and where the disk refuses."""
        values = json.loads(json.dumps(self.to_dict()))  # lists for tuples, as it will be read
        _parsed(self.folder, values)
        if len(to_json(values).encode("utf-8", "backslashreplace")) > LARGEST_BYTES:
            raise UserError(f"{PROJECT_FILE} would have more than {LARGEST_BYTES / 1e6:g} MB.", "Set fewer settings.")
        try:
            write_json(self.folder / PROJECT_FILE, values)
        except OSError as error:
            raise write_refused(error, self.folder / PROJECT_FILE) from error

    def to_dict(self) -> dict[str, Any]:
        """The plain values of project.json."""
        kept = None if self.kept is None else asdict(self.kept)
        return {**self.unknown, "format": f"{FORMAT} {FORMAT_VERSION}", "name": self.name,
                "archive": list(self.archive), "settings": self.settings, "minutes": self.minutes,
                "start_from": self.start_from, "compare": self.compare, "kept": kept, "queue": list(self.queue)}


def create_project(folder: Path, name: str = "") -> Project:
    """A new project in ``folder``, which is made; its name is that of the folder unless another is given.

    Raises UserError where there is a project already, and where the folder cannot be written.
    """
    folder = Path(os.path.abspath(folder))
    if os.path.lexists(folder / PROJECT_FILE):
        raise UserError(f"{shown(folder)} is a project already.", "Open it, or choose another folder.")
    project = Project(folder, _one_line(name or folder.name))
    try:
        project.cases_folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise write_refused(error, project.cases_folder) from error
    project.write()
    return project


def read_project(folder: Path) -> Project:
    """The project in ``folder``; raises UserError for a missing or damaged project.json, naming the entry and value."""
    folder = Path(os.path.abspath(folder))
    path = folder / PROJECT_FILE
    try:
        values = parse_json(read_bytes(path, at_most=LARGEST_BYTES), PROJECT_FILE)
    except FileNotFoundError:
        raise UserError(f"{shown(folder)} is no project: it has no {PROJECT_FILE}.",
                        "Give the folder of a project, or begin a new one.") from None
    except OSError as error:
        raise UserError(f"{shown(path)} cannot be read: {error.strerror or error}.",
                        "Check the path and its permissions.") from error
    return _parsed(folder, values)


def home_of(run: Path) -> Path | None:
    """The project folder, absolute, that a run or a training of a run lies in; None where it lies in none."""
    parents = Path(os.path.abspath(run)).parents[:DEEPEST_RUN]
    return next((folder for folder in parents if (folder / PROJECT_FILE).is_file()), None)


def portable(values: Any, home: Path | None) -> Any:
    """Plain values in which paths inside of the project ``home`` begin with HERE, so that they survive its move."""
    if home is None:
        return values
    inside = os.path.join(home, "")
    return _with_texts(values, lambda text: HERE + text[len(inside):].replace(os.sep, "/")
                       if text.startswith(inside) else text)


def located(values: Any, home: Path | None) -> Any:
    """What ``portable`` was given, with the paths of the project where it is now."""
    if home is None:
        return values
    return _with_texts(values, lambda text: str(home.joinpath(*text[len(HERE):].split("/")))
                       if text.startswith(HERE) else text)


def _with_texts(value: Any, change: Callable[[str], str]) -> Any:
    """A copy of plain values with other texts; names of entries stay."""
    if isinstance(value, dict):
        return {key: _with_texts(entry, change) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_with_texts(entry, change) for entry in value]
    return change(value) if isinstance(value, str) else value


def models_of(project: Project) -> tuple[Path, ...]:
    """Folders of the finished models that are there: the one that was kept, then what each run offers, the newest run
    first."""
    kept = project.kept
    first = () if kept is None else (project.run_folder(kept.run) / kept.arm, project.run_folder(kept.run))
    runs = [project.run_folder(number) for number in reversed(project.runs())]
    trained = (folder for run in runs for folder in (run / _offered(run), *(run / arm for arm in ARMS), run))
    folders = (folder / "model" for folder in dict.fromkeys((*first, *trained)))
    return tuple(folder for folder in folders if (folder / "manifest.json").is_file())


def _offered(run: Path) -> str:
    """The training whose model a comparison offers; that with the archive where it does not say."""
    try:
        offered = read_json(run / OUTCOME_FILE)["offered"]
    except (OSError, UserError, TypeError, KeyError):
        return ARCHIVE
    return offered if offered in ARMS else ARCHIVE


def _numbers_in(folder: Path) -> tuple[int, ...]:
    """The numbers that are names in ``folder``, rising; 1 or more, and written as str() writes them."""
    try:
        names = os.listdir(folder)
    except OSError:
        return ()
    numbers = [int(name) for name in names if name.isascii() and name.isdigit() and len(name) <= len(str(LARGEST_RUN))]
    return tuple(sorted(number for number in numbers if number >= 1 and str(number) in names))


def _parsed(folder: Path, values: Any) -> Project:
    _require_format(values)
    known = {"format", *(f.name for f in fields(Project))} - {"folder", "unknown"}
    unknown = {key: value for key, value in values.items() if key not in known}
    for key, value in unknown.items():
        _require(math.isfinite(_count(value, deepest=DEEPEST_UNKNOWN)), key, value, _PLAIN)
    minutes, start = values.get("minutes", Project.minutes), values.get("start_from")
    good = minutes is None or (_is_number(minutes) and 0 < minutes <= LONGEST_MINUTES)
    _require(good, "minutes", minutes, f"minutes above 0, at most {LONGEST_MINUTES:,.0f}, or null")
    _require(start is None or _is_path(start), "start_from", start, "the path of a model folder, or null")
    _require(type(values.get("compare", True)) is bool, "compare", values.get("compare"), "true or false")
    return Project(folder=folder, name=_name(values.get("name", folder.name)), archive=_archive(values),
                   settings=_settings(values.get("settings", {})), minutes=None if minutes is None else float(minutes),
                   start_from=start, compare=values.get("compare", True), kept=_kept(values.get("kept")),
                   queue=_queue(values.get("queue", [])), unknown=unknown)


def _require_format(values: Any) -> None:
    said = values.get("format") if isinstance(values, dict) else None
    if not isinstance(said, str) or not said.startswith(f"{FORMAT} "):
        raise UserError(f"{PROJECT_FILE} is that of no ALHVR project.", "Give the folder of a project.")
    if said != f"{FORMAT} {FORMAT_VERSION}":
        raise UserError(f"{PROJECT_FILE} has the format {shown(said)!r:.60}; this version of ALHVR reads "
                        f'"{FORMAT} {FORMAT_VERSION}".', "Update ALHVR.")


def _require(good: bool, entry: str, seen: object, accepted: str) -> None:
    if not good:
        raise UserError(f'{PROJECT_FILE}: "{entry}" is {shown(repr(seen))[:100]}.', f"Accepted: {accepted}. {_RESTORE}")


def _name(seen: object) -> str:
    good = isinstance(seen, str) and seen.strip() and seen.isprintable() and len(seen) <= LONGEST_NAME
    _require(bool(good), "name", seen, f"a text of 1 to {LONGEST_NAME} letters on one line")
    return str(seen)


def _one_line(name: str) -> str:
    """``name`` as one that a project may have."""
    return "".join(letter for letter in name if letter.isprintable())[:LONGEST_NAME].strip() or "project"


def _archive(values: dict[str, Any]) -> tuple[str, ...]:
    seen = values.get("archive", [])
    good = isinstance(seen, list) and len(seen) <= MOST_ARCHIVES and all(map(_is_path, seen))
    _require(good, "archive", seen, f"a list of up to {MOST_ARCHIVES} folders")
    return tuple(dict.fromkeys(seen))


def _kept(seen: object) -> Kept | None:
    if seen is None:
        return None
    run, arm, model = (seen.get(key) for key in ("run", "arm", "model")) if isinstance(seen, dict) else (None,) * 3
    good = type(run) is int and 1 <= run <= LARGEST_RUN and arm in ARMS and isinstance(model, str)
    _require(good and 0 < len(model) <= LONGEST_TEXT, "kept", seen,
             'null, or {"run": 1, "arm": "archive" or "labels-only", "model": the name of an installed model}')
    return Kept(run, arm, model)


def _queue(seen: object) -> tuple[dict[str, Any], ...]:
    good = isinstance(seen, list) and len(seen) <= MOST_QUEUED and all(isinstance(entry, dict) for entry in seen)
    _require(good and _count(seen) <= MOST_SETTINGS, "queue", seen, f"a list of up to {MOST_QUEUED} objects")
    return tuple(seen)


def _settings(seen: object) -> dict[str, Any]:
    _require(isinstance(seen, dict), "settings", seen, "an object with parts such as training, method and plan")
    _require(_count(seen) <= MOST_SETTINGS, "settings", seen,
             f"up to {MOST_SETTINGS} entries, nested at most {DEEPEST_SETTING} times: {_PLAIN}")
    return seen


def _count(value: object, deepest: int = DEEPEST_SETTING) -> float:
    """How many plain values there are in one; infinite where one is not plain, too long, or nested too deeply."""
    if isinstance(value, (dict, list)):
        inner = [*value, *value.values()] if isinstance(value, dict) else value
        return 1 + sum(_count(entry, deepest - 1) for entry in inner) if deepest else math.inf
    if isinstance(value, str):
        return 1 if len(value) <= LONGEST_TEXT else math.inf
    return 1 if value is None or isinstance(value, bool) or _is_number(value) else math.inf


def _is_number(seen: object) -> bool:
    return type(seen) in (int, float) and abs(seen) <= 1e18


def _is_path(seen: object) -> bool:
    """Whether a value can be asked of the system as a path."""
    if not isinstance(seen, str) or not seen.strip() or len(seen) > LONGEST_PATH:
        return False
    if any(unicodedata.category(letter) == "Cc" for letter in seen):
        return False
    try:
        os.fsencode(seen)
    except UnicodeError:
        return False
    return True
