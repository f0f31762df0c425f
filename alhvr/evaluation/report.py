"""Folders of predictions and references in, a Report out: matched by name, compared only on the same grid."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from alhvr.data.cases import CaseSet, find_cases
from alhvr.data.geometry import Geometry
from alhvr.data.image_2d import PICTURE_ENDINGS
from alhvr.data.itk_file import read_segment_names
from alhvr.data.labels import LabelSet
from alhvr.data.reading import ENDINGS, is_image_file, read_label, scan_name
from alhvr.errors import UserError
from alhvr.evaluation.metrics import ABSENT, ABSENT_PAPER, UNKNOWN, ClassScore, present_values, score
from alhvr.evaluation.results import CaseScores, Report
from alhvr.progress import Reporter, SilentReporter

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
    label value in either folder, named by labels.json, dataset.json or .seg.nrrd headers. A case on differing grids, or
    without a readable file on both sides, is named with the reason in Report.skipped, and the others go on.
    Where a reference has the value ``not_annotated`` nothing is scored, and neither are structures that cases.json
    beside the references says nobody annotated in a case.
    Raises UserError when no case can be scored.
    """
    references, names, gaps = _find_references(Path(reference))
    if not_annotated in (labels.values if labels else names):
        raise UserError(f"Value {not_annotated} is a structure, and --not-annotated says that nobody annotated it.",
                        "Give another value, or leave it out.")
    found = _files_by_name(Path(predictions))
    reporter = reporter or SilentReporter()
    scored: dict[str, _Scored] = {}
    skipped: dict[str, str] = {}
    for done, (name, paths) in enumerate(sorted(references.items()), start=1):
        try:
            pair = _read_pair(found.get(name, []), paths, not_annotated, gaps.get(name, ()))
            scored[name] = _score_case(pair, labels, paper_metrics)
        except UserError as error:
            skipped[name] = str(error)
        reporter.progress("scoring", done, len(references))
    if not scored:
        name, reason = next(iter(skipped.items()))
        raise UserError(f"No case of {reference} can be scored; the first, {name}: {reason}")
    labels = labels or _label_set(list(scored.values()), names)
    return Report(
        structures=labels.names,
        cases=tuple(CaseScores(name, entry.by_name(labels, paper_metrics)) for name, entry in scored.items()),
        skipped=skipped,
        distance_unit="voxels" if paper_metrics or all(entry.nominal for entry in scored.values()) else "mm",
        paper_metrics=paper_metrics,
        warnings=(*_unmatched(found, references), *_nominal(scored), *_partly(scored)),
    )


@dataclass(frozen=True)
class _Scored:
    """One case, scored by label value."""

    by_value: dict[int, ClassScore]
    nominal: bool
    """The grid has 1 mm on every axis, so the true spacing may be unknown."""
    names: dict[int, str]
    """Names of label values from the headers of .seg.nrrd files."""
    is_partial: bool
    """Only a part of the reference is annotated."""

    def by_name(self, labels: LabelSet, paper_metrics: bool) -> dict[str, ClassScore]:
        """Every structure of ``labels``; those that this case lacks on both sides too."""
        absent = ABSENT_PAPER if paper_metrics else ABSENT
        return {label.name: self.by_value.get(label.value, absent) for label in labels.labels}


class _References(NamedTuple):
    """What a folder of references holds, by case name."""

    files: dict[str, list[Path]]
    """Label files."""
    names: dict[int, str]
    """Of label values, where a file tells them."""
    gaps: dict[str, tuple[int, ...]]
    """Label values of structures that nobody annotated in a case."""


def _find_references(folder: Path) -> _References:
    if (folder / "labels").is_dir() or (folder / "dataset.json").is_file():
        return _of_cases(find_cases(folder, labeled=True, strict=False))
    files = _files_by_name(folder) or _files_by_name(folder, PICTURE_ENDINGS)
    if not files:
        return _of_layout(folder)
    beside = _References({}, {}, {})
    if folder.resolve().name in ("labels", "labelsTr"):
        with contextlib.suppress(UserError):  # names and gaps are welcome, and the folder may be no cases folder
            beside = _of_cases(find_cases(folder.resolve().parent, labeled=True))
    return beside._replace(files=files)


