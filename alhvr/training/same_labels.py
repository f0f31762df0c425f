"""Same labels: a run goes on only with the labels that it began with, file by file and in what their values mean."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

from alhvr.core.errors import UserError
from alhvr.core.files import shown
from alhvr.core.progress import Reporter
from alhvr.data.case_io import read_values, uncropped
from alhvr.data.cases import Case, CaseSet, align_cases, find_cases
from alhvr.data.dicom_rule import parse_rules
from alhvr.data.reading import content_hash, probe, read_label_names
from alhvr.formats.labels import folded
from alhvr.training.setup import RunSetup

_PARTS = ("labeled", "validation")
_WAY_OUT = "Put it back as it was and resume again, or start a new run in another --out folder."
_LISTED = 8


def require_same_labels(setup: RunSetup, reporter: Reporter) -> None:
    """Reads every label again; raises UserError where one, or the meaning of its values, was changed.

    Warns where the meaning cannot be compared any more. What an older run.json does not tell is not compared.
    """
    _require_same_files(setup)
    if not setup.label_folders:
        return
    try:
        now = {str(case.label): case for case in _cases_now(setup.label_folders, setup.config.data.series)}
    except UserError as error:
        reporter.warning("What the label values mean now cannot be compared with what they meant when the run began; "
                         f"the run keeps its own names: {error}")
        return
    cases = [(case, now[str(case.label)]) for case in (*setup.labeled, *setup.validation) if str(case.label) in now]
    for before, after in cases:
        _require_same_meaning(before, after)
    named = [(bool(before.meaning.by_name), bool(after.meaning.by_name)) for before, after in cases]
    if (True, False) in named or (False, True) in named:
        reporter.warning("The files name other structures than when the run began, or none; the run keeps its own "
                         f"names: {', '.join(map(shown, setup.labels.names[:_LISTED]))}.")


def _require_same_files(setup: RunSetup) -> None:
    changed = []
    for part in _PARTS:
        for case in getattr(setup, part):
            known = setup.label_hashes.get(f"{part}/{case.name}")
            if known is not None:
                label = uncropped(case.label, read_values(case, setup.annotation.value_for_not_annotated),
                                  lambda case=case: probe(case.image).geometry)
                changed += [case] if content_hash(label) != known else []
    if changed:
        more = f", and so were {len(changed) - 1} more" if len(changed) > 1 else ""
        raise UserError(f"The label {shown(changed[0].label.name)} of the case {shown(changed[0].name)} was changed "
                        f"since the run began{more}.", _WAY_OUT)


def _cases_now(folders: dict[str, str], series: Sequence[str]) -> Sequence[Case]:
    """The labelled cases of all folders as they would be found for a new run."""
    sets: dict[str, CaseSet] = {}
    for part in (part for part in _PARTS if part in folders):
        first = sets.get("labeled")
        channels = None if first is None else first.channels or first.n_channels
        rules = parse_rules(series) or (first.rules if first else ())
        found = find_cases(Path(folders[part]), labeled=True, channels=channels, strict=False, rules=rules)
        sets[part] = found if first is None else align_cases(found, first.label_names)
    return [case for found in sets.values() for case in found.cases]


def _require_same_meaning(before: Case, now: Case) -> None:
    """Raises UserError where a value of the label means another structure, or other ones are said to be missing."""
    if sorted(before.not_annotated) != sorted(now.not_annotated):
        raise UserError(f"In {shown(before.name)} the structures {list(now.not_annotated)} are said to be not annotated"
                        f"; when the run began they were {list(before.not_annotated)}.", _WAY_OUT)
    with contextlib.suppress(UserError, OSError):
        if read_label_names(before.label):
            return  # its own header names the values, and it was read with the names of the run
    values = {folded(name): value for name, value in now.meaning.by_name}
    called = {value: name for name, value in reversed(now.meaning.by_name)}
    for name, value in before.meaning.by_name:
        if values.get(folded(name), value) != value or (folded(name) not in values and value in called):
            raise UserError(f'The value {value} of {shown(before.label.name)} was "{shown(name)}" when the run began; '
                            f'now it is "{shown(called.get(value, "no structure"))}".', _WAY_OUT)
    if now.meaning.by_name and before.meaning.by_name and before.meaning.by_value != now.meaning.by_value:
        raise UserError(f"The values of {shown(before.label.name)} are joined or mapped otherwise than when the run "
                        "began.", _WAY_OUT)
