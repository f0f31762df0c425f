"""What all sections of the check's page share: who has which number, which scans get a picture, how files are named."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from alhvr.checking.facts import CaseFacts, StructureFacts
from alhvr.checking.findings import Severity
from alhvr.checking.html_report.charts import LineStyle
from alhvr.checking.result import CheckResult, case_key
from alhvr.pages.markup import Content, Html, element

PICTURES = 200
"""Most thumbnails in a page."""

PART_NAMES = {"labeled": "labelled", "validation": "validation", "unlabeled": "archive"}
"""The parts of a study as people call them."""

_NOT_ANNOTATED = LineStyle("not annotated", "#ffffff", "0.6 1.6")
_MOSTLY = 0.5
"""Where more of a slice than this is not annotated, its outline would only repeat that of the rest."""


@dataclass(frozen=True)
class View:
    """A result, seen as a page."""

    result: CheckResult

    @cached_property
    def numbers(self) -> dict[str, int]:
        """Each case's number in the page by part/name."""
        return {case_key(facts): number for number, facts in enumerate(self.result.facts)}

    @cached_property
    def archive(self) -> tuple[CaseFacts, ...]:
        """The archive, the furthest off first; what was not compared comes last."""
        rank = {entry.case: place for place, entry in enumerate(self.result.unlike)}
        return tuple(sorted(self.result.part("unlabeled"), key=lambda facts: rank.get(case_key(facts), len(rank))))

    @cached_property
    def findings_of(self) -> dict[str, list[int]]:
        """By part/name: numbers of the faults and warnings about a case, from 1."""
        found: dict[str, list[int]] = {}
        for number, finding in enumerate(self.result.findings, start=1):
            for case in finding.cases if finding.severity is not Severity.NOTE else ():
                found.setdefault(case, []).append(number)
        return found

    @cached_property
    def pictured(self) -> frozenset[str]:
        """Ids of the pictures that the page shows: the first cases of each finding, then the rest by part."""
        return frozenset(name for name, _ in zip(dict.fromkeys(self._wanted()), range(PICTURES), strict=False))

    @cached_property
    def n_pictures(self) -> int:
        """How many pictures there are to show, whether they fit or not."""
        return sum(len(facts.images) for facts in self.result.facts)

    def case(self, key: str) -> CaseFacts | None:
        """The case of that part/name; None where a finding is about something else."""
        return self.result.facts[self.numbers[key]] if key in self.numbers else None

    def picture_names(self, facts: CaseFacts) -> list[str]:
        """Ids of a case's pictures, one per channel."""
        return [f"p{self.numbers[case_key(facts)]}-{channel}" for channel in range(len(facts.images))]

    def styles(self, facts: CaseFacts) -> dict[int, LineStyle]:
        """How the outline of each label value is drawn, known structures first."""
        label = facts.label
        if label is None or label.outline is None:
            return {}
        known = self.result.labels.values if self.result.labels else ()
        others = sorted(set(label.structures) - set(known))
        styles = {value: LineStyle.of_structure(index, self.structure_name(value))
                  for index, value in enumerate((*known, *others))}
        if 0 < (label.outline == self.result.not_annotated).mean() <= _MOSTLY:
            styles[self.result.not_annotated] = _NOT_ANNOTATED
        return styles

    def link(self, key: str) -> Content:
        """A case by its name, as a link to its place in the page where it has one."""
        part, _, name = key.partition("/")
        words = f"{name} ({PART_NAMES.get(part, part)})"
        return element("a", words, href=f"#c{self.numbers[key]}") if key in self.numbers else words

    def file(self, path: Path) -> Html:
        """A file as PART/the rest of its path, or whole where it lies in none of the folders."""
        folders = ((part, folder) for part, cases in self.result.sets.items() for folder in cases.folders)
        for part, folder in folders:
            if path != folder and path.is_relative_to(folder):
                words = f"{PART_NAMES.get(part, part)}: {path.relative_to(folder).as_posix()}"
                return element("code", words, title=str(path))
        return element("code", str(path))

    @cached_property
    def unit(self) -> str:
        """ml, or voxels where no label has a spacing that is sure to be known."""
        grids = [facts.label.geometry for facts in self.result.facts if facts.label]
        return "voxels" if grids and all(grid.nominal for grid in grids) else "ml"

    def volume(self, structure: StructureFacts) -> float:
        """How large a structure is, in ``unit``."""
        return structure.voxels if self.unit == "voxels" else structure.volume_ml

    def structure_name(self, value: int) -> str:
        """The name of a label value; the value alone where it has none."""
        labels = self.result.labels.labels if self.result.labels else ()
        return next((label.name for label in labels if label.value == value), f"value {value}")

    def _wanted(self) -> Iterator[str]:
        """Ids of all pictures, the most telling first."""
        for finding in self.result.findings:
            for key in finding.cases[:SHOWN_PER_FINDING] if finding.severity is not Severity.NOTE else ():
                facts = self.case(key)
                yield from self.picture_names(facts) if facts else ()
        for facts in (*self.result.part("labeled"), *self.result.part("validation"), *self.archive):
            yield from self.picture_names(facts)


SHOWN_PER_FINDING = 6
"""Pictures beside a finding."""
