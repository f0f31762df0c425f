"""Rules on shapes: holes in structures, and parts that lie apart from the rest of theirs."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from alhvr.checking.facts import CaseFacts, StructureFacts
from alhvr.checking.findings import Finding
from alhvr.checking.rules.study import Study, count, named, warning

_HOLE_SHARE, _HOLE_VOXELS = 0.015, 4
"""A hole counts from this share of its structure, and from so many voxels, on; drawn outlines leave smaller ones."""
_STRAY_SHARE, _STRAY_VOXELS = 0.008, 3
"""What lies apart counts from this share of its structure, and from so many voxels, on."""
_TWO_PARTS = 0.3
"""Where more than this share lies outside the largest part, the structure has several parts by nature, as lungs."""
_BY_NATURE = 1 / 3
"""What is found in more of the cases than this is no slip of the hand, but how the structure is or is drawn."""
_ABNORMAL = "49755003"
"""SNOMED CT: Morphologically Abnormal Structure: lesions come in parts of any number and shape."""


def holes(study: Study) -> Iterator[Finding]:
    """One warning for each structure that encloses background in some of its cases."""
    for value, name in study.names.items():
        found = _odd(study, value, _hole)
        if found:
            worst = found[0].label.structures[value]
            seen = f"{name} has holes in {_told(found)}: {_amount(found[0], value, worst.hole_voxels)}."
            yield warning("holes", found, seen, "Fill them where they are slips: what is not marked is learnt as "
                          "background.", labels=True)


def stray_parts(study: Study) -> Iterator[Finding]:
    """One warning for each structure of which pieces lie apart in some of its cases."""
    for value, name in study.names.items():
        structure = study.structure(value)
        if structure and structure.category.value == _ABNORMAL:
            continue
        found = _odd(study, value, _stray)
        if found:
            worst = found[0].label.structures[value]
            apart = round(_stray(worst) * worst.voxels)
            seen = (f"{name} is in parts in {_told(found)}: {worst.n_parts} parts, and "
                    f"{_amount(found[0], value, apart)} apart from the largest.")
            yield warning("stray_parts", found, seen, "Look at the smaller parts, and erase those that are slips.",
                          labels=True)


def _told(found: list[CaseFacts]) -> str:
    """The cases by name, and which of them the figures that follow are of."""
    worst = found[0].case.name
    return f"{count(len(found), 'case')} ({named(found)}), in {worst}" if len(found) > 1 else worst


def _amount(facts: CaseFacts, value: int, voxels: int) -> str:
    """Voxels, their volume where the spacing is known, and their share of the structure."""
    structure = facts.label.structures[value]
    ml = f", {structure.volume_ml * voxels / structure.voxels:.3g} ml" if not facts.label.geometry.nominal else ""
    return f"{count(voxels, 'voxel')}{ml} ({voxels / structure.voxels:.1%} of it)"


def _odd(study: Study, value: int, measure: Callable[[StructureFacts], float]) -> list[CaseFacts]:
    """The cases with a defect that most cases lack, the worst first; partly annotated slices have none."""
    whole = [f for f in study.annotated if value in f.label.structures and not f.label.n_not_annotated]
    found = [f for f in whole if measure(f.label.structures[value]) > 0]
    if len(found) > max(1, _BY_NATURE * len(whole)):
        return []
    return sorted(found, key=lambda f: -measure(f.label.structures[value]))


def _hole(structure: StructureFacts) -> float:
    """Holes as a share of the structure; 0 where they are too small to matter."""
    share = structure.hole_voxels / structure.voxels
    return share if share >= _HOLE_SHARE and structure.hole_voxels >= _HOLE_VOXELS else 0.0


def _stray(structure: StructureFacts) -> float:
    """What lies apart as a share of the structure; 0 where it is too little to matter, or as much as a twin."""
    share = 1.0 - structure.largest_part
    counts = _STRAY_SHARE <= share <= _TWO_PARTS and share * structure.voxels >= _STRAY_VOXELS
    return share if counts else 0.0
