"""The check in one call: find the cases of a study, examine every one, and hold the rules against what was seen."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from alhvr.checking.context import RunContext
from alhvr.checking.examine import examine
from alhvr.checking.findings import Finding, Severity
from alhvr.checking.result import CheckResult
from alhvr.checking.rules.archive import rank_archive
from alhvr.checking.rules.registry import find_faults, worst_first
from alhvr.checking.rules.study import Study
from alhvr.config import DataConfig, PlanConfig
from alhvr.core.errors import ChannelError, UserError
from alhvr.core.files import shown
from alhvr.data.case_file import CASE_FILE
from alhvr.data.cases import CaseSet, align_cases, find_cases, join_archives
from alhvr.data.channel_names import Channel
from alhvr.data.dicom_index import told_of_indexing
from alhvr.data.dicom_rule import SeriesRule, parse_rules
from alhvr.formats.labels import NO_VALUE

_LABELED = {"labeled": True, "validation": True, "unlabeled": False}
"""The parts, and whether their cases need a label; the first one tells the others how many channels there are."""


@dataclass(frozen=True)
class Folders:
    """Where the cases are."""

    labeled: Path | None = None
    """Cases to learn from."""
    unlabeled: tuple[Path, ...] = ()
    """The folders of the archive; one alone may be given as it is."""
    validation: Path | None = None
    """Labelled cases to choose the best model on."""

    def __post_init__(self) -> None:
        """Makes a tuple of the archive."""
        object.__setattr__(self, "unlabeled", archive_folders(self.unlabeled))

    def of(self, part: str) -> tuple[Path, ...]:
        """The folders of a part."""
        return archive_folders(getattr(self, part))


def archive_folders(given: Path | str | Iterable[Path | str] | None) -> tuple[Path, ...]:
    """Folders as they may be given: none, one, or several; each once."""
    several = () if given is None else (given,) if isinstance(given, (Path, str)) else given
    return tuple(dict.fromkeys(Path(folder) for folder in several))


@dataclass(frozen=True)
class CheckOptions:
    """What of the settings changes what is a fault."""

    not_annotated: int = DataConfig.not_annotated
    """Label value of voxels that are not annotated."""
    plan: PlanConfig = PlanConfig()
    """Modality and normalisation, where the user says so."""
    series: tuple[str, ...] = ()
    """Which DICOM series are wanted, one rule each; empty: as cases.json says."""


def check(folders: Folders, context: RunContext, wishes: CheckOptions | None = None) -> CheckResult:
    """Everything that is wrong with the data; no file is so bad that it raises.

    Raises UserError where no folder is given, Cancelled when the watch wants it.
    """
    wishes = wishes or CheckOptions()
    found = _find_sets(folders, parse_rules(wishes.series), context)
    sets, unusable = _with_held_out(*found, given=folders.validation is not None)
    asked = wishes.not_annotated
    not_annotated = effective_not_annotated(asked, sets.values())
    contradicts = not_annotated == NO_VALUE and asked != DataConfig.not_annotated
    cases = [(part, case) for part, found in sets.items() for case in found.cases]
    facts = examine(cases, not_annotated=not_annotated, context=context) if cases else []
    study = Study(tuple(facts), sets, asked if contradicts else not_annotated, wishes.plan.modality,
                  wishes.plan.normalization)
    return CheckResult(
        facts=study.facts, findings=tuple(worst_first([*unusable, *find_faults(study)])), sets=sets,
        labels=study.labels, not_annotated=asked, unlike=rank_archive(study),
        n_cached=sum(entry.known for entry in facts))


def with_findings(result: CheckResult, findings: Iterable[Finding]) -> CheckResult:
    """``result`` with more findings, each at its place."""
    return replace(result, findings=tuple(worst_first([*result.findings, *findings])))


def effective_not_annotated(value: int, sets: Iterable[CaseSet]) -> int:
    """``value``, or NO_VALUE where it is the name of a structure."""
    return NO_VALUE if any(value in found.label_names for found in sets) else value


def _find_sets(folders: Folders, rules: tuple[SeriesRule, ...],
               context: RunContext) -> tuple[dict[str, CaseSet], list[Finding]]:
    """The cases of each part, by absolute path, and the folders that hold none to use.

    Without ``rules``, those of the first folder count for all that have none of their own.
    """
    if not any(folders.of(part) for part in _LABELED):
        raise UserError("There is no folder to check.", "Give --labeled, --unlabeled or --validation.")
    sets: dict[str, CaseSet] = {}
    unusable: list[Finding] = []
    channels: tuple[Channel, ...] | int | None = None
    for part, labeled in _LABELED.items():
        found = []
        for folder in dict.fromkeys(Path(os.path.abspath(folder)) for folder in folders.of(part)):
            try:
                with told_of_indexing(lambda done, total: context.step("reading DICOM headers", done, total)):
                    found.append(find_cases(folder, labeled=labeled, channels=channels, strict=False, rules=rules))
                channels = channels or found[0].channels or found[0].n_channels
                rules = rules or found[0].rules
            except UserError as error:
                unusable.append(_unusable(folder, error, labeled=labeled))
        if found:
            sets[part] = join_archives(found)
    if "labeled" in sets and "validation" in sets:
        sets["validation"] = align_cases(sets["validation"], sets["labeled"].label_names)
    return sets, unusable


def _unusable(folder: Path, error: UserError, *, labeled: bool) -> Finding:
    """The finding about a folder in which no case can be found."""
    kind = "missing_channel" if isinstance(error, ChannelError) else "unusable_folder"
    seen, hint = error.message, error.hint
    if not labeled and not folder.exists():
        seen = f"The archive folder {shown(folder)} is not there."
        hint = "Plug in or connect the disk that it is on, or take the folder out of the archive."
    return Finding(kind, Severity.FAULT, (folder,), seen, hint)


def _with_held_out(sets: dict[str, CaseSet], unusable: list[Finding], *, given: bool,
                   ) -> tuple[dict[str, CaseSet], list[Finding]]:
    """The labelled cases that cases.json holds out become those to validate on, where no folder was ``given``.

    Where one was, they are left aside. It is a fault where none is left to learn from.
    """
    cases = sets["labeled"].cases if "labeled" in sets else ()
    held = tuple(case for case in cases if case.held_out)
    if not held:
        return sets, unusable
    if len(held) == len(cases):
        return sets, [*unusable, Finding(
            "no_usable_case", Severity.FAULT, (sets["labeled"].folder,), f"{CASE_FILE} holds out every one of the "
            f"{len(held)} labelled cases, so that there is none to learn from.",
            f'Take "held_out" away from some of them in {CASE_FILE}, or label more cases.')]
    learnt = replace(sets["labeled"], cases=tuple(case for case in cases if not case.held_out))
    if given:
        told = (f"Cases that {CASE_FILE} holds out are not used, because a folder of validation cases is given "
                f"({len(held)}).")
        return {**sets, "labeled": replace(learnt, notes=(*learnt.notes, told))}, unusable
    validation = replace(sets["labeled"], cases=held, warnings=(), incomplete=(), notes=(), label_notes=(),
                         left_out=(), rules=())
    return {"labeled": learnt, "validation": validation, **{p: s for p, s in sets.items() if p != "labeled"}}, unusable
