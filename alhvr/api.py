"""The public API, which ``import alhvr`` offers name by name: the commands as functions, without a terminal.

Arrays are [K, J, I]; files are LPS; lengths are in mm. What the user can fix raises alhvr.UserError, whose text names
the thing, the value seen and the next step. Nothing is printed; with ``verbose`` progress goes to standard error.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from alhvr.checking.context import RunContext
from alhvr.checking.result import CheckResult
from alhvr.checking.run import CheckOptions, Folders, archive_folders
from alhvr.checking.run import check as check_folders
from alhvr.config import DataConfig, RunConfig
from alhvr.core.progress import BarReporter, Reporter, SilentReporter
from alhvr.core.signals import StopRequest
from alhvr.evaluation.report import Report, evaluate_folders
from alhvr.inference.run import SegmentRequest
from alhvr.inference.run import segment as segment_files
from alhvr.inference.summary import SegmentResult

if TYPE_CHECKING:
    from alhvr.training.run import TrainResult

Paths = Path | str
Archive = Paths | Sequence[Paths] | None
"""The folder of an archive, or several."""


def check(labeled: Paths | None = None, unlabeled: Archive = (), validation: Paths | None = None, *,
          not_annotated: int = DataConfig.not_annotated, verbose: bool = False) -> CheckResult:
    """What is wrong with the scans and labels in these folders, before training.

    ``labeled``, ``validation``: folders of images/ and labels/; ``unlabeled``: the archive, one folder or several.
    ``not_annotated``: label value 1 to 65535 of voxels that are not annotated. ``findings`` of the result are sorted,
    the worst first, each with its kind, severity, cases and sentences. No file is so bad that it raises; UserError
    where no folder is given.
    """
    folders = Folders(_path(labeled), archive_folders(unlabeled), _path(validation))
    with StopRequest() as stop:
        options = CheckOptions(DataConfig(not_annotated).not_annotated)
        return check_folders(folders, RunContext(_reporter(verbose), stop), options)


def segment(model: Paths, *scans: Paths, out: Paths, regions: bool = False, device: str = "auto",
            verbose: bool = False) -> SegmentResult:
    """Segments files, DICOM series folders, or folders of these, into the folder ``out``.

    ``model``: a model folder. ``regions``: also the confidence maps and the high-value regions. ``device``: auto, cpu,
    cuda or mps. The result tells of every scan what became of it, its files and its volumes in ml. What was done
    before is not done again. UserError for a bad model, and at the end where a scan could not be segmented.
    """
    request = SegmentRequest(model=Path(model), inputs=tuple(Path(scan) for scan in scans), out=Path(out),
                             regions=regions, device=device)
    return segment_files(request, _reporter(verbose))


def evaluate(predictions: Paths, reference: Paths, *, paper_metrics: bool = False,
             not_annotated: int | None = None) -> Report:
    """Dice, Jaccard, HD95 and ASD (mm; voxels where no true spacing is stated) by case and structure.

    ``predictions``: a folder of segmentations; ``reference``: a folder of labels or of cases with the same names.
    ``paper_metrics`` counts in voxels, as the paper's tables do. ``table()`` of the result is for people, ``summary()``
    for programs. UserError where no case can be scored.
    """
    return evaluate_folders(Path(predictions), Path(reference), paper_metrics=paper_metrics,
                            not_annotated=not_annotated)


def train(labeled: Paths | None, out: Paths, *, unlabeled: Archive = (),  # noqa: PLR0913
          validation: Paths | None = None, config: RunConfig | None = None, start_from: Paths | None = None,
          resume: bool = False, verbose: bool = False) -> TrainResult:
    """Learns from the labelled cases and the archive; the run and its model go into the folder ``out``.

    ``labeled``, ``validation``: folders of images/ and labels/ (without ``validation`` some labelled cases are set
    aside); ``unlabeled``: the archive, one folder or several, none trains on the labels alone. ``config``: see
    alhvr.RunConfig. ``start_from``: a model folder to fine-tune. ``resume``: go on with the run in ``out`` (``labeled``
    may be None).
    Returns a TrainResult: ``model`` (folder), ``scores`` (validation Dice 0 to 1 by structure, and "mean") and
    ``best_iteration``. Needs alhvr[train]. UserError for data or settings that cannot be used; Ctrl-C saves the run
    and raises Cancelled.
    """
    from alhvr.core.errors import require_train

    require_train("alhvr.train")
    from alhvr.training.run import TrainRequest
    from alhvr.training.run import train as run

    request = TrainRequest(labeled=_path(labeled), out=Path(out), unlabeled=archive_folders(unlabeled),
                           validation=_path(validation), config=config or RunConfig(), start_from=_path(start_from),
                           resume=resume)
    return run(request, _reporter(verbose))


def _path(given: Paths | None) -> Path | None:
    return None if given is None else Path(given)


def _reporter(verbose: bool) -> Reporter:
    return BarReporter() if verbose else SilentReporter()