def _of_layout(folder: Path) -> _References:
    """The labels of a data set as it is downloaded; raises UserError for any other folder without label files."""
    try:
        return _of_cases(find_cases(folder, labeled=True, strict=False))
    except UserError as error:
        hint = "Give a folder of NIfTI, NRRD or MetaImage files, or of cases with labels."
        raise UserError(f"{folder} holds no label files.", hint) from error


def _of_cases(found: CaseSet) -> _References:
    return _References({case.name: [case.label] for case in found.cases if case.label}, dict(found.label_names),
                       {case.name: case.not_annotated for case in found.cases})


def _files_by_name(folder: Path, endings: tuple[str, ...] = ENDINGS) -> dict[str, list[Path]]:
    if not folder.is_dir():
        raise UserError(f"There is no folder {folder}.", "Give a folder of label files.")
    files: dict[str, list[Path]] = {}
    for path in sorted(path for path in folder.iterdir() if is_image_file(path, endings)):
        files.setdefault(scan_name(path), []).append(path)
    return files


def _only(paths: list[Path], what: str) -> Path:
    if not paths:
        raise UserError(f"there is no {what} of this name.")
    if len(paths) > 1:
        raise UserError(f"there are {len(paths)} files for one {what}: {', '.join(path.name for path in paths)}.")
    return paths[0]


@dataclass(frozen=True)
class _Pair:
    """A prediction and its reference on one grid; 0 in both where nobody annotated anything."""

    found: np.ndarray
    """Label values [K, J, I]."""
    true: np.ndarray
    geometry: Geometry
    names: dict[int, str]
    """Names of label values from the headers of .seg.nrrd files."""
    gaps: tuple[int, ...]
    """Values of structures that nobody annotated."""
    is_partial: bool


def _read_pair(
    predictions: list[Path], references: list[Path], not_annotated: int | None, gaps: tuple[int, ...]
) -> _Pair:
    """Raises UserError unless there is one readable file on both sides, on the same grid."""
    paths = (_only(predictions, "prediction"), _only(references, "reference"))
    found, true = read_label(paths[0]), read_label(paths[1])
    difference = true.geometry.difference(found.geometry)
    if difference:
        raise UserError(f"reference and prediction lie on different grids: {difference}.")
    unknown = true.array == not_annotated
    if unknown.all():
        raise UserError("nothing is annotated in the reference.")
    arrays = (found.array, true.array)
    if unknown.any():
        arrays = tuple(np.where(unknown, 0, array).astype(array.dtype) for array in arrays)
    return _Pair(*arrays, true.geometry, _segment_names(paths), gaps, bool(gaps) or bool(unknown.any()))


def _score_case(pair: _Pair, labels: LabelSet | None, paper_metrics: bool) -> _Scored:
    values = set(labels.values) if labels else present_values(pair.found) | present_values(pair.true)
    by_name: dict[str, ClassScore] = {}
    if values:
        wanted = LabelSet.from_names({value: str(value) for value in values})
        spacing_kji = pair.geometry.spacing_mm[::-1]
        by_name = score(pair.found, pair.true, wanted, spacing_kji, paper_metrics=paper_metrics)
    by_value = {int(name): entry for name, entry in by_name.items()} | dict.fromkeys(pair.gaps, UNKNOWN)
    return _Scored(by_value, pair.geometry.nominal, pair.names, pair.is_partial)


def _segment_names(paths: tuple[Path, ...]) -> dict[int, str]:
    """Names in the headers of .seg.nrrd files; the last file's win."""
    names: dict[int, str] = {}
    for path in paths:
        if path.name.lower().endswith(".seg.nrrd"):
            names |= read_segment_names(path)
    return names


def _label_set(scored: Sequence[_Scored], names: Mapping[int, str]) -> LabelSet:
    """All values that have a name in ``names`` or occur; a name used twice gets its value added."""
    values = {value for entry in scored for value in entry.by_value} | (names.keys() - {0})
    if not values:
        raise UserError("Every label is empty (value 0 everywhere) in both folders.", "Give segmentations.")
    headers = {value: name for entry in reversed(scored) for value, name in entry.names.items()}
    called = {value: names.get(value) or headers.get(value) or f"label {value}" for value in sorted(values)}
    used = list(called.values())
    return LabelSet.from_names({v: name if used.count(name) == 1 else f"{name} ({v})" for v, name in called.items()})


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
