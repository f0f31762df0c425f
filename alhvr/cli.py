"""The ``alhvr`` command: arguments become a request, and each command makes one call."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from alhvr.arguments import build_parser, check_config, dicom_wishes, run_config
from alhvr.core.errors import DEMO, Cancelled, UserError, require_generator, require_memory, require_train
from alhvr.core.files import shown
from alhvr.core.progress import BarReporter, JsonReporter, Reporter
from alhvr.core.streams import occupy_standard_streams, unblocked_streams, write_out
from alhvr.core.system import explained
from alhvr.project_options import DECISIONS, places, project_of

if TYPE_CHECKING:
    from alhvr.checking.context import RunContext
    from alhvr.checking.result import CheckResult
    from alhvr.config import RunConfig
    from alhvr.evaluation.regions import RegionReport
    from alhvr.evaluation.report import Report
    from alhvr.formats.project import Project
    from alhvr.training.run import TrainRequest

EXIT_OK, EXIT_USER, EXIT_CANCELLED = 0, 2, 130
PATIENCE_WHEN_CANCELLED_S = 1.0
"""How long a cancelled command waits for a reader that reads nothing."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns 0 on success, 2 on a user's mistake, 130 when cancelled."""
    occupy_standard_streams()
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy is loaded: more would spin on the networks' cores
    arguments = sys.argv[1:] if arguments is None else arguments
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    with unblocked_streams() as writers:
        code = _run(arguments, JsonReporter() if _wants_json(arguments) else BarReporter())
        if code == EXIT_CANCELLED:
            writers.close(PATIENCE_WHEN_CANCELLED_S)
    return code


def _run(arguments: Sequence[str], reporter: Reporter) -> int:
    """The exit code of the command, whose result or mistake the reporter has told."""
    try:
        options = build_parser().parse_args(arguments)
        reporter.started(options.command)
        require_memory(options.command)
        COMMANDS[options.command](options, reporter)
    except (Cancelled, KeyboardInterrupt) as error:
        reporter.note(str(error) or "Cancelled.")
        reporter.finished(cancelled=True)
        return EXIT_CANCELLED
    except Exception as error:
        told = explained(error)
        if told is None:
            raise
        return _complain(reporter, told.message, told.hint)
    return EXIT_OK


def _wants_json(arguments: Sequence[str]) -> bool:
    """Known before the arguments are parsed, so that a mistake among them is told as JSON too."""
    return any(argument == "--progress=json" for argument in arguments) or any(
        pair == ("--progress", "json") for pair in pairwise(arguments))


def _complain(reporter: Reporter, message: str, hint: str) -> int:
    """One line on stderr for people; for programs an event before it."""
    reporter.error(message, hint)
    if isinstance(reporter, JsonReporter):
        BarReporter().error(message, hint)
    return EXIT_USER


def _told_project(options: argparse.Namespace, reporter: Reporter) -> Project | None:
    """The project of the options, if there is one, after what it takes from elsewhere was told."""
    project = project_of(options)
    for sentence in places(project) if project else ():
        reporter.note(sentence)
    return project


def _demo(options: argparse.Namespace, reporter: Reporter) -> None:
    require_train("alhvr demo", DEMO)
    from alhvr.demo.story import run_demo

    run_demo(options.out, reporter, seed=options.seed)
    reporter.finished(out=str(options.out))


def _sample(options: argparse.Namespace, reporter: Reporter) -> None:
    require_generator("alhvr sample")
    from alhvr.phantom.sample import make_sample, make_study

    if options.study:
        reporter.finished(project=str(make_study(options.out, reporter, archive=options.archive)))
        return
    study = make_sample(options.out, reporter)
    reporter.note(f"To segment a scan: alhvr segment {study.scans[0]} --model {study.model} --out DIR --regions")
    reporter.finished(scans=[str(path) for path in study.scans], labels=str(study.labels), model=str(study.model))


def _add(options: argparse.Namespace, reporter: Reporter) -> None:
    from alhvr.data.adding import add_cases, choose, find_pairs
    from alhvr.formats.project import read_project

    project, found = read_project(options.project), find_pairs(options.inputs)
    for note in found.notes:
        reporter.note(note)
    if options.look:
        reporter.finished(**found.to_dict())
        return
    names = add_cases(project.folder, choose(found, options.only, reporter), reporter)
    reporter.finished(cases=list(names))


def _train(options: argparse.Namespace, reporter: Reporter) -> None:
    if options.prove:
        _compare(options, reporter)
        return
    request = _train_request(options, _told_project(options, reporter))
    from alhvr.training.run import train

    result = train(request, reporter)
    reporter.finished(model=str(result.model), dice=result.scores, best_iteration=result.best_iteration)


