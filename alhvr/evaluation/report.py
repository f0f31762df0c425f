"""Folders of predictions and references in, a Report out: matched by name, compared only on the same grid."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from alhvr.data.cases import find_cases
from alhvr.data.itk_file import read_segment_names
from alhvr.data.labels import LabelSet
from alhvr.data.reading import is_image_file, read_label, scan_name
from alhvr.errors import UserError
from alhvr.evaluation.metrics import ABSENT, ABSENT_PAPER, ClassScore, present_values, score
from alhvr.evaluation.results import CaseScores, Report
from alhvr.progress import Reporter, SilentReporter

__all__ = ["Report", "evaluate_folders"]


def evaluate_folders(
    predictions: Path,
    reference: Path,
    *,
    labels: LabelSet | None = None,
    paper_metrics: bool = False,
    reporter: Reporter | None = None,
) -> Report:
    """Scores every reference whose name a file in ``predictions`` has; endings may differ.

    ``reference`` is a folder of label files or a cases folder. Structures are those of ``labels``; without it, every
    label value in either folder, named by labels.json, dataset.json or .seg.nrrd headers. A case on differing grids, or
    without a readable file on both sides, is named with the reason in Report.skipped, and the others go on.
    Raises UserError when no case can be scored.
    """
    references, names = _find_references(Path(reference))
    found = _files_by_name(Path(predictions))
    reporter = reporter or SilentReporter()
    scored: dict[str, _Scored] = {}
    skipped: dict[str, str] = {}
    for done, (name, paths) in enumerate(sorted(references.items()), start=1):
        try:
            scored[name] = _score_case(found.get(name, []), paths, labels, paper_metrics)
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
        warnings=(*_unmatched(found, references), *_nominal(scored)),
    )


@dataclass(frozen=True)
class _Scored:
    """One case, scored by label value."""

    by_value: dict[int, ClassScore]
    nominal: bool
    """The grid has 1 mm on every axis, so the true spacing may be unknown."""
    names: dict[int, str]
    """Names of label values from the headers of .seg.nrrd files."""

    def by_name(self, labels: LabelSet, paper_metrics: bool) -> dict[str, ClassScore]:
        """Every structure of ``labels``; those that this case lacks on both sides too."""
        absent = ABSENT_PAPER if paper_metrics else ABSENT
        return {label.name: self.by_value.get(label.value, absent) for label in labels.labels}


def _find_references(folder: Path) -> tuple[dict[str, list[Path]], dict[int, str]]:
    """Label files by case name, and the names of label values where a file tells them."""
    if (folder / "labels").is_dir() or (folder / "dataset.json").is_file():
        cases = find_cases(folder, labeled=True)
        return {case.name: [case.label] for case in cases.cases if case.label}, dict(cases.label_names)
    files = _files_by_name(folder)
    if not files:
        raise UserError(f"{folder} holds no label files.", "Give a folder of NIfTI, NRRD or MetaImage files.")
    names: dict[int, str] = {}
    if folder.resolve().name in ("labels", "labelsTr"):
        with contextlib.suppress(UserError):  # only the names are wanted, and the folder may be no cases folder
            names = dict(find_cases(folder.resolve().parent, labeled=True).label_names)
    return files, names


def _files_by_name(folder: Path) -> dict[str, list[Path]]:
    if not folder.is_dir():
        raise UserError(f"There is no folder {folder}.", "Give a folder of label files.")
    files: dict[str, list[Path]] = {}
    for path in sorted(path for path in folder.iterdir() if is_image_file(path)):
        files.setdefault(scan_name(path), []).append(path)
    return files


def _only(paths: list[Path], what: str) -> Path:
    if not paths:
        raise UserError(f"there is no {what} of this name.")
    if len(paths) > 1:
        raise UserError(f"there are {len(paths)} files for one {what}: {', '.join(path.name for path in paths)}.")
    return paths[0]


def _score_case(
    predictions: list[Path], references: list[Path], labels: LabelSet | None, paper_metrics: bool
) -> _Scored:
    """Raises UserError unless there is one readable file on both sides, on the same grid."""
    paths = (_only(predictions, "prediction"), _only(references, "reference"))
    found, true = read_label(paths[0]), read_label(paths[1])
    difference = true.geometry.difference(found.geometry)
    if difference:
        raise UserError(f"reference and prediction lie on different grids: {difference}.")
    values = set(labels.values) if labels else present_values(found.array) | present_values(true.array)
    by_name: dict[str, ClassScore] = {}
    if values:
        wanted = LabelSet.from_names({value: str(value) for value in values})
        spacing_kji = true.geometry.spacing_mm[::-1]
        by_name = score(found.array, true.array, wanted, spacing_kji, paper_metrics=paper_metrics)
    by_value = {int(name): entry for name, entry in by_name.items()}
    return _Scored(by_value, true.geometry.nominal, _segment_names(paths))


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


def _nominal(scored: Mapping[str, _Scored]) -> list[str]:
    """Says so when some, but not all, of the grids may have no true spacing."""
    nominal = [name for name, entry in scored.items() if entry.nominal]
    if len(nominal) in (0, len(scored)):
        return []
    return [f"{len(nominal)} cases have voxels of exactly 1 mm, perhaps no true spacing: {', '.join(nominal[:5])}."]
