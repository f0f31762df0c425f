"""Rules on amounts: structures too rare to learn or to validate, and too few cases."""

from __future__ import annotations

from collections.abc import Iterator

from alhvr.checking.findings import Finding, Severity
from alhvr.checking.rules.study import Study, count, warning

ENOUGH_CASES = 3
"""Fewer labelled cases than this are few."""
_MANY_CASES = 5
"""From this many cases on, a structure that one of them alone shows is rare."""
_RARE_SHARE = 0.1
"""A structure that fewer of the cases show is rare."""
_FEW_VOXELS = 60
"""A structure of fewer voxels in all cases together is too small to learn."""


def cases(study: Study) -> Iterator[Finding]:
    """Whether there are cases to learn from, to validate on, and an archive."""
    folders = {part: (s.folder,) for part, s in study.sets.items()}
    if "labeled" in study.sets and not study.labeled:
        yield Finding("no_usable_case", Severity.FAULT, folders["labeled"],
                      f"None of the {len(study.sets['labeled'].cases)} labelled cases can be used.",
                      "Mend the faults that are listed with them.")
    elif "labeled" in study.sets and len(study.labeled) < ENOUGH_CASES and (len(study.labeled) > 1 or study.validation):
        yield warning("few_cases", study.labeled, f"There {'is' if len(study.labeled) == 1 else 'are'} "
                      f"{count(len(study.labeled), 'labelled case')} to learn from.",
                      "Label some more: seven or more are usual, and each one counts.")
    if "validation" in study.sets and not study.validation:
        yield Finding("no_usable_case", Severity.FAULT, folders["validation"], "No validation case can be used.",
                      "Mend the faults that are listed with them, or leave out --validation.")
    if len(study.labeled) == 1 and "validation" not in study.sets:
        yield warning("no_validation", study.labeled, "There is one labelled case and no --validation folder: the "
                      "model is kept as it is at the end, unscored.", "Label one more case, or give --validation.")
    if "unlabeled" in study.sets and not study.archive:
        yield Finding("no_archive", Severity.WARNING, folders["unlabeled"],
                      f"No scan in {study.sets['unlabeled'].folder} can be used: training goes on with the labels "
                      "only.",
                      "Give a folder with scans like the labelled ones.")


def rare(study: Study) -> Iterator[Finding]:
    """Structures that no case, or hardly any, lets a model learn, or lets anybody score."""
    labels = [f for f in study.labeled if f.label.structures]
    if not labels:
        return
    nowhere = [v for v in study.names if not any(v in f.label.structures for f in labels)]
    if nowhere:
        listed = ", ".join(f"{v} {study.names[v]}" for v in nowhere)
        yield Finding("absent_everywhere", Severity.WARNING, (study.sets["labeled"].folder,) if study.sets else (),
                      f"No labelled case to learn from shows {listed}: the model cannot learn it.",
                      "Label it in some cases, or take it out of labels.json or dataset.json.")
    for value in (v for v in study.names if v not in nowhere):
        yield from _rare_to_learn(study, value)
        yield from _rare_to_validate(study, value)


def _rare_to_learn(study: Study, value: int) -> Iterator[Finding]:
    asked = [f for f in study.labeled if f.label.structures and value not in f.case.not_annotated]
    showing = [f for f in asked if value in f.label.structures]
    voxels = sum(f.label.structures[value].voxels for f in showing)
    seldom = len(asked) >= _MANY_CASES and (len(showing) == 1 or len(showing) < _RARE_SHARE * len(asked))
    if seldom or voxels < _FEW_VOXELS:
        ml = sum(f.label.structures[value].volume_ml for f in showing)
        yield warning("rare_to_learn", showing, f"{study.names[value]} is in {len(showing)} of "
                      f"{count(len(asked), 'labelled case')}, with {count(voxels, 'voxel')} ({ml:.3g} ml) in all.",
                      "Label more cases that show it, or do not expect much of it.", labels=True)


def _rare_to_validate(study: Study, value: int) -> Iterator[Finding]:
    given = "validation" in study.sets
    if not given and len(study.labeled) < 2:
        return
    pool = study.validation if given else study.labeled
    showing = [f for f in pool if value in f.label.structures]
    if len(showing) > (0 if given else 1):
        return
    where = "No validation case shows" if given else "One labelled case alone shows"
    yield warning("rare_to_validate", showing or pool, f"{where} {study.names[value]}: its score will tell nothing.",
                  "Add a case that shows it" + (" to --validation." if given else "; it is kept to learn from."),
                  labels=True)
