"""Drafts: the archive segmented with regions, scan by scan, each with its score; what is done is not done again."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from alhvr.bundle.model import Model
from alhvr.core.errors import Cancelled, UserError
from alhvr.core.files import make_writable, read_json, write_json
from alhvr.core.progress import Countdown, Reporter
from alhvr.data.cases import Case
from alhvr.export.formats import write_nrrd
from alhvr.export.volumes import FAST, SEGMENTATION_ENDING, new_file, write_segmentation
from alhvr.formats.model_folder import MANIFEST
from alhvr.inference.backends import choose_backend
from alhvr.inference.inputs import files_of
from alhvr.inference.pipeline import BatchAborted, Pipeline, Steps
from alhvr.inference.predictor import Predictor
from alhvr.inference.request import SegmentRequest
from alhvr.inference.results_index import ResultsIndex
from alhvr.inference.run import CaseProcessor, Loaded, Made
from alhvr.inference.writer import Origin, ResultWriter
from alhvr.ranking.score import ScanScore, parse_score, score_of

STAGE = "scans"
REGIONS_ENDING, SCORE_ENDING = ".regions.nrrd", ".score.json"


@dataclass
class Drafts:
    """What is known of the scans of an archive."""

    folder: Path
    """Where NAME.seg.nrrd, NAME.regions.nrrd and NAME.score.json lie."""
    scores: dict[str, ScanScore] = field(default_factory=dict)
    """By case name."""
    failed: dict[str, str] = field(default_factory=dict)
    """Why a scan has no score, by case name."""

    def segmentation(self, case: str) -> Path:
        """The model's segmentation of a case."""
        return self.folder / f"{case}{SEGMENTATION_ENDING}"

    def regions(self, case: str) -> Path:
        """The regions (1 to 3) of a case."""
        return self.folder / f"{case}{REGIONS_ENDING}"

    def score_file(self, case: str) -> Path:
        """The score of a case."""
        return self.folder / f"{case}{SCORE_ENDING}"


@dataclass(frozen=True)
class Hardware:
    """On what the networks run, and with which numbers."""

    device: str = "auto"
    """auto, cpu, cuda or mps."""
    precision: str = "auto"
    """auto, fp32, bf16 or fp16."""


def make_drafts(cases: Sequence[Case], model: Model, folder: Path, *, hardware: Hardware, reporter: Reporter,
                should_stop: Callable[[], bool]) -> Drafts:
    """Segments and scores the cases into ``folder``; those of an earlier call with this model are as they were.

    One scan at a time is in the networks, one is read ahead and one is written. A scan that cannot be read or segmented
    is told of in ``failed``. Raises UserError where the folder cannot be written or nothing more can, ModelError where
    the networks cannot be run, Cancelled when ``should_stop`` says so; what is done by then is kept.
    """
    make_writable(folder)
    work = _Work(model, Drafts(folder), reporter)
    todo = [case for case in cases if not work.recall(case)]
    if len(todo) < len(cases):
        reporter.note(f"{len(cases) - len(todo)} of {len(cases)} scans were segmented with this model before.")
    if todo:
        work.run(todo, len(cases), hardware, should_stop)
    return work.drafts


class _Work:
    """One call."""

    def __init__(self, model: Model, drafts: Drafts, reporter: Reporter) -> None:
        self.drafts, self._model, self._reporter = drafts, model, reporter
        self._record = ResultsIndex(drafts.folder)
        self._writer = ResultWriter(drafts.folder, self._record)
        self._identity = hashlib.sha256((model.folder / MANIFEST).read_bytes()).hexdigest()
        self._countdown, self._total = Countdown(0), 0

    def recall(self, case: Case) -> bool:
        """Whether the case was done before; its score is among the scores then.

        A draft that somebody edited stays as it is, with the score that it had.
        """
        entry = self._record.entry(self.drafts.segmentation(case.name).name)
        score = self.drafts.score_file(case.name)
        try:
            known = (entry is not None and entry.model == self._identity and score.name in entry.files
                     and all((self.drafts.folder / name).exists() for name in entry.files)
                     and entry.files[score.name].fits(score) and entry.input.fits(*files_of(case, self._record)))
            if known:
                self.drafts.scores[case.name] = parse_score(read_json(score), self._model.description.labels)
        except (OSError, UserError):
            return False
        return known

    def run(self, todo: Sequence[Case], total: int, hardware: Hardware, should_stop: Callable[[], bool]) -> None:
        """Segments what is not done; raises as ``make_drafts``."""
        about = self._model.description
        backend = choose_backend(self._model, device=hardware.device, precision=hardware.precision)
        predictor = Predictor(backend, about.plan, about.labels, about.inference)
        request = SegmentRequest(self._model.folder, (), self.drafts.folder, regions=True)
        work = CaseProcessor(request, self._record, predictor, self._identity)
        pipeline: Pipeline[Case, Loaded, Made, ScanScore] = Pipeline(
            Steps(work.read, lambda case, loaded: work.compute(case, loaded, self._reporter, pipeline.pulse),
                  self._write, self._wrote, self._failed, work.close), should_stop)
        self._countdown, self._total = Countdown(total, total - len(todo)), total
        self._tell_progress()
        try:
            pipeline.run(todo)
        except Cancelled:
            raise Cancelled(f"Stopped after {self._n_done()} of {total} scans; their drafts are kept. The same command "
                            "goes on with the others.") from None

    def _write(self, case: Case, made: Made) -> ScanScore:
        prediction = made.prediction
        region = prediction.regions.region
        score = score_of(prediction.segmentation, region)

        def write_all(stage: Path) -> list[Path]:
            draft = Drafts(stage)
            write_segmentation(draft.segmentation(case.name), prediction.segmentation)
            with new_file(draft.regions(case.name)) as file:
                write_nrrd(file, region, prediction.segmentation.geometry, level=FAST)
            write_json(draft.score_file(case.name), score.to_dict())
            return [draft.segmentation(case.name), draft.regions(case.name), draft.score_file(case.name)]

        origin = Origin(case.name, case.image, self.drafts.segmentation(case.name).name, made.mark, self._identity,
                        regions=False, dicom=None, ran_with=made.ran_with)
        self._writer.write_files(origin, prediction.segmentation, write_all)
        return score

    def _wrote(self, case: Case, score: ScanScore) -> None:
        self.drafts.scores[case.name] = score
        self._tell_progress()

    def _failed(self, case: Case, error: UserError) -> None:
        self.drafts.failed[case.name] = str(error)
        if not isinstance(error, BatchAborted):
            self._reporter.warning(f"{case.name} is not ranked: {error}")
        self._tell_progress()

    def _n_done(self) -> int:
        return len(self.drafts.scores) + len(self.drafts.failed)

    def _tell_progress(self) -> None:
        self._reporter.progress(STAGE, self._n_done(), self._total, self._countdown.seconds_left(self._n_done()))
