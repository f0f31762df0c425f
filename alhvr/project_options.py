"""--project: the cases, archive and folders that a command takes from a project, and what beside it is refused.

A project folder may come from a stranger: what of it lies elsewhere is told before it is used.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from pathlib import Path

from alhvr.core.errors import UserError
from alhvr.core.files import shown
from alhvr.formats.project import OUTCOME_FILE, PROJECT_FILE, Project, models_of, read_project

RANKING, DECISIONS = "ranking.json", "decisions.jsonl"
"""In the folder of the review."""
_BEGUN = {"train": "run.json", "compare": "compare.json"}
"""The file that a run of each command has from its beginning on."""
_DONE = {"train": "model/manifest.json", "compare": OUTCOME_FILE}
"""The file that it has at its end."""


def project_of(options: argparse.Namespace) -> Project | None:
    """The project of ``options``, whose folders are put in the place of those that can be given; None without one.

    What is given beside it counts, but for what only the project can say: raises UserError for that, and for a project
    that cannot be read.
    """
    if options.project is None:
        return None
    project = read_project(options.project)
    out = _own_run(project, options)
    _refuse_beside(options, own_run=out is not None)
    if options.command == "rank":
        return _for_rank(options, project)
    options.labeled, options.unlabeled = project.cases_folder, list(project.archive_folders)
    if options.command == "check":
        options.out = options.out or project.folder / "check.json"
        return project
    options.out = out or (_unfinished(project, options.command) if options.resume else project.next_run())
    options.start_from = options.start_from or project.start_model
    return project


def places(project: Project) -> Iterator[str]:
    """A sentence on everything that the project takes from outside of its folder."""
    outside = [folder for folder in project.archive_folders if not folder.is_relative_to(project.folder)]
    if outside:
        yield f"The project takes its archive from {', '.join(shown(folder) for folder in outside)}."
    if project.start_model is not None and not project.start_model.is_relative_to(project.folder):
        yield f"The project begins from the model in {shown(project.start_model)}."


def _own_run(project: Project, options: argparse.Namespace) -> Path | None:
    """The run of this project that --out names, as a program does that keeps its output there; None for none."""
    if options.command in _BEGUN and options.out is not None:
        out = Path(os.path.abspath(options.out))
        if out.parent == project.runs_folder and out.name.isdigit():
            return out
    return None


def _refuse_beside(options: argparse.Namespace, *, own_run: bool) -> None:
    own = {"check": ("labeled", "unlabeled"), "rank": ("archive", "known")}
    names = own.get(options.command, ("labeled", "unlabeled", "config", "out"))
    given = [name for name in names if getattr(options, name, None) and not (own_run and name == "out")]
    if given:
        what = "ARCHIVE" if given[0] == "archive" else f"--{given[0]}"
        raise UserError(f"{what} is given beside --project, which has its own.",
                        f"Leave one of them out; what the project says stands in its {PROJECT_FILE}.")


def _unfinished(project: Project, command: str) -> Path:
    """The newest run of a command that began and is not done; raises UserError where there is none."""
    for number in reversed(project.runs()):
        run = project.run_folder(number)
        if (run / _BEGUN[command]).exists() and not (run / _DONE[command]).exists():
            return run
    raise UserError(f"There is no unfinished run of alhvr {command} in {shown(project.runs_folder)}.",
                    f"Leave out --resume to begin a new one: alhvr {command} --project {shown(project.folder)}")


def _for_rank(options: argparse.Namespace, project: Project) -> Project:
    """Fills the options of ``alhvr rank``."""
    if not project.archive:
        raise UserError(f"The project {shown(project.name)} has no archive.", "Add a folder of scans to it.")
    models = models_of(project)
    if options.model is None and not models:
        raise UserError(f"The project {shown(project.name)} has no model yet.", "Train first, or give --model.")
    options.model = options.model or models[0]
    options.archive, options.known = list(project.archive_folders), project.cases_folder
    options.out = options.out or project.review_folder / RANKING
    if options.round is None:
        options.round = max(1, len({_number(project, model) for model in models}))
    return project


def _number(project: Project, model: Path) -> str:
    """The run of a model in the project."""
    return model.relative_to(project.runs_folder).parts[0]
