"""Folders of predictions and references in, a Report out: matched by name, compared only on the same grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from alhvr.core.errors import UserError
from alhvr.core.progress import Reporter, SilentReporter
from alhvr.data.case_io import uncropped
from alhvr.data.geometry import Geometry
from alhvr.evaluation.metrics import ABSENT, ABSENT_PAPER, UNKNOWN, ClassScore, present_values, score
from alhvr.evaluation.results import CaseScores, Report
from alhvr.evaluation.sides import Naming, Side, find_predictions, find_references, match_names, read_side, say_mapped
from alhvr.formats.labels import NO_VALUE, LabelSet

__all__ = ["Report", "evaluate_folders"]


def evaluate_folders(
    predictions: Path,
    reference: Path,
    *,
    labels: LabelSet | None = None,
    paper_metrics: bool = False,
    not_annotated: int | None = None,
    reporter: Reporter | None = None,
) -> Report:
    """Scores every reference whose name a file in ``predictions`` has; endings may differ.

    ``reference`` is a folder of label files or a cases folder. Structures are those of ``labels``; without it, every
    label value in either folder, named by labels.json, dataset.json or .seg.nrrd headers. Values that have names go by
    these, whatever their numbers. A case on differing grids, with names that contradict those of the others, or without
    a readable file on both sides, is named with the reason in Report.skipped, and the others go on.
    Where a reference has the value ``not_annotated``, or that of nnU-Net's "ignore", nothing is scored, and neither are
    structures that cases.json beside the references says nobody annotated in a case.
    Raises UserError when no case can be scored.
    """
    references, found = find_references(Path(reference)), find_predictions(Path(predictions))
    naming = match_names(labels, references, found)
    if not_annotated in (labels.values if labels else naming.listed):
        raise UserError(f"Value {not_annotated} is a structure, and --not-annotated says that it is not annotated.",
                        "Give another value, or leave it out.")
    reporter = reporter or SilentReporter()
    scored: dict[str, _Scored] = {}
    skipped: dict[str, str] = {}
    for done, name in enumerate(sorted(references.files), start=1):
        try:
            pair = read_pair(name, found, references, naming, not_annotated)
            scored[name] = _score_case(pair, labels, paper_metrics)
        except UserError as error:
            skipped[name] = str(error)
        reporter.progress("scoring", done, len(references.files))
    if not scored:
        name, reason = next(iter(skipped.items()))
        raise UserError(f"No case of {reference} can be scored; the first, {name}: {reason}")
    labels = labels or _label_set(list(scored.values()), naming)
    return Report(
        structures=labels.names,
        cases=tuple(CaseScores(name, entry.by_name(labels, paper_metrics)) for name, entry in scored.items()),
        skipped=skipped,
        distance_unit="voxels" if paper_metrics or all(entry.nominal for entry in scored.values()) else "mm",
        paper_metrics=paper_metrics,
        warnings=(*naming.notes, *_say_mapped(scored), *_unmatched(found.files, references.files), *_nominal(scored),
                  *_partly(scored)),
    )


@dataclass(frozen=True)
class _Scored:
    """One case, scored by label value."""

    by_value: dict[int, ClassScore]
    nominal: bool
    """The grid has 1 mm on every axis, so the true spacing may be unknown."""
    is_partial: bool
    """Only a part of the reference is annotated."""
    mapped: str
    """Which value of a file became another by its name; empty for none."""

    def by_name(self, labels: LabelSet, paper_metrics: bool) -> dict[str, ClassScore]:
        """Every structure of ``labels``; those that this case lacks on both sides too."""
        absent = ABSENT_PAPER if paper_metrics else ABSENT
        return {label.name: self.by_value.get(label.value, absent) for label in labels.labels}


@dataclass(frozen=True)
class CasePair:
    """A prediction and its reference on one grid; 0 in both where nobody annotated anything."""

    found: np.ndarray
    """Label values [K, J, I]."""
    true: np.ndarray
    geometry: Geometry
    gaps: tuple[int, ...]
    """Values of structures that are not annotated."""
    is_partial: bool
    mapped: str
    """Which value of a file became another by its name; empty for none."""
    known: np.ndarray
    """bool [K, J, I]: annotated, and the prediction is no structure of ``gaps``."""


def read_pair(case: str, predictions: Side, references: Side, naming: Naming, not_annotated: int | None) -> CasePair:
    """Raises UserError unless there is one readable file on both sides, on the same grid, with names that agree."""
    paths = (predictions.only(case, "prediction"), references.only(case, "reference"))
    if case in naming.clashes:
        raise UserError(naming.clashes[case])
    found = read_side(paths[0], naming.predictions, None)
    true = uncropped(paths[1], read_side(paths[1], naming.references, not_annotated), lambda: found.geometry)
    difference = true.geometry.difference(found.geometry)
    if difference:
        raise UserError(f"reference and prediction lie on different grids: {difference}.")
    unknown = true.array == (NO_VALUE if not_annotated is None else not_annotated)
    if unknown.all():
        raise UserError("nothing is annotated in the reference.")
    arrays = (found.array, true.array)
    if unknown.any():
        arrays = tuple(np.where(unknown, 0, array).astype(array.dtype) for array in arrays)
    gaps = naming.gaps.get(case, ())
    mapped = next(filter(None, (say_mapped(path, naming.names) for path in paths)), "")
    return CasePair(*arrays, true.geometry, gaps, bool(gaps) or bool(unknown.any()), mapped,
                    ~unknown & ~np.isin(found.array, gaps))


def _score_case(pair: CasePair, labels: LabelSet | None, paper_metrics: bool) -> _Scored:
    values = set(labels.values) if labels else present_values(pair.found) | present_values(pair.true)
    by_name: dict[str, ClassScore] = {}
    if values:
        wanted = LabelSet.from_names({value: str(value) for value in values})
        spacing_kji = pair.geometry.spacing_mm[::-1]
        by_name = score(pair.found, pair.true, wanted, spacing_kji, paper_metrics=paper_metrics)
    by_value = {int(name): entry for name, entry in by_name.items()} | dict.fromkeys(pair.gaps, UNKNOWN)
    return _Scored(by_value, pair.geometry.nominal, pair.is_partial, pair.mapped)


def _label_set(scored: Sequence[_Scored], naming: Naming) -> LabelSet:
    """All values that the references list or that occur; a name used twice gets its value added."""
    values = {value for entry in scored for value in entry.by_value} | naming.listed.keys()
    if not values:
        raise UserError("Every label is empty (value 0 everywhere) in both folders.", "Give segmentations.")
    called = {value: naming.names.get(value, f"label {value}") for value in sorted(values)}
    used = list(called.values())
    return LabelSet.from_names({v: name if used.count(name) == 1 else f"{name} ({v})" for v, name in called.items()})


def _say_mapped(scored: Mapping[str, _Scored]) -> list[str]:
    """Says that the files number their structures differently."""
    mapped = [entry.mapped for entry in scored.values() if entry.mapped]
    more = f"; likewise in {len(mapped) - 1} more" if len(mapped) > 1 else ""
    return [f"Label values go by name: {mapped[0]}{more}."] if mapped else []


def _unmatched(found: Mapping[str, list[Path]], references: Mapping[str, list[Path]]) -> list[str]:
    """Says which predictions nobody has a reference for; NAME.regions and the like belong to NAME."""
    others = [name for name in found if name not in references and name.rpartition(".")[0] not in references]
    return [f"{len(others)} predictions have no reference, among them {', '.join(others[:5])}."] if others else []


def _partly(scored: Mapping[str, _Scored]) -> list[str]:
    """Says where only a part was scored."""
    partly = [name for name, entry in scored.items() if entry.is_partial]
    if not partly:
        return []
    return [f"In {len(partly)} references only a part is annotated, and only that is scored; distances are measured "
            f"within it: {', '.join(partly[:5])}."]


def _nominal(scored: Mapping[str, _Scored]) -> list[str]:
    """Says so when some, but not all, of the grids may have no true spacing."""
    nominal = [name for name, entry in scored.items() if entry.nominal]
    if len(nominal) in (0, len(scored)):
        return []
    return [f"{len(nominal)} cases have voxels of exactly 1 mm, perhaps no true spacing: {', '.join(nominal[:5])}."]
