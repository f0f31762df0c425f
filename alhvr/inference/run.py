"""``alhvr segment``: reads, segments and writes one scan after another."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace

from alhvr.bundle.model import InferenceSettings, Model, read_model
from alhvr.core.errors import Cancelled, UserError
from alhvr.core.files import make_writable
from alhvr.core.progress import Countdown, Reporter
from alhvr.core.signals import StopRequest
from alhvr.core.system import available_bytes
from alhvr.data.case_io import read_case, reading_bytes
from alhvr.data.cases import Case
from alhvr.data.dicom_rule import SeriesRule, parse_rules
from alhvr.data.reading import Header, probe
from alhvr.data.reading_process import ReadingProcess
from alhvr.data.scan import Scan
from alhvr.export.dicom_seg import DicomOptions, require_dicom
from alhvr.formats.labels import LabelSet
from alhvr.formats.model_folder import MANIFEST
from alhvr.inference.backends import choose_backend
from alhvr.inference.inputs import InputQuery, Inputs, files_of, list_inputs
from alhvr.inference.pipeline import BatchAborted, Pipeline, Steps
from alhvr.inference.predictor import Prediction, Predictor
from alhvr.inference.request import AGAIN, SegmentRequest, kept_because
from alhvr.inference.results_index import FILE_NAME, FileFingerprint, ResultsIndex
from alhvr.inference.summary import DONE_BEFORE, FAILED, KEPT, SEGMENTED, CaseResult, SegmentResult, SomeFailed
from alhvr.inference.writer import DICOM_AT_WORK, Origin, ResultWriter, Written, stage_of

__all__ = ["DicomOptions", "SegmentRequest", "SegmentResult", "SomeFailed", "segment"]


def segment(request: SegmentRequest, reporter: Reporter) -> SegmentResult:
    """Segments every input that is not done yet; a bad one is told and the others go on.

    Results that somebody changed are left as they are. Raises UserError when the model is bad, two inputs have one
    name, or the folder cannot be written; for a single input what is wrong with it; SomeFailed at the end when any of
    many failed, and at once when nothing more can be written; Cancelled on a signal. What is done by then is kept,
    and the same request goes on with the rest.
    """
    with StopRequest() as stop:
        model = read_model(request.model)
        settings, request = request.settings(model.description), request.beside(model.description.inference)
        make_writable(request.out)
        record = ResultsIndex(request.out)
        if record.damaged:
            reporter.warning(f"{FILE_NAME} in {request.out} cannot be read, so it is not known what was done before; "
                             f"it is kept as {record.aside}. Scans are segmented again; results that differ from the "
                             "new ones are left as they are.")
        folder = _Folder(request, settings, record, reporter, stop)
        wanted = InputQuery(request.inputs, request.out, model.description.plan.named_channels,
                            _rules(request, model))
        return folder.segment(list_inputs(wanted, record, reporter), model)


def _rules(request: SegmentRequest, model: Model) -> tuple[SeriesRule, ...]:
    """Which series are wanted: as asked, else those that made the channels of the model, as its record has them."""
    if request.series:
        return parse_rules(request.series)
    with suppress(UserError, LookupError, TypeError, AttributeError):
        rules = parse_rules([str(text) for text in model.description.training["settings"]["data"]["series"]])
        return rules if len(rules) > 1 else ()
    return ()


class _Folder:
    """One call on any number of scans, and what became of each."""

    def __init__(self, request: SegmentRequest, settings: InferenceSettings, record: ResultsIndex, reporter: Reporter,
                 stop: StopRequest) -> None:
        self._request, self._settings = request, settings
        self._record, self._reporter, self._stop = record, reporter, stop
        self._start = time.monotonic()
        self._inputs = Inputs()
        self._outcomes: dict[str, CaseResult] = {}
        self._countdown = Countdown(0)

    def segment(self, inputs: Inputs, model: Model) -> SegmentResult:
        """See the function ``segment``."""
        self._inputs = inputs
        for name, error in inputs.bad.items():
            self._reporter.warning(f"{name} was not segmented: {error}")
        identity = hashlib.sha256((model.folder / MANIFEST).read_bytes()).hexdigest()
        todo = self._without_the_done(identity)
        try:
            todo = self._without_dicom_seg(todo, model.description.labels, identity)
            if todo:
                self._run(todo, model, identity)
        except Cancelled:
            raise Cancelled(self._where_it_stopped()) from None
        except BatchAborted as error:
            if self._is_single():
                raise
            raise SomeFailed(self._result(), f"{error.message} {self._n_done()} of {len(inputs.cases)} scans are done; "
                             "the same command goes on with the others.", error.hint) from error
        result = self._result()
        if result.failed:
            first = next(iter(result.failed.values()))
            raise SomeFailed(result, f"{len(result.failed)} of {len(result.outcomes)} inputs could not be segmented; "
                             f"the first: {first}")
        if result.incomplete:
            first = next(iter(result.incomplete.values()))
            raise SomeFailed(result, f"{len(result.incomplete)} of {len(result.outcomes)} scans were segmented, but "
                             f"lack a file that was asked for; the first: {first}")
        return result

    def _without_the_done(self, identity: str) -> list[Case]:
        """The cases that are still to be segmented; tells of the others."""
        todo = []
        for case in self._inputs.cases:
            outcome = self._request.done_before(case, self._record, identity)
            if outcome is None:
                todo.append(case)
            else:
                shutil.rmtree(stage_of(self._request.out, self._request.target(case)), ignore_errors=True)
                self._add(outcome)
        done = [outcome.name for outcome in self._outcomes.values() if outcome.kind == DONE_BEFORE]
        if done:
            what = f"{done[0]} was" if len(done) == 1 else f"{len(done)} of {len(self._inputs.cases)} scans were"
            self._reporter.note(f"{what} segmented before with this model and these options. {AGAIN}")
        return todo

    def _without_dicom_seg(self, todo: list[Case], labels: LabelSet, identity: str) -> list[Case]:
        """Writes the DICOM segmentation of cases that lack nothing else; gives the other cases."""
        rest = []
        writer = ResultWriter(self._request.out, self._record, compressed=self._request.compressed)
        for case in todo:
            if self._stop():
                raise Cancelled("Stopped.")
            if not self._request.lacks_dicom_seg_only(case, self._record, identity):
                rest.append(case)
                continue
            start = time.monotonic()
            try:
                written = writer.add_dicom(case.name, self._request.target(case), case.image, labels,
                                           self._request.dicom)
            except BatchAborted:
                raise
            except UserError as error:
                self._failed(case, error)
            else:
                self._wrote(case, Finished(written, time.monotonic() - start))
        return rest

    def _run(self, todo: list[Case], model: Model, identity: str) -> None:
        backend = choose_backend(model, backend=self._request.backend, device=self._request.device)
        about = model.description
        predictor = Predictor(backend, about.plan, about.labels, self._settings)
        work = CaseProcessor(self._request, self._record, predictor, identity)
        pipeline: Pipeline[Case, Loaded, Made, Finished] = Pipeline(
            Steps(work.read, lambda case, loaded: work.compute(case, loaded, self._reporter, pipeline.pulse),
                  work.write, self._wrote, self._failed, work.close), self._stop)
        self._countdown = Countdown(len(self._inputs.cases), len(self._outcomes))
        self._tell_progress()
        pipeline.run(todo)

    def _wrote(self, case: Case, finished: Finished) -> None:
        written = finished.written
        for warning in written.warnings:
            self._reporter.warning(warning)
        if written.kept:
            self._add(CaseResult(case.name, KEPT, files=written.files, reason=kept_because(written.kept)))
        else:
            for file in written.files:
                self._reporter.artifact("result", str(file))
            fault = written.dicom_seg_fault
            reason = fault and f"A DICOM file was not written; {written.files[0]} was. {fault}"
            self._add(CaseResult(case.name, SEGMENTED, finished.seconds, written.entry.volumes_ml,
                                 written.entry.nominal, written.files, reason))
        self._tell_progress()

    def _failed(self, case: Case, error: UserError) -> None:
        if self._is_single():
            raise error
        self._reporter.warning(f"{case.name} was not segmented: {error}")
        self._outcomes[case.name] = CaseResult(case.name, FAILED, reason=str(error))
        self._tell_progress()

    def _add(self, outcome: CaseResult) -> None:
        self._outcomes[outcome.name] = outcome
        if outcome.reason:
            self._reporter.warning(f"{outcome.name}: {outcome.reason}")

    def _tell_progress(self) -> None:
        """Scans done; a single scan has but its own progress."""
        total, done = len(self._inputs.cases), len(self._outcomes)
        if not self._is_single():
            self._reporter.progress("scans", done, total, self._countdown.seconds_left(done))

    def _is_single(self) -> bool:
        return len(self._inputs.cases) + len(self._inputs.bad) == 1

    def _n_done(self) -> int:
        return sum(outcome.kind != FAILED for outcome in self._outcomes.values())

    def _where_it_stopped(self) -> str:
        total = len(self._inputs.cases)
        if total == 1:
            return "Segmenting was cancelled."
        return (f"Stopped after {len(self._outcomes)} of {total} scans; their results are kept. "
                "The same command goes on with the others.")

    def _result(self) -> SegmentResult:
        """The outcomes so far, in the order of the inputs."""
        bad = [CaseResult(name, FAILED, reason=str(error)) for name, error in self._inputs.bad.items()]
        found = [self._outcomes[case.name] for case in self._inputs.cases if case.name in self._outcomes]
        return SegmentResult((*bad, *found), time.monotonic() - self._start)


@dataclass(frozen=True)
class Loaded:
    """A scan that was read."""

    scan: Scan
    mark: FileFingerprint
    """Of the files that it was read from."""
    needed_bytes: int
    """Memory that segmenting it will take."""
    seconds: float


@dataclass(frozen=True)
class Made:
    """A scan that was segmented."""

    prediction: Prediction
    mark: FileFingerprint
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


class CaseProcessor:
    """The work of one request; ``model`` is the SHA-256 of the model's manifest."""

    def __init__(self, request: SegmentRequest, record: ResultsIndex, predictor: Predictor, model: str) -> None:
        self._request, self._record, self._predictor, self._model = request, record, predictor, model
        self._writer = ResultWriter(request.out, record, compressed=request.compressed)
        self._reading = ReadingProcess()

    def read(self, case: Case, computing: Loaded | None) -> Loaded | None:
        """Reads a scan; None when memory does not suffice for it beside ``computing``. Raises UserError."""
        start = time.monotonic()
        lock = DICOM_AT_WORK if self._request.dicom_seg else nullcontext()
        with _errors_naming(case.name), lock:
            self._request.refuse_overwriting(case)
            needed = self._needed_bytes(case, self._header(case), computing)
            if needed is None:
                return None
            mark = FileFingerprint.of(*files_of(case, self._record))
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
        with _errors_naming(case.name):
            prediction = self._predictor.segment(loaded.scan, regions=self._request.regions,
                                                 probabilities=self._request.wants_probabilities, reporter=reporter,
                                                 should_stop=should_stop)
        return Made(prediction, loaded.mark, loaded.seconds + time.monotonic() - start, self._predictor.ran_with)

    def write(self, case: Case, made: Made) -> Finished:
        """Writes the results of a scan; raises UserError."""
        start = time.monotonic()
        origin = Origin(case.name, case.image, self._request.target(case), made.mark, self._model,
                        self._request.regions, self._request.dicom if self._request.dicom_seg else None,
                        self._request.fusion, self._request.temperature, made.ran_with)
        with _errors_naming(case.name):
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
        how = {"regions": self._request.regions,
               "voxel_bytes": header.voxel_bytes + self._request.wants_probabilities}
        if case.more_images:
            how["voxel_bytes"], how["reading_bytes"] = reading_bytes(case, header)
        if computing is None:
            return self._predictor.require_memory(header.geometry, **how)
        needed, free = self._predictor.forecast(header.geometry, **how).total, available_bytes()
        return needed if free is None or needed + computing.needed_bytes <= free else None


@contextmanager
def _errors_naming(name: str) -> Iterator[None]:
    """Makes what may go wrong with one scan alone a UserError, so that the others go on."""
    try:
        yield
    except MemoryError as error:
        raise UserError(f"{name}: the memory is used up.", "Close other programs, or take smaller scans.") from error
    except OSError as error:
        raise UserError(f"{error.filename or name}: {error.strerror or error}.",
                        "Check the path and its permissions.") from error
