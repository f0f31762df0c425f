"""Samples of generated CT scans: some with a small model that segments them, and a whole project to train on."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from alhvr.bundle.model import Model, read_model
from alhvr.core.errors import Cancelled, UserError, require
from alhvr.core.files import flush_folder, private_folder, write_json
from alhvr.core.progress import Countdown, Reporter
from alhvr.core.signals import StopRequest
from alhvr.data.scan import Segmentation
from alhvr.export.volumes import SEGMENTATION_ENDING, write_segmentation
from alhvr.formats.labels import LabelSet
from alhvr.formats.project import create_project
from alhvr.phantom.study import LABEL_NAMES, make_phantom, write_phantom_case

SEED = 87
"""Of the generated scans; the small model has seen none of them."""
SCANS = {"GeneratedCT1": 0, "GeneratedCT2": 1, "GeneratedCT3": 2}
"""Name of each scan, and its number."""
LABELED = "GeneratedCT1"
"""The scan whose true labels come with it."""
_STAGE = "making the sample"
STUDY_SEED = 23
"""Of the generated scans of the project to train on."""
STUDY_LABELED, STUDY_HELD_OUT, STUDY_ARCHIVE = 3, 2, 8
STUDY_MINUTES = 8.0
_MOST_ARCHIVE = 1000
STUDY_SETTINGS = {
    "training": {"learning_rate": 0.03},
    "plan": {"dimensions": 2, "target_spacing_mm": [5.0, 3.7, 3.7], "patch_size": [80, 96], "batch_size": 8,
             "modality": "CT"},
}
"""Slices of small scans, eight at a time: what two CPU cores can learn in minutes."""

ZIP = Path(__file__).with_name("model.zip")


@dataclass(frozen=True)
class SampleStudy:
    """What was made."""

    scans: tuple[Path, ...]
    labels: Path
    """The true labels of the first scan."""
    model: Path


def make_sample(out: Path, reporter: Reporter) -> SampleStudy:
    """Makes OUT/images, OUT/labels and OUT/model; they appear together when all are whole.

    Raises UserError when ``out`` holds something already or cannot be written, Cancelled on a signal.
    """
    _require_empty(out)
    with StopRequest() as stop, _filled_in_one_piece(out) as stage:
        countdown, total = Countdown(len(SCANS) + 1), len(SCANS) + 1
        model = unpack_model(stage / "model")
        reporter.progress(_STAGE, 1, total)
        for done, (name, number) in enumerate(SCANS.items(), start=2):
            if stop():
                raise Cancelled("Making the sample was cancelled.")
            _write_case(stage, name, (SEED, number), model.description.labels if name == LABELED else None)
            reporter.progress(_STAGE, done, total, countdown.seconds_left(done))
    study = SampleStudy(tuple(out / "images" / f"{name}.nii.gz" for name in SCANS),
                        out / "labels" / f"{LABELED}{SEGMENTATION_ENDING}", out / "model")
    for kind, paths in {"scan": study.scans, "labels": (study.labels,), "model": (study.model,)}.items():
        for path in paths:
            reporter.artifact(kind, str(path))
    return study


def make_study(out: Path, reporter: Reporter, *, archive: int | None = None) -> Path:
    """Makes a project to train on in ``out``: labelled and held-out cases, an archive, settings for a small computer.

    It appears when all is whole. ``archive``: number of its scans, left out STUDY_ARCHIVE. Raises UserError and
    Cancelled as ``make_sample``.
    """
    archive = STUDY_ARCHIVE if archive is None else archive
    require(1 <= archive <= _MOST_ARCHIVE, "--archive", archive, f"1 to {_MOST_ARCHIVE}")
    _require_empty(out)
    n_cases = STUDY_LABELED + STUDY_HELD_OUT
    total, labels = n_cases + archive, LabelSet.from_names(LABEL_NAMES)
    countdown = Countdown(total)
    held_out = {f"sample {number}": {"held_out": True} for number in range(STUDY_LABELED + 1, n_cases + 1)}
    with StopRequest() as stop, _filled_in_one_piece(out) as stage:
        project = create_project(stage, "Sample: abdominal CT").with_archive(stage / "archive")
        replace(project, minutes=STUDY_MINUTES, settings=STUDY_SETTINGS).write()
        for number in range(total):
            if stop():
                raise Cancelled("Making the sample was cancelled.")
            if number < n_cases:
                _write_case(project.cases_folder, f"sample {number + 1}", (STUDY_SEED, number), labels, ".nrrd")
            else:
                _write_case(stage / "archive", f"archive {number + 1 - n_cases}", (STUDY_SEED, number), None, ".nrrd")
            reporter.progress(_STAGE, number + 1, total, countdown.seconds_left(number + 1))
        write_json(project.cases_folder / "labels.json", LABEL_NAMES)
        write_json(project.cases_folder / "cases.json", {"cases": held_out})
    reporter.artifact("project", str(out))
    return out


def _require_empty(out: Path) -> None:
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out} already holds something.", "Choose another --out folder, or empty it first.")


def _write_case(folder: Path, name: str, seed_and_number: tuple[int, int], labels: LabelSet | None,
                ending: str = ".nii.gz") -> None:
    """One scan, and its true labels where there are to be any."""
    phantom = make_phantom(*seed_and_number)
    write_phantom_case(folder, replace(phantom, scan=replace(phantom.scan, name=name)), labeled=False, ending=ending)
    if labels is not None:
        truth = Segmentation(name, phantom.label, phantom.geometry, labels)
        write_segmentation(folder / "labels" / f"{name}{SEGMENTATION_ENDING}", truth)


@contextmanager
def _filled_in_one_piece(folder: Path) -> Iterator[Path]:
    """A hidden folder beside ``folder``, which is not there or empty, that becomes it at the end; gone otherwise.

    Where ``folder`` is there it stays, as somebody may stand in it, and what is in the hidden one moves in. Raises
    UserError where the disk refuses.
    """
    try:
        if not folder.absolute().parent.exists():
            folder.absolute().parent.mkdir(parents=True)
        with private_folder(folder.absolute().parent) as private:
            stage = private / folder.absolute().name
            stage.mkdir()
            yield stage
            if folder.exists():
                for part in sorted(stage.iterdir()):
                    os.replace(part, folder / part.name)
            else:
                os.replace(stage, folder)
            flush_folder(folder.absolute().parent)
    except OSError as error:
        raise UserError(f"The sample cannot be written to {folder}: {error.strerror or error}.",
                        "Free some disk space or choose another --out folder.") from error


def unpack_model(folder: Path) -> Model:
    """Unpacks the model into ``folder`` and verifies it; raises UserError where this installation has no whole one."""
    try:
        with zipfile.ZipFile(ZIP) as archive:
            archive.extractall(folder)
        return read_model(folder)
    except (FileNotFoundError, zipfile.BadZipFile, UserError) as error:
        raise UserError(f"The sample model {ZIP} is missing or damaged.", "Install alhvr again.") from error
