"""cases.json: what people say of their cases where the layout of the folder cannot tell.

{"channels": ["T1", {"name": "FLAIR", "modality": "MR"}],
 "series": ["T1: description=*t1*, contrast=no", "FLAIR: description=*flair*"],
 "join": {"whole tumour": ["edema", 1, 4]},
 "cases": {"patient 1": {"images": ["t1/p1.nii.gz", "flair/p1.nii.gz"], "label": "labels/p1.nii.gz",
                         "not_annotated": ["right ventricle", 3], "patient": "A17", "held_out": true}}}

Every entry may be left out; paths are relative to the folder. The name of a case is that of a file, as results are
called after it. A path may lead out of the folder, since scans often lie on another disk, but only to a plain file with
the ending of an image, a DICOM file or a folder, and what lies outside is named in a warning: whoever opens the data
set of a stranger sees that it reaches for other files. "join" makes one structure of others, each given by its
name or its label value; the joined structure has the smallest of their values and takes their place everywhere.
"series" says which DICOM series are wanted, in the folder and in an archive that says nothing of its own.
A case with "held_out": true is for scoring, and nothing is learnt from it; one with "left_out": true is not used;
"annotator" and "annotated_on" are texts for people.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Set
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from alhvr.core.errors import UserError
from alhvr.core.files import shown
from alhvr.data.case_layouts import read_json
from alhvr.data.case_paths import require_case_name, require_image_path, say_outside
from alhvr.data.channel_names import Channel, parse_channels
from alhvr.data.dicom_rule import EXAMPLE, SeriesRule, parse_rules
from alhvr.data.label_names import LabelMeaning
from alhvr.data.listing import Listing
from alhvr.formats.labels import clean_name, folded

CASE_FILE = "cases.json"
_TEXTS = ("label", "patient", "annotator", "annotated_on")
_SWITCHES = ("held_out", "left_out")
_ENTRIES = ("images", "not_annotated", *_TEXTS, *_SWITCHES)
_LISTED = 8


@dataclass(frozen=True)
class CaseEntry:
    """What cases.json says of one case."""

    images: tuple[Path, ...] = ()
    """All its channels in order; empty where the layout is to tell."""
    label: Path | None = None
    """Its label; None where the layout is to tell."""
    not_annotated: tuple[str | int, ...] = ()
    """Names or label values of structures that are not annotated in it."""
    patient: str | None = None
    """Who it is."""
    held_out: bool = False
    """It is for scoring alone."""
    left_out: bool = False
    """It is not to be used."""


@dataclass(frozen=True)
class CaseFile:
    """A whole cases.json; empty where there is none."""

    channels: tuple[Channel, ...] = ()
    """What every case has, in order; empty where it is not said."""
    cases: dict[str, CaseEntry] = field(default_factory=dict)
    """By case name."""
    rules: tuple[SeriesRule, ...] = ()
    """Which DICOM series are wanted; empty where it is not said."""
    joins: dict[str, tuple[str | int, ...]] = field(default_factory=dict)
    """Structures that are made of others: names or label values of these, by the name of the whole."""


def read_case_file(folder: Path) -> CaseFile:
    """The cases.json in ``folder``; raises UserError for anything in it that is not understood."""
    path = folder / CASE_FILE
    if not os.path.lexists(path):
        return CaseFile()
    record = read_json(path)
    if not isinstance(record, dict):
        raise UserError(f"{CASE_FILE} is no list of cases.", 'Write it as {"cases": {"patient 1": {...}}}.')
    _require_known(CASE_FILE, record, ("channels", "series", "join", "cases"))
    cases = record.get("cases", {})
    if not isinstance(cases, dict):
        raise UserError(f'"cases" in {CASE_FILE} is no object.', 'Write it as {"patient 1": {...}}.')
    for name in cases:
        require_case_name(CASE_FILE, name)
    channels = parse_channels(CASE_FILE, record["channels"]) if "channels" in record else ()
    return CaseFile(channels, {name: _parse_case(folder, name, entry) for name, entry in cases.items()},
                    _parse_rules(record.get("series", [])), _parse_joins(record.get("join", {})))


def merge(listing: Listing, overrides: CaseFile, folder: Path, *, labeled: bool) -> Listing:
    """``listing`` with what cases.json tells; a scan of the layout whose file a case of cases.json takes is no case.

    Files from outside ``folder`` are taken, and named in a warning; cases that are left out, in a note. Raises
    UserError for a case that is not there, a missing file or one of no kind that is read, and, ``labeled``, such a
    label, and where every case is left out.
    """
    if not overrides.cases:
        return replace(listing, channels=overrides.channels or listing.channels)
    images, labels = dict(listing.images), dict(listing.labels)
    taken = {_same(path): name for name, entry in overrides.cases.items()
             for path in (*entry.images, entry.label) if path}
    for name in listing.images:
        if any(taken.get(_same(path), name) != name for path in listing.images[name].values()):
            del images[name]
    for name, path in listing.labels.items():
        if taken.get(_same(path), name) != name:
            del labels[name]
    used = {name: entry for name, entry in overrides.cases.items() if not entry.left_out}
    for name, entry in used.items():
        _require_there(name, entry, listing, labeled=labeled)
        if entry.images:
            images[name] = dict(enumerate(entry.images))
        if entry.label is not None:
            labels[name] = entry.label
    files = [path for e in used.values() for path in (*e.images, e.label if labeled else None) if path]
    merged = replace(listing, images=images, labels=labels, channels=overrides.channels or listing.channels,
                     warnings=(*listing.warnings, *say_outside(CASE_FILE, folder, {str(path): path for path in files})))
    return _without(merged, overrides.cases.keys() - used.keys(), folder)


def _without(listing: Listing, left_out: Set[str], folder: Path) -> Listing:
    """``listing`` without these cases; raises UserError where none is left."""
    if not left_out:
        return listing
    images = {name: found for name, found in listing.images.items() if name not in left_out}
    if listing.images and not images:
        raise UserError(f'{CASE_FILE} says "left_out" of every case in {shown(folder.name)}.',
                        'Take "left_out" away from those that are to be used.')
    names, more = sorted(left_out), " and more" if len(left_out) > _LISTED else ""
    told = f"Left out, as {CASE_FILE} says ({len(names)}): {', '.join(map(shown, names[:_LISTED]))}{more}."
    return replace(listing, images=images, notes=(*listing.notes, told),
                   labels={name: path for name, path in listing.labels.items() if name not in left_out})


def structure_values(name: str, entry: CaseEntry, label_names: Mapping[int, str],
                     meaning: LabelMeaning | None = None) -> tuple[int, ...]:
    """Label values of the structures that are not annotated in the case ``name``, rising; raises UserError.

    A part of a joined structure, as ``meaning`` tells it, stands for the whole.
    """
    meaning = meaning or LabelMeaning()
    by_name = {folded(text): value for text, value in meaning.by_name}
    by_name |= {folded(text): value for value, text in label_names.items()}
    by_value, values = dict(meaning.by_value), set()
    for structure in entry.not_annotated:
        value = by_name.get(folded(structure)) if isinstance(structure, str) else by_value.get(structure, structure)
        if value is None or value < 1 or (label_names and value not in label_names):
            known = ", ".join(f'"{text}" ({number})' for number, text in label_names.items())
            hint = f"Accepted: {known}." if known else "No file names the structures: give their label values."
            raise UserError(f'{CASE_FILE}: "not_annotated" of the case "{name}" names {structure!r}, which is no '
                            "structure.", hint)
        values.add(value)
    return tuple(sorted(values))


def _parse_case(folder: Path, name: str, record: Any) -> CaseEntry:
    """One case; paths become those beside cases.json."""
    what = f'{CASE_FILE}: the case "{name}"'
    if not isinstance(record, dict):
        raise UserError(f"{what} is {record!r}.", f"Write it as an object with any of {', '.join(_ENTRIES)}.")
    _require_known(what, record, _ENTRIES)
    images, label, patient = record.get("images", []), record.get("label"), record.get("patient")
    for key in _SWITCHES:
        if not isinstance(record.get(key, False), bool):
            raise UserError(f'{what} has "{key}": {shown(repr(record[key]))[:80]}.', "Write true or false.")
    if not isinstance(images, list) or not all(isinstance(path, str) for path in images):
        raise UserError(f'{what} has "images": {images!r}.', "Write a list of files, one for each channel.")
    if "images" in record and not images:
        raise UserError(f'{what} has no file in "images".', "Name its files, or leave the entry out.")
    for key in _TEXTS:
        if not isinstance(record.get(key, ""), str | None):
            raise UserError(f'{what} has "{key}": {record[key]!r}.', "Write it as text in quotes.")
    absent = record.get("not_annotated", [])
    if not isinstance(absent, list) or not all(type(entry) in (int, str) for entry in absent):
        raise UserError(f'{what} has "not_annotated": {absent!r}.', "Write a list of names or label values.")
    return CaseEntry(tuple(folder / path for path in images), folder / label if label else None, tuple(absent), patient,
                     record.get("held_out", False), record.get("left_out", False))


def _parse_rules(record: Any) -> tuple[SeriesRule, ...]:
    """The rules for DICOM series: one text, or a list of several."""
    texts = [record] if isinstance(record, str) else record
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise UserError(f'"series" in {CASE_FILE} is no list of rules.', f'Write it as ["{EXAMPLE}"].')
    return parse_rules(texts)


def _parse_joins(record: Any) -> dict[str, tuple[str | int, ...]]:
    """Names or values of what is joined, by the name of the whole."""
    example = 'Write it as {"whole tumour": ["edema", 1, 4]}.'
    if not isinstance(record, dict):
        raise UserError(f'"join" in {CASE_FILE} is no object.', example)
    joins = {}
    for name, members in record.items():
        good = isinstance(members, list) and members and all(type(member) in (int, str) for member in members)
        if not good or not clean_name(name):
            raise UserError(f'{CASE_FILE}: "join" has "{shown(name)}": {shown(repr(members)[:80])}.', example)
        joins[clean_name(name)] = tuple(members)
    return joins


def _require_known(what: str, record: dict, known: tuple[str, ...]) -> None:
    unknown = [key for key in record if key not in known]
    if unknown:
        raise UserError(f'{what} has the unknown entry "{unknown[0]}".', f"Known entries: {', '.join(known)}.")


def _require_there(name: str, entry: CaseEntry, listing: Listing, *, labeled: bool) -> None:
    """Raises UserError unless the case is in the layout or has images of its own, and all its files are there."""
    if not entry.images and name not in listing.images:
        known = sorted(listing.images)
        more = " and more" if len(known) > _LISTED else ""
        raise UserError(f'{CASE_FILE} names the case "{name}", but no scan is called so.',
                        f'Give its "images", or take one of: {", ".join(known[:_LISTED])}{more}.')
    for path in (*entry.images, *((entry.label,) if labeled and entry.label else ())):
        if not path.exists():
            raise UserError(f'{CASE_FILE}: the file {path.name} of the case "{name}" is not there.',
                            f"It was looked for in {path.parent}. Write paths relative to the folder of {CASE_FILE}.")
        require_image_path(CASE_FILE, path)


def _same(path: Path) -> str:
    """One text for one file, however its path is written."""
    return os.path.normcase(os.path.abspath(path))
