"""Studies put together by hand for tests of the rules: sound cases, of which a test spoils what it is about."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from checked import case_facts, image_facts, label_facts, structure_facts

from alhvr.checking.facts import CaseFacts, ImageFacts, LabelFacts, StructureFacts
from alhvr.checking.findings import Finding
from alhvr.checking.rules.study import Study
from alhvr.data.cases import CaseSet
from alhvr.data.fingerprint import Fingerprint
from alhvr.data.geometry import Geometry
from alhvr.data.intensity import Statistics

NAMES = {1: "liver", 3: "spleen"}
AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
SAGITTAL = (0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
FIRST_OF_PART = {"labeled": 0, "validation": 100, "unlabeled": 1000}
"""Seeds, so that no two scans are the same."""


def sound(part: str, number: int) -> CaseFacts:
    """One case without any fault, unlike every other one."""
    facts = case_facts(part, f"{part}{number}", FIRST_OF_PART[part] + number)
    facts = replace(facts, images=(replace(facts.images[0], histogram=(10,) * 64),))
    return facts if facts.label is None else with_label(facts, content=f"label of {facts.case.name}", n_voxels=100_000)


def cases(part: str, count: int) -> list[CaseFacts]:
    """Sound cases of one part."""
    return [sound(part, number) for number in range(count)]


def study(*facts: CaseFacts, names: dict[int, str] | None = None, warnings: tuple[str, ...] = (),
          **settings: Any) -> Study:
    """A study of these cases; ``names``: what the folders call the label values, none where it is {}."""
    names = NAMES if names is None else names
    parts = dict.fromkeys(f.part for f in facts)
    sets = {part: CaseSet(Path(f"/data/{part}"), tuple(f.case for f in facts if f.part == part),
                          names if part != "unlabeled" else {}, None, warnings) for part in parts}
    return Study(tuple(facts), sets, **settings)


def with_case(facts: CaseFacts, **changes: Any) -> CaseFacts:
    """The same but for entries of its Case."""
    return replace(facts, case=replace(facts.case, **changes))


def with_image(facts: CaseFacts, **changes: Any) -> CaseFacts:
    """The same but for facts of its first channel."""
    return replace(facts, images=(replace(facts.images[0], **changes), *facts.images[1:]))


def with_grid(facts: CaseFacts, size: tuple = (20, 16, 5), spacing: tuple = (1.5, 1.5, 4.0),
              direction: tuple = AXIAL, modality: str = "MR") -> CaseFacts:
    """The same on another grid, with its label."""
    geometry = Geometry(size, spacing, (0.0, 0.0, 0.0), direction)
    facts = with_image(facts, print=Fingerprint(geometry, modality, facts.images[0].print.intensity))
    return with_label(facts, geometry=geometry) if facts.label else facts


def with_range(facts: CaseFacts, lower: float, upper: float, inside: float | None = None) -> CaseFacts:
    """The same with other intensities; ``inside``: the median of its structures."""
    seen = Statistics(lower, (lower + upper) / 2, upper, (lower + upper) / 2, (upper - lower) / 4)
    foreground = None if inside is None else Statistics(inside - 1, inside, inside + 1, inside, 1.0)
    print_ = replace(facts.images[0].print, intensity=seen, foreground=foreground)
    return with_image(facts, print=print_)


def with_label(facts: CaseFacts, **changes: Any) -> CaseFacts:
    """The same but for facts of its label."""
    return replace(facts, label=replace(facts.label, **changes))


def with_structures(facts: CaseFacts, **structures: StructureFacts) -> CaseFacts:
    """The same with exactly these structures, such as v1=structure()."""
    return with_label(facts, structures={int(name[1:]): s for name, s in structures.items()})


def structure(**changes: Any) -> StructureFacts:
    """A structure in one piece of 1000 voxels and 9 ml."""
    return structure_facts(**changes)


def only(rule: Callable[[Study], Iterable[Finding]], subject: Study) -> Finding:
    """The one thing that ``rule`` finds."""
    (found,) = rule(subject)
    return found


__all__ = ["AXIAL", "NAMES", "SAGITTAL", "ImageFacts", "LabelFacts", "cases", "image_facts", "label_facts", "only",
           "sound", "structure", "study", "with_case", "with_grid", "with_image", "with_label", "with_range",
           "with_structures"]
