"""``alhvr compare`` in one call: a training with labels only, one with the archive, and what the archive changed.

Everything is decided once, from one check of the data: both trainings have the same plan, seed, settings, held-out
cases and length, and each is an ordinary run in a folder of its own, with previews. RUN/compare.json says what was
asked for and how far it is, so that a comparison that was stopped or killed goes on where it was.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from alhvr.bundle.model import Model, read_model
from alhvr.checking.context import RunContext
from alhvr.checking.rules.duplicates import patient_of_each
from alhvr.comparison.outcome import BEFORE, NAMES, CaseOutcome, Outcome, Training, outcome_record, sentences
from alhvr.comparison.page import write_page
from alhvr.comparison.scoring import CaseScore, Scorer, knows_any, patients_of
from alhvr.config import RunConfig, to_dict
from alhvr.core.errors import Cancelled, UserError
from alhvr.core.files import write_json, write_refused, written_by_name
from alhvr.core.progress import Reporter, SilentReporter
from alhvr.data.reading import read_label
from alhvr.formats.project import ARCHIVE, ARMS, LABELS_ONLY
from alhvr.training.device import memory_as_user_error
from alhvr.training.run import TrainRequest, checked_setup, go_on, require_empty
from alhvr.training.run_folder import (
    COMPARE_FILE,
    RecordingReporter,
    RunFolder,
    read_setup,
    resume_command,
    write_setup,
)
from alhvr.training.run_life import NothingToFinish, RunLife
from alhvr.training.setup import RunSetup, without_archive

OUTCOME, HELD_OUT = "outcome.json", "held-out"
FORMAT = "alhvr comparison 1"
_ONE_FILE = (".nii", ".nii.gz", ".nrrd", ".mha")
"""Endings of labels that are one file each."""


@dataclass(frozen=True)
class CompareRequest:
    """What ``alhvr compare`` was asked for."""

    train: TrainRequest
    """What is trained, and where the comparison lies (``out``)."""
    with_labels_only: bool = True
    """Also train without the archive; False trains once."""


@dataclass(frozen=True)
class CompareResult:
    """A finished comparison."""

    run: Path
    outcome: Outcome
    files: tuple[Path, Path]
    """outcome.json and its page."""


def compare(request: CompareRequest, reporter: Reporter) -> CompareResult:
    """Trains each arm, or goes on with it, scores all on the held-out cases and writes the outcome.

    Raises UserError for what the user can fix, Cancelled when it was asked to pause (all is saved).
    """
    asked = request.train
    run = RunFolder(asked.out)
    if asked.resume and not (run.path / COMPARE_FILE).exists():
        raise UserError(f"{run.path} holds no comparison to resume.",
                        "Give the --out folder of an earlier `alhvr compare`, or leave out --resume.")
    run.create()
    with run.locked():
        if not asked.resume:
            _require_empty(run)
        with RunLife(run.path, resume_command(run.path, "compare")) as life, memory_as_user_error():
            return _Comparison(request, run, reporter, life).run()


def _require_empty(run: RunFolder) -> None:
    """Raises UserError where a comparison, or a run, is there already; one that was refused by its check may be."""
    require_empty(run)
    record = run.read_json(COMPARE_FILE) if (run.path / COMPARE_FILE).exists() else {"arms": []}
    begun = any((run.path / arm / "checkpoints").exists() for arm in ARMS)
    if not isinstance(record, dict) or record.get("arms") != [] or begun or (run.path / OUTCOME).exists():
        raise UserError(f"{run.path} already holds a comparison.",
                        "Add --resume to go on with it, or choose another --out folder.")


class _Comparison:
    """A comparison under way; ``record`` is what compare.json says."""

    def __init__(self, request: CompareRequest, run: RunFolder, reporter: Reporter, life: RunLife) -> None:
        self._request, self._run, self._told, self._life = request, run, reporter, life
        self._reporter = RecordingReporter(reporter, run)
        self.record: dict[str, Any] = {}

    def run(self) -> CompareResult:
        """See ``compare``."""
        self.record = self._run.read_json(COMPARE_FILE) if self._request.train.resume else _asked(self._request)
        if not self._is_planned():
            self._plan()
        trained = [arm for arm in self.record["arms"] if self._train(arm)]
        self._life.arm = ""
        if not trained:
            raise NothingToFinish("Nothing was learnt yet, so there is no model to keep.")
        return self._conclude(trained)

    def _is_planned(self) -> bool:
        """Whether all that is to be trained was decided; raises UserError for a compare.json that is damaged."""
        arms, done, patients = (self.record.get(name) for name in ("arms", "done", "patients")) if isinstance(
            self.record, dict) and self.record.get("format") == FORMAT else (None, None, None)
        good = isinstance(arms, list) and all(arm in ARMS for arm in arms) and isinstance(done, dict)
        good = good and isinstance(patients, dict) and all(isinstance(who, str) for who in patients.values())
        if not good:
            raise UserError(f"{self._run.path / COMPARE_FILE} is damaged.", "Start a new comparison.")
        return bool(arms)

    def _plan(self) -> None:
        """Checks the data and makes a run of each arm, ready to begin; only then compare.json names the arms."""
        asked = _train_request(self.record, self._request) if self._request.train.resume else self._request.train
        self._save()
        wants_both = bool(self.record["with_labels_only"])
        asked = replace(asked, config=replace(asked.config, preview=replace(asked.config.preview, write=True)))
        context = RunContext(self._reporter, self._life.should_leave)
        try:
            checked = checked_setup(asked, context, trainings=1 + wants_both)
        except Cancelled:
            raise Cancelled("Stopped before the training began. "
                            f"Go on with: {self._life.resume_command}") from None
        setup, setups = checked.setup, {}
        if wants_both or not setup.unlabeled:
            setups[LABELS_ONLY] = without_archive(setup, checked.found)
        if setup.unlabeled:
            setups[ARCHIVE] = setup
        elif asked.unlabeled:
            self._reporter.warning("No scan of the archive is used, so there is one training, and nothing to compare "
                                   "it with.")
        labels = _copied_labels(setup, Path(os.path.abspath(self._run.path)) / "labels")
        for arm, one in setups.items():
            write_setup(self._folder(arm), _with_labels(one, labels))
        held_out = {case.name for case in setup.validation}
        facts = [f for f in checked.found.facts if f.part != "unlabeled" and f.case.name in held_out]
        groups = [[f.case.name for f in group] for group in patient_of_each(facts).values()]
        self.record |= {"arms": list(setups), "patients": patients_of(setup.validation, groups)}
        self._save()

    def _train(self, arm: str) -> bool:
        """Trains an arm to its end; False where it was asked to finish before it began."""
        folder, life = self._folder(arm), self._life
        if self.record["done"].get(arm) is True and folder.model.exists():
            return True
        if life.should_finish():
            return folder.model.exists()
        life.arm = arm
        self._reporter.note(f"Training {NAMES[arm]} ..." if arm == ARCHIVE else f"Training with {NAMES[arm]} ...")
        try:
            with folder.locked():
                result = go_on(folder, _device_of(self._request.train.config), _ArmReporter(self._told, arm), life)
        except NothingToFinish:
            return folder.model.exists()
        self.record["done"][arm] = result.is_done
        self._save()
        return True

    def _conclude(self, trained: list[str]) -> CompareResult:
        """Scores the models, judges, and writes the outcome."""
        setup = read_setup(self._folder(trained[0]))
        scorer = Scorer(setup, self._reporter, self._life.should_pause)
        found: dict[str, tuple[CaseScore, ...]] = {}
        start = self._start(setup)
        if start is not None:
            found[BEFORE] = scorer.score(start, self._run.path / HELD_OUT / BEFORE)
        for arm in trained:
            model = read_model(self._folder(arm).model)
            found[arm] = scorer.score(model, self._run.path / HELD_OUT / arm)
        outcome = self._outcome(setup, found, trained)
        files = self._write(outcome, setup)
        self._reporter.note(" ".join(sentences(outcome)))
        for kind, path in zip(("outcome", "outcome page"), files, strict=True):
            self._reporter.artifact(kind, str(path))
        return CompareResult(self._run.path, outcome, files)

    def _start(self, setup: RunSetup) -> Model | None:
        """The model that the trainings began from, where it can be scored; what became of it costs no outcome."""
        if setup.start_from is None:
            return None
        try:
            start = read_model(Path(setup.start_from))
        except (UserError, OSError) as error:
            self._reporter.warning(f"The model that the training began from is not scored: {error}")
            return None
        return start if knows_any(start, setup.labels) else None

    def _outcome(self, setup: RunSetup, found: dict[str, tuple[CaseScore, ...]], trained: list[str]) -> Outcome:
        cases = []
        for number, case in enumerate(setup.validation):
            scored = {arm: scores[number] for arm, scores in found.items()}
            files = {arm: self._relative(one.segmentation) for arm, one in scored.items() if one.segmentation}
            cases.append(CaseOutcome(case.name, self.record["patients"].get(case.name, case.name),
                                     {arm: one.scores for arm, one in scored.items()}, files))
        nominal = [one.is_nominal for scores in found.values() for one in scores]
        return Outcome(setup.labels.names, tuple(cases), {arm: self._cost(arm) for arm in trained},
                       "voxels" if nominal and all(nominal) else "mm")

    def _cost(self, arm: str) -> Training:
        record = read_model(self._folder(arm).model).description.training
        return Training(record["minutes"], record["iterations"], record["best_iteration"],
                        self._relative(self._folder(arm).model), self.record["done"].get(arm) is True)

    def _write(self, outcome: Outcome, setup: RunSetup) -> tuple[Path, Path]:
        file = self._run.path / OUTCOME
        try:
            write_page(file.with_suffix(".html"), outcome, by_minutes=setup.config.training.minutes is not None)
            write_json(file, outcome_record(outcome))
        except OSError as error:
            raise write_refused(error, Path(error.filename or file)) from error
        return file, file.with_suffix(".html")

    def _save(self) -> None:
        self._run.write_json(COMPARE_FILE, self.record)

    def _folder(self, arm: str) -> RunFolder:
        return RunFolder(self._run.path / arm)

    def _relative(self, path: Path) -> str:
        return path.relative_to(self._run.path).as_posix()


def _asked(request: CompareRequest) -> dict[str, Any]:
    """What compare.json says before anything is known of the data."""
    train = request.train

    def absolute(path: Path | None) -> str | None:
        return None if path is None else os.path.abspath(path)

    return {"format": FORMAT, "labeled": absolute(train.labeled), "unlabeled": list(map(absolute, train.unlabeled)),
            "validation": absolute(train.validation), "config": to_dict(train.config),
            "start_from": absolute(train.start_from), "with_labels_only": request.with_labels_only,
            "force": train.force, "arms": [], "done": {}, "patients": {}}


def _train_request(record: dict[str, Any], request: CompareRequest) -> TrainRequest:
    """What was asked for when the comparison was begun; raises UserError where compare.json does not tell.

    Folders that are given now, as those of a project that was moved, take the place of those.
    """
    config = RunConfig.of(**record["config"]) if isinstance(record.get("config"), dict) else RunConfig()
    config = replace(config, training=replace(config.training, device=request.train.config.training.device))
    paths = {name: record.get(name) for name in ("labeled", "validation", "start_from")}
    archive = record.get("unlabeled")
    if not isinstance(archive, list) or not all(isinstance(path, str | None) for path in (*paths.values(), *archive)):
        raise UserError(f"{request.train.out / COMPARE_FILE} is damaged.", "Start a new comparison.")
    given = {name: getattr(request.train, name) or (None if path is None else Path(path))
             for name, path in paths.items()}
    return TrainRequest(out=request.train.out, unlabeled=request.train.unlabeled or tuple(map(Path, archive)),
                        config=config, force=record.get("force") is True, **given)


def _copied_labels(setup: RunSetup, folder: Path) -> dict[Path, Path]:
    """A copy in ``folder`` of each label, by the label: whoever goes on labelling changes nothing in the trainings.

    Labels of several files, and those in the file of their scan, stay where they are. Raises UserError where the disk
    refuses.
    """
    copies: dict[Path, Path] = {}
    for part in ("labeled", "validation"):
        for case in getattr(setup, part):
            if case.label is None or case.label in case.images or not case.label.name.lower().endswith(_ONE_FILE):
                continue
            copy = folder / part / case.name / case.label.name
            try:
                copy.parent.mkdir(parents=True, exist_ok=True)
                with written_by_name(copy) as path:
                    shutil.copyfile(case.label, path)
            except OSError as error:
                raise write_refused(error, copy) from error
            with suppress(UserError):  # a header whose voxels lie in another file
                read_label(copy)
                copies[case.label] = copy
    return copies


def _with_labels(setup: RunSetup, copies: dict[Path, Path]) -> RunSetup:
    """``setup`` with these labels; what their values mean is that of the beginning."""
    cases = {part: tuple(replace(case, label=copies.get(case.label, case.label)) for case in getattr(setup, part))
             for part in ("labeled", "validation")}
    own = {str(copy) for copy in copies.values()}
    is_own = all(str(case.label) in own for part in cases.values() for case in part)
    return replace(setup, label_folders={} if is_own else setup.label_folders, **cases)


def _device_of(config: RunConfig) -> RunConfig:
    """Settings of which only the device is asked for: all others were decided at the beginning."""
    return RunConfig.of(training={"device": config.training.device})


class _ArmReporter(SilentReporter):
    """Passes on what an arm tells; its figures say which arm they are of."""

    def __init__(self, inner: Reporter, arm: str) -> None:
        self._inner, self._arm = inner, arm

    def progress(self, stage: str, done: int, total: int, seconds_left: float | None = None) -> None:
        """See Reporter.progress."""
        self._inner.progress(stage, done, total, seconds_left)

    def metrics(self, iteration: int, **values: Any) -> None:
        """See Reporter.metrics."""
        self._inner.metrics(iteration, arm=self._arm, **values)

    def artifact(self, kind: str, path: str) -> None:
        """See Reporter.artifact."""
        self._inner.artifact(kind, path)

    def note(self, message: str) -> None:
        """See Reporter.note."""
        self._inner.note(message)

    def warning(self, message: str) -> None:
        """See Reporter.warning."""
        self._inner.warning(message)
