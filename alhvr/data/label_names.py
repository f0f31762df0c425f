"""Names of label values: from label files, data sets' own lists, and segmentations with named segments."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from alhvr.core.errors import UserError
from alhvr.core.files import shown
from alhvr.formats.labels import MAX_VALUE, clean_name, folded

IGNORE = "ignore"
"""The name that nnU-Net gives to voxels that are not annotated."""
IGNORED = -1
"""What the values of a file become that mark voxels that are not annotated."""
_AUTOMATIC = "segment_"
"""How the names begin that 3D Slicer gives to segments that nobody named."""
_RESERVED = 255
"""Usually the value for not annotated."""
_LISTED = 8
_WHOLE = re.compile(r"\s*[+-]?[0-9]{1,9}\s*")


class NameClash(UserError):
    """Two files call one label value by different names, and nothing tells which is which."""


@dataclass(frozen=True)
class LabelMeaning:
    """How the values of a label file become those of the run; without entries they stay as they are."""

    by_name: tuple[tuple[str, int], ...] = ()
    """Value in the run, or IGNORED, of each structure: for files that name their values."""
    by_value: tuple[tuple[int, int], ...] = ()
    """Value in the run, or IGNORED, of the values that change: for files that do not."""

    def value_map(self, file: str, values: Iterable[int], segments: Mapping[int, str]) -> dict[int, int]:
        """What those of the ``values`` of a file become that change; ``segments`` are the names in its header.

        Raises UserError, naming ``file``, value and name, where the run knows no such structure.
        """
        by_value = dict(self.by_value)
        if not (segments and self.by_name):
            return {value: by_value[value] for value in values if value in by_value}
        targets = {folded(name): target for name, target in self.by_name}
        found: dict[int, int] = {}
        for value in values:
            name = segments.get(value)
            if name is None:
                raise UserError(f"{file} holds the value {value}, which none of its segments has "
                                f"({_listing(segments)}).", "Save the segmentation again in Slicer.")
            target = targets.get(folded(name), by_value.get(value, value) if _is_automatic(name) else None)
            if target is None:
                raise self._unknown(file, value, name)
            found[value] = target
        self._require_apart(file, found, segments, targets)
        return {value: target for value, target in found.items() if target != value}

    def _unknown(self, file: str, value: int, name: str) -> UserError:
        known = {target: other for other, target in reversed(self.by_name)}
        here = f'; elsewhere {value} is "{shown(known[value])}"' if value in known else ""
        return UserError(f'{file} calls the value {value} "{shown(name)}"{here}. No structure is called '
                         f'"{shown(name)}": {_listing(known)}.',
                         "Rename the segment, or name it in labels.json or dataset.json.")

    def _require_apart(self, file: str, found: Mapping[int, int], segments: Mapping[int, str],
                       targets: Mapping[str, int]) -> None:
        """Raises UserError where a segment that nobody named would become one with another that has a name."""
        named = {target: value for value, target in found.items() if folded(segments[value]) in targets}
        for value, target in found.items():
            other = named.get(target, value)
            if other != value and folded(segments[value]) not in targets:
                raise UserError(f'{file}: "{shown(segments[value])}" (value {value}) and "{shown(segments[other])}" '
                                f"(value {other}) would become one structure.", "Give every segment its name.")


@dataclass(frozen=True)
class Structures:
    """The structures of a folder, and how its label files speak of them."""

    names: dict[int, str] = field(default_factory=dict)
    """By value in the run, rising; empty where no file tells."""
    meaning: LabelMeaning = LabelMeaning()
    """Of every label file of the folder."""
    notes: tuple[str, ...] = ()
    """What is mapped, joined or taken for not annotated; one sentence each."""


def parse_label_names(source: str, record: Any) -> dict[int, str]:
    """Label value to name from {"1": "liver"} or {"liver": 1}, without background; raises UserError."""
    names: dict[int, str] = {}
    for key, value in record.items() if isinstance(record, dict) else ((None, record),):
        number, name = (value, key) if type(value) is int else (key, value)
        if isinstance(number, str) and _WHOLE.fullmatch(number):
            number = int(number)
        if type(number) is not int or not isinstance(name, str):
            seen = shown(repr(value if key is None else {key: value})[:80])
            raise UserError(f"The labels in {source} are not one name for one whole number: {seen}.",
                            'Write it as {"1": "liver", "2": "spleen"}.')
        if number in names:
            raise UserError(f'{source} has two names for the value {number}: "{shown(names[number])}" and '
                            f'"{shown(clean_name(name))}".', "Give every structure a value of its own.")
        names[number] = clean_name(name)
    return {number: names[number] for number in sorted(names) if number != 0}


def split_regions(record: Any) -> tuple[Any, dict[str, tuple[int, ...]]]:
    """The labels of a dataset.json without its regions, and the regions: the values of each by name.

    A region is a list of two values or more, as nnU-Net has them; a list of one is a label. Raises UserError.
    """
    if not isinstance(record, dict):
        return record, {}
    lists = {key: value for key, value in record.items() if isinstance(value, list)}
    for name, values in lists.items():
        if not values or not all(type(value) is int and 0 <= value <= MAX_VALUE for value in values):
            raise UserError(f'dataset.json: the region "{shown(name)}" is {shown(values)[:80]}.',
                            f"Write it as a list of label values of 1 to {MAX_VALUE}.")
    singles = {key: lists[key][0] if len(lists.get(key, ())) == 1 else value for key, value in record.items()
               if len(lists.get(key, ())) < 2}
    return singles, {name: tuple(values) for name, values in lists.items() if len(values) > 1}


def find_structures(source: str, named: Mapping[int, str], headers: Mapping[str, Mapping[int, str]],
                    joins: Mapping[str, Sequence[str | int]]) -> Structures:
    """The structures of a folder of label files.

    ``named``: what ``source``, labels.json or dataset.json, calls the values; empty where there is none. ``headers``:
    what each file that names its values calls them. ``joins``: structures that are made of others, each given by its
    name or its value. Raises UserError for names that contradict each other and for impossible joins.
    """
    table = dict(named) if named else merge_names(headers)
    ignored = [value for value, name in table.items() if folded(name) == IGNORE]
    names = {value: name for value, name in table.items() if value not in ignored}
    joined = _join(names, joins)
    targets = dict.fromkeys(ignored, IGNORED)
    targets |= {value: values[0] for values in joined.values() for value in values}
    own = {value: name for value, name in names.items() if value not in targets}
    own |= {values[0]: name for name, values in joined.items()}
    by_name = dict.fromkeys([(name, value) for value, name in own.items()]
                            + [(name, targets.get(value, value)) for value, name in table.items()])
    meaning = LabelMeaning(tuple(by_name), tuple((v, t) for v, t in sorted(targets.items()) if v != t))
    where = source if named else "the label files"
    notes = [f'The value {value}, "{IGNORE}" in {where}, is taken for not annotated.' for value in ignored]
    notes += [f'Joined to "{shown(name)}" (value {values[0]}): {_members(values, names)}.'
              for name, values in joined.items()]
    return Structures(dict(sorted(own.items())), meaning, (*_mapped(meaning, headers), *notes))


def _members(values: Sequence[int], names: Mapping[int, str]) -> str:
    return ", ".join(f"{value} {shown(names[value])}" if value in names else str(value) for value in values)


def merge_names(headers: Mapping[str, Mapping[int, str]], known: Mapping[int, str] | None = None) -> dict[int, str]:
    """Value to name of all files together, by rising value; ``known`` names come first, else those of the fullest file.

    Raises NameClash where a file calls the value of a known structure by another name, and shows by no other name that
    its numbers are different ones.
    """
    names, origin = dict(known or {}), {}
    for file, table in sorted(headers.items(), key=lambda entry: (-len(entry[1]), entry[0])):
        for value, name in add_names(names, table, file, origin).items():
            names[value] = name
            origin[value] = file
    return dict(sorted(names.items()))


def add_names(names: Mapping[int, str], table: Mapping[int, str], file: str,
              origin: Mapping[int, str] | None = None) -> dict[int, str]:
    """Those names in the ``table`` of ``file`` that ``names`` lacks, each with a value that is free there.

    Raises NameClash as ``merge_names``; ``origin`` tells which files the names are from.
    """
    known, own = {folded(name) for name in names.values()}, {folded(name) for name in table.values()}
    added: dict[int, str] = {}
    for value, name in table.items():
        if folded(name) in known:
            continue
        if value in names:
            if folded(names[value]) not in own:
                where = f" in {(origin or {})[value]}" if value in (origin or {}) else ""
                raise NameClash(f'Value {value} is "{shown(names[value])}"{where}, but "{shown(name)}" in {file}.',
                                "Call the structures alike in all files, or write labels.json.")
            value = _free_value({*names, *table, *added})
        added[value] = name
    return added


def align(structures: Structures, known: Mapping[int, str]) -> Structures | None:
    """``structures`` with the values that ``known`` has for their names; None where a name cannot be mapped.

    A structure that ``known`` lacks keeps its value where that is free.
    """
    values = {folded(name): value for value, name in known.items()}
    moved = {value: value if folded(known.get(value, "")) == folded(name) else values.get(folded(name), value)
             for value, name in structures.names.items()}
    unknown = [value for value, name in structures.names.items() if folded(name) not in values]
    if any(value in known for value in unknown):
        return None
    changed = {value: target for value, target in moved.items() if value != target}
    if not changed:
        return structures
    meaning = structures.meaning
    by_value = changed | {value: moved.get(target, target) for value, target in meaning.by_value}
    by_name = tuple((name, moved.get(target, target)) for name, target in meaning.by_name)
    listed = ", ".join(f"{shown(structures.names[value])} is {value}, in this run {target}"
                       for value, target in list(changed.items())[:_LISTED])
    names = {moved[value]: known.get(moved[value], name) for value, name in structures.names.items()}
    return replace(structures, names=dict(sorted(names.items())),
                   meaning=LabelMeaning(by_name, tuple(sorted(by_value.items()))),
                   notes=(*structures.notes, f"Label values go by name: {listed}."))


def _join(names: Mapping[int, str], joins: Mapping[str, Sequence[str | int]]) -> dict[str, tuple[int, ...]]:
    """The values of each joined structure, rising; raises UserError."""
    joined: dict[str, tuple[int, ...]] = {}
    taken: dict[int, str] = {}
    for name, members in joins.items():
        values = sorted({_member(name, member, names) for member in members})
        for value in values:
            if value in taken:
                raise UserError(f'The value {value} belongs to "{shown(taken[value])}" and to "{shown(name)}"; '
                                "structures that overlap are not learnt.",
                                'Give each value to one structure, in cases.json: {"join": {"whole tumour": [1, 2]}}.')
            taken[value] = name
        joined[name] = tuple(values)
    kept = {folded(name) for value, name in names.items() if value not in taken}
    twice = next((name for name in joins if folded(name) in kept), None)
    if twice is not None:
        raise UserError(f'"{shown(twice)}" is the name of a structure that is not joined to it.',
                        "Join it too, or choose another name.")
    return joined


def _member(name: str, member: str | int, names: Mapping[int, str]) -> int:
    """The value of one member of the joined structure ``name``; raises UserError for one that is not there."""
    by_name = {folded(text): value for value, text in names.items()}
    value = by_name.get(folded(member)) if isinstance(member, str) else member
    if value is None or not 1 <= value <= MAX_VALUE or (names and value not in names):
        hint = f"Accepted: {_listing(names)}." if names else "No file names the structures: give their label values."
        raise UserError(f'"{shown(name)}" is to be joined from {shown(repr(member))}, which is no structure.', hint)
    return value


def _mapped(meaning: LabelMeaning, headers: Mapping[str, Mapping[int, str]]) -> tuple[str, ...]:
    """One sentence on the files whose numbers are not those of the run; none where all are."""
    targets = {folded(name): target for name, target in meaning.by_name}
    by_value = dict(meaning.by_value)
    found: dict[str, str] = {}
    for file, table in headers.items():
        for value, name in table.items():
            target = targets.get(folded(name), IGNORED)
            if IGNORED not in (target, by_value.get(value)) and target != by_value.get(value, value):
                found.setdefault(file, f"in {shown(file)} {shown(name)} is {value}, in this run {target}")
    if not found:
        return ()
    more = f"; so do the values of {len(found) - 1} more" if len(found) > 1 else ""
    return (f"Label values go by name: {next(iter(found.values()))}{more}.",)


def _free_value(used: Iterable[int]) -> int:
    value = max(used) + 1
    return value if value != _RESERVED else value + 1


def _is_automatic(name: str) -> bool:
    return folded(name).startswith(_AUTOMATIC) and name[len(_AUTOMATIC):].strip().isdigit()


def _listing(names: Mapping[int, str]) -> str:
    """The first structures with their values."""
    more = " and more" if len(names) > _LISTED else ""
    listed = [f'{value} "{shown(name)}"' for value, name in sorted(names.items()) if value != IGNORED]
    return ", ".join(listed[:_LISTED]) + more
