"""Where the errors of labelled cases lie: results of ``alhvr segment --regions`` read, or a model run on the cases."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from alhvr.bundle.model import Model, read_model
from alhvr.core.errors import UserError, require
from alhvr.core.progress import Reporter, SilentReporter
from alhvr.core.system import explained
from alhvr.data.case_io import read_case
from alhvr.data.cases import Case, find_cases
from alhvr.data.geometry import Geometry
from alhvr.data.reading import read_label
from alhvr.evaluation.regions import (
    BETAS,
    ENTROPY,
    PROBABILITY,
    ErrorMaps,
    RegionErrors,
    RegionReport,
    find_errors,
)
from alhvr.evaluation.report import read_pair
from alhvr.evaluation.sides import Naming, find_predictions, find_references, match_names, of_cases, read_side
from alhvr.formats.labels import NO_VALUE
from alhvr.formats.region_tables import LEVELS
from alhvr.inference.predictor import PlainUncertainty, Predictor

_SEGMENT = "Segment the scans with --regions, or give --model in place of --predictions."
WITHOUT_MODEL = ("The files of a result do not hold the probabilities, so that the regions are not compared with "
                 "entropy; give --model in place of --predictions for that.")


@dataclass(frozen=True)
class RegionRequest:
    """What is asked of the cases."""

    reference: Path
    """Folder of label files, or cases folder; the latter for a model."""
    betas: tuple[float, ...] = BETAS
    not_annotated: int | None = None
    """Value of reference voxels that are not counted, beside nnU-Net's "ignore"."""
    device: str = "auto"

    def __post_init__(self) -> None:
        """Checks the ranges; raises UserError."""
        require(len(self.betas) > 0, "--beta", self.betas, "numbers above 0 and at most 1")
        for beta in self.betas:
            require(0 < beta <= 1, "--beta", beta, "numbers above 0 and at most 1")
        object.__setattr__(self, "betas", tuple(sorted(set(self.betas))))


def regions_of_results(predictions: Path, request: RegionRequest, reporter: Reporter | None = None) -> RegionReport:
    """The regions beside the segmentations in ``predictions``, against the references.

    A case without its confidence maps, or that ``alhvr evaluate`` could not score, is named with the reason and costs
    itself. Raises UserError when no case can be counted.
    """
    references, found = find_references(request.reference), find_predictions(predictions)
    naming = match_names(None, references, found)

    def count(name: str) -> tuple[RegionErrors, ...]:
        pair = read_pair(name, found, references, naming, request.not_annotated)
        con_a, con_b = (_confidence(predictions / f"{name}.confidence-{network}.nrrd", pair.geometry)
                        for network in "ab")
        return find_errors(ErrorMaps(con_a, con_b, pair.found != pair.true, pair.known), request.betas)

    return _gather(sorted(references.files), count, (*naming.notes, WITHOUT_MODEL), reporter)


def regions_of_model(model: Path, request: RegionRequest, reporter: Reporter | None = None) -> RegionReport:
    """The cases of a folder segmented by a model in memory, its regions and plain measures against their labels.

    Raises UserError when no case can be counted, and for a model of one network; ModelError as ``read_model``.
    """
    read = read_model(model)
    about = read.description
    if len(about.network.names) < 2:
        raise UserError("The regions are where two networks are unsure, and this model has one network, so that there "
                        "is nothing to compare.", "Give a model that ALHVR trained.")
    found = find_cases(request.reference, labeled=True, channels=about.plan.channels, strict=False)
    references = of_cases(found)
    work = _ModelWork(read, match_names(about.labels, references, references), request)
    cases = {case.name: case for case in found.cases}
    names = _gather(sorted(cases), lambda name: work.count(cases[name]), (), reporter)
    return RegionReport(names.cases, names.skipped, (*found.warnings, *work.notes()))


class _ModelWork:
    """Segments one case after the other."""

    def __init__(self, model: Model, naming: Naming, request: RegionRequest) -> None:
        self._labels, self._naming, self._request = model.description.labels, naming, request
        self._predictor = Predictor.from_model(model, device=request.device)
        self._unknown: set[int] = set()

    def count(self, case: Case) -> tuple[RegionErrors, ...]:
        """Raises UserError for a case that cannot be read or segmented, or whose label lies on another grid."""
        if case.name in self._naming.clashes:
            raise UserError(self._naming.clashes[case.name])
        scan = read_case(case)
        true = read_side(case.label, self._naming.references, self._request.not_annotated)
        difference = true.geometry.difference(scan.geometry)
        if difference:
            raise UserError(f"scan and label lie on different grids: {difference}.")
        self._predictor.require_memory(scan.geometry, regions=True)
        seen = self._predictor.segment(scan, regions=True, uncertainty=True)
        ignored = NO_VALUE if self._request.not_annotated is None else self._request.not_annotated
        gaps = self._naming.gaps.get(case.name, ())
        known = (true.array != ignored) & ~np.isin(seen.segmentation.array, gaps)
        truth = self._as_known(true.array, ignored)
        maps = ErrorMaps(seen.regions.confidence_a, seen.regions.confidence_b, seen.segmentation.array != truth, known,
                         _rules(seen.uncertainty))
        return find_errors(maps, self._request.betas)

    def _as_known(self, array: np.ndarray, ignored: int) -> np.ndarray:
        """The reference with background in place of structures that the model does not know."""
        strange = ~np.isin(array, (0, ignored, *self._labels.values))
        self._unknown |= set(np.unique(array[strange]).tolist())
        return np.where(strange, 0, array)

    def notes(self) -> Iterable[str]:
        """What people should know, one sentence each."""
        if self._unknown:
            called = ", ".join(self._naming.names.get(value, f"label {value}") for value in sorted(self._unknown)[:5])
            yield f"The model does not know {called}: counted as background."


def _rules(uncertainty: PlainUncertainty | None) -> dict[str, np.ndarray]:
    return {} if uncertainty is None else {ENTROPY: uncertainty.entropy, PROBABILITY: uncertainty.probability}


def _confidence(path: Path, geometry: Geometry) -> np.ndarray:
    """A confidence map, uint16 [K, J, I]; raises UserError where it is none, or lies on another grid."""
    if not path.is_file():
        raise UserError(f"{path.name} is not there.", _SEGMENT)
    volume = read_label(path)
    difference = geometry.difference(volume.geometry)
    if difference:
        raise UserError(f"{path.name} lies on another grid: {difference}.", _SEGMENT)
    if volume.array.min() < 0 or volume.array.max() > LEVELS:
        raise UserError(f"{path.name} has values outside 0 to {LEVELS}.", _SEGMENT)
    return volume.array.astype(np.uint16)


def _gather(names: Sequence[str], count: Callable[[str], tuple[RegionErrors, ...]], notes: Sequence[str],
            reporter: Reporter | None) -> RegionReport:
    """The report of all cases that could be counted; raises UserError where none could."""
    reporter = reporter or SilentReporter()
    counted: dict[str, tuple[RegionErrors, ...]] = {}
    skipped: dict[str, str] = {}
    for done, name in enumerate(names, start=1):
        try:
            counted[name] = count(name)
        except (UserError, OSError, MemoryError) as error:
            told = explained(error)
            skipped[name] = str(told or error)
        reporter.progress("finding errors", done, len(names))
    if not counted:
        name, reason = next(iter(skipped.items()))
        raise UserError(f"No case can be counted; the first, {name}: {reason}")
    return RegionReport(counted, skipped, tuple(notes))
