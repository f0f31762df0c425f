"""Cases: which scans a folder holds, which label belongs to which, and what the label values mean."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from alhvr.data.case_layouts import LAYOUTS, Listing, list_folder
from alhvr.data.itk_file import read_segment_names
from alhvr.errors import UserError

_NAMED_AT_MOST = 5
"""Longest list of case names in a message."""


@dataclass(frozen=True)
class Case:
    """One scan and, where there is one, its label."""

    name: str
    """Unique within its CaseSet; results are named after it."""
    image: Path
    """Image file or DICOM series folder; one file of the series where a folder holds several."""
    label: Path | None
    """Label file; None when there is none or labels were not asked for."""
    more_images: tuple[Path, ...] = ()
    """The other channels in order, as ``image``; they may lie on grids of their own."""
    not_annotated: tuple[int, ...] = ()
    """Label values of structures that nobody annotated in this case: its background may be one of them."""
    patient: str | None = None
    """Who it is, where cases.json says so; cases of one patient belong on one side of a split."""

    @property
    def images(self) -> tuple[Path, ...]:
        """All channels in order."""
        return (self.image, *self.more_images)


@dataclass(frozen=True)
class Channel:
    """One channel of a scan: what was measured."""

    name: str
    """As people call it, such as "FLAIR"."""
    modality: str = "other"
    """"CT", "MR" or "other"."""


@dataclass(frozen=True)
class CaseSet:
    """The cases of one folder, sorted by name."""

    folder: Path
    """Where they lie."""
    cases: tuple[Case, ...]
    """At least one."""
    label_names: dict[int, str]
    """Meaning of the label values without background; empty where no file tells."""
    modality: str | None
    """"CT", "MR" or "other" where it is the same for all and a file tells, else None."""
    warnings: tuple[str, ...]
    """What was left out, one sentence each."""
    channels: tuple[Channel, ...] = ()
    """The channels that every case has, in order; empty where no file names them and there is but one."""


def find_cases(folder: Path, *, labeled: bool) -> CaseSet:
    """The scans in ``folder``, whatever its layout (see docs of the command line).

    ``labeled``: only cases with a label, the others named in a warning; otherwise every scan, without labels.
    Raises UserError when the folder is missing, holds no scans, or no labelled ones where labels are asked for.
    """
    folder = Path(folder)
    if not folder.is_dir():
        message = f"The folder {folder.name} is not there." if not folder.exists() else f"{folder.name} is no folder."
        raise UserError(message, f"Give a folder with {LAYOUTS}.")
    listing = list_folder(folder)
    if not listing.images:
        raise UserError(f"The folder {folder.name} holds no scans.", f"It needs {LAYOUTS}.")
    if not labeled:
        cases = tuple(Case(name, listing.images[name], None) for name in sorted(listing.images))
        return CaseSet(folder, cases, listing.label_names, listing.modality, listing.warnings)
    return _labeled(folder, listing)


def _labeled(folder: Path, listing: Listing) -> CaseSet:
    """The cases that have a label."""
    both = sorted(set(listing.images) & set(listing.labels))
    if not both:
        message = f"None of the {len(listing.images)} scans in {folder.name} has a label."
        raise UserError(message, "Put labels of the same names into labels/ beside images/.")
    cases = tuple(Case(name, listing.images[name], listing.labels[name]) for name in both)
    warnings = (
        *listing.warnings,
        *_left_out("Scans without a label, left out", set(listing.images) - set(both)),
        *_left_out("Labels without a scan of the same name", set(listing.labels) - set(both)),
    )
    return CaseSet(folder, cases, listing.label_names or _segment_names(cases), listing.modality, warnings)


def _left_out(what: str, names: Iterable[str]) -> tuple[str, ...]:
    """One sentence with the number and the first names; nothing for no names."""
    ordered = sorted(names)
    if not ordered:
        return ()
    more = " and more" if len(ordered) > _NAMED_AT_MOST else ""
    return (f"{what} ({len(ordered)}): {', '.join(ordered[:_NAMED_AT_MOST])}{more}.",)


def _segment_names(cases: Iterable[Case]) -> dict[int, str]:
    """Names from .seg.nrrd labels; raises UserError when two files give one value different names."""
    names: dict[int, str] = {}
    origin: dict[int, Path] = {}
    for case in cases:
        if case.label is None or not case.label.name.lower().endswith(".seg.nrrd"):
            continue
        for value, name in read_segment_names(case.label).items():
            if names.setdefault(value, name) != name:
                first = f'Value {value} is "{names[value]}" in {origin[value].name}'
                message = f'{first}, but "{name}" in {case.label.name}.'
                raise UserError(message, "Export the labels with the same order of segments, or write labels.json.")
            origin.setdefault(value, case.label)
    return dict(sorted(names.items()))
