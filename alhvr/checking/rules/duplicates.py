"""Rules on repetition: the same scan, label or patient where there should be another one."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence

from alhvr.checking.facts import CaseFacts
from alhvr.checking.findings import Finding
from alhvr.checking.rules.study import Study, count, fault, named, some, warning

_PATIENT_IN_NAME = re.compile(
    r"(?:^|[^a-z])((?:patient|pat|subject|subj|sub|pt)[-_ ]?\d+)(?=$|[^0-9a-z])", re.IGNORECASE)
"""Such as patient012 in patient012_frame01, or sub-07 in sub-07_T1w."""
_PLACEHOLDER_CASES = 4
"""A DICOM patient ID that all cases with one share, so many or more, is a placeholder."""


def scans(study: Study) -> Iterator[Finding]:
    """The same voxels on the same grid under two names."""
    everywhere = _same((*study.labeled, *study.validation), _content)
    for twins in everywhere:
        across = len({f.part for f in twins}) > 1
        told = " and ".join(_place(f) for f in twins)
        differ = len({f.label.content for f in twins}) > 1
        seen = f"The same scan is there {len(twins)} times: {told}" + (", with different labels." if differ else ".")
        if across:
            yield fault("scan_in_training_and_validation", twins, seen,
                        "Take it out of one of the two: the scores would be too good.")
        else:
            yield warning("scan_twice", twins, seen,
                          "Keep one of them: the other adds nothing, and may be on the other side of a split.")
    yield from _archive_too(study)


def _archive_too(study: Study) -> Iterator[Finding]:
    """Scans of the archive that are there already; they are left out."""
    taken = {_content(f): f for f in reversed(study.annotated)}
    known = [f for f in study.archive if _content(f) in taken]
    if known:
        pairs = some(f"{f.case.image.name} is the same scan as {taken[_content(f)].case.name}" for f in known)
        yield warning("scan_in_archive_too", known, f"Left out of the archive, because "
                      f"{count(len(known), 'scan is', 'scans are')} among the labelled ones too: {pairs}.",
                      "Nothing to do.")
    again = [f for twins in _same((f for f in study.archive if _content(f) not in taken), _content) for f in twins[1:]]
    if again:
        first = {_content(f): f for f in reversed(study.archive)}
        pairs = some(f"{f.case.image.name} is the same scan as {first[_content(f)].case.name}" for f in again)
        yield warning("scan_twice", again, f"Left out of the archive, because "
                      f"{count(len(again), 'scan is', 'scans are')} there twice: {pairs}.", "Nothing to do.")


def labels(study: Study) -> Iterator[Finding]:
    """One label under two different scans."""
    filled = [f for f in study.annotated if f.label.structures]
    for twins in _same(filled, lambda f: f.label.content):
        if len({_content(f) for f in twins}) > 1:
            told = " and ".join(_place(f) for f in twins)
            yield warning("label_twice", twins, f"Different scans have the very same label: {told}.",
                          "Check which scan it belongs to, and take the other out.", labels=True)


def patients(study: Study) -> Iterator[Finding]:
    """One patient in training and in validation: a fault where a file says so, a warning where names do."""
    who = patient_of_each(study.annotated)
    for (source, _), cases in sorted(who.items(), key=lambda entry: entry[0]):
        if len({f.part for f in cases}) < 2:
            continue
        told = f"{named(f for f in cases if f.part == 'labeled')} to learn from and " \
               f"{named(f for f in cases if f.part == 'validation')} to validate on"
        speak, by = (warning, "by their names ") if source == "name" else (fault, "")
        yield speak("patient_in_training_and_validation", cases, f"Scans of one patient are {by}in training and in "
                    f"validation: {told}.", "Keep all scans of a patient on one side: the scores would be too good.")


def patient_of_each(cases: Sequence[CaseFacts]) -> dict[tuple[str, str], list[CaseFacts]]:
    """The cases of each patient, as far as cases.json, DICOM headers or else file names tell patients apart."""
    who: dict[tuple[str, str], list[CaseFacts]] = defaultdict(list)
    ids = Counter(f.images[0].patient for f in cases if f.images and f.images[0].patient)
    placeholders = {p for p, n in ids.items() if n == ids.total() >= _PLACEHOLDER_CASES}
    for facts in cases:
        key = _patient(facts, placeholders)
        if key is not None:
            who[key].append(facts)
    return dict(who)


def _patient(facts: CaseFacts, placeholders: set[str | None]) -> tuple[str, str] | None:
    if facts.case.patient:
        return "cases.json", facts.case.patient
    digest = facts.images[0].patient if facts.images else None
    if digest and digest not in placeholders:
        return "dicom", digest
    match = _PATIENT_IN_NAME.search(facts.case.name)
    return ("name", match[1].casefold()) if match else None


def _same(cases: Iterable[CaseFacts], key: Callable[[CaseFacts], Hashable]) -> list[list[CaseFacts]]:
    """Groups of two or more cases with the same ``key``."""
    groups: dict[Hashable, list[CaseFacts]] = defaultdict(list)
    for facts in cases:
        groups[key(facts)].append(facts)
    return [group for group in groups.values() if len(group) > 1]


def _content(facts: CaseFacts) -> str:
    return facts.images[0].content


def _place(facts: CaseFacts) -> str:
    where = "labelled" if facts.part == "labeled" else facts.part
    return f"{facts.case.image.name} ({where})"
