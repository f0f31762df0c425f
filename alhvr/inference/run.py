"""``alhvr segment`` in one call: every input scan is read, segmented and written beside its regions."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from alhvr.bundle import read_model
from alhvr.data.cases import Case, find_cases
from alhvr.data.reading import read_scan, scan_name
from alhvr.data.scan import Segmentation
from alhvr.errors import Cancelled, UserError
from alhvr.export.dicom_seg import ENDING as DICOM_SEG_ENDING
from alhvr.export.dicom_seg import require_dicom, write_dicom_seg
from alhvr.export.volumes import write_region_maps, write_segmentation
from alhvr.folders import make_writable
from alhvr.inference.backends import choose_backend
from alhvr.inference.predictor import Predictor
from alhvr.progress import Reporter
from alhvr.stopping import StopRequest

DICOM_FILE_ENDINGS = (".dcm", ".ima")


@dataclass(frozen=True)
class SegmentRequest:
    """What ``alhvr segment`` was asked for."""

    model: Path
    inputs: tuple[Path, ...]
    """Scans, DICOM series folders, or folders of these."""
    out: Path
    regions: bool = False
    """Also write the confidence maps, the region map and the gamma table."""
    dicom_seg: bool = False
    """Also write a DICOM Segmentation; the inputs must be DICOM series then."""
    file_format: str = "seg.nrrd"
    device: str = "auto"
    backend: str = "auto"


@dataclass(frozen=True)
class SegmentResult:
    """Files written, and inputs that could not be segmented with the reason."""

    written: list[Path] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)


def segment(request: SegmentRequest, reporter: Reporter) -> SegmentResult:
    """Segments every input; a bad one is reported and the others go on.

    Raises UserError when the model is bad, two inputs have one name, the folder cannot be written, or, at the end,
    when any input failed; Cancelled on a signal.
    """
    model = read_model(request.model)
    make_writable(request.out)
    result = SegmentResult()
    cases = _list_cases(request.inputs, result, reporter)
    backend = choose_backend(model, backend=request.backend, device=request.device)
    about = model.description
    predictor = Predictor(backend, about.plan, about.labels, about.inference)
    total = len(cases) + len(result.failed)
    with StopRequest() as stop:
        for done, case in enumerate(cases):
            if stop():
                raise Cancelled(f"Stopped after {done} of {len(cases)} scans; their results are kept.")
            _tell_progress(done, len(cases), reporter)
            try:
                result.written.extend(_segment_one(case, predictor, request, reporter, stop))
            except UserError as error:
                if total == 1:
                    raise
                _fail(case.name, error, result, reporter)
        _tell_progress(len(cases), len(cases), reporter)
    if result.failed:
        first = next(iter(result.failed.values()))
        raise UserError(f"{len(result.failed)} of {total} inputs could not be segmented; the first: {first}")
    return result


def _tell_progress(done: int, total: int, reporter: Reporter) -> None:
    """Scans done; a single scan has but its own progress."""
    if total > 1:
        reporter.progress("scans", done, total)


def _fail(name: str, error: UserError, result: SegmentResult, reporter: Reporter) -> None:
    result.failed[name] = str(error)
    reporter.warning(f"{name} was not segmented: {error}")


def _list_cases(paths: Sequence[Path], result: SegmentResult, reporter: Reporter) -> list[Case]:
    """The scans of all inputs; a folder without any counts as failed. Raises UserError when two have one name."""
    cases: list[Case] = []
    for path in paths:
        try:
            cases += _expand(path, reporter)
        except UserError as error:
            if len(paths) == 1:
                raise
            _fail(str(path), error, result, reporter)
    names = [case.name for case in cases]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UserError(f"{names.count(twice[0])} inputs are called {twice[0]}; their results would overwrite each "
                        "other.", "Segment them into different --out folders.")
    return cases


def _expand(path: Path, reporter: Reporter) -> list[Case]:
    """The scans of one input. A DICOM series is called like its folder, also where one file of it is given."""
    whole = Path(os.path.abspath(path))
    if path.is_dir():
        found = find_cases(whole, labeled=False)
        for warning in found.warnings:
            reporter.warning(warning)
        return list(found.cases)
    if path.name.lower().endswith(DICOM_FILE_ENDINGS):
        return [Case(whole.parent.name, path, None)]
    return [Case(scan_name(path), path, None)]


def _segment_one(case: Case, predictor: Predictor, request: SegmentRequest, reporter: Reporter,
                 stop: StopRequest) -> list[Path]:
    target = request.out / f"{case.name}.{request.file_format}"
    if target.exists() and case.image.exists() and target.samefile(case.image):
        raise UserError(f"The result would overwrite the scan {case.image} itself.",
                        "Choose another --out folder or --format.")
    if request.dicom_seg:
        require_dicom(case.image)
    scan = replace(read_scan(case.image), name=case.name)
    for warning in scan.warnings:
        reporter.warning(f"{case.name}: {warning}")
    prediction = predictor.segment(scan, regions=request.regions, reporter=reporter, should_stop=stop)
    files = [write_segmentation(target, prediction.segmentation)]
    if prediction.regions is not None:
        files += write_region_maps(request.out, case.name, prediction.regions)
    if request.dicom_seg:
        files += _write_dicom_seg(case, prediction.segmentation, request, reporter)
    for file in files:
        reporter.artifact("result", str(file))
    return files


def _write_dicom_seg(case: Case, segmentation: Segmentation, request: SegmentRequest,
                     reporter: Reporter) -> list[Path]:
    result = write_dicom_seg(request.out / f"{case.name}{DICOM_SEG_ENDING}", segmentation, case.image)
    for warning in result.warnings:
        reporter.warning(warning)
    return [] if result.path is None else [result.path]
