"""``python -m benchmarks accuracy``: does the archive pay, at equal cost, and how sure is that?

    list                                  protocols, arms, and whether their data is here
    run acdc-small --labeled 3            labels only, presets and all labels, five draws: made, scored, kept
    report acdc-small                     benchmarks/results/accuracy/acdc-small.md and .html from what is there
    table 5 acdc-small --labeled 3        a table of the paper: its arms are run, and stand beside its figures
    convert acdc-paper DOWNLOAD           an official download as cases, into $ALHVR_BENCHMARK_DATA

A forecast comes first (``--forecast`` stops there). Each run is one ``alhvr train`` with one thread. Ctrl-C or a kill
loses nothing but the steps since the last checkpoint: the same command goes on. A run that is in the results is not
made again; one that failed is, with ``--again``.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from accuracy.arms import ALL_LABELS, LABELS, Cell, arm_named, cells, measure_costs
from accuracy.converters import DATA_SETS, Unlike, convert
from accuracy.protocols import DATA_FOLDER, PROTOCOLS, NotHere, Protocol, protocol_named
from accuracy.report import Results, write
from accuracy.runs import FOLDER, LAST, Runner, Store, score
from accuracy.tables import TITLES, curves, text, wanted

ARMS = (LABELS, "standard", "paper", "official", ALL_LABELS)
"""Where nobody asks for others."""
_WORK = Path("/tmp/alhvr-accuracy")


def main(arguments: Sequence[str]) -> int:
    """Runs one command; returns the exit code. A mistake is one line."""
    options = _parser().parse_args(arguments)
    try:
        options.do(options)
    except (NotHere, Unlike, ValueError, RuntimeError) as error:
        print(f"accuracy: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped; what was trained is saved. The same command goes on.", file=sys.stderr)
        return 130
    return 0


def _list(options: argparse.Namespace) -> None:
    for name, protocol in PROTOCOLS.items():
        counts = ", ".join(map(str, protocol.labeled))
        print(f"{name}: {protocol.title}; {counts} labelled, {protocol.draws} draws, {protocol.budget:,} steps; "
              f"{protocol.missing() or 'here'}")
    print("Arms: labels, all-labels, plain, presets, methods, arms of benchmarks/training.py, regions-12, "
          "modules-dtct, beta-0.7 and the like.")


def _run(options: argparse.Namespace) -> None:
    protocol = protocol_named(options.protocol)
    arms = list(dict.fromkeys([LABELS, *options.arms]))
    for arm in arms:
        arm_named(arm)
    _make(options, protocol, arms, cells(protocol, arms, labeled=options.labeled, draws=options.draws,
                                         chosen=options.chosen))
    if not options.forecast:
        _report(options)


def _make(options: argparse.Namespace, protocol: Protocol, arms: Sequence[str], wished: Sequence[Cell]) -> None:
    """Measures the costs, tells the forecast, and makes the runs."""
    options.work.mkdir(parents=True, exist_ok=True)
    if protocol.missing():
        raise NotHere(protocol.missing())
    runner = Runner(protocol, options.work, Store(protocol, options.results), lambda line: print(line, flush=True))
    runner.measure(arms)
    print(runner.forecast(wished, options.jobs), flush=True)
    if not options.forecast:
        runner.make(wished, jobs=options.jobs, again=options.again)


def _results(options: argparse.Namespace, protocol: Protocol) -> Results:
    patients = {case.name.removesuffix(".nii.gz"): case.patient for case in protocol.pool(options.work).cases}
    return Results(protocol, Store(protocol, options.results).read(), patients)


def _report(options: argparse.Namespace) -> None:
    results = _results(options, protocol_named(options.protocol))
    if not results.runs:
        raise ValueError(f"There are no results of {options.protocol} yet.")
    for file in write(results, options.results):
        print(file)


def _table(options: argparse.Namespace) -> None:
    protocol = protocol_named(options.protocol)
    labeled = options.labeled or (3 if 3 in protocol.labeled else protocol.labeled[0])
    wished = wanted(options.number, protocol, labeled, options.draws)
    if not options.no_run:
        _make(options, protocol, list(dict.fromkeys([LABELS, *(cell.arm for cell in wished)])), wished)
    if options.forecast:
        return
    results = _results(options, protocol)
    made = text(options.number, results, labeled)
    file = options.results / f"{protocol.name}-table{options.number}.md"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(made)
    picture = curves(options.number, results, labeled)
    if picture:
        from accuracy.report import curve_page

        file.with_suffix(".html").write_text(curve_page(TITLES[options.number], "beta", picture))
    print(made)


def _convert(options: argparse.Namespace) -> None:
    out = DATA_FOLDER / options.name
    out.mkdir(parents=True, exist_ok=True)
    print(convert(options.name, options.source, out))


def _cost_of(options: argparse.Namespace) -> None:
    for arm, found in measure_costs(protocol_named(options.protocol), options.arms, options.work):
        print(json.dumps({"arm": arm, **found}), flush=True)


def _score(options: argparse.Namespace) -> None:
    print(json.dumps(score(options.run, options.cases, options.state, options.groups, paper_metrics=options.paper)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks accuracy", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _command(commands, "list", _list)
    run = _command(commands, "run", _run)
    run.add_argument("protocol")
    run.add_argument("--labeled", type=int, nargs="+", help="numbers of labelled patients")
    run.add_argument("--arms", nargs="+", default=ARMS, help="labels is always among them")
    run.add_argument("--chosen", action="store_true",
                     help="also as the product does it: weights chosen on a fifth of the labelled cases")
    _add_making(run)
    _command(commands, "report", _report).add_argument("protocol")
    table = _command(commands, "table", _table)
    table.add_argument("number", type=int, choices=TITLES)
    table.add_argument("protocol")
    table.add_argument("--labeled", type=int, help="3 where the protocol has it")
    table.add_argument("--no-run", action="store_true", help="only what has run")
    _add_making(table)
    converter = _command(commands, "convert", _convert)
    converter.add_argument("name", choices=DATA_SETS)
    converter.add_argument("source", type=Path)
    cost = _command(commands, "cost-of", _cost_of)
    cost.add_argument("protocol")
    cost.add_argument("arms", nargs="+")
    scoring = _command(commands, "score", _score)
    scoring.add_argument("run", type=Path)
    scoring.add_argument("cases", type=Path)
    scoring.add_argument("state", nargs="?", default=LAST)
    scoring.add_argument("--groups", nargs="+", default=["common"])
    scoring.add_argument("--paper", action="store_true")
    return parser


def _command(commands: argparse._SubParsersAction, name: str, do: object) -> argparse.ArgumentParser:
    parser = commands.add_parser(name)
    parser.set_defaults(do=do)
    parser.add_argument("--work", type=Path, default=_WORK, help="folder for the runs")
    parser.add_argument("--results", type=Path, default=FOLDER, help="folder for the results")
    return parser


def _add_making(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--draws", type=int, nargs="+")
    parser.add_argument("--jobs", type=int, default=1, help="trainings side by side")
    parser.add_argument("--again", action="store_true", help="make runs that failed anew")
    parser.add_argument("--forecast", action="store_true", help="tell what is to come, and stop")
