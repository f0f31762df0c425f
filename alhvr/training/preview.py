"""Previews: at each validation one held-out case and one scan of the archive, segmented, with their regions."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alhvr.bundle.model import InferenceSettings
from alhvr.core.errors import Cancelled, UserError
from alhvr.core.files import shown, write_json
from alhvr.core.progress import Reporter, in_words
from alhvr.core.system import explained
from alhvr.data.case_io import read_case
from alhvr.data.cases import Case
from alhvr.data.reading_process import ReadingProcess
from alhvr.export.formats import write_nrrd
from alhvr.export.volumes import FAST, SEGMENTATION_ENDING, new_file, write_segmentation
from alhvr.formats.project import home_of
from alhvr.inference.backends import Backend
from alhvr.inference.predictor import Predictor
from alhvr.training.run_folder import RunFolder
from alhvr.training.setup import RunSetup

KEPT = 10
"""Of the previews of a run, the last ones."""
MOST_SHARE, ALWAYS_S = 0.1, 30.0
"""Of the time of a run, what its previews may take, and what they may take of any run."""
_FOLDER = re.compile("[0-9]{8,}")
_ROLES = {"held-out": "held-out case", "archive": "scan of the archive"}
_COSTS_A_PREVIEW = (UserError, OSError, MemoryError, RuntimeError, ValueError, EOFError)


@dataclass(frozen=True)
class _Subject:
    """A case that is shown."""

    role: str
    """One of _ROLES."""
    case: Case
    file_name: str
    """What its files are called after."""


class PreviewWriter:
    """Writes RUN/previews/00001200/, the number is the iteration: segmentation and regions of each case shown.

    It draws nothing from the random state of the run. What cannot be read, or not be written, costs a preview and one
    warning, never the run.
    """

    def __init__(self, setup: RunSetup, run: RunFolder, reporter: Reporter) -> None:
        self._setup, self._reporter = setup, reporter
        self._folder = run.path / "previews"
        self._home = home_of(run.path)
        self._reading = ReadingProcess()
        self._warned: set[str] = set()
        self._subjects = _subjects(setup, self._warn_once)
        self._spent_s = self._last_s = 0.0

    def forget_after(self, iteration: int) -> None:
        """Removes previews later than ``iteration``: they are made again when a killed run is resumed."""
        for folder in self._written():
            if int(folder.name) > iteration:
                shutil.rmtree(folder, ignore_errors=True)

    def write(self, backend: Backend, iteration: int, elapsed_s: float, should_stop: Callable[[], bool]) -> None:
        """The preview of the networks in ``backend``; none where previews take too much of the run.

        Raises Cancelled when ``should_stop`` says so, with nothing left behind.
        """
        if self._spent_s and self._spent_s + self._last_s > max(ALWAYS_S, MOST_SHARE * elapsed_s):
            self._warn_once("time", f"The preview takes {in_words(self._last_s)}, so it is not made at each "
                            f"validation: all together may take {MOST_SHARE:.0%} of the time.")
            return
        began_at = time.monotonic()
        try:
            self._write(backend, iteration, elapsed_s, should_stop)
        except _COSTS_A_PREVIEW as error:
            self._warn_once("folder", f"There is no preview: {explained(error) or error}")
        self._last_s = time.monotonic() - began_at
        self._spent_s += self._last_s

    def _write(self, backend: Backend, iteration: int, elapsed_s: float, should_stop: Callable[[], bool]) -> None:
        if self._folder.is_symlink():
            raise UserError(f"{shown(self._folder)} is a link.", "Remove it.")
        self._folder.mkdir(exist_ok=True)
        for rest in self._folder.glob(".*.partial"):
            shutil.rmtree(rest, ignore_errors=True)
        stage = self._folder / f".{secrets.token_hex(8)}.partial"
        stage.mkdir()
        try:
            cases = [entry for subject in self._subjects
                     if (entry := self._draw(subject, backend, stage, should_stop)) is not None]
            if cases:
                write_json(stage / "preview.json", {"iteration": iteration, "elapsed_s": round(elapsed_s, 1),
                                                    "cases": cases})
                target = self._folder / f"{iteration:08d}"
                shutil.rmtree(target, ignore_errors=True)
                stage.rename(target)
        finally:
            shutil.rmtree(stage, ignore_errors=True)
        for old in self._written()[:-KEPT]:
            shutil.rmtree(old, ignore_errors=True)

    def _draw(self, subject: _Subject, backend: Backend, stage: Path, should_stop: Callable[[], bool],
              ) -> dict[str, Any] | None:
        """Writes the files of one case and says which; None where it cannot be read or segmented."""
        setup, config = self._setup, self._setup.config
        settings = InferenceSettings(fusion="mean", mirror=False, largest_component=False, beta=config.method.beta,
                                     perturbation_seed=config.training.seed, temperature=config.method.temperature)
        predictor = Predictor(backend, setup.plan, setup.labels, settings)
        name = subject.file_name
        try:
            scan = read_case(subject.case, read=self._reading.read_scan)
            predictor.require_memory(scan.geometry, regions=True)
            found = predictor.segment(scan, regions=True, should_stop=should_stop)
            write_segmentation(stage / f"{name}{SEGMENTATION_ENDING}", found.segmentation)
            with new_file(stage / f"{name}.regions.nrrd") as file:
                write_nrrd(file, found.regions.region, scan.geometry, level=FAST)
        except Cancelled:
            raise
        except _COSTS_A_PREVIEW as error:
            self._warn_once(subject.role, f"There is no preview of the {_ROLES[subject.role]} "
                            f"{shown(subject.case.name)}: {explained(error) or error}")
            return None
        return {"name": subject.case.name, "role": subject.role, "image": self._stored(subject.case.image),
                "segmentation": f"{name}{SEGMENTATION_ENDING}", "regions": f"{name}.regions.nrrd"}

    def _stored(self, image: Path) -> str:
        """How a path is written down: relative to the project that the run lies in, where it is inside of it."""
        image = Path(os.path.abspath(image))
        inside = self._home is not None and image.is_relative_to(self._home)
        return image.relative_to(self._home).as_posix() if inside else str(image)

    def _written(self) -> list[Path]:
        """The previews that there are, the oldest first."""
        with suppress(OSError):
            if not self._folder.is_symlink():
                found = [path for path in self._folder.iterdir() if _FOLDER.fullmatch(path.name)]
                return sorted(found, key=lambda path: int(path.name))
        return []

    def _warn_once(self, about: str, sentence: str) -> None:
        if about not in self._warned:
            self._warned.add(about)
            self._reporter.warning(sentence)


def _subjects(setup: RunSetup, warn: Callable[[str, str], None]) -> tuple[_Subject, ...]:
    """The cases to show: those that the settings name, else the first of each part."""
    wish, found = setup.config.preview, []
    parts = (("held-out", setup.validation, wish.held_out), ("archive", setup.unlabeled, wish.archive))
    for role, cases, name in parts:
        chosen = [case for case in cases if case.name == name]
        if name is not None and cases and not chosen:
            warn(f"name of {role}", f'The {_ROLES[role]} "{shown(name)}" that is to be shown is not there; '
                 f"{shown(cases[0].name)} is shown.")
        case = next(iter((*chosen, *cases)), None)
        if case is not None:
            file_name = f"{case.name}-archive" if any(case.name == other.case.name for other in found) else case.name
            found.append(_Subject(role, case, file_name))
    return tuple(found)
