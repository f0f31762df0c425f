"""The arguments of every command: what there is, and the settings and folders that they stand for."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import alhvr
from alhvr.config import RunConfig, to_dict
from alhvr.core.errors import UserError
from alhvr.core.files import read_json
from alhvr.formats.project import PROJECT_FILE, Project
from alhvr.formats.settings_description import config_of
from alhvr.methods.registry import DEFAULT_METHOD, METHODS
from alhvr.networks.registry import NETWORKS
from alhvr.presets import with_preset

NOT_A_DEVICE = "Not a medical device: for research only, every result must be checked by a qualified person."


class _Parser(argparse.ArgumentParser):
    """A parser whose mistakes are one line."""

    def error(self, message: str) -> NoReturn:
        """Raises UserError instead of printing the usage."""
        raise UserError(f"{message}.", f"See: {self.prog} --help")


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands; ``command`` of what it parses is the name of the one that was asked for."""
    parser = _Parser(prog="alhvr", description=f"{alhvr.__doc__} {NOT_A_DEVICE}")
    parser.add_argument("--version", action="version", version=f"alhvr {alhvr.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=_Parser)
    _add_demo(commands)
    _add_sample(commands)
    _add_cases(commands)
    _add_check(commands)
    _add_train(commands)
    _add_compare(commands)
    _add_segment(commands)
    _add_rank(commands)
    _add_evaluate(commands)
    _add_describe(commands)
    _add_import(commands)
    _add_pacs(commands)
    return parser


def _command(commands: Any, name: str, text: str) -> argparse.ArgumentParser:
    return commands.add_parser(name, help=text, description=f"{text} {NOT_A_DEVICE}")


def _add_progress(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--progress", choices=["bar", "json"], default="bar",
                        help="bars for people, or one JSON object a line for programs")


def _add_series(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--series", action="append", metavar="RULE", help="which DICOM series are wanted, such as "
                        '"modality=MR, description=*flair*, slices>=20, orientation=axial, contrast=no"; given '
                        'several times, each with a name ("T1: description=*t1*"), they become the channels of a '
                        "study; left out: what cases.json says, else all")


def _add_device(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", choices=["auto", "cpu", "cuda", "mps"], help="where the networks run")


def _add_project(parser: argparse.ArgumentParser, result: str) -> None:
    parser.add_argument("--project", type=Path, metavar="DIR",
                        help=f"project folder, whose cases, archive and settings are taken; the result is {result}")


def _add_demo(commands: Any) -> None:
    parser = _command(commands, "demo", "The whole story on generated scans, in a few minutes.")
    parser.add_argument("--out", type=Path, default=Path("demo"), metavar="DIR", help="folder to leave the results in")
    parser.add_argument("--seed", type=int, default=0, help="seed of the generated scans and of training")
    _add_progress(parser)


def _add_sample(commands: Any) -> None:
    parser = _command(commands, "sample", "Generated scans and a small model, to try segmenting in a minute.")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new or empty folder")
    parser.add_argument("--study", action="store_true",
                        help="a project to train on instead: labelled cases and an archive, no model")
    parser.add_argument("--archive", type=int, metavar="N", help="scans in the archive of --study (8)")
    _add_progress(parser)


def _add_cases(commands: Any) -> None:
    parser = _command(commands, "add", "Copy labelled cases into a project.")
    parser.add_argument("inputs", nargs="+", type=Path, metavar="PATH",
                        help="a cases folder of any layout, or scans and their label files")
    parser.add_argument("--project", type=Path, required=True, metavar="DIR", help="project folder")
    parser.add_argument("--look", action="store_true", help="only tell which label belongs to which scan, and why")
    parser.add_argument("--only", type=Path, metavar="FILE.json", help="add these pairs alone, as --look tells them")
    _add_progress(parser)


def _add_train(commands: Any) -> None:
    parser = _command(commands, "train", "Learn from labelled scans and an archive without labels.")
    _add_training(parser)
    parser.add_argument("--prove", action="store_true",
                        help="also train with labels only, and tell whether the archive helped: the same as compare")
    _add_progress(parser)


def _add_compare(commands: Any) -> None:
    parser = _command(commands, "compare", "Train with labels only and with the archive, and tell whether it helped.")
    _add_training(parser)
    parser.add_argument("--no-labels-only", action="store_true",
                        help="train once, with the archive where there is one: nothing is compared")
    parser.add_argument("--then-queued", action="store_true", help="with --project: afterwards begin the run that "
                        "waits in it, in a process of its own")
    _add_progress(parser)


def _add_training(parser: argparse.ArgumentParser) -> None:
    """What a training may be asked for."""
    parser.add_argument("--labeled", type=Path, metavar="DIR", help="cases folder: images/ and labels/")
    parser.add_argument("--unlabeled", type=Path, action="append", metavar="DIR",
                        help="the archive, given again for each of its folders; left out: labels only")
    parser.add_argument("--validation", type=Path, metavar="DIR",
                        help="labelled cases to choose the best model on; left out: some are set aside")
    parser.add_argument("--out", type=Path, metavar="RUN", help="run folder")
    _add_project(parser, "the next of its runs")
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings as JSON, like RUN/config.json")
    parser.add_argument("--method", choices=list(METHODS), help="how to learn from the scans without labels; "
                        f"left out: {DEFAULT_METHOD}, or labels-only where there are none")
    parser.add_argument("--network", choices=list(NETWORKS), help="kind of the networks; left out: that of the preset")
    parser.add_argument("--preset", choices=["standard", "mixed", "paper", "official"],
                        help="our own choices (default), these and mixed images, the paper's text, "
                        "or the released code")
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
    _add_series(parser)
    parser.add_argument("--seed", type=int, metavar="N", help="seed of every random draw")
    parser.add_argument("--name", metavar="NAME", help="name of the model; left out: its structures and modality")
    _add_device(parser)
    parser.add_argument("--force", action="store_true",
                        help="go on despite faults in the data, where that is possible; the model records it")
    parser.add_argument("--resume", action="store_true", help="continue the run in --out")


def _add_evaluate(commands: Any) -> None:
    parser = _command(commands, "evaluate", "Score segmentations against reference labels.")
    parser.add_argument("--predictions", type=Path, metavar="DIR", help="folder of segmentations")
    parser.add_argument("--reference", type=Path, required=True, metavar="DIR", help="folder of reference labels")
    parser.add_argument("--regions", action="store_true",
                        help="how well the high-value regions find errors, in place of the scores")
    parser.add_argument("--model", type=Path, metavar="MODEL",
                        help="with --regions, in place of --predictions: segment the cases of --reference with it")
    parser.add_argument("--beta", type=_numbers, metavar="B,B,...",
                        help="betas to report with --regions (0.5 to 0.95 unless stated otherwise)")
    _add_device(parser)
    parser.add_argument("--out", type=Path, metavar="FILE.json", help="write the scores as JSON too")
    parser.add_argument("--paper-metrics", action="store_true",
                        help="MedPy's conventions without voxel spacing, as in the paper's tables")
    parser.add_argument("--not-annotated", type=int, metavar="V",
                        help="label value of reference voxels that are not annotated; nothing is scored there")
    _add_progress(parser)


def _add_describe(commands: Any) -> None:
    parser = _command(commands, "describe", "Tell what a model segments and how it was trained.")
    parser.add_argument("model", type=Path, metavar="MODEL", help="model folder")


def _add_import(commands: Any) -> None:
    parser = _command(commands, "import-weights", "Make a model of the weights that ALHVR's authors' code saves.")
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE.pth", help="weights of one network, or of both")
    parser.add_argument("--structures", required=True, metavar="NAMES",
                        help="names of the structures in the order of their label values, with commas between")
    parser.add_argument("--modality", choices=["CT", "MR", "other"], default="MR", help="what the scans are")
    parser.add_argument("--out", type=Path, required=True, metavar="MODEL", help="model folder to write")
    _add_progress(parser)


def _add_pacs(commands: Any) -> None:
    parser = _command(commands, "pacs", "Find studies in an archive, pull them, push results. No other host is "
                                        "contacted, and nothing listens.")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION", parser_class=_Parser)
    find = actions.add_parser("find", help="list studies, or the series of one; names of patients are not asked for")
    pull = actions.add_parser("pull", help="bring a study or a series here")
    push = actions.add_parser("push", help="send DICOM files there")
    for action in (find, pull, push):
        action.add_argument("server", metavar="SERVER", help="dicom://AET@host:port (dicoms:// for TLS), or "
                            "http(s)://host/path of a DICOMweb service")
    find.add_argument("--patient-id", default="", metavar="ID", help="ID of the patient; * for any letters")
    find.add_argument("--accession", default="", metavar="NUMBER", help="accession number")
    find.add_argument("--date", default="", metavar="YYYYMMDD[-YYYYMMDD]", help="day or days of the study")
    find.add_argument("--modality", default="", metavar="NAME", help="CT, MR, SEG, ...")
    find.add_argument("--description", default="", metavar="TEXT", help="of the study or series; * for any letters")
    find.add_argument("--study", default="", metavar="UID", help="list the series of this study")
    pull.add_argument("--study", required=True, metavar="UID", help="StudyInstanceUID, as find lists it")
    pull.add_argument("--series", default="", metavar="UID", help="this series alone")
    pull.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder; each series gets one in it")
    push.add_argument("inputs", nargs="+", type=Path, metavar="PATH", help="DICOM files, or folders with them")
    for action in (find, pull, push):
        action.add_argument("--aet", default="ALHVR", metavar="TITLE", help="own application entity title (ALHVR)")
        action.add_argument("--credentials", type=Path, metavar="FILE",
                            help="JSON with user and password, or token, that nobody else may read; left out: "
                                 "ALHVR_PACS_USER and ALHVR_PACS_PASSWORD, or ALHVR_PACS_TOKEN, of the environment")
        action.add_argument("--trust", type=Path, metavar="FILE", help="certificates (PEM) to trust in place of the "
                            "system's")
        action.add_argument("--certificate", nargs=2, type=Path, metavar=("FILE", "KEY"),
                            help="own certificate and its key (PEM), where the archive asks for one")
        _add_progress(action)


def _sizes(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of whole numbers such as 96,96,96") from error


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of numbers such as 0.7,0.8") from error


def _add_check(commands: Any) -> None:
    parser = _command(commands, "check", "Find what is wrong with the scans and labels before training.")
    parser.add_argument("--labeled", type=Path, metavar="DIR", help="cases folder: images/ and labels/")
    parser.add_argument("--unlabeled", type=Path, action="append", metavar="DIR",
                        help="the archive, given again for each of its folders")
    parser.add_argument("--validation", type=Path, metavar="DIR", help="labelled cases to choose the best model on")
    parser.add_argument("--not-annotated", type=int, metavar="V",
                        help="label value of voxels that are not annotated (255 unless stated otherwise)")
    parser.add_argument("--out", type=Path, metavar="FILE.json",
                        help="write what was found for programs, and as FILE.html for people")
    _add_project(parser, "check.json in it")
    _add_series(parser)
    parser.add_argument("--no-forecast", action="store_true",
                        help="do not try a few steps to tell what a training would take")
    _add_progress(parser)


def _add_segment(commands: Any) -> None:
    parser = _command(commands, "segment", "Segment scans with a finished model.")
    parser.add_argument("inputs", nargs="+", type=Path, metavar="INPUT",
                        help="scan, DICOM series folder, or a folder of these; a bad one does not stop the others")
    parser.add_argument("--model", type=Path, required=True, metavar="MODEL", help="model folder")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR",
                        help="folder for the results; alhvr-segment.json in it tells what is done, so that the same "
                             "command skips it the next time and leaves results alone that somebody changed")
    _add_series(parser)
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
    _add_dicom(parser)
    parser.add_argument("--format", choices=["seg.nrrd", "nii.gz", "nrrd", "mha"], default="seg.nrrd",
                        help="file format of the segmentation")
    parser.add_argument("--backend", default="auto", metavar="NAME",
                        help="what runs the networks; auto: the fastest that is installed")
    _add_device(parser)
    _add_progress(parser)


def _add_dicom(parser: argparse.ArgumentParser) -> None:
    """What --dicom-seg may be told; each of them asks for it."""
    parser.add_argument("--dicom-kind", choices=["binary", "fractional", "labelmap"],
                        help="kind of the DICOM Segmentation: binary, which most viewers read; fractional, with the "
                             "probability of each label where it won; labelmap, which is new in the standard")
    parser.add_argument("--dicom-regions", action="store_true",
                        help="also write the high-value regions as a second DICOM Segmentation; with --regions")
    parser.add_argument("--rtstruct", action="store_true", help="also write contours as a DICOM RT Structure Set")
    parser.add_argument("--dicom-report", action="store_true",
                        help="also write a DICOM structured report (TID 1500) with the volumes in ml")
    parser.add_argument("--dicom-creator", metavar="FAMILY^GIVEN", help="content creator (ALHVR^Automatic)")
    parser.add_argument("--dicom-series-number", type=int, metavar="N",
                        help="series number of the segmentation (300); those after it are for the other objects")
    parser.add_argument("--dicom-series-description", metavar="TEXT",
                        help="series description that viewers list (ALHVR segmentation)")


def dicom_wishes(options: argparse.Namespace) -> dict[str, Any]:
    """What was asked of DICOM files, as DicomOptions takes it; empty for nothing."""
    wishes = {"kind": options.dicom_kind, "regions": options.dicom_regions, "rtstruct": options.rtstruct,
              "report": options.dicom_report, "creator": options.dicom_creator,
              "series_number": options.dicom_series_number, "series_description": options.dicom_series_description}
    return {name: value for name, value in wishes.items() if value is not None and value is not False}


def _add_rank(commands: Any) -> None:
    parser = _command(commands, "rank", "Choose which scans of an archive to label next. It is not shown yet that this "
                                        "is better than drawing them at random.")
    parser.add_argument("archive", nargs="*", type=Path, metavar="ARCHIVE", help="folders of scans")
    parser.add_argument("--model", type=Path, metavar="MODEL", help="model folder")
    parser.add_argument("--out", type=Path, metavar="FILE.json", help="the list for programs (review/ranking.json); "
                        "the drafts of the model lie beside it, and scans are not segmented again the next time")
    _add_project(parser, "review/ranking.json in it")
    parser.add_argument("--known", type=Path, metavar="PATH", help="cases that are labelled already: a cases folder, "
                        "or a text file with the name or the path of a scan a line")
    parser.add_argument("--count", type=int, default=10, metavar="N", help="scans to choose (10)")
    parser.add_argument("--round", type=int, metavar="N", help="how often was chosen before, and once more: chance "
                        "matters less from round to round")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed of what is drawn by chance")
    parser.add_argument("--not-annotated", type=int, metavar="V", help="label value of voxels of the known cases that "
                        "are not annotated (255 unless stated otherwise)")
    _add_series(parser)
    parser.add_argument("--at-most", type=int, metavar="N", help="look at so many scans only, drawn by the seed")
    _add_device(parser)
    _add_progress(parser)


def check_config(options: argparse.Namespace, project: Project | None = None) -> RunConfig:
    """The settings that matter to a check; raises UserError for a value that is not accepted."""
    config = _project_config(project) if project else RunConfig()
    return replace(config, data=_with(config.data, options, "not_annotated", "series"))


def _project_config(project: Project) -> RunConfig:
    """The settings of a project, and its time."""
    config = config_of(project.settings, f"{PROJECT_FILE}: settings")
    return replace(config, training=replace(config.training, minutes=project.minutes))


def run_config(options: argparse.Namespace, project: Project | None = None) -> RunConfig:
    """All settings that the arguments ask for; raises UserError for a file or a value that is not accepted.

    What is not given is as ``project`` says it, where there is one.
    """
    config = _project_config(project) if project else _config_file(options.config) if options.config else RunConfig()
    if project and options.iterations is not None:
        config = replace(config, training=replace(config.training, minutes=None))
    if options.preset:
        config = with_preset(config, options.preset)
    method = _with(config.method, options, "beta", "temperature")
    return RunConfig(
        method=method if options.method is None else replace(method, name=options.method),
        training=_with(config.training, options, "iterations", "minutes", "seed", "device"),
        plan=_with(config.plan, options, "network", "batch_size", "patch_size"),
        data=_with(config.data, options, "not_annotated", "series"),
        segmenting=config.segmenting, preview=config.preview,
        name=config.name if options.name is None else options.name)


def _with(config: Any, options: argparse.Namespace, *names: str) -> Any:
    given = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    given = {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}
    return replace(config, **given)


def _config_file(path: Path) -> RunConfig:
    """The settings in a file; what it leaves out is that of the preset that it names, else the default."""
    try:
        values = read_json(path)
    except (OSError, UserError) as error:
        reason = error.message.removesuffix(".") if isinstance(error, UserError) else error.strerror or error
        raise UserError(f"The settings file {path} cannot be read ({reason}).",
                        f"Give a JSON file with the parts {', '.join(to_dict(RunConfig()))}.") from error
    return config_of(values, "settings")
