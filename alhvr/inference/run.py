"""``alhvr segment`` in one call: every input scan is read, segmented and written beside its regions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from alhvr.bundle import read_model
from alhvr.data.cases import Case, find_cases
from alhvr.data.reading import read_scan, scan_name
from alhvr.errors import UserError
from alhvr.export.volumes import write_region_maps, write_segmentation
from alhvr.inference.backends import choose_backend
from alhvr.inference.predictor import Predictor
from alhvr.progress import Reporter
from alhvr.stopping import StopRequest


@dataclass(frozen=True)
class SegmentRequest:
    """What ``alhvr segment`` was asked for."""

    model: Path
    inputs: tuple[Path, ...]
    """Scans, DICOM series folders, or folders of these."""
    out: Path
    regions: bool = False
    """Also write the confidence maps, the region map and the gamma table."""
    file_format: str = "seg.nrrd"
    device: str = "auto"
    backend: str = "auto"


@dataclass(frozen=True)
class SegmentResult:
    """Files written, and inputs that could not be segmented with the reason."""

    written: tuple[Path, ...]
    failed: dict[str, str]


def segment(request: SegmentRequest, reporter: Reporter) -> SegmentResult:
    """Segments every input; a bad one is reported and the others go on.

    Raises UserError when the model is bad, two inputs have one name, or any input failed; Cancelled on a signal.
    """
    model = read_model(request.model)
    cases = _inputs(request.inputs)
    backend = choose_backend(model, backend=request.backend, device=request.device)
    about = model.description
    predictor = Predictor(backend, about.plan, about.labels, about.inference)
    written, failed = [], {}
    with StopRequest() as stop:
        for done, case in enumerate(cases, start=1):
            try:
                written += _segment_one(case, predictor, request, reporter, stop)
            except UserError as error:
                failed[case.name] = str(error)
                reporter.warning(f"{case.image.name} was not segmented: {error}")
            reporter.progress("segmenting", done, len(cases))
    if failed:
        first = next(iter(failed.values()))
        raise UserError(f"{len(failed)} of {len(cases)} inputs could not be segmented; the first: {first}")
    return SegmentResult(tuple(written), failed)


def _inputs(paths: Sequence[Path]) -> list[Case]:
    cases = [case for path in paths for case in _expand(path)]
    names = [case.name for case in cases]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UserError(f"{names.count(twice[0])} inputs are called {twice[0]}; their results would overwrite each other.",
                        "Segment them into different --out folders.")
    return cases


def _expand(path: Path) -> list[Case]:
    if path.is_dir():
        return [Case(case.name, case.image, None) for case in find_cases(path, labeled=False).cases]
    return [Case(scan_name(path), path, None)]


def _segment_one(case: Case, predictor: Predictor, request: SegmentRequest, reporter: Reporter,
                 stop: StopRequest) -> list[Path]:
    scan = read_scan(case.image)
    for warning in scan.warnings:
        reporter.warning(f"{case.image.name}: {warning}")
    prediction = predictor.segment(scan, regions=request.regions, reporter=reporter, should_stop=stop)
    _make_folder(request.out)
    files = [write_segmentation(request.out / f"{case.name}.{request.file_format}", prediction.segmentation)]
    if prediction.regions is not None:
        files += write_region_maps(request.out, case.name, prediction.regions)
    for file in files:
        reporter.artifact("result", str(file))
    return files


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"The folder {folder} cannot be made ({error.strerror}).", "Choose another --out.") from error


