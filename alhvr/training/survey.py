"""Survey: which cases a run can use, what they look like, and what their labels are called, found before training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from alhvr.config import PlanConfig
from alhvr.data.cases import Case, CaseSet, find_cases
from alhvr.data.labels import LabelSet
from alhvr.data.plan import Fingerprint, fingerprint
from alhvr.data.reading import LabelVolume, content_hash, probe, read_label, read_scan
from alhvr.data.scan import Scan
from alhvr.errors import UserError
from alhvr.progress import Reporter

MAX_ARCHIVE_DECODED = 256
HELD_OUT_SHARE = 0.2
LISTED_FAULTS = 5


@dataclass(frozen=True)
class Folders:
    """Where the cases are."""

    labeled: Path
    unlabeled: Path | None = None
    validation: Path | None = None


@dataclass(frozen=True)
class Survey:
    """The usable cases of a run."""

    labeled: tuple[Case, ...]
    unlabeled: tuple[Case, ...]
    validation: tuple[Case, ...]
    labels: LabelSet
    modality: str
    labeled_prints: tuple[Fingerprint, ...]
    unlabeled_prints: tuple[Fingerprint, ...]
    hashes: dict[str, str]
    """Content hash by case name, for the training record."""
    held_out: bool
    """The validation cases were set aside from the labelled ones."""


@dataclass(frozen=True)
class _Look:
    """One decoded case."""

    case: Case
    print: Fingerprint
    hash: str
    values: frozenset[int]


def survey(folders: Folders, config: PlanConfig, *, seed: int, reporter: Reporter) -> Survey:
    """Reads every labelled and validation case, and the archive up to MAX_ARCHIVE_DECODED scans of it.

    Raises UserError for a labelled case that cannot be used; leaves out such a scan of the archive with a warning.
    """
    labeled_set = find_cases(folders.labeled, labeled=True)
    validation_set = find_cases(folders.validation, labeled=True) if folders.validation else None
    archive_set = find_cases(folders.unlabeled, labeled=False) if folders.unlabeled else None
    sets = [s for s in (labeled_set, validation_set, archive_set) if s is not None]
    for warning in (w for s in sets for w in s.warnings):
        reporter.warning(warning)
    labeled = _look_at_all(labeled_set.cases, "reading labelled scans", reporter)
    validation = _look_at_all(validation_set.cases, "reading validation scans", reporter) if validation_set else []
    names = _label_names(labeled_set, labeled + validation)
    held_out = validation_set is None
    if held_out:
        labeled, validation = _set_aside(labeled, seed, reporter)
    taken = {look.hash: look.case.name for look in labeled + validation}
    archive, archive_prints, hashes = _archive(archive_set, taken, reporter)
    prints = tuple(look.print for look in labeled)
    return Survey(
        labeled=tuple(look.case for look in labeled), unlabeled=archive,
        validation=tuple(look.case for look in validation), labels=LabelSet.from_names(names),
        modality=config.modality or _modality(sets, prints), labeled_prints=prints,
        unlabeled_prints=archive_prints, held_out=held_out,
        hashes={look.case.name: look.hash for look in labeled + validation} | hashes)


def check_pair(case: Case, scan: Scan, label: LabelVolume) -> None:
    """Raises UserError when the label is not on the scan's grid."""
    difference = scan.geometry.difference(label.geometry)
    if difference:
        raise UserError(f"The label {case.label} is not on the grid of its scan {case.image.name}: {difference}",
                        "Check that both belong to the same patient, or resample the label to the scan.")


def _look(case: Case) -> _Look:
    scan = read_scan(case.image)
    if case.label is None:
        return _Look(case, fingerprint(scan, None), content_hash(scan), frozenset())
    label = read_label(case.label)
    check_pair(case, scan, label)
    values = frozenset(int(v) for v in np.unique(label.array)) - {0}
    return _Look(case, fingerprint(scan, label.array), content_hash(scan), values)


