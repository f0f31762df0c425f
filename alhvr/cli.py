"""The ``alhvr`` command: arguments become a request, and each command makes one call."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import alhvr
from alhvr.config import DataConfig, RunConfig, from_dict, to_dict, with_preset
from alhvr.core.errors import Cancelled, UserError, require_generator, require_memory, require_train
from alhvr.core.files import read_json, shown
from alhvr.core.progress import BarReporter, JsonReporter, Reporter
from alhvr.core.streams import occupy_standard_streams, unblocked_streams, write_out
from alhvr.core.system import explained
from alhvr.methods.registry import DEFAULT_METHOD, METHODS
from alhvr.networks.registry import NETWORKS

if TYPE_CHECKING:
    from alhvr.checking.context import RunContext
    from alhvr.checking.result import CheckResult

EXIT_OK, EXIT_USER, EXIT_CANCELLED = 0, 2, 130
PATIENCE_WHEN_CANCELLED_S = 1.0
"""How long a cancelled command waits for a reader that reads nothing."""
NOT_A_DEVICE = "Not a medical device: for research only, every result must be checked by a qualified person."


class _Parser(argparse.ArgumentParser):
    """A parser whose mistakes are one line."""

    def error(self, message: str) -> NoReturn:
        """Raises UserError instead of printing the usage."""
        raise UserError(f"{message}.", f"See: {self.prog} --help")


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
        options = _parser().parse_args(arguments)
        reporter.started(options.command)
        require_memory(options.command)
        options.run(options, reporter)
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


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="alhvr", description=f"{alhvr.__doc__} {NOT_A_DEVICE}")
    parser.add_argument("--version", action="version", version=f"alhvr {alhvr.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=_Parser)
    _add_demo(commands)
    _add_sample(commands)
    _add_add(commands)
    _add_check(commands)
    _add_train(commands)
    _add_segment(commands)
    _add_evaluate(commands)
    _add_describe(commands)
    return parser


def _command(commands: Any, name: str, run: Callable[..., None], text: str) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=text, description=f"{text} {NOT_A_DEVICE}")
    parser.set_defaults(run=run)
    return parser


def _add_progress(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--progress", choices=["bar", "json"], default="bar",
                        help="bars for people, or one JSON object a line for programs")


def _add_device(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", choices=["auto", "cpu", "cuda", "mps"], help="where the networks run")


def _add_demo(commands: Any) -> None:
    parser = _command(commands, "demo", _demo, "The whole story on generated scans, in a few minutes.")
    parser.add_argument("--out", type=Path, default=Path("demo"), metavar="DIR", help="folder to leave the results in")
    parser.add_argument("--seed", type=int, default=0, help="seed of the generated scans and of training")
    _add_progress(parser)


def _add_sample(commands: Any) -> None:
    parser = _command(commands, "sample", _sample, "Generated scans and a small model, to try segmenting in a minute.")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new or empty folder")
    parser.add_argument("--study", action="store_true",
                        help="a project to train on instead: labelled cases and an archive, no model")
    _add_progress(parser)


def _add_add(commands: Any) -> None:
    parser = _command(commands, "add", _add, "Copy labelled cases into a project.")
    parser.add_argument("inputs", nargs="+", type=Path, metavar="PATH",
                        help="a cases folder of any layout, or scans and their label files")
    parser.add_argument("--project", type=Path, required=True, metavar="DIR", help="project folder")
    parser.add_argument("--look", action="store_true", help="only tell which label belongs to which scan, and why")
    parser.add_argument("--only", type=Path, metavar="FILE.json", help="add these pairs alone, as --look tells them")
    _add_progress(parser)


def _add_train(commands: Any) -> None:
    parser = _command(commands, "train", _train, "Learn from labelled scans and an archive without labels.")
    parser.add_argument("--labeled", type=Path, metavar="DIR", help="cases folder: images/ and labels/")
    parser.add_argument("--unlabeled", type=Path, action="append", metavar="DIR",
                        help="the archive, given again for each of its folders; left out: labels only")
    parser.add_argument("--validation", type=Path, metavar="DIR",
                        help="labelled cases to choose the best model on; left out: some are set aside")
    parser.add_argument("--out", type=Path, required=True, metavar="RUN", help="run folder")
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings as JSON, like RUN/config.json")
    parser.add_argument("--method", choices=list(METHODS), help="how to learn from the scans without labels; "
                        f"left out: {DEFAULT_METHOD}, or labels-only where there are none")
    parser.add_argument("--network", choices=list(NETWORKS), help="kind of the networks; left out: that of the preset")
    parser.add_argument("--preset", choices=["standard", "paper", "official"],
                        help="our own choices (default), the paper's text, or the released code")
    parser.add_argument("--from", dest="start_from", type=Path, metavar="MODEL", help="fine-tune this model")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--iterations", type=int, metavar="N", help="optimiser steps")
    length.add_argument("--minutes", type=float, metavar="N", help="train for this time instead")
    parser.add_argument("--batch-size", type=int, metavar="N", help="patches in a batch, half of them labelled")
    parser.add_argument("--patch-size", type=_sizes, metavar="A,B[,C]", help="pixels of a patch, slowest axis first")
    parser.add_argument("--beta", type=float, metavar="X", help="share of least confident pixels that sets gamma")
    parser.add_argument("--temperature", type=float, metavar="X", help="sharpening temperature T")
    parser.add_argument("--not-annotated", type=int, metavar="V",
                        help="label value of voxels that are not annotated (255 unless stated otherwise)")
    parser.add_argument("--seed", type=int, metavar="N", help="seed of every random draw")
    parser.add_argument("--name", metavar="NAME", help="name of the model; left out: its structures and modality")
    _add_device(parser)
    parser.add_argument("--force", action="store_true",
                        help="go on despite faults in the data, where that is possible; the model records it")
    parser.add_argument("--resume", action="store_true", help="continue the run in --out")
    _add_progress(parser)


def _add_evaluate(commands: Any) -> None:
    parser = _command(commands, "evaluate", _evaluate, "Score segmentations against reference labels.")
    parser.add_argument("--predictions", type=Path, required=True, metavar="DIR", help="folder of segmentations")
    parser.add_argument("--reference", type=Path, required=True, metavar="DIR", help="folder of reference labels")
    parser.add_argument("--out", type=Path, metavar="FILE.json", help="write the scores as JSON too")
    parser.add_argument("--paper-metrics", action="store_true",
                        help="MedPy's conventions without voxel spacing, as in the paper's tables")
    parser.add_argument("--not-annotated", type=int, metavar="V",
                        help="label value of reference voxels that are not annotated; nothing is scored there")
    _add_progress(parser)


def _add_describe(commands: Any) -> None:
    parser = _command(commands, "describe", _describe, "Tell what a model segments and how it was trained.")
    parser.add_argument("model", type=Path, metavar="MODEL", help="model folder")


def _sizes(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of whole numbers such as 96,96,96") from error


def _demo(options: argparse.Namespace, reporter: Reporter) -> None:
    require_train("alhvr demo")
    from alhvr.demo.story import run_demo

    run_demo(options.out, reporter, seed=options.seed)
    reporter.finished(out=str(options.out))


def _sample(options: argparse.Namespace, reporter: Reporter) -> None:
    require_generator("alhvr sample")
    from alhvr.phantom.sample import make_sample, make_study

    if options.study:
        reporter.finished(project=str(make_study(options.out, reporter)))
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
    config = run_config(options)
    require_train("alhvr train")
    from alhvr.training.run import TrainRequest, train

    request = TrainRequest(labeled=options.labeled, out=options.out, unlabeled=options.unlabeled,
                           validation=options.validation, config=config, start_from=options.start_from,
                           resume=options.resume, force=options.force)
    result = train(request, reporter)
    reporter.finished(model=str(result.model), dice=result.scores, best_iteration=result.best_iteration)


def _evaluate(options: argparse.Namespace, reporter: Reporter) -> None:
    from alhvr.evaluation.report import evaluate_folders

    report = evaluate_folders(options.predictions, options.reference, paper_metrics=options.paper_metrics,
                              not_annotated=options.not_annotated, reporter=reporter)
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


def _add_check(commands: Any) -> None:
    parser = _command(commands, "check", run_check, "Find what is wrong with the scans and labels before training.")
    parser.add_argument("--labeled", type=Path, metavar="DIR", help="cases folder: images/ and labels/")
    parser.add_argument("--unlabeled", type=Path, action="append", metavar="DIR",
                        help="the archive, given again for each of its folders")
    parser.add_argument("--validation", type=Path, metavar="DIR", help="labelled cases to choose the best model on")
    parser.add_argument("--not-annotated", type=int, metavar="V", default=DataConfig.not_annotated,
                        help="label value of voxels that are not annotated (255 unless stated otherwise)")
    parser.add_argument("--out", type=Path, metavar="FILE.json",
                        help="write what was found for programs, and as FILE.html for people")
    parser.add_argument("--no-forecast", action="store_true",
                        help="do not try a few steps to tell what a training would take")
    _add_progress(parser)


def run_check(options: argparse.Namespace, reporter: Reporter) -> None:
    """Checks, tells and writes; raises UserError where there is a fault."""
    from alhvr.checking.context import RunContext
    from alhvr.checking.findings import Severity
    from alhvr.checking.run import CheckOptions, Folders, check
    from alhvr.checking.text_report import emit, faults_as_error, listing, write_reports
    from alhvr.core.signals import StopRequest

    if options.out and options.out.suffix.lower() != ".json":
        raise UserError(f"--out is {options.out.name}.", "Give a file that ends in .json; the page is put beside it.")
    if options.out and not options.out.absolute().parent.is_dir():
        raise UserError(f"There is no folder {options.out.parent}.", "Make it, or give another --out.")
    wishes = CheckOptions(DataConfig(options.not_annotated).not_annotated)
    with StopRequest() as stop:
        context = RunContext(reporter, stop)
        found = check(Folders(options.labeled, options.unlabeled, options.validation), context, wishes)
        if not options.no_forecast:
            found = _with_forecast(found, options, context)
    if options.progress == "bar":
        write_out(listing(found))
    else:
        emit(found, reporter)
    if options.out:
        write_reports(found, options.out, reporter)
    if found.count(Severity.FAULT):
        raise faults_as_error(found)
    reporter.finished(warnings=found.count(Severity.WARNING), notes=found.count(Severity.NOTE))


def _with_forecast(found: CheckResult, options: argparse.Namespace, context: RunContext) -> CheckResult:
    """With what a training would take, where the libraries for it are installed."""
    try:
        require_train("The forecast")
    except UserError as error:
        context.reporter.note(f"There is no forecast of memory and time. {error}")
        return found
    from alhvr.training.trial import forecast_of_check

    data = DataConfig(options.not_annotated)
    return forecast_of_check(found, (options.out or Path()).absolute().parent / "run", context,
                             config=RunConfig(data=data))


def _add_segment(commands: Any) -> None:
    parser = _command(commands, "segment", run_segment, "Segment scans with a finished model.")
    parser.add_argument("inputs", nargs="+", type=Path, metavar="INPUT",
                        help="scan, DICOM series folder, or a folder of these; a bad one does not stop the others")
    parser.add_argument("--model", type=Path, required=True, metavar="MODEL", help="model folder")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR",
                        help="folder for the results; alhvr-segment.json in it tells what is done, so that the same "
                             "command skips it the next time and leaves results alone that somebody changed")
    parser.add_argument("--regions", action="store_true", help="also write the high-value regions")
    parser.add_argument("--fusion", choices=["mean", "competition", "a", "b"],
                        help="label by the mean of both networks, voxel by voxel by the more confident one, or by one "
                             "alone; left out: as the model was set when it was trained")
    parser.add_argument("--temperature", type=float, metavar="T",
                        help="sharpening temperature of the competing teacher's map beside the regions, above 0 and at "
                             "most 1; left out: that of training")
    parser.add_argument("--uncompressed", action="store_true",
                        help="do not compress the maps beside the regions: larger, quicker to write and to read")
    parser.add_argument("--dicom-seg", action="store_true",
                        help="also write a DICOM Segmentation; inputs must be DICOM series")
    parser.add_argument("--format", choices=["seg.nrrd", "nii.gz", "nrrd", "mha"], default="seg.nrrd",
                        help="file format of the segmentation")
    parser.add_argument("--backend", default="auto", metavar="NAME",
                        help="what runs the networks; auto: the fastest that is installed")
    _add_device(parser)
    _add_progress(parser)


def run_segment(options: argparse.Namespace, reporter: Reporter) -> None:
    """Segments; SomeFailed at the end where an input could not be."""
    from alhvr.inference.run import SegmentRequest, SomeFailed, segment

    request = SegmentRequest(model=options.model, inputs=tuple(options.inputs), out=options.out,
                             regions=options.regions, dicom_seg=options.dicom_seg, file_format=options.format,
                             device=options.device or "auto", backend=options.backend, fusion=options.fusion,
                             temperature=options.temperature, compressed=not options.uncompressed)
    try:
        result = segment(request, reporter)
    except SomeFailed as failures:
        failures.result.tell(reporter)
        raise
    result.tell(reporter)


def run_config(options: argparse.Namespace) -> RunConfig:
    """All settings that the arguments ask for; raises UserError for a file or a value that is not accepted."""
    config = _config_file(options.config) if options.config else RunConfig()
    if options.preset:
        config = with_preset(config, options.preset)
    method = _with(config.method, options, "beta", "temperature")
    return RunConfig(
        method=method if options.method is None else replace(method, name=options.method),
        training=_with(config.training, options, "iterations", "minutes", "seed", "device"),
        plan=_with(config.plan, options, "network", "batch_size", "patch_size"),
        data=_with(config.data, options, "not_annotated"), segmenting=config.segmenting,
        name=config.name if options.name is None else options.name)


def _with(config: Any, options: argparse.Namespace, *names: str) -> Any:
    given = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    return replace(config, **given)


def _config_file(path: Path) -> RunConfig:
    """The settings in a file; what it leaves out is that of the preset that it names, else the default."""
    try:
        values = read_json(path)
    except (OSError, UserError) as error:
        reason = error.message.removesuffix(".") if isinstance(error, UserError) else error.strerror or error
        raise UserError(f"The settings file {path} cannot be read ({reason}).",
                        f"Give a JSON file with the parts {', '.join(to_dict(RunConfig()))}.") from error
    method = values.get("method") if isinstance(values, dict) else None
    preset = method.get("preset") if isinstance(method, dict) else None
    base = with_preset(RunConfig(), preset) if preset in ("paper", "official") else RunConfig()
    return from_dict(RunConfig, values, "settings", base=base)


if __name__ == "__main__":
    sys.exit(main())
