"""Cases: which scans a folder holds, which label belongs to which, and what the label values mean."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from alhvr.core.errors import ChannelError, UserError
from alhvr.core.files import is_plain, shown
from alhvr.data.case_file import CaseEntry, CaseFile, merge, read_case_file, structure_values
from alhvr.data.case_layouts import LAYOUTS, list_folder
from alhvr.data.case_paths import name_fault, say_alike
from alhvr.data.channel_names import (
    Channel,
    channel_fault,
    check_names,
    common_count,
    list_channels,
    name_channels,
    tells_channels,
)
from alhvr.data.dicom_file import file_of
from alhvr.data.dicom_folder import LeftOut
from alhvr.data.dicom_labels import common_values
from alhvr.data.dicom_rule import SeriesRule
from alhvr.data.dicom_zip import is_zip, unpack
from alhvr.data.label_names import IGNORE, LabelMeaning, Structures, align, find_structures
from alhvr.data.listing import Listing
from alhvr.data.reading import read_label_names
from alhvr.formats.labels import folded
from alhvr.formats.segment_names import read_segment_names

_NAMED_AT_MOST = 5
"""Longest list of case names in a message."""
_LONGEST_SHOWN = 80
"""Letters that are shown of a name that cannot be used."""
_NUMBERED_LETTERS = 40
"""Of a name that gets a number; few enough that a file can be called so whatever they are."""
_CHANNEL_HINT = ("Add the file or take the whole case away; channels are files NAME_0000, NAME_0001, ..., or are "
                 "listed case by case in cases.json.")


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
    """Label values of structures that are not annotated in this case: its background may be one of them."""
    patient: str | None = None
    """Who it is, where cases.json or the layout says so; cases of one patient belong on one side of a split."""
    meaning: LabelMeaning = LabelMeaning()
    """How the values in its label file become those of the run, in which all other label values are given."""
    held_out: bool = False
    """cases.json says that it is for scoring alone: nothing is learnt from it."""

    @property
    def images(self) -> tuple[Path, ...]:
        """All channels in order."""
        return (self.image, *self.more_images)


@dataclass(frozen=True)
class Incomplete:
    """A scan that cannot be used, because a channel is missing or there is one too many."""

    name: str
    """Its case name."""
    images: tuple[Path, ...]
    """The channels that are there."""
    reason: str
    """What is wrong, as a sentence that names the case and the file."""


@dataclass(frozen=True)
class CaseSet:
    """The cases of one folder, sorted by name; or of several, one folder after the other."""

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
    incomplete: tuple[Incomplete, ...] = ()
    """Scans that were left out because of their channels or files, each named in ``warnings`` too."""
    notes: tuple[str, ...] = ()
    """The layout that was recognised, what was taken by a guess, and documents, one sentence each."""
    label_notes: tuple[str, ...] = ()
    """How label values are mapped by name, joined or taken for not annotated, one sentence each."""
    more_folders: tuple[Path, ...] = ()
    """Where the cases lie too: an archive may have several folders."""
    left_out: tuple[LeftOut, ...] = ()
    """DICOM series that are not used, each with its reason."""
    rules: tuple[SeriesRule, ...] = ()
    """Which DICOM series were asked for; empty for all."""

    @property
    def folders(self) -> tuple[Path, ...]:
        """Everywhere the cases lie."""
        return (self.folder, *self.more_folders)

    @property
    def n_channels(self) -> int:
        """Channels of every case."""
        return len(self.cases[0].images)


def find_cases(folder: Path, *, labeled: bool, channels: Sequence[Channel] | int | None = None,
               strict: bool = True, rules: Sequence[SeriesRule] = ()) -> CaseSet:
    """The scans in ``folder``, whatever its layout (see docs of the command line), or in a zip file of such a one.

    ``labeled``: only cases with a label, the others named in a warning; otherwise every scan, without labels.
    ``channels`` that every case must have, or their number; None: as many as the folder tells. ``rules``: which DICOM
    series are wanted; none: as cases.json says, else all. Raises UserError when
    the folder is missing, holds no scans, no labelled ones where labels are asked for, or other channels than asked
    for; when a labelled case lacks a channel (without labels, or where it is not ``strict``, such a scan is left out
    with a warning); and for mistakes in cases.json.
    """
    folder, told = Path(folder), ()
    if is_zip(folder):
        unpacked = unpack(folder)
        folder, told = unpacked.folder, unpacked.notes
    if not folder.is_dir():
        message = f"The folder {folder.name} is not there." if not folder.exists() else f"{folder.name} is no folder."
        raise UserError(message, f"Give a folder with {LAYOUTS}.")
    overrides = read_case_file(folder)
    count = channels if channels is None or isinstance(channels, int) else max(1, len(channels))
    rules = tuple(rules) or overrides.rules
    listing = list_folder(folder, count or len(overrides.channels) or None, rules)
    listing = merge(listing, overrides, folder, labeled=labeled)
    listing = _with_usable_names(listing)
    if not listing.images:
        seen = " ".join(("", *say_unused(listing.left_out), *listing.warnings, *listing.notes))
        hint = "Change the rule (--series)." if rules and listing.left_out else f"It needs {LAYOUTS}."
        raise UserError(f"The folder {shown(folder.name)} holds no scans.{seen}", hint)
    oddities = check_names(folder.name, listing.channels, channels)
    if count == 1 and tells_channels(listing.images.keys(), listing.labels.keys(), None):
        oddities += (f"The names in {folder.name} look like those of channels (NAME_0000, NAME_0001, ...), but one "
                     "channel is needed: each file is taken for a scan of its own.",)
    named = listing.channels or (() if channels is None or isinstance(channels, int) else tuple(channels))
    count = count or len(named) or common_count(listing.images.values())
    listing = replace(listing, warnings=(*listing.warnings, *oddities), channels=named or name_channels(count))
    if not labeled:
        found = _archive(folder, listing, overrides, count)
    else:
        found = _labeled(folder, listing, overrides, count, strict=strict)
    return replace(found, left_out=listing.left_out, rules=rules, notes=(*told, *found.notes))


def join_archives(sets: Sequence[CaseSet]) -> CaseSet:
    """One or more archives as one. A case whose name an earlier one has gets the name of its folder before its own.

    So no name depends on the folders after it. What is said of several folders begins with the folder's name.
    """
    if len(sets) == 1:
        return sets[0]
    taken: set[str] = set()
    cases, incomplete, names = [], [], {}
    for number, found in enumerate(sets, start=1):
        cases += [replace(case, name=_apart(case.name, found.folder, number, taken)) for case in found.cases]
        incomplete += [replace(scan, name=_apart(scan.name, found.folder, number, taken)) for scan in found.incomplete]
        names = {**found.label_names, **names}
    modalities = {found.modality for found in sets}
    said = {kind: tuple(f"{shown(found.folder.name)}: {text}" for found in sets for text in getattr(found, kind))
            for kind in ("warnings", "notes", "label_notes")}
    unused = tuple(one for found in sets for one in found.left_out)
    return replace(sets[0], left_out=unused, cases=tuple(cases), incomplete=tuple(incomplete), label_names=names,
                   modality=modalities.pop() if len(modalities) == 1 else None,
                   channels=next((found.channels for found in sets if found.channels), ()),
                   more_folders=tuple(found.folder for found in sets[1:]), **said)


def _apart(name: str, folder: Path, number: int, taken: set[str]) -> str:
    """``name``, or one made of it that is not ``taken`` yet, whatever its letters' case; it is taken afterwards."""
    numbered = (f"{n}_{name[-_NUMBERED_LETTERS:]}" for n in itertools.count(number))
    wanted = itertools.chain([name, f"{folder.name}_{name}"], numbered)
    found = next(text for text in wanted if text.casefold() not in taken and not name_fault(text))
    taken.add(found.casefold())
    return found