def _look_at_all(cases: Sequence[Case], stage: str, reporter: Reporter) -> list[_Look]:
    """Looks at labelled cases; all faults are gathered and raised together."""
    looks, faults = [], []
    for done, case in enumerate(cases, start=1):
        try:
            looks.append(_look(case))
        except UserError as error:
            faults.append(str(error))
        reporter.progress(stage, done, len(cases))
    if faults:
        more = f" (and {len(faults) - LISTED_FAULTS} more)" if len(faults) > LISTED_FAULTS else ""
        raise UserError(" | ".join(faults[:LISTED_FAULTS]) + more)
    if not any(look.values for look in looks):
        raise UserError(f"All {len(looks)} labels in {cases[0].image.parent.parent} are empty (value 0 everywhere).",
                        "Give scans in which something is labelled.")
    return looks


def _label_names(labeled: CaseSet, looks: Sequence[_Look]) -> dict[int, str]:
    found = sorted(frozenset().union(*(look.values for look in looks)))
    names = {value: name for value, name in labeled.label_names.items() if value != 0}
    if not names:
        return {value: f"label {value}" for value in found}
    for look in looks:
        unknown = sorted(look.values - names.keys())
        if unknown:
            raise UserError(f"{look.case.label} holds the label value {unknown[0]}, which has no name "
                            f"(named: {', '.join(f'{v} {n}' for v, n in names.items())}).",
                            "Add it to labels.json or dataset.json, or remove it from the label.")
    return names


def _set_aside(looks: list[_Look], seed: int, reporter: Reporter) -> tuple[list[_Look], list[_Look]]:
    """Holds out a fifth of the labelled cases, at least one where there are two."""
    if len(looks) < 2:
        reporter.warning("There is one labelled case and no --validation folder: the model is kept as it is at the "
                         "end, unscored.")
        return looks, []
    count = max(1, round(HELD_OUT_SHARE * len(looks)))
    order = np.random.default_rng(seed).permutation(len(looks))
    aside = sorted(order[:count])
    held = [looks[i] for i in aside]
    reporter.note(f"Set aside for validation: {', '.join(look.case.name for look in held)}.")
    return [look for i, look in enumerate(looks) if i not in aside], held


def _archive(cases: CaseSet | None, taken: dict[str, str], reporter: Reporter,
             ) -> tuple[tuple[Case, ...], tuple[Fingerprint, ...], dict[str, str]]:
    if cases is None:
        return (), (), {}
    usable, prints, hashes = [], [], {}
    every = max(1, -(-len(cases.cases) // MAX_ARCHIVE_DECODED))
    for index, case in enumerate(cases.cases):
        try:
            look = _look(Case(case.name, case.image, None)) if index % every == 0 else None
            if look is None:
                probe(case.image)
            elif look.hash in taken:
                raise UserError(f"it is the same scan as {taken[look.hash]}.")
            else:
                prints.append(look.print)
                hashes[case.name] = taken[look.hash] = look.hash
                taken[look.hash] = case.name
            usable.append(Case(case.name, case.image, None))
        except UserError as error:
            reporter.warning(f"Left out of the archive: {case.image.name}: {error}")
        reporter.progress("reading the archive", index + 1, len(cases.cases))
    if not usable:
        reporter.warning(f"No scan in {cases.folder} can be used: training goes on with the labels only.")
    return tuple(usable), tuple(prints), hashes


def _modality(sets: Sequence[CaseSet], prints: Sequence[Fingerprint]) -> str:
    """From dataset.json, else from DICOM headers, else CT where most scans hold HU of air."""
    named = [s.modality for s in sets if s.modality]
    if named:
        return named[0]
    known = [p.modality for p in prints if p.modality != "other"]
    if known:
        return max(set(known), key=known.count)
    airy = sum(p.intensity is not None and p.intensity.lower < -200 for p in prints)
    return "CT" if airy > len(prints) / 2 else "other"
