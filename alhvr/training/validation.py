"""Validation on whole scans, with the predictor and the backend that users get."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from alhvr.bundle.model import InferenceSettings
from alhvr.core.errors import UserError
from alhvr.core.progress import Reporter
from alhvr.data.case_io import LabelDecoder, read_case
from alhvr.data.cases import Case
from alhvr.data.plan import Plan
from alhvr.data.reading_process import ReadingProcess
from alhvr.evaluation.metrics import dice_by_class
from alhvr.formats.labels import NOT_ANNOTATED
from alhvr.inference.backends import Backend, backend_of_graphs
from alhvr.inference.postprocess import keep_largest_component
from alhvr.inference.predictor import Predictor
from alhvr.inference.torch_backend import TorchBackend
from alhvr.networks.group import NetworkGroup
from alhvr.training.checked_graphs import OnnxExportError, checked_graphs
from alhvr.training.device import Compute

CLEANED = "+largest component"


@dataclass(frozen=True)
class ValidationScore:
    """Dice of one way to segment, per class and over classes, each a mean over the validation cases."""

    by_class: dict[str, float]
    """Without classes that no validation case has annotated."""
    mean: float
    n_partly: int = 0
    """Cases that are annotated in part only, and scored where they are."""


@dataclass(frozen=True)
class Validator:
    """The held-out cases and how to segment them."""

    cases: Sequence[Case]
    plan: Plan
    annotation: LabelDecoder
    settings: InferenceSettings
    should_stop: Callable[[], bool]
    reporter: Reporter
    reading: ReadingProcess = field(default_factory=ReadingProcess)
    """Reads the scans, so that one that is damaged since the check cannot end the run without a word."""

    def score(self, backend: Backend, rules: Sequence[str] = ("mean",), *, cleaned: bool = False,
              ) -> dict[str, ValidationScore]:
        """Scores every fusion rule ("mean", "competition", or one network: "a", "b").

        With ``cleaned``, each rule is also scored with the largest component per class, as RULE+CLEANED.
        Raises Cancelled when should_stop says so.
        """
        labels = self.annotation.labels
        predictor = Predictor(backend, self.plan, labels, self.settings)
        rows: dict[str, list[np.ndarray]] = {}
        n_partly = 0
        for done, case in enumerate(self.cases):
            self.reporter.progress("validating", done, len(self.cases))
            scan = read_case(case, read=self.reading.read_scan)
            reference = _Reference(self.annotation.read(case, scan.geometry), self.annotation.missing_classes(case))
            n_partly += reference.is_partial
            found = predictor.segment_all(scan, rules=rules, should_stop=self.should_stop)
            if cleaned:
                classes = range(1, labels.n_classes)
                found |= {rule + CLEANED: keep_largest_component(seen, classes) for rule, seen in found.items()}
            for rule, seen in found.items():
                rows.setdefault(rule, []).append(reference.dice(seen, labels.n_classes))
        self.reporter.progress("validating", len(self.cases), len(self.cases))
        return {rule: self._summary(np.array(dice), n_partly) for rule, dice in rows.items()}

    def _summary(self, dice: np.ndarray, n_partly: int) -> ValidationScore:
        """Mean over cases of ``dice`` [cases, classes - 1], nan where a class is not annotated in a case."""
        scored = ~np.isnan(dice).all(axis=0)
        by_class = {name: round(float(np.nanmean(column)), 5)
                    for name, column, known in zip(self.annotation.labels.names, dice.T, scored, strict=True) if known}
        return ValidationScore(by_class, round(float(np.nanmean(dice)), 5) if by_class else 0.0, n_partly)


@dataclass(frozen=True)
class _Reference:
    """The label of one case, and what it leaves open."""

    array: np.ndarray
    """uint8 [K, J, I] of class indices, or NOT_ANNOTATED."""
    missing: tuple[int, ...]
    """Classes that are not annotated in this case."""

    @property
    def is_partial(self) -> bool:
        """True when anything is not annotated."""
        return bool(self.missing) or bool((self.array == NOT_ANNOTATED).any())

    def dice(self, found: np.ndarray, n_classes: int) -> np.ndarray:
        """Dice [classes - 1] of ``found`` [K, J, I] where something is annotated; nan for missing classes.

        Nothing annotated at all is nan for every class: two empty arrays would be a perfect match.
        """
        known = self.array != NOT_ANNOTATED
        if not known.any():
            return np.full(n_classes - 1, np.nan)
        scores = np.array(dice_by_class(found * known, self.array * known, n_classes))
        scores[[index - 1 for index in self.missing]] = np.nan
        return scores


def scoring_backend(networks: NetworkGroup, graphs: Mapping[str, bytes] | None, compute: Compute,
                    reporter: Reporter) -> Backend:
    """The ``graphs`` of ``networks`` on the CPU; PyTorch on a GPU, where there are no graphs, or they cannot be run.

    On the CPU in fp32, with the run's own number of threads, so that a resumed run finds the same scores.
    """
    if compute.device != "cpu":
        return TorchBackend(networks, compute.device, compute.precision)
    if graphs:
        try:
            return backend_of_graphs(graphs, threads=compute.threads, exact=True)
        except UserError as error:
            reporter.warning(f"The ONNX files cannot be run here, so PyTorch validates: {error}")
    return TorchBackend(networks, "cpu", "fp32")


class ScoringBackends:
    """Scoring backends of networks that still learn; says once where they cannot be had as ONNX."""

    def __init__(self, compute: Compute, reporter: Reporter) -> None:
        self._compute, self._reporter = compute, reporter
        self._has_warned = False

    def of(self, networks: NetworkGroup) -> Backend:
        """A backend with the weights that ``networks`` have now."""
        graphs = self._graphs(networks) if self._compute.device == "cpu" else None
        return scoring_backend(networks, graphs, self._compute, self._reporter)

    def _graphs(self, networks: NetworkGroup) -> dict[str, bytes] | None:
        try:
            return checked_graphs(networks)
        except OnnxExportError as error:
            if not self._has_warned:
                self._reporter.warning(f"{error} PyTorch validates instead. If this stays so, the finished model will "
                                       "need PyTorch for segmenting.")
            self._has_warned = True
            return None
