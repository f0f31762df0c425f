"""ScanSteps: reading, segmenting and writing one scan, for a pipeline that does all three at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace

from alhvr.core.errors import UserError
from alhvr.core.progress import Reporter
from alhvr.core.system import available_bytes
from alhvr.data.case_io import read_case, reading_bytes
from alhvr.data.cases import Case
from alhvr.data.reading import Header, probe
from alhvr.data.reading_process import ReadingProcess
from alhvr.data.scan import Scan
from alhvr.export.dicom_seg import require_dicom
from alhvr.inference.inputs import files_of
from alhvr.inference.predictor import Prediction, Predictor
from alhvr.inference.request import SegmentRequest
from alhvr.inference.results_index import Mark, Record
from alhvr.inference.writer import DICOM_AT_WORK, Origin, ResultWriter, Written


@dataclass(frozen=True)
class Loaded:
    """A scan that was read."""

    scan: Scan
    mark: Mark
    """Of the files that it was read from."""
    needed_bytes: int
    """Memory that segmenting it will take."""
    seconds: float


@dataclass(frozen=True)
class Made:
    """A scan that was segmented."""

    prediction: Prediction
    mark: Mark
    seconds: float
    """Of reading and segmenting."""
    ran_with: str
    """What ran the networks."""


@dataclass(frozen=True)
class Finished:
    """A scan whose results are written."""

    written: Written
    seconds: float
    """Of reading, segmenting and writing."""


class ScanSteps:
    """The work of one request; ``model`` is the SHA-256 of the model's manifest."""

    def __init__(self, request: SegmentRequest, record: Record, predictor: Predictor, model: str) -> None:
        self._request, self._record, self._predictor, self._model = request, record, predictor, model
        self._writer = ResultWriter(request.out, record, compressed=request.compressed)
        self._reading = ReadingProcess()

    def read(self, case: Case, computing: Loaded | None) -> Loaded | None:
        """Reads a scan; None when memory does not suffice for it beside ``computing``. Raises UserError."""
        start = time.monotonic()
        lock = DICOM_AT_WORK if self._request.dicom_seg else nullcontext()
        with _told_of(case.name), lock:
            self._request.refuse_overwriting(case)
            needed = self._needed_bytes(case, self._header(case), computing)
            if needed is None:
                return None
            mark = Mark.of(*files_of(case, self._record))
            scan = replace(read_case(case, read=self._reading.read_scan), name=case.name)
        return Loaded(scan, mark, needed, time.monotonic() - start)

    def close(self) -> None:
        """Ends a read that is under way, which then is a UserError; no scan can be read afterwards."""
        self._reading.close()

    def compute(self, case: Case, loaded: Loaded, reporter: Reporter, should_stop: Callable[[], bool]) -> Made:
        """Segments a scan; raises UserError and Cancelled."""
        start = time.monotonic()
        for warning in loaded.scan.warnings:
            reporter.warning(f"{case.name}: {warning}")
        with _told_of(case.name):
            prediction = self._predictor.segment(loaded.scan, regions=self._request.regions, reporter=reporter,
                                                 should_stop=should_stop)
        return Made(prediction, loaded.mark, loaded.seconds + time.monotonic() - start, self._predictor.ran_with)

    def write(self, case: Case, made: Made) -> Finished:
        """Writes the results of a scan; raises UserError."""
        start = time.monotonic()
        origin = Origin(case.name, case.image, self._request.target(case), made.mark, self._model,
                        self._request.regions, self._request.dicom_seg, self._request.fusion,
                        self._request.temperature, made.ran_with)
        with _told_of(case.name):
            written = self._writer.write(origin, made.prediction)
        return Finished(written, made.seconds + time.monotonic() - start)

    def _header(self, case: Case) -> Header:
        """What the scan's header tells; raises UserError when it is no DICOM series where it has to be one."""
        if self._request.dicom_seg:
            require_dicom(case.image)
        return probe(case.image)

    def _needed_bytes(self, case: Case, header: Header, computing: Loaded | None) -> int | None:
        """Bytes that segmenting a scan takes, or None when they are not free beside what is being computed.

        Raises UserError when they are not free though nothing is being computed.
        """
        how = {"regions": self._request.regions, "voxel_bytes": header.voxel_bytes}
        if case.more_images:
            how["voxel_bytes"], how["reading_bytes"] = reading_bytes(case, header)
        if computing is None:
            return self._predictor.require_memory(header.geometry, **how)
        needed, free = self._predictor.forecast(header.geometry, **how).total, available_bytes()
        return needed if free is None or needed + computing.needed_bytes <= free else None


@contextmanager
def _told_of(name: str) -> Iterator[None]:
    """Makes what may go wrong with one scan alone a UserError, so that the others go on."""
    try:
        yield
    except MemoryError as error:
        raise UserError(f"{name}: the memory is used up.", "Close other programs, or take smaller scans.") from error
    except OSError as error:
        raise UserError(f"{error.filename or name}: {error.strerror or error}.",
                        "Check the path and its permissions.") from error