def _with_usable_names(listing: Listing) -> Listing:
    """``listing`` without the cases after which no result can be named, and a warning on them and on look-alikes."""
    bad = sorted(name for name in listing.images if name_fault(name))
    named = ", ".join(f'"{shown(name)[:_LONGEST_SHOWN]}" {name_fault(name)}' for name in bad[:_NAMED_AT_MOST])
    more = " and more" if len(bad) > _NAMED_AT_MOST else ""
    left_out = (f"Scans whose names cannot be those of results, left out ({len(bad)}): {named}{more}.",) if bad else ()
    images = {name: images for name, images in listing.images.items() if name not in bad}
    labels = {name: path for name, path in listing.labels.items() if not name_fault(name)}
    return replace(listing, images=images, labels=labels,
                   warnings=(*listing.warnings, *left_out, *say_alike(images)))


def _archive(folder: Path, listing: Listing, overrides: CaseFile, count: int) -> CaseSet:
    """Every scan that has its channels, without labels."""
    incomplete = _incomplete(listing, sorted(listing.images), count)
    left_out = {scan.name for scan in incomplete}
    cases = tuple(_case(name, listing, overrides) for name in sorted(listing.images) if name not in left_out)
    if not cases:
        raise ChannelError(f"No scan in {folder.name} has {list_channels(listing.channels or count)}. "
                        f"{incomplete[0].reason}", _CHANNEL_HINT)
    names = {value: name for value, name in listing.label_names.items() if folded(name) != IGNORE}
    return CaseSet(folder, cases, names, listing.modality,
                   (*listing.warnings, *say_left_out(incomplete)), listing.channels, incomplete, listing.notes)


