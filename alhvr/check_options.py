"""``alhvr check``: its arguments, and what is printed, written and returned."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from alhvr.config import DataConfig, RunConfig
from alhvr.core.errors import UserError
from alhvr.core.extras import require_train
from alhvr.core.progress import Reporter
from alhvr.core.streams import write_out

if TYPE_CHECKING:
    from alhvr.checking.context import Watch
    from alhvr.checking.result import CheckResult


def add_check_arguments(parser: argparse.ArgumentParser) -> None:
    """What ``alhvr check`` accepts."""
    parser.add_argument("--labeled", type=Path, metavar="DIR", help="cases folder: images/ and labels/")
    parser.add_argument("--unlabeled", type=Path, metavar="DIR", help="the archive")
    parser.add_argument("--validation", type=Path, metavar="DIR", help="labelled cases to choose the best model on")
    parser.add_argument("--not-annotated", type=int, metavar="V", default=DataConfig.not_annotated,
                        help="label value of voxels that nobody annotated (255 unless told otherwise)")
    parser.add_argument("--out", type=Path, metavar="FILE.json",
                        help="write what was found for programs, and as FILE.html for people")
    parser.add_argument("--no-forecast", action="store_true",
                        help="do not try a few steps to tell what a training would take")


def run_check(options: argparse.Namespace, reporter: Reporter) -> None:
    """Checks, tells and writes; raises UserError where there is a fault."""
    from alhvr.checking.context import Watch
    from alhvr.checking.findings import Severity
    from alhvr.checking.run import Folders, Wishes, check
    from alhvr.checking.text_report import faults_as_error, listing, tell, write_reports
    from alhvr.core.signals import StopRequest

    if options.out and options.out.suffix.lower() != ".json":
        raise UserError(f"--out is {options.out.name}.", "Give a file that ends in .json; the page is put beside it.")
    if options.out and not options.out.absolute().parent.is_dir():
        raise UserError(f"There is no folder {options.out.parent}.", "Make it, or give another --out.")
    wishes = Wishes(DataConfig(options.not_annotated).not_annotated)
    with StopRequest() as stop:
        watch = Watch(reporter, stop)
        found = check(Folders(options.labeled, options.unlabeled, options.validation), watch, wishes)
        if not options.no_forecast:
            found = _with_forecast(found, options, watch)
    if options.progress == "bar":
        write_out(listing(found))
    else:
        tell(found, reporter)
    if options.out:
        write_reports(found, options.out, reporter)
    if found.count(Severity.FAULT):
        raise faults_as_error(found)
    reporter.finished(warnings=found.count(Severity.WARNING), notes=found.count(Severity.NOTE))


def _with_forecast(found: CheckResult, options: argparse.Namespace, watch: Watch) -> CheckResult:
    """With what a training would take, where the libraries for it are installed."""
    try:
        require_train("The forecast")
    except UserError as error:
        watch.reporter.note(f"There is no forecast of memory and time. {error}")
        return found
    from alhvr.training.check_forecast import forecast_of_check

    data = DataConfig(options.not_annotated)
    return forecast_of_check(found, (options.out or Path()).absolute().parent / "run", watch,
                             config=RunConfig(data=data))
