"""Rules about labels: names, values that nobody declared, classes that are rare or missing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations

from alhvr.checking.facts import CaseFacts, LabelFacts
from alhvr.checking.findings import Finding, Severity
from alhvr.checking.rules.study import Study, count, fault, named, some, warning
from alhvr.core.errors import UserError
from alhvr.formats.labels import MAX_LABELS, MAX_VALUE, LabelSet, folded

_COVERS = 0.6
"""A value on more of a label than this may mean that are not annotated there."""
_ABNORMAL = "49755003"
"""SNOMED CT: Morphologically Abnormal Structure, such as a tumour, which many people do not have."""
_USUAL, _NEARLY_ALWAYS = 0.5, 0.9
"""In how many cases an anatomical structure, and an abnormal one, must be for its absence to be odd."""
_FEW = 3
"""Cases that must show a structure for its absence elsewhere to be odd."""

ENOUGH_CASES = 3
"""Fewer labelled cases than this are few."""
_MANY_CASES = 5
"""From this many cases on, a structure that one of them alone shows is rare."""
_RARE_SHARE = 0.1
"""A structure that fewer of the cases show is rare."""
_FEW_VOXELS = 60
"""A structure of fewer voxels in all cases together is too small to learn."""


def names(study: Study) -> Iterator[Finding]:
    """Folders whose structures cannot be mapped by name, and one with the value that means not annotated."""
    called = {folded(name) for name in study.given_names.values()}
    for part, cases in study.sets.items():
        for value, name in cases.label_names.items():
            known = study.given_names.get(value, name)
            if part != "unlabeled" and value != 0 and folded(name) not in called and folded(known) != folded(name):
                seen = (f'Label value {value} is "{known}" in one folder and "{name}" in {cases.folder.name}. Values '
                        f'may differ where the names are the same, but no structure of the first is called "{name}".')
                yield Finding("names_differ", Severity.FAULT, (cases.folder,), seen,
                              "Call the same structures by the same names.")
    if study.not_annotated in study.given_names:
        seen = (f"Value {study.not_annotated} is {study.given_names[study.not_annotated]}, and the value for voxels "
                "that are not annotated.")
        yield Finding("not_annotated_is_named", Severity.FAULT, tuple(s.folder for s in study.sets.values())[:1], seen,
                      "Give another value with --not-annotated.")


def mapped(study: Study) -> Iterator[Finding]:
    """How label values are mapped by name, joined or taken for not annotated, as the folders say it."""
    for cases in study.sets.values():
        for text in cases.label_notes:
            yield Finding("labels_mapped", Severity.NOTE, (cases.folder,), text, "Nothing to do where that is meant.")


def usable_names(study: Study) -> Iterator[Finding]:
    """Names that no set of labels can have: one for two values, or an empty one."""
    twice = next((pair for pair in combinations(sorted(study.names.items()), 2)
                  if folded(pair[0][1]) == folded(pair[1][1])), None)
    if twice:
        (first, name), (second, other) = twice
        yield Finding("unusable_names", Severity.FAULT, tuple(s.folder for s in study.sets.values())[:1],
                      f'Two labels have the same name: {name} (value {first}) and {other} (value {second}).',
                      'Make each one unique, or join them in cases.json: {"join": {"' + name + f'": [{first}, {second}]'
                      "}}.")
    elif study.given_names and study.labels is None:
        try:
            LabelSet.from_names(study.names)
        except UserError as error:
            yield Finding("unusable_names", Severity.FAULT, tuple(s.folder for s in study.sets.values())[:1],
                          error.message, error.hint or "Fix labels.json or dataset.json.")


def unknown_values(study: Study) -> Iterator[Finding]:
    """One fault for each value that has no name while others have, or that no model can learn."""
    if not study.given_names and len(study.names) > MAX_LABELS:
        worst = sorted((f for f in study.facts if f.label), key=lambda f: -len(f.label.structures))
        seen = (f"The labels hold {len(study.values)} different values, {worst[0].case.label.name} alone "
                f"{len(worst[0].label.structures)}; a model learns {MAX_LABELS} structures at most.")
        yield fault("unknown_label_value", worst[:1], seen, "Check whether these are labels or scans.", labels=True)
        return
    known = ", ".join(f"{v} {n}" for v, n in study.given_names.items())
    for value in sorted(study.values):
        holders = [f for f in study.facts if f.label and value in f.label.structures]
        if study.given_names and value not in study.given_names:
            what = f"which has no name (named: {known})"
        elif not 1 <= value <= MAX_VALUE:
            what = f"which no label may have (1 to {MAX_VALUE})"
        else:
            continue
        others = f", and so do {len(holders) - 1} more" if len(holders) > 1 else ""
        seen = f"The label {holders[0].case.label.name} holds the value {value}, {what}{others}."
        remedy = "Add it to labels.json or dataset.json, or remove it from the label"
        if value < 0:
            remedy = "Give these voxels another value; --not-annotated takes one of 1 to 65535, usually 255"
        elif _may_mean_not_annotated(value, holders):
            remedy += f"; if it marks what is not annotated, give --not-annotated {value}"
        yield fault("unknown_label_value", holders, seen, f"{remedy}.", labels=True)


def looks_not_annotated(study: Study) -> Iterator[Finding]:
    """Where no file names the values: the one that covers most of most labels."""
    labels = [f for f in study.annotated if f.label.structures]
    value = max(study.values, default=0)
    holders = [f for f in labels if value in f.label.structures]
    if not study.given_names and 2 * len(holders) > len(labels) and _may_mean_not_annotated(value, holders):
        shares = sorted(_share(f.label, value) for f in holders)
        seen = (f"Value {value} covers {shares[len(shares) // 2]:.0%} of the voxels of {len(holders)} of "
                f"{count(len(labels), 'label')}: it will be learnt as a structure.")
        yield warning("looks_not_annotated", holders, seen, f"If it marks what is not annotated, give --not-annotated "
                      f"{value}; else name it in labels.json.", labels=True)


def _may_mean_not_annotated(value: int, holders: list[CaseFacts]) -> bool:
    """Whether ``value`` covers most of most labels that hold it, more than background does."""
    shares = [(_share(f.label, value), _background(f.label)) for f in holders]
    covers = sum(share > _COVERS and share > background for share, background in shares)
    return value in (-1, 254, 255) or 2 * covers > len(shares)


def _share(label: LabelFacts, value: int) -> float:
    return label.structures[value].voxels / label.n_voxels


def _background(label: LabelFacts) -> float:
    """Share of the voxels that are background."""
    others = label.n_not_annotated + sum(structure.voxels for structure in label.structures.values())
    return (label.n_voxels - others) / label.n_voxels


def empty(study: Study) -> Iterator[Finding]:
    """Labels that show nothing; a fault where they are all there is."""
    for part, cases in (("labeled", study.labeled), ("validation", study.validation)):
        unseen = [f for f in cases if f.label.n_not_annotated == f.label.n_voxels]
        bare = [f for f in cases if not f.label.structures and f.label.n_not_annotated < f.label.n_voxels]
        if cases and len(unseen) + len(bare) == len(cases):
            seen = f"All labels of {named(cases)} are empty ({_why_empty(study, bare)})."
            yield fault("all_labels_empty", cases, seen, _fill(study, cases), labels=True)
            continue
        whose = "" if part == "labeled" else " of validation cases"
        if bare:
            seen = f"{count(len(bare), 'label')}{whose} without any structure: {named(bare)}."
            yield warning("empty_label", bare, seen,
                          "Check that they are finished: what is not marked is learnt as background.", labels=True)
        if unseen:
            seen = f"Nothing is annotated in {count(len(unseen), 'case')}{whose}: {named(unseen)}."
            yield warning("nothing_annotated", unseen, seen, "Annotate something, or move the scans to the archive.",
                          labels=True)


def _why_empty(study: Study, bare: list[CaseFacts]) -> str:
    """``bare``: labels that are not all without annotation."""
    if not bare:
        return f"value {study.not_annotated}, not annotated, everywhere"
    if any(f.label.n_not_annotated for f in bare):
        return f"values 0 and {study.not_annotated} alone, which stands for what is not annotated"
    return "value 0 everywhere"


def _fill(study: Study, cases: list[CaseFacts]) -> str:
    """Masks of 0 and 255 are common, and a name makes 255 a structure."""
    if any(f.label.n_not_annotated for f in cases):
        example = f'{{"{study.not_annotated}": "liver"}}'
        return f"If {study.not_annotated} marks a structure, name it in labels.json: {example}."
    return "Give scans in which something is labelled."


def declared(study: Study) -> Iterator[Finding]:
    """Structures that a case declares as not annotated while its label shows them."""
    for facts in study.annotated:
        there = [v for v in facts.case.not_annotated if v in facts.label.structures]
        if there:
            shown = some(f"{study.names.get(v, v)} ({facts.label.structures[v].voxels} voxels)" for v in there)
            found = warning("declared_but_present", [facts], f"{facts.case.name} declares as not annotated what its "
                            f"label shows: {shown}.", "Take it out of not_annotated in cases.json, or out of the "
                            "label.", labels=True)
            yield replace(found, structures=tuple(there))


def absent(study: Study) -> Iterator[Finding]:
    """Structures that some cases lack while most others show them: perhaps nobody annotated them there."""
    for value, name in study.names.items():
        asked = [f for f in study.annotated if f.label.structures and not f.label.n_not_annotated
                 and value not in f.case.not_annotated]
        lacking = [f for f in asked if value not in f.label.structures]
        showing = len(asked) - len(lacking)
        if lacking and showing >= _FEW and showing > _usual(study, value) * len(asked):
            seen = (f"{name} is in {showing} of {len(asked)} labels, and not in {named(lacking)}: there it is learnt "
                    "as background.")
            found = warning("absent_structure", lacking, seen, "Where it was not annotated, declare it under "
                            "not_annotated in cases.json; where the patient has none, all is well.", labels=True)
            yield replace(found, structures=(value,))


def _usual(study: Study, value: int) -> float:
    structure = study.structure(value)
    return _NEARLY_ALWAYS if structure and structure.category.value == _ABNORMAL else _USUAL


def cases(study: Study) -> Iterator[Finding]:
    """Whether there are cases to learn from, to validate on, and an archive."""
    folders = {part: s.folders for part, s in study.sets.items()}
    if "labeled" in study.sets and not study.labeled:
        yield Finding("no_usable_case", Severity.FAULT, folders["labeled"],
                      f"None of the {len(study.sets['labeled'].cases)} labelled cases can be used.",
                      "Fix the faults that are listed with them.")
    elif "labeled" in study.sets and len(study.labeled) < ENOUGH_CASES and (len(study.labeled) > 1 or study.validation):
        yield warning("few_cases", study.labeled, f"There {'is' if len(study.labeled) == 1 else 'are'} "
                      f"{count(len(study.labeled), 'labelled case')} to learn from.",
                      "Label some more: seven or more are usual, and each one counts.")
    if "validation" in study.sets and not study.validation:
        yield Finding("no_usable_case", Severity.FAULT, folders["validation"], "No validation case can be used.",
                      "Fix the faults that are listed with them, or leave out --validation.")
    if len(study.labeled) == 1 and "validation" not in study.sets:
        yield warning("no_validation", study.labeled, "There is one labelled case and no --validation folder: the "
                      "model is kept as it is at the end, unscored.", "Label one more case, or give --validation.")
    if "unlabeled" in study.sets and not study.archive:
        yield Finding("no_archive", Severity.WARNING, folders["unlabeled"],
                      f"No scan in {' or '.join(map(str, folders['unlabeled']))} can be used: training goes on with "
                      "the labels only.",
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