def _labeled(folder: Path, listing: Listing, overrides: CaseFile, count: int, *, strict: bool) -> CaseSet:
    """The cases that have a label."""
    both = sorted(set(listing.images) & set(listing.labels))
    if not both:
        message = f"None of the {len(listing.images)} scans in {folder.name} has a label."
        raise UserError(message, "Put labels of the same names into labels/ beside images/.")
    incomplete = _incomplete(listing, both, count)
    if incomplete and (strict or len(incomplete) == len(both)):
        more = f" And {len(incomplete) - _NAMED_AT_MOST} more." if len(incomplete) > _NAMED_AT_MOST else ""
        raise ChannelError(" ".join(scan.reason for scan in incomplete[:_NAMED_AT_MOST]) + more, _CHANNEL_HINT)
    left_out = {scan.name for scan in incomplete}
    cases = tuple(replace(_case(name, listing, overrides), label=listing.labels[name]) for name in both
                  if name not in left_out)
    structures = _structures(folder, listing, overrides, cases)
    names, meaning = structures.names, structures.meaning
    absent = {case.name: structure_values(case.name, overrides.cases[case.name], names, meaning) for case in cases
              if case.name in overrides.cases}
    cases = tuple(replace(case, meaning=meaning, not_annotated=absent.get(case.name, ())) for case in cases)
    warnings = (
        *listing.warnings,
        *say_left_out(incomplete),
        *_left_out("Scans without a label, left out", set(listing.images) - set(both)),
        *_left_out("Labels without a scan of the same name", set(listing.labels) - set(both)),
    )
    return CaseSet(folder, cases, names, listing.modality, warnings, listing.channels, incomplete,
                   listing.notes, structures.notes)


def _structures(folder: Path, listing: Listing, overrides: CaseFile, cases: Sequence[Case]) -> Structures:
    """What the values of the labels mean; raises UserError for files that contradict each other."""
    source = "dataset.json" if (folder / "dataset.json").is_file() else "labels.json"
    named, joins = dict(listing.label_names), overrides.joins
    if listing.regions and not overrides.joins:
        parts = {value for values in listing.regions.values() for value in values}
        # A label that a region covers is a region of its own: both overlap, which is refused.
        joins = listing.regions | {name: (value,) for value, name in named.items() if value in parts}
        named |= {value: f"label {value}" for value in sorted(parts - named.keys())}
    found = find_structures(source, named, _headers(cases), joins)
    if overrides.joins and listing.regions:
        regions = ", ".join(f'"{shown(name)}"' for name in listing.regions)
        return replace(found, notes=(*found.notes, f"The regions of dataset.json ({regions}) are not used, because "
                                                   "cases.json joins structures."))
    return found


