"""Inputs: which scans the paths on the command line stand for, and which files each scan consists of."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from alhvr.core.errors import UserError
from alhvr.core.files import shown
from alhvr.core.progress import Reporter
from alhvr.data.case_file import CASE_FILE
from alhvr.data.case_paths import name_fault, say_alike
from alhvr.data.cases import Case, find_cases, say_left_out, say_unused
from alhvr.data.channel_names import Channel, channel_fault, list_channels, split_number
from alhvr.data.dicom_folder import files_beside, files_of_series_folder
from alhvr.data.dicom_rule import SeriesRule
from alhvr.data.dicom_zip import is_zip
from alhvr.data.image_2d import PICTURE_ENDINGS
from alhvr.data.reading import ENDINGS, is_dicom_slice, is_image_file, scan_name
from alhvr.inference.results_index import ResultsIndex

_HEADER_ENDINGS = (".nhdr", ".mhd")
"""Files whose voxels lie in another file beside them."""


@dataclass(frozen=True)
class InputQuery:
    """What is to be segmented, and with what channels."""

    paths: tuple[Path, ...]
    """As they were given."""
    out: Path
    """Folder of the results."""
    channels: tuple[Channel, ...] = ()
    """Those of the model; empty for one that nobody named."""
    rules: tuple[SeriesRule, ...] = ()
    """Which DICOM series of a folder are wanted; empty: as its cases.json says, else all."""


@dataclass(frozen=True)
class Inputs:
    """The scans of all inputs, and inputs without any."""

    cases: list[Case] = field(default_factory=list)
    bad: dict[str, UserError] = field(default_factory=dict)
    """Input as it was given, or a case that lacks a channel, to what is wrong with it."""


def list_inputs(request: InputQuery, record: ResultsIndex, reporter: Reporter) -> Inputs:
    """The scans of all paths: scans, series folders, or folders of these. Results in the folder of results are none.

    Raises UserError when two scans have one name, when a folder of scans is ``out`` itself, and for a single path
    without any scan.
    """
    inputs, results = Inputs(), 0
    for path in request.paths:
        if path.parent.absolute() == request.out.absolute() and record.knows(path.name):
            results += 1
            continue
        try:
            _expand(path, request, inputs, reporter)
        except UserError as error:
            if len(request.paths) == 1:
                raise
            inputs.bad[str(path)] = error
    if results:
        reporter.note(f"Inputs that are results of earlier runs, left out: {results}.")
    names = [case.name for case in inputs.cases]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UserError(f"{names.count(twice[0])} inputs are called {twice[0]}; their results would overwrite each "
                        "other.", "Segment them into different --out folders.")
    for warning in say_alike(names) if len(request.paths) > 1 else ():
        reporter.warning(warning)
    return inputs


def files_of(case: Case, record: ResultsIndex) -> list[Path]:
    """The files that a case consists of, channel by channel."""
    return [path for image in case.images for path in _files_of_image(image, record)]


def _files_of_image(source: Path, record: ResultsIndex) -> list[Path]:
    """The files of one image by name: one, or those of the series folder that are no results."""
    if source.is_dir():
        candidates = files_of_series_folder(source)
    elif is_dicom_slice(source):
        candidates = files_beside(source)
    elif source.name.lower().endswith(_HEADER_ENDINGS):
        candidates = (path for path in source.parent.iterdir() if path.stem == source.stem)
    else:
        return [source]
    return sorted(path for path in candidates
                  if path.is_file() and not path.name.startswith(".") and not record.knows(path.name))


def _expand(path: Path, request: InputQuery, inputs: Inputs, reporter: Reporter) -> None:
    """Adds the scans of one input. A DICOM series is called like its folder, also where one file of it is given."""
    whole = Path(os.path.abspath(path))
    if path.name == CASE_FILE:
        _expand(whole.parent, request, inputs, reporter)
    elif path.is_dir() or is_zip(path):
        _expand_folder(whole, request, inputs, reporter)
    elif len(request.channels) > 1:
        case = _with_its_channels(path, request.channels)
        if case not in inputs.cases:
            inputs.cases.append(case)
    else:
        inputs.cases.append(_one_case(whole.parent.name if is_dicom_slice(path) else scan_name(path), path))


def _one_case(name: str, path: Path) -> Case:
    """The case of one file; raises UserError where no result can be named so."""
    fault = name_fault(name)
    if fault:
        raise UserError(f'The name "{shown(name)}" {fault}.', "Rename the scan: results are named after it.")
    return Case(name, path, None)


def _expand_folder(folder: Path, request: InputQuery, inputs: Inputs, reporter: Reporter) -> None:
    """Adds the cases of a folder; those that lack a channel are bad inputs."""
    found = find_cases(folder, labeled=False, channels=request.channels, rules=request.rules)
    images = [image for case in found.cases for image in case.images]
    kinds = (*ENDINGS, *PICTURE_ENDINGS)
    if any(image.parent.samefile(request.out) and is_image_file(image, kinds) for image in images):
        raise UserError(f"The results would lie among the scans in {folder} and be taken for scans the next time.",
                        "Choose another --out folder, such as one within it.")
    for note in found.notes:
        reporter.note(note)
    for note in say_unused(found.left_out):
        reporter.note(note)
    for warning in found.warnings:
        if warning not in say_left_out(found.incomplete):
            reporter.warning(warning)
    inputs.cases.extend(found.cases)
    inputs.bad.update((scan.name, UserError(scan.reason)) for scan in found.incomplete)


def _with_its_channels(path: Path, channels: Sequence[Channel]) -> Case:
    """The case that ``path``, a file NAME_0000, is a channel of; the others lie beside it. Raises UserError."""
    name, number = split_number(scan_name(path))
    if number is None:
        raise UserError(f"{path.name} is one channel; the model needs {list_channels(channels)}.",
                        f"Call the files {name}_0000, {name}_0001, ... in this order and give the first one, or give "
                        f"a folder with a {CASE_FILE}.")
    if not path.exists():
        raise UserError(f"{path.name} is not there.", f"Look for it in the folder {path.parent.name}.")
    beside = {split_number(scan_name(other)): other for other in sorted(path.parent.iterdir()) if is_image_file(other)}
    images = {place: other for (case, place), other in beside.items() if case == name and place is not None}
    fault = channel_fault(name, {**images, number: path}, channels)
    if fault:
        raise UserError(fault, f"The model needs {list_channels(channels)}: files {name}_0000, {name}_0001, ... side "
                        "by side.")
    first, *others = (images[place] for place in range(len(channels)))
    return Case(name, first, None, tuple(others))
