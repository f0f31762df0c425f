"""Survey: which cases a run can use, what they look like, and what their labels are called, found before training."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from alhvr.config import DataConfig, PlanConfig
from alhvr.data.annotation import read_label_of
from alhvr.data.cases import Case, CaseSet, Channel, find_cases
from alhvr.data.channels import read_case
from alhvr.data.labels import LabelSet
from alhvr.data.plan import Fingerprint, fingerprint
from alhvr.data.reading import content_hash, probe
from alhvr.errors import Cancelled, UserError
from alhvr.progress import Reporter
from alhvr.training.held_out import choose_held_out

MAX_ARCHIVE_DECODED = 256
LISTED_FAULTS = 5


@dataclass(frozen=True)
class Folders:
    """Where the cases are."""

    labeled: Path
    unlabeled: Path | None = None
    validation: Path | None = None


@dataclass(frozen=True)
class Survey:
    """The usable cases of a run; their paths are absolute."""

    labeled: tuple[Case, ...]
    unlabeled: tuple[Case, ...]
    validation: tuple[Case, ...]
    labels: LabelSet
    modality: str
    labeled_prints: tuple[Fingerprint, ...]
    unlabeled_prints: tuple[Fingerprint, ...]
    hashes: dict[str, str]
    """Content hash by part and case name, such as "labeled/patient 1", for the training record."""
    held_out: bool
    """The validation cases were set aside from the labelled ones."""
    channels: tuple[Channel, ...] = ()
    """What files call the channels of all cases; empty for one that nobody named."""


@dataclass(frozen=True)
class Listener:
    """Who hears what the survey finds, and who may stop it."""

    reporter: Reporter
    should_stop: Callable[[], bool] = lambda: False

    def step(self, stage: str, done: int, total: int) -> None:
        """One more case is read; raises Cancelled when somebody asked to stop."""
        self.reporter.progress(stage, done, total)
        if self.should_stop():
            raise Cancelled("Stopped before training began. Start it again with the same command.")


@dataclass(frozen=True)
class _Look:
    """One decoded case."""

    case: Case
    print: Fingerprint
    hash: str
    values: frozenset[int]


@dataclass
class _Archive:
    """What of the archive can be used."""

    cases: list[Case] = field(default_factory=list)
    prints: list[Fingerprint] = field(default_factory=list)
    hashes: dict[str, str] = field(default_factory=dict)


def survey(folders: Folders, config: PlanConfig, *, seed: int, listener: Listener,
           not_annotated: int = DataConfig.not_annotated) -> Survey:
    """Reads every labelled and validation case, and the archive up to MAX_ARCHIVE_DECODED scans of it.

    Raises UserError for a labelled case that cannot be used; leaves out such a scan of the archive with a warning.
    Raises Cancelled when the listener wants it.
    """
    reporter = listener.reporter
    labeled_set = find_cases(Path(os.path.abspath(folders.labeled)), labeled=True)
    archive_set, validation_set = (_find_like(labeled_set, folder, labeled=labeled) for folder, labeled in
                                   ((folders.unlabeled, False), (folders.validation, True)))
    sets = [s for s in (labeled_set, validation_set, archive_set) if s is not None]
    for warning in (w for s in sets for w in s.warnings):
        reporter.warning(warning)
    nothing = _not_annotated(not_annotated, [s for s in (labeled_set, validation_set) if s is not None])
    labeled = _look_at_all(labeled_set.cases, "reading labelled scans", listener, nothing)
    validation = []
    if validation_set:
        validation = _look_at_all(validation_set.cases, "reading validation scans", listener, nothing)
    names = _label_names(sets[:2] if validation_set else sets[:1], labeled + validation)
    held_out = validation_set is None
    if held_out:
        labeled, validation = _set_aside(labeled, seed, reporter)
    _warn_of_repeated(labeled + validation, reporter)
    _warn_of_missing(names, labeled, reporter)
    archive = _look_at_archive(archive_set, {look.hash: look.case.name for look in labeled + validation}, listener)
    prints = tuple(look.print for look in labeled)
    return Survey(
        labeled=tuple(look.case for look in labeled), unlabeled=tuple(archive.cases),
        validation=tuple(look.case for look in validation), labels=LabelSet.from_names(names),
        modality=config.modality or _modality(sets, prints), labeled_prints=prints,
        unlabeled_prints=tuple(archive.prints), held_out=held_out,
        channels=labeled_set.channels,
        hashes={**_named("labeled", labeled), **_named("validation", validation), **archive.hashes})


def _find_like(first: CaseSet, folder: Path | None, *, labeled: bool) -> CaseSet | None:
    """Cases with the channels of ``first`` by absolute path, so that a run can be resumed from any folder."""
    if folder is None:
        return None
    return find_cases(Path(os.path.abspath(folder)), labeled=labeled, channels=first.channels or first.n_channels)


def _not_annotated(value: int, sets: Sequence[CaseSet]) -> int | None:
    """``value``, or None where it is the name of a structure; raises UserError where that was asked for."""
    named = {number: name for cases in sets for number, name in cases.label_names.items()}
    if value not in named:
        return value
    if value != DataConfig.not_annotated:
        raise UserError(f'Label value {value} is "{named[value]}" in {sets[0].folder.name}, and --not-annotated says '
                        "that nobody annotated it.", "Take it out of labels.json, or give another value.")
    return None


def _look(case: Case, not_annotated: int | None = None) -> _Look:
    scan = read_case(case)
    if case.label is None:
        return _Look(case, fingerprint(scan, None), content_hash(scan), frozenset())
    label = read_label_of(case, scan.geometry)
    values = frozenset(int(v) for v in np.unique(label.array)) - {0, not_annotated}
    print_ = fingerprint(scan, label.array, not_annotated=not_annotated)
    return _Look(case, print_, content_hash(scan), values)


def _look_at_all(cases: Sequence[Case], stage: str, listener: Listener, not_annotated: int | None) -> list[_Look]:
    """Looks at labelled cases; all faults are gathered and raised together."""
    looks, faults = [], []
    for done, case in enumerate(cases, start=1):
        try:
            looks.append(_look(case, not_annotated))
        except UserError as error:
            faults.append(str(error))
        listener.step(stage, done, len(cases))
    if faults:
        more = f" (and {len(faults) - LISTED_FAULTS} more)" if len(faults) > LISTED_FAULTS else ""
        raise UserError(" | ".join(faults[:LISTED_FAULTS]) + more)
    if not any(look.values for look in looks):
        raise UserError(f"All labels of {_some(look.case.name for look in looks)} are empty (value 0 everywhere).",
                        "Give scans in which something is labelled.")
    return looks


def _label_names(sets: Sequence[CaseSet], looks: Sequence[_Look]) -> dict[int, str]:
    """Names of the label values; raises UserError where two folders differ, or a label holds a value without a name."""
    found = sorted(frozenset().union(*(look.values for look in looks)))
    names: dict[int, str] = {}
    for cases in sets:
        for value, name in cases.label_names.items():
            if value != 0 and names.setdefault(value, name).casefold() != name.casefold():
                raise UserError(f'Label value {value} is "{names[value]}" in one folder and "{name}" in '
                                f"{cases.folder.name}.", "Use the same values for the same structures.")
    if not names:
        return {value: f"label {value}" for value in found}
    for look in looks:
        unknown = sorted(look.values - names.keys())
        if unknown:
            raise UserError(f"The label {look.case.label.name} holds the value {unknown[0]}, which has no name "
                            f"(named: {', '.join(f'{v} {n}' for v, n in names.items())}).",
                            "Add it to labels.json or dataset.json, or remove it from the label.")
    return names


def _set_aside(looks: list[_Look], seed: int, reporter: Reporter) -> tuple[list[_Look], list[_Look]]:
    """The labelled cases to learn from, and those held out; none is held out where there is but one."""
    if len(looks) < 2:
        reporter.warning("There is one labelled case and no --validation folder: the model is kept as it is at the "
                         "end, unscored.")
        return looks, []
    aside = choose_held_out([look.values for look in looks], seed)
    held = [looks[i] for i in aside]
    reporter.note(f"Set aside for validation: {', '.join(look.case.name for look in held)}.")
    return [look for i, look in enumerate(looks) if i not in aside], held


def _warn_of_repeated(looks: Sequence[_Look], reporter: Reporter) -> None:
    """The same scan twice is learnt twice, or flatters the scores."""
    first: dict[str, Case] = {}
    for look in looks:
        other = first.setdefault(look.hash, look.case)
        if other is not look.case:
            reporter.warning(f"{look.case.name} is the same scan as {other.name}; where one of them is learnt from and "
                             "the other is for validation, the scores will be too good.")


def _warn_of_missing(names: dict[int, str], looks: Sequence[_Look], reporter: Reporter) -> None:
    missing = names.keys() - frozenset().union(*(look.values for look in looks))
    if missing:
        listed = ", ".join(f"{value} {names[value]}" for value in sorted(missing))
        reporter.warning(f"No labelled case to learn from shows {listed}: the model cannot learn it.")


def _look_at_archive(cases: CaseSet | None, taken: dict[str, str], listener: Listener) -> _Archive:
    """The scans that can be read and are not ``taken`` (content hash to name) by the labelled ones or each other."""
    found, taken = _Archive(), dict(taken)
    if cases is None:
        return found
    every = max(1, -(-len(cases.cases) // MAX_ARCHIVE_DECODED))
    for index, case in enumerate(cases.cases):
        try:
            if index % every:
                for path in case.images:
                    probe(path)
            else:
                _add_to_archive(found, _look(case), taken)
            found.cases.append(case)
        except UserError as error:
            listener.reporter.warning(f"Left out of the archive: {case.image.name}: {error}")
        listener.step("reading the archive", index + 1, len(cases.cases))
    if not found.cases:
        listener.reporter.warning(f"No scan in {cases.folder} can be used: training goes on with the labels only.")
    return found


def _add_to_archive(found: _Archive, look: _Look, taken: dict[str, str]) -> None:
    """Raises UserError when the scan is taken already."""
    if look.hash in taken:
        raise UserError(f"it is the same scan as {taken[look.hash]}.")
    taken[look.hash] = look.case.name
    found.prints.append(look.print)
    found.hashes.update(_named("unlabeled", [look]))


def _named(part: str, looks: Iterable[_Look]) -> dict[str, str]:
    return {f"{part}/{look.case.name}": look.hash for look in looks}


def _some(names: Iterable[str]) -> str:
    """The first names, and how many more there are."""
    listed = list(names)
    more = f" and {len(listed) - LISTED_FAULTS} more" if len(listed) > LISTED_FAULTS else ""
    return ", ".join(listed[:LISTED_FAULTS]) + more


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