def say_left_out(incomplete: Sequence[Incomplete]) -> tuple[str, ...]:
    """A sentence for each of the first, and one for the rest."""
    said = [f"Left out: {scan.reason}" for scan in incomplete[:_NAMED_AT_MOST]]
    if len(incomplete) > _NAMED_AT_MOST:
        said.append(f"Left out because of their channels: {len(incomplete) - _NAMED_AT_MOST} more.")
    return tuple(said)


def say_unused(left_out: Sequence[LeftOut]) -> tuple[str, ...]:
    """A sentence on the DICOM series that are not used, with the first ones and their reasons; none where all are."""
    if not left_out:
        return ()
    listed = "; ".join(f"{shown(one.path.name)} ({one.what}): {one.reason}" for one in left_out[:_NAMED_AT_MOST])
    more = f"; and {len(left_out) - _NAMED_AT_MOST} more" if len(left_out) > _NAMED_AT_MOST else ""
    return (f"DICOM series that are not used ({len(left_out)}): {listed}{more}.",)


def _case(name: str, listing: Listing, overrides: CaseFile) -> Case:
    """A case whose channels are all there, without its label."""
    images = listing.images[name]
    first, *others = (images[number] for number in sorted(images))
    said = overrides.cases.get(name, CaseEntry())
    return Case(name, first, None, tuple(others), patient=said.patient or listing.patients.get(name),
                held_out=said.held_out)


def _incomplete(listing: Listing, names: Iterable[str], count: int) -> tuple[Incomplete, ...]:
    """Those of ``names`` that have not exactly the channels 0 to ``count`` - 1, or one that is no plain file."""
    found = []
    for name in names:
        images = listing.images[name]
        reason = channel_fault(name, images, listing.channels or count) or _file_fault(name, images.values())
        if reason:
            found.append(Incomplete(name, tuple(images.values()), reason))
    return tuple(found)


def _file_fault(name: str, images: Iterable[Path]) -> str:
    """A sentence on the first of the ``images`` that is neither a plain file nor a folder; empty for none."""
    odd = next((path for path in images if not path.is_dir() and not is_plain(file_of(path))), None)
    return "" if odd is None else f'The channel {shown(odd.name)} of the case "{shown(name)}" is no plain file.'


def _left_out(what: str, names: Iterable[str]) -> tuple[str, ...]:
    """One sentence with the number and the first names; nothing for no names."""
    ordered = sorted(names)
    if not ordered:
        return ()
    more = " and more" if len(ordered) > _NAMED_AT_MOST else ""
    return (f"{what} ({len(ordered)}): {', '.join(ordered[:_NAMED_AT_MOST])}{more}.",)


def _headers(cases: Iterable[Case]) -> dict[str, dict[int, str]]:
    """What each label file calls its values; a file whose header cannot be read is told of when it is read whole.

    The numbers of DICOM labels mean nothing beyond their file, so each name has one value in all of them.
    """
    found, dicom = {}, {}
    for case in cases:
        with contextlib.suppress(UserError, OSError):
            names = read_label_names(case.label)
            kind = found if read_segment_names(case.label) else dicom
            name = case.label.name
            taken = name in found or name in dicom
            kind[f"{case.label.parent.name}/{name}" if taken else name] = names
    values = common_values([*found.values(), *dicom.values()])
    dicom = {file: {values[folded(name)]: name for name in names.values()} for file, names in dicom.items()}
    return {file: names for file, names in {**found, **dicom}.items() if names}


def align_cases(found: CaseSet, known: Mapping[int, str]) -> CaseSet:
    """``found`` with the label values that ``known``, value to name, has for its structures; as it is in a clash."""
    structures = None
    if known and found.label_names:
        structures = align(Structures(found.label_names, found.cases[0].meaning), known)
    if structures is None:
        return found
    moved = dict(structures.meaning.by_value)
    cases = tuple(replace(case, meaning=structures.meaning,
                          not_annotated=tuple(sorted(moved.get(value, value) for value in case.not_annotated)))
                  for case in found.cases)
    return replace(found, cases=cases, label_names=structures.names,
                   label_notes=(*found.label_notes, *structures.notes))
