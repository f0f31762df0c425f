"""Scoring: every held-out case, segmented by a finished model as its users would, against its label."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from alhvr.bundle.model import Model
from alhvr.comparison.outcome import Scores, StructureScore
from alhvr.core.errors import UserError
from alhvr.core.progress import Reporter
from alhvr.data.case_io import read_case
from alhvr.data.cases import Case
from alhvr.data.reading_process import ReadingProcess
from alhvr.data.scan import Segmentation
from alhvr.evaluation.metrics import ClassScore, score
from alhvr.export.volumes import SEGMENTATION_ENDING, write_segmentation
from alhvr.formats.labels import NOT_ANNOTATED, LabelSet, folded
from alhvr.inference.predictor import Predictor
from alhvr.training.setup import RunSetup


@dataclass(frozen=True)
class CaseScore:
    """One case by one model."""

    case: str
    scores: Scores
    segmentation: Path | None
    """The file; None where the disk refused it."""
    is_nominal: bool
    """Its voxels may have no true spacing."""


@dataclass(frozen=True)
class Scorer:
    """The held-out cases of a comparison; models are run where its trainings were."""

    setup: RunSetup
    """Of any of the trainings: they have the same held-out cases."""
    reporter: Reporter
    should_stop: Callable[[], bool]
    reading: ReadingProcess = field(default_factory=ReadingProcess)

    def score(self, model: Model, folder: Path) -> tuple[CaseScore, ...]:
        """Every held-out case by ``model``, whose segmentations are kept in ``folder``.

        Structures that the model does not know are not scored. Raises UserError where a case cannot be read, Cancelled
        when should_stop says so.
        """
        compute = self.setup.compute
        predictor = Predictor.from_model(model, device=compute.device, threads=compute.threads)
        known = _known(model.description.labels, self.setup.labels)
        found = []
        for done, case in enumerate(self.setup.validation):
            self.reporter.progress("scoring", done, len(self.setup.validation))
            found.append(self._score(case, predictor, known, folder))
        self.reporter.progress("scoring", len(self.setup.validation), len(self.setup.validation))
        return tuple(found)

    def _score(self, case: Case, predictor: Predictor, known: dict[int, int], folder: Path) -> CaseScore:
        annotation = self.setup.annotation
        scan = read_case(case, read=self.reading.read_scan)
        segmentation = predictor.segment(scan, should_stop=self.should_stop).segmentation
        found = _translated(segmentation, known, annotation.labels)
        reference = annotation.read(case, scan.geometry)
        annotated = reference != NOT_ANNOTATED
        true = annotation.labels.to_values(np.where(annotated, reference, 0))
        scored = score(found.array * annotated, true, annotation.labels, scan.geometry.spacing_mm[::-1])
        lacking = {annotation.labels.names[index - 1] for index in annotation.missing_classes(case)}
        lacking |= {label.name for label in annotation.labels.labels if label.value not in known.values()}
        scores = {name: _plain(entry, is_known=name not in lacking and bool(annotated.any()))
                  for name, entry in scored.items()}
        return CaseScore(case.name, scores, self._kept(replace(found, name=case.name), folder), scan.geometry.nominal)

    def _kept(self, segmentation: Segmentation, folder: Path) -> Path | None:
        try:
            return write_segmentation(folder / f"{segmentation.name}{SEGMENTATION_ENDING}", segmentation)
        except UserError as error:
            self.reporter.warning(f"A segmentation of a held-out case is not kept: {error}")
            return None


def knows_any(model: Model, labels: LabelSet) -> bool:
    """Whether ``model`` knows any structure of ``labels``, by its name."""
    return bool(_known(model.description.labels, labels))


def _known(of_model: LabelSet, labels: LabelSet) -> dict[int, int]:
    """The value of ``labels`` for each value of a model's labels that has a structure of the same name."""
    values = {folded(label.name): label.value for label in labels.labels}
    return {label.value: values[folded(label.name)] for label in of_model.labels if folded(label.name) in values}


def _translated(segmentation: Segmentation, known: dict[int, int], labels: LabelSet) -> Segmentation:
    """The segmentation with the values of ``labels``; what has none becomes background."""
    array = np.zeros(segmentation.array.shape, dtype=labels.to_values(np.zeros(1, np.uint8)).dtype)
    for old, new in known.items():
        array[segmentation.array == old] = new
    return replace(segmentation, array=array, labels=labels)


def _plain(found: ClassScore, *, is_known: bool) -> StructureScore:
    if not is_known:
        return StructureScore(None, None)
    return StructureScore(found.dice, found.hd95_mm if math.isfinite(found.hd95_mm) else None, found.missing)


def patients_of(cases: Sequence[Case], groups: Sequence[Sequence[str]]) -> dict[str, str]:
    """Who each case is of, by its name: what cases.json says, else the first case of its group, else itself."""
    who = {case.name: case.name for case in cases}
    for group in groups:
        inside = [name for name in who if name in group]
        who |= dict.fromkeys(inside, inside[0] if inside else "")
    return who | {case.name: case.patient for case in cases if case.patient}
