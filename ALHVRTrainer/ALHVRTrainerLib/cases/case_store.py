"""Changes to PROJECT/cases: what cases.json says of each case, names of structures, and which cases are held out.

Every change is written at once, whole or not at all; entries of cases.json that are not ours are kept.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from slicer.i18n import tr as _

from alhvr.core.files import write_json
from alhvr.formats.labels import folded
from ALHVRLib import paths
from ALHVRTrainerLib.cases.case_table import (
    CASE_FILE,
    NAMES_FILE,
    NOT_ANNOTATED,
    CaseRow,
    by_stem,
    entries_of,
    header_names,
    read_named,
    read_record,
    read_table,
)

RESERVED_VALUE = 255
"""Usually the value for not annotated."""
SHARE_HELD_OUT = 5
"""One case in so many is held out, and one at least where there are two."""


def next_name(project: Path) -> str:
    """A name that no case has, and that tells nothing of a patient."""
    taken = {path.name.split(".")[0].casefold() for kind in ("images", "labels")
             for path in (project / "cases" / kind).glob("*")}
    number = 1
    while f"case {number}" in taken:
        number += 1
    return f"case {number}"


def change_case(project: Path, name: str, **changes: Any) -> None:
    """Set entries of one case, such as held_out=True; None, False and [] take an entry away. UserError, OSError."""
    change_cases(project, {name: changes})


def change_cases(project: Path, changes: dict[str, dict[str, Any]]) -> None:
    """Set entries of several cases at once; those of cases whose scan is gone go too. Raises UserError and OSError."""
    there = by_stem(project / "cases" / "images")

    def change(record: dict[str, Any]) -> None:
        cases = entries_of(record)
        for name, entries in changes.items():
            kept = {**cases.get(name, {}), **entries}
            cases[name] = {key: value for key, value in kept.items() if value not in (None, False, [], "")}
        record["cases"] = {name: entry for name, entry in cases.items()
                           if entry and (name in there or "images" in entry)}

    _change(project, change)


def join_names(project: Path, whole: str, parts: Iterable[str]) -> None:
    """Make one structure of several names; the label files stay as they are. Raises UserError and OSError."""
    parts = list(parts)

    def change(record: dict[str, Any]) -> None:
        joins = record.get("join", {})
        taken = {folded(part) for part in parts}
        kept = {name: members for name, members in joins.items()
                if not (isinstance(members, list) and taken & {folded(str(part)) for part in members})}
        record["join"] = {**kept, whole: parts}
        for name, entry in entries_of(record).items():
            declared = entry.get("not_annotated")
            if name in showing and isinstance(declared, list):
                entry["not_annotated"] = [one for one in declared if folded(str(one)) not in taken]

    folded_parts = {folded(part) for part in parts}
    showing = {row.name for row in read_table(project).rows
               if folded_parts & {folded(name) for name in header_names(row.label).values()}}
    add_names(project, parts)
    _change(project, change)


def add_names(project: Path, names: Iterable[str]) -> dict[str, int]:
    """The value of each structure in labels.json, which gets those that it lacks; by folded name. As the others."""
    cases = project / "cases"
    named = read_named(cases)
    if not named:
        named = {value: name for value, name in enumerate(read_table(project).names, start=1)}
    values = {folded(name): value for value, name in named.items()}
    before = dict(named)
    for name in names:
        if folded(name) not in values:
            value = max([0, *named]) + 1
            value += value == RESERVED_VALUE
            named[value] = name
            values[folded(name)] = value
    if named and (named != before or not (cases / NAMES_FILE).exists()):
        write_json(cases / NAMES_FILE, {str(value): name for value, name in named.items()})
    return values


def settle_new_cases(project: Path, added: dict[str, tuple[str, ...]], known: set[str]) -> tuple[str, ...]:
    """After cases were added with the names of their segments: what is not annotated where, and who is held out.

    A structure of which a case has no segment was not annotated there, as far as anybody knows; of a case without
    names nothing is said. known: folded names of the structures that there were before. Returns sentences on what was
    decided. Raises UserError and OSError.
    """
    add_names(project, [name for names in added.values() for name in names])
    table, told = read_table(project), []
    new = {folded(name) for name in table.names} - known
    changes: dict[str, dict[str, Any]] = {}
    for row in table.rows:
        missing = _missing(table.names, added.get(row.name), new)
        if missing:
            declared = [name for name, state in row.structures.items() if state == NOT_ANNOTATED]
            changes[row.name] = {"not_annotated": sorted({*declared, *missing})}
            told.append(_("{names} counts as not annotated in {case}.").format(names=", ".join(missing), case=row.name))
    for name in hold_out(table.rows):
        changes.setdefault(name, {})["held_out"] = True
        told.append(_("{case} is held out for scoring.").format(case=name))
    change_cases(project, changes)
    return tuple(told)


def settle_edited(project: Path, name: str, names: Iterable[str], known: set[str]) -> tuple[str, ...]:
    """After the label of a case was edited: what was drawn is annotated now, new structures are not in other cases."""
    row = next((row for row in read_table(project).rows if row.name == name), None)
    drawn = {folded(one) for one in names}
    declared = [one for one, state in (row.structures if row else {}).items() if state == NOT_ANNOTATED]
    change_case(project, name, not_annotated=[one for one in declared if folded(one) not in drawn])
    return settle_new_cases(project, {name: ()}, known)


def _missing(names: Iterable[str], own: tuple[str, ...] | None, new: set[str]) -> list[str]:
    """Structures that a case lacks: of a case that was there before (None) those that are new."""
    if own is None:
        return [name for name in names if folded(name) in new]
    has = {folded(name) for name in own}
    return [name for name in names if own and folded(name) not in has]


def hold_out(rows: Iterable[CaseRow]) -> tuple[str, ...]:
    """Which cases to hold out besides those that are: a fifth, one at least of two or more, all of a patient together.

    Those in which the most is annotated come first, of these the last ones.
    """
    used = [row for row in rows if not row.leftOut]
    patients: dict[str, list[CaseRow]] = {}
    for row in used:
        patients.setdefault(row.patient or f"/{row.name}", []).append(row)
    already = sum(row.heldOut for row in used)
    wanted = max(1, len(used) // SHARE_HELD_OUT)
    chosen: list[str] = []
    free = [group for group in patients.values() if not any(row.heldOut for row in group)]
    for group in sorted(reversed(free), key=lambda group: sum(NOT_ANNOTATED in r.structures.values() for r in group)):
        if already + len(chosen) >= wanted or len(chosen) + already + len(group) >= len(used):
            break
        chosen += [row.name for row in group]
    return tuple(chosen)


def same_patient(rows: Iterable[CaseRow], name: str) -> tuple[str, ...]:
    """Names of the cases of the patient of one case, itself among them."""
    rows = tuple(rows)
    patient = next((row.patient for row in rows if row.name == name), "")
    return tuple(row.name for row in rows if row.name == name or (patient and row.patient == patient))


def patient_mark(patient_id: str) -> str:
    """A name for a patient that tells apart and tells nobody who it is: its key stays in the user's settings."""
    path = paths.user_folder() / ".patient-key"
    try:
        key = path.read_bytes()[:64]
    except OSError:
        key = secrets.token_bytes(32)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(key)
    return f"patient {hashlib.blake2b(patient_id.encode(), key=key, digest_size=5).hexdigest()}"


def _change(project: Path, change: Callable[[dict[str, Any]], None]) -> None:
    path = project / "cases" / CASE_FILE
    record = read_record(path)
    change(record)
    write_json(path, record)
