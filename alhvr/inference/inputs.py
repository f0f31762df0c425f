"""Inputs: which scans the paths on the command line stand for, and which files each scan consists of."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from alhvr.data.cases import Case, find_cases
from alhvr.data.reading import is_image_file, scan_name
from alhvr.errors import UserError
from alhvr.inference.record import Record
from alhvr.progress import Reporter

DICOM_FILE_ENDINGS = (".dcm", ".ima")
_HEADER_ENDINGS = (".nhdr", ".mhd")
"""Files whose voxels lie in another file beside them."""


@dataclass(frozen=True)
class Inputs:
    """The scans of all inputs, and inputs without any."""

    cases: list[Case] = field(default_factory=list)
    bad: dict[str, UserError] = field(default_factory=dict)
    """Input as it was given to what is wrong with it."""


def list_inputs(paths: Sequence[Path], out: Path, record: Record, reporter: Reporter) -> Inputs:
    """The scans of all ``paths``: scans, series folders, or folders of these. Results in ``out`` are no scans.

    Raises UserError when two scans have one name, when a folder of scans is ``out`` itself, and for a single path
    without any scan.
    """
    inputs, results = Inputs(), 0
    for path in paths:
        if path.parent.absolute() == out.absolute() and record.knows(path.name):
            results += 1
            continue
        try:
            inputs.cases.extend(_expand(path, out, reporter))
        except UserError as error:
            if len(paths) == 1:
                raise
            inputs.bad[str(path)] = error
    if results:
        reporter.note(f"Inputs that are results of earlier runs, left out: {results}.")
    names = [case.name for case in inputs.cases]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UserError(f"{names.count(twice[0])} inputs are called {twice[0]}; their results would overwrite each "
                        "other.", "Segment them into different --out folders.")
    return inputs


def files_of(source: Path, record: Record) -> list[Path]:
    """The files that a scan consists of, by name: one, or those of the series folder that are no results."""
    folder = source if source.is_dir() else source.parent
    if source.is_dir() or source.name.lower().endswith(DICOM_FILE_ENDINGS):
        candidates = folder.iterdir()
    elif source.name.lower().endswith(_HEADER_ENDINGS):
        candidates = (path for path in folder.iterdir() if path.stem == source.stem)
    else:
        return [source]
    return sorted(path for path in candidates
                  if path.is_file() and not path.name.startswith(".") and not record.knows(path.name))


def _expand(path: Path, out: Path, reporter: Reporter) -> list[Case]:
    """The scans of one input. A DICOM series is called like its folder, also where one file of it is given."""
    whole = Path(os.path.abspath(path))
    if path.is_dir():
        found = find_cases(whole, labeled=False)
        if any(case.image.parent.samefile(out) and is_image_file(case.image) for case in found.cases):
            raise UserError(f"The results would lie among the scans in {path} and be taken for scans the next time.",
                            "Choose another --out folder, such as one within it.")
        for warning in found.warnings:
            reporter.warning(warning)
        return list(found.cases)
    if path.name.lower().endswith(DICOM_FILE_ENDINGS):
        return [Case(whole.parent.name, path, None)]
    return [Case(scan_name(path), path, None)]
