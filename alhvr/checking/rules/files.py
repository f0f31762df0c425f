"""Rules about files: unreadable, empty, left out, and channels that do not fit each other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from alhvr.checking.facts import CaseFacts, Problem
from alhvr.checking.findings import Finding, Severity
from alhvr.checking.result import case_key
from alhvr.checking.rules.study import Study, count, fault, named, warning
from alhvr.core.files import shown
from alhvr.data.case_io import reach
from alhvr.data.cases import CaseSet, say_unused
from alhvr.data.geometry import Geometry

_TOLD = 3
"""Longest list of oddities in a sentence."""
_PARTS = {"labeled": "labelled cases", "validation": "validation cases", "unlabeled": "archive"}
_MOSTLY = 0.5
"""A scan of which more than this share is not finite is no scan."""
_UNREADABLE = "Copy or export the file again, or take the case out."

_TOGETHER = "Check that both are of one patient and one examination, and register them, or take the case away."
_FEW = 0.5
"""A channel that reaches less of the scan than this is told first."""


def unreadable(study: Study) -> Iterator[Finding]:
    """One fault for each labelled case that cannot be read; scans of the archive are left out with a warning."""
    for facts in study.facts:
        if facts.image_problem:
            images = facts.case.images
            file = images[min(len(facts.images), len(images) - 1)]
            yield _unreadable(facts, _kind(facts.image_problem), facts.image_problem, file)
        if facts.label_problem:
            yield _unreadable(facts, "unreadable_label", facts.label_problem, facts.case.label or facts.case.image)


def _kind(problem: Problem) -> str:
    """By what ``reading.read_scan`` says."""
    if "is empty: every voxel is" in problem.message:
        return "constant_image"
    if "every voxel is NaN" in problem.message:
        return "not_finite"
    return "unreadable_image"


def _unreadable(facts: CaseFacts, kind: str, problem: Problem, file: Path) -> Finding:
    archive = facts.part == "unlabeled"
    seen = f"Left out of the archive: {file.name}: {problem.message}" if archive else problem.message
    severity = Severity.WARNING if archive else Severity.FAULT
    return Finding(kind, severity, (file,), seen, problem.hint or _UNREADABLE, (case_key(facts),))


def not_finite(study: Study) -> Iterator[Finding]:
    """Voxels that are NaN or infinite: a fault where they are most of a labelled scan."""
    odd = [(f, max(i.n_not_finite / _voxels(i.geometry.size_ijk) for i in f.images)) for f in study.part(
        "labeled", "validation", "unlabeled") if any(i.n_not_finite for i in f.images)]
    odd.sort(key=lambda entry: -entry[1])
    for facts, share in odd:
        if share > _MOSTLY and facts.part != "unlabeled":
            yield fault("not_finite", [facts], f"{facts.case.image.name}: {share:.0%} of the voxels are NaN or "
                        "infinite.", "Export the scan again.")
    rest = [f for f, share in odd if share <= _MOSTLY or f.part == "unlabeled"]
    if rest:
        worst = max(rest[0].images, key=lambda image: image.n_not_finite)
        seen = (f"{count(len(rest), 'scan holds', 'scans hold')} voxels that are NaN or infinite "
                f"({named(rest)}; in {rest[0].case.name} {worst.n_not_finite} of "
                f"{_voxels(worst.geometry.size_ijk)} voxels).")
        yield warning("not_finite", rest, seen, "They are taken for the smallest finite value; export the scans again "
                      "where that is wrong.")


def no_contrast(study: Study) -> Iterator[Finding]:
    """Scans of a single value, but for a few voxels."""
    flat = [f for f in study.part("labeled", "validation", "unlabeled") if any(
        i.print.intensity and i.print.intensity.lower == i.print.intensity.upper for i in f.images)]
    if flat:
        yield warning("constant_image", flat, f"{count(len(flat), 'scan is', 'scans are')} of one value but for at "
                      f"most 1 % of the voxels ({named(flat)}).", "Look at them, and take out what is no scan.")


def odd_files(study: Study) -> Iterator[Finding]:
    """What reading found odd, but for voxels that are not finite, which have a rule of their own."""
    for part in ("labeled", "validation", "unlabeled"):
        odd = [(f, text) for f in study.part(part) for i in f.images for text in i.warnings if not i.n_not_finite]
        odd += [(f, text) for f in study.part(part) if f.label for text in f.label.warnings]
        if odd:
            more = f" (and {len(odd) - _TOLD} more)" if len(odd) > _TOLD else ""
            told = " ".join(text for _, text in odd[:_TOLD])
            yield warning("odd_file", list({id(f): f for f, _ in odd}.values()), told + more,
                          "Look at these scans in a viewer.")


def channels(study: Study) -> Iterator[Finding]:
    """One fault for each labelled case without all its channels; scans of the archive are left out with a warning."""
    for part, cases in study.sets.items():
        archive = part == "unlabeled"
        for scan in cases.incomplete:
            seen = f"Left out of the archive: {scan.reason}" if archive else scan.reason
            yield Finding("missing_channel", Severity.WARNING if archive else Severity.FAULT, scan.images, seen,
                          "Add the file, or take the whole case away.", (f"{part}/{scan.name}",))


def _series(cases: CaseSet) -> Iterator[Finding]:
    """Which rule chose the DICOM series of a folder, and which series are not used."""
    if cases.rules:
        yield Finding("series_rule", Severity.NOTE, (cases.folder,),
                      f"DICOM series are chosen by: {'; '.join(shown(rule) for rule in cases.rules)}.",
                      "To choose others, change the rule (--series, or series in cases.json).")
    unused = cases.left_out
    if unused:
        yield Finding("series_left_out", Severity.NOTE, tuple(one.path for one in unused), *say_unused(unused),
                      "Nothing to do where that is meant; else change the rule (--series).")


def left_out(study: Study) -> Iterator[Finding]:
    """What the folders leave out, as they say it; scans without all their channels have a rule of their own."""
    for part, cases in study.sets.items():
        for text in cases.notes:
            yield Finding("layout", Severity.NOTE, (cases.folder,), text, "Nothing to do where that is meant.")
        yield from _series(cases)
        for text in cases.warnings:
            if not (cases.incomplete and text.startswith("Left out")):
                yield Finding("left_out_of_folder", Severity.WARNING, (cases.folder,), text,
                              f"Nothing to do where that is meant; else complete them ({_PARTS[part]}).")


def label_grids(study: Study) -> Iterator[Finding]:
    """One fault for each label on another grid than its scan."""
    for facts in study.facts:
        if facts.label and facts.label.other_grid and facts.case.label:
            seen = (f"The label {facts.case.label.name} lies on another grid than its scan {facts.case.image.name}: "
                    f"{facts.label.other_grid}.")
            yield fault("label_on_another_grid", [facts], seen,
                        "Check that both belong together, or resample the label to the scan.", labels=True)


def _voxels(size_ijk: tuple[int, int, int]) -> int:
    return size_ijk[0] * size_ijk[1] * size_ijk[2]


def apart(facts: CaseFacts) -> tuple[int, ...]:
    """Channels, from 1, that share no place with the first one, so that the case cannot be read as one scan."""
    first, *others = _grids(facts)
    return tuple(n for n, grid in enumerate(others, 1) if first.difference(grid) and reach(first, grid) == 0)


def places(study: Study) -> Iterator[Finding]:
    """One fault for each case whose channels lie in two places; a warning in the archive, which is learnt without."""
    for facts in study.facts:
        for channel in apart(facts) if facts.images else ():
            images = facts.case.images
            seen = (f"{images[channel].name}, channel {channel + 1} of {facts.case.name}, shares no place with "
                    f"{images[0].name}: {_difference(facts, channel)}.")
            yield (warning if facts.part == "unlabeled" else fault)("channels_apart", [facts], seen, _TOGETHER)


def grids(study: Study) -> Iterator[Finding]:
    """One warning for each channel that lies on another grid than the first one somewhere; the worst case first."""
    for channel in range(1, study.n_channels):
        there = [f for f in study.facts if channel < len(f.images)]
        odd = [f for f in there if _difference(f, channel) and channel not in apart(f)]
        if not odd:
            continue
        share = {f.case: _reach(f, channel) for f in odd}
        odd.sort(key=lambda f: share[f.case])
        worst = share[odd[0].case]
        less = f", which it reaches to {100 * worst:.0f}%" if worst < 1 else ""
        seen = (f"In {count(len(odd), 'case')} of {len(there)}, {_name(study, channel)} lies on another grid than the "
                f"first channel and is resampled to it; in {odd[0].case.name}: "
                f"{_difference(odd[0], channel)}{less}.")
        remedy = _TOGETHER if worst < _FEW else "Nothing to do where they show one place; else register them first."
        yield warning("channel_on_another_grid", odd, seen, remedy)


def _grids(facts: CaseFacts) -> tuple[Geometry, ...]:
    return tuple(image.geometry for image in facts.images)


def _difference(facts: CaseFacts, channel: int) -> str:
    """How the grid of a channel differs from the first one's; empty where it does not."""
    return facts.images[0].geometry.difference(facts.images[channel].geometry)


def _reach(facts: CaseFacts, channel: int) -> float:
    return reach(facts.images[0].geometry, facts.images[channel].geometry)


def _name(study: Study, channel: int) -> str:
    """What the folders call a channel."""
    named = [cases.channels[channel].name for cases in study.sets.values() if channel < len(cases.channels)]
    return named[0] if named else f"channel {channel + 1}"