def _train_request(options: argparse.Namespace, project: Project | None) -> TrainRequest:
    """What a training is asked for; raises UserError where something is missing for it."""
    config = run_config(options, project)
    if options.out is None:
        raise UserError("--out is missing.", "Give the folder of the run, or --project.")
    require_train(f"alhvr {options.command}")
    from alhvr.training.run import TrainRequest

    return TrainRequest(labeled=options.labeled, out=options.out, unlabeled=options.unlabeled,
                        validation=options.validation, config=config, start_from=options.start_from,
                        resume=options.resume, force=options.force)


def _compare(options: argparse.Namespace, reporter: Reporter) -> None:
    project = _told_project(options, reporter)
    request = _train_request(options, project)
    from alhvr.comparison.run import CompareRequest, compare

    both = not getattr(options, "no_labels_only", False) and (project is None or project.compare)
    outcome = compare(CompareRequest(request, with_labels_only=both), reporter).outcome
    if project is not None and options.then_queued:
        from alhvr.comparison.queue import begin_next

        device = [] if options.device is None else ["--device", options.device]
        begin_next(project.folder, [*device, "--then-queued", "--progress", "json"], reporter)
    reporter.finished(out=str(options.out), verdict=outcome.verdict, offered=outcome.offered)


def _evaluate_regions(options: argparse.Namespace, reporter: Reporter) -> None:
    from alhvr.evaluation.region_cases import RegionRequest, regions_of_model, regions_of_results
    from alhvr.evaluation.regions import BETAS

    if (options.model is None) == (options.predictions is None):
        raise UserError("--regions needs --predictions or --model, one of them.",
                        "Give a folder that alhvr segment --regions wrote, or a model that segments the cases.")
    request = RegionRequest(options.reference, options.beta or BETAS, options.not_annotated, options.device or "auto")
    of, source = (regions_of_model, options.model) if options.model else (regions_of_results, options.predictions)
    _tell_scores(of(source, request, reporter), options, reporter)


def _evaluate(options: argparse.Namespace, reporter: Reporter) -> None:
    if options.regions:
        _evaluate_regions(options, reporter)
        return
    if options.predictions is None or options.model is not None or options.beta is not None:
        wrong = "--predictions is missing." if options.predictions is None else "--model and --beta need --regions."
        raise UserError(wrong, "Give the folder of segmentations, or --regions with a --model.")
    from alhvr.evaluation.report import evaluate_folders

    report = evaluate_folders(options.predictions, options.reference, paper_metrics=options.paper_metrics,
                              not_annotated=options.not_annotated, reporter=reporter)
    _tell_scores(report, options, reporter)


def _tell_scores(report: Report | RegionReport, options: argparse.Namespace, reporter: Reporter) -> None:
    """The table for people or the warnings for programs, and the file where one is wanted."""
    if options.out:
        report.write_json(options.out)
        reporter.artifact("scores", str(options.out))
    if options.progress == "bar":
        write_out(report.table() + "\n")
    else:
        for name, reason in report.skipped.items():
            reporter.warning(f"{name} was not scored: {reason}")
        for warning in report.warnings:
            reporter.warning(warning)
    reporter.finished(scores=report.summary())


def _describe(options: argparse.Namespace, reporter: Reporter) -> None:
    from alhvr.bundle.model import read_model

    lines = read_model(options.model).card().split("\n")
    write_out("".join(f"{shown(line.expandtabs())}\n" for line in lines))


def _import_weights(options: argparse.Namespace, reporter: Reporter) -> None:
    require_train("alhvr import-weights")
    from alhvr.training.import_weights import ImportRequest, import_weights

    structures = tuple(name.strip() for name in options.structures.split(","))
    model = import_weights(ImportRequest(tuple(options.files), structures, options.out, options.modality), reporter)
    reporter.artifact("model", str(model))
    reporter.finished(model=str(model))


def _check(options: argparse.Namespace, reporter: Reporter) -> None:
    """Checks, tells and writes; raises UserError where there is a fault."""
    from alhvr.checking.context import RunContext
    from alhvr.checking.findings import Severity
    from alhvr.checking.run import CheckOptions, Folders, check
    from alhvr.checking.text_report import emit, faults_as_error, listing, write_reports
    from alhvr.core.signals import StopRequest

    config = check_config(options, _told_project(options, reporter))
    if options.out and options.out.suffix.lower() != ".json":
        raise UserError(f"--out is {options.out.name}.", "Give a file that ends in .json; the page is put beside it.")
    if options.out and not options.out.absolute().parent.is_dir():
        raise UserError(f"There is no folder {options.out.parent}.", "Make it, or give another --out.")
    wishes = CheckOptions(config.data.not_annotated, config.plan, config.data.series)
    with StopRequest() as stop:
        context = RunContext(reporter, stop)
        found = check(Folders(options.labeled, options.unlabeled, options.validation), context, wishes)
        if not options.no_forecast:
            found = _with_forecast(found, config, (options.out or Path()).absolute().parent / "run", context)
    if options.progress == "bar":
        write_out(listing(found))
    else:
        emit(found, reporter)
    if options.out:
        write_reports(found, options.out, reporter)
    if found.count(Severity.FAULT):
        raise faults_as_error(found)
    reporter.finished(warnings=found.count(Severity.WARNING), notes=found.count(Severity.NOTE))


