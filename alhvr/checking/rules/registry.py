"""All rules, and what they find together, worst first."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from alhvr.checking.findings import KINDS, Finding, Severity
from alhvr.checking.rules import archive, duplicates, files, images, labels, laterality
from alhvr.checking.rules.study import Study

RULES: tuple[Callable[[Study], Iterable[Finding]], ...] = (
    files.unreadable, files.not_finite, files.no_contrast, files.odd_files, files.channels, files.left_out,
    files.label_grids, files.places, files.grids,
    labels.names, labels.mapped, labels.usable_names, labels.unknown_values, labels.looks_not_annotated, labels.empty,
    labels.declared, labels.absent,
    images.holes, images.stray_parts, laterality.swapped_sides, laterality.moved_structures,
    duplicates.scans, duplicates.labels, duplicates.patients,
    images.scales, archive.modalities, archive.field_strengths, archive.orientations, archive.spacings,
    labels.cases, labels.rare, archive.unlike,
)


def find_faults(study: Study) -> list[Finding]:
    """What every rule finds: faults, then warnings, then notes, each in the order of KINDS."""
    return worst_first(finding for rule in RULES for finding in rule(study))


def worst_first(findings: Iterable[Finding]) -> list[Finding]:
    """Sorted by severity, then by kind; what is alike stays in its order."""
    severities, kinds = list(Severity), list(KINDS)
    return sorted(findings, key=lambda f: (severities.index(f.severity), kinds.index(f.kind)))
