"""Selection: which of the checked cases a training can use, where it is allowed to go on without the others."""

from __future__ import annotations

from dataclasses import dataclass

from alhvr.checking.facts import CaseFacts
from alhvr.checking.findings import Severity
from alhvr.checking.result import CheckResult
from alhvr.checking.rules.files import apart
from alhvr.checking.rules.study import Study

NEVER_FORCED = frozenset({"unusable_folder", "names_differ", "unusable_names", "not_annotated_is_named",
                          "all_labels_empty", "no_usable_case"})
"""Faults with which no training is possible; the others can be overridden, and some cost their cases."""


@dataclass(frozen=True)
class Usable:
    """The cases that can be used, in their order."""

    labeled: tuple[CaseFacts, ...]
    """Readable, channels of one place, with a label on their own grid that holds known values."""
    validation: tuple[CaseFacts, ...]
    """The same of the validation folder."""
    unlabeled: tuple[CaseFacts, ...]
    """Readable, each scan once, and none that is labelled or for validation."""


def usable_cases(result: CheckResult) -> Usable:
    """What is left when everything is left out that cannot be learnt from."""
    study = Study(result.facts, result.sets)
    known = set(result.labels.values) if result.labels else set()
    labeled, validation = (tuple(f for f in cases if f.label.structures.keys() <= known
                                 and f.label.n_not_annotated < f.label.n_voxels and not apart(f))
                           for cases in (study.labeled, study.validation))
    taken = {f.images[0].content for f in study.annotated}
    archive = []
    for facts in study.archive:
        if facts.images[0].content not in taken and not apart(facts):
            taken.add(facts.images[0].content)
            archive.append(facts)
    return Usable(labeled, validation, tuple(archive))


def may_train(result: CheckResult, *, force: bool) -> bool:
    """True without faults, or with such only as ``force`` overrides."""
    kinds = {f.kind for f in result.findings if f.severity is Severity.FAULT}
    if not kinds:
        return True
    return force and not kinds & NEVER_FORCED and bool(result.labels and usable_cases(result).labeled)


def overridden(result: CheckResult) -> tuple[str, ...]:
    """The kinds of faults that there are, for the record of a training that goes on all the same."""
    return tuple(dict.fromkeys(f.kind for f in result.findings if f.severity is Severity.FAULT))