def _with_forecast(found: CheckResult, config: RunConfig, out: Path, context: RunContext) -> CheckResult:
    """With what a training would take, where the libraries for it are installed."""
    try:
        require_train("The forecast")
    except UserError as error:
        context.reporter.note(f"There is no forecast of memory and time. {error}")
        return found
    from alhvr.training.trial import forecast_of_check

    return forecast_of_check(found, out, context, config=config)


def _segment(options: argparse.Namespace, reporter: Reporter) -> None:
    """Segments; SomeFailed at the end where an input could not be."""
    from alhvr.inference.run import DicomOptions, SegmentRequest, SomeFailed, segment

    wishes = dicom_wishes(options)
    request = SegmentRequest(model=options.model, inputs=tuple(options.inputs), out=options.out,
                             regions=options.regions, dicom_seg=options.dicom_seg or bool(wishes),
                             dicom=DicomOptions(**wishes), file_format=options.format,
                             device=options.device or "auto", backend=options.backend, fusion=options.fusion,
                             temperature=options.temperature, compressed=not options.uncompressed,
                             series=tuple(options.series or ()))
    try:
        result = segment(request, reporter)
    except SomeFailed as failures:
        failures.result.tell(reporter)
        raise
    result.tell(reporter)


def _rank(options: argparse.Namespace, reporter: Reporter) -> None:
    project = _told_project(options, reporter)
    if options.model is None or not options.archive:
        raise UserError(f"{'--model' if options.model is None else 'ARCHIVE'} is missing.",
                        "Give a model and the folders of the archive, or --project.")
    from alhvr.ranking.run import RankRequest, rank

    config = check_config(options, project)
    request = RankRequest(model=options.model, archive=tuple(options.archive),
                          out=options.out or Path("review", "ranking.json"), known=options.known,
                          decisions=project.review_folder / DECISIONS if project else None, count=options.count,
                          round_number=1 if options.round is None else options.round, seed=options.seed,
                          at_most=options.at_most, device=options.device or config.training.device,
                          precision=config.training.precision, not_annotated=config.data.not_annotated,
                          series=config.data.series)
    ranking = rank(request, reporter)
    if options.progress == "bar":
        write_out(ranking.table() + "\n")
    reporter.finished(ranking=str(ranking.file), scans=len(ranking.scans), left_out=len(ranking.left_out))


def _pacs(options: argparse.Namespace, reporter: Reporter) -> None:
    from alhvr.pacs.run import Query, find, pull, push
    from alhvr.pacs.server import server_of

    server = server_of(options.server, own_title=options.aet, credentials=options.credentials, trusted=options.trust,
                       certificate=tuple(options.certificate) if options.certificate else None)
    if options.action == "find":
        found = find(server, Query(options.patient_id, options.accession, options.date, options.modality,
                                   options.description, options.study))
        if options.progress == "bar":
            write_out("".join("  ".join(shown(text) or "-" for text in item.values()) + "\n" for item in found))
        reporter.finished(found=found)
    elif options.action == "pull":
        pulled = pull(server, options.study, options.out, reporter, series=options.series)
        for folder in pulled.folders:
            reporter.artifact("series", str(folder))
        reporter.finished(series=len(pulled.folders), objects=pulled.n_files, before=pulled.n_before)
    else:
        pushed = push(server, options.inputs, reporter)
        if pushed.left_out:
            reporter.note(f"{len(pushed.left_out)} files are no DICOM and were not sent.")
        reporter.finished(objects=pushed.n_sent)


COMMANDS: dict[str, Callable[[argparse.Namespace, Reporter], None]] = {
    "demo": _demo, "sample": _sample, "add": _add, "check": _check, "train": _train, "compare": _compare,
    "segment": _segment, "rank": _rank, "evaluate": _evaluate, "describe": _describe,
    "import-weights": _import_weights,
    "pacs": _pacs,
}
"""What each command runs."""

if __name__ == "__main__":
    sys.exit(main())
