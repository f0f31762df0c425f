"""Arms by name, the command of each, and what a step of each costs against one of labels only."""

from __future__ import annotations

import json
import re
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

from training import ARMS, MEANINGS, Arm

from accuracy import HERE
from accuracy.protocols import ALL, COMMON, Protocol
from alhvr.config import PresetName
from alhvr.methods.registry import METHODS

LABELS, ALL_LABELS, PLAIN = "labels", "all-labels", "plain"
POSITIONS, TURNS = 5, 3
"""Where in a run steps are timed, and how often at each place."""
_MODULES = {"none": (False, False), "cg-cpcl": (True, False), "dtct": (False, True), "both": (True, True)}


@dataclass(frozen=True)
class BenchmarkArm:
    """How the runs of an arm are trained."""

    name: str
    title: str
    how: Arm = Arm()
    preset: str | None = None
    """A preset of ``alhvr train --preset``, which knows more than the settings of the method."""
    everything: bool = False
    """All labels that there are: the upper line."""
    plain: bool = False
    """Without the engine's short cuts, see plain_training.py."""


def arm_named(name: str) -> BenchmarkArm:
    """The arm of a name; raises ValueError in one line for one that there is not.

    labels, all-labels, plain; a preset (standard, paper, official, ...); an arm of benchmarks/training.py; a method of
    the registry; regions-12 and the like (table 1); modules-none, -cg-cpcl, -dtct, -both (table 5); beta-0.7 (table 6).
    """
    if name == ALL_LABELS:
        return BenchmarkArm(name, "all labels, no archive", ARMS[LABELS], everything=True)
    if name == PLAIN:
        return BenchmarkArm(name, "the archive, without the engine's short cuts", replace(
            ARMS["standard"], method={"perturb_labeled": True}, training={"precision": "fp32"}), plain=True)
    if name in get_args(PresetName):
        return BenchmarkArm(name, MEANINGS.get(name, f"the archive, preset {name}"), preset=name)
    if name in ARMS:
        return BenchmarkArm(name, MEANINGS.get(name, name), ARMS[name])
    if name in METHODS:
        about = METHODS[name]
        return BenchmarkArm(name, about.title, Arm(archive=about.uses_archive, method={"name": name}))
    return _variant(name)


def _variant(name: str) -> BenchmarkArm:
    """An arm of the paper's tables."""
    if match := re.fullmatch(r"regions-([123]{1,3})", name):
        regions = sorted({int(digit) for digit in match[1]})
        title = f"cross pseudo labels in regions {', '.join(map(str, regions))}"
        how = replace(ARMS["cross-pseudo-1"], method={**ARMS["cross-pseudo-1"].method, "cross_pseudo_regions": regions})
        return BenchmarkArm(name, title, how)
    if (match := re.fullmatch(r"modules-([\w-]+)", name)) and match[1] in _MODULES:
        consistency, competition = _MODULES[match[1]]
        how = Arm(preset="paper", method={"prototype_consistency": consistency, "teacher_competition": competition})
        return BenchmarkArm(name, f"the paper's text, modules: {match[1]}", how)
    if (match := re.fullmatch(r"beta-(0\.\d+|1(?:\.0)?)", name)) and float(match[1]) > 0:
        how = Arm(preset="paper", method={"beta": float(match[1])})
        return BenchmarkArm(name, f"the paper's text, beta {match[1]}", how)
    known = [LABELS, ALL_LABELS, PLAIN, *get_args(PresetName), *METHODS, *ARMS, "regions-12", "modules-dtct",
             "beta-0.7"]
    raise ValueError(f"There is no arm {name}. Accepted: {', '.join(dict.fromkeys(known))}.")


@dataclass(frozen=True)
class Cell:
    """One run of a protocol."""

    labeled: int | str
    """Number of labelled patients, or ALL."""
    arm: str
    draw: int
    chosen: bool = False
    """As the product does it: a fifth of the labelled cases is held out, and chooses the weights."""

    @property
    def key(self) -> str:
        """As in the results."""
        return f"{self.labeled}/{self.arm}/{self.draw}{'/chosen' if self.chosen else ''}"


def cells(protocol: Protocol, arms: Sequence[str], *, labeled: Sequence[int] | None = None,
          draws: Sequence[int] | None = None, chosen: bool = False) -> list[Cell]:
    """The runs that a wish means, draw by draw, so that what is stopped early has whole draws."""
    found = []
    for draw in range(protocol.draws) if draws is None else draws:
        for count in protocol.labeled if labeled is None else labeled:
            for arm in arms:
                cell = Cell(ALL if arm_named(arm).everything else count, arm, draw)
                found += [cell, replace(cell, chosen=True)] if chosen and arm != ALL_LABELS else [cell]
    return list(dict.fromkeys(found))


def settings(protocol: Protocol, arm: BenchmarkArm) -> dict[str, Any]:
    """What goes into --config."""
    training = {"threads": 1, **protocol.training, **arm.how.training}
    if "official" not in (arm.preset, arm.how.preset):
        training.setdefault("precision", "bf16")
    if arm.how.augment:
        training["augment"] = arm.how.augment
    method = {} if arm.preset else {"preset": arm.how.preset, **arm.how.method}
    return {"method": method, "training": training, "plan": protocol.plan}


def command(protocol: Protocol, cell: Cell, cases: Path, run: Path, steps: int) -> list[str]:
    """``alhvr train`` for a cell, whose settings lie in RUN.json; without the interpreter."""
    arm = arm_named(cell.arm)
    program = [HERE / "plain_training.py"] if arm.plain else ["-m", "alhvr"]
    words = [*program, "train", "--labeled", cases / "labeled", "--out", run, "--config", settings_file(run),
             "--seed", cell.draw, "--iterations", steps, *protocol.options]
    words += [] if cell.chosen else ["--validation", cases / COMMON]
    words += ["--preset", arm.preset] if arm.preset else []
    words += ["--unlabeled", cases / "unlabeled"] if arm.how.archive and not arm.everything else []
    return [str(word) for word in words]


def settings_file(run: Path) -> Path:
    """Beside the run folder."""
    return run.with_name(f"{run.name}.json")


def measure_costs(protocol: Protocol, names: Sequence[str], work: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """What a step of each arm costs, in steps of labels only: processor time of one thread, both in turns.

    At POSITIONS places of a run, because an arm may cost more later than at its beginning; TURNS turns at each, whose
    median counts. What is read from the disk is read before. Call it in a process of its own.
    """
    labels = _loop(protocol, LABELS, work)
    for name in names:
        yield name, _cost(protocol, name, {LABELS: labels} | ({} if name == LABELS else {
            name: _loop(protocol, name, work)}))


def _cost(protocol: Protocol, name: str, loops: dict[str, Any]) -> dict[str, Any]:
    seconds: dict[str, list[float]] = {arm: [] for arm in loops}
    for position in range(POSITIONS):
        turns: dict[str, list[float]] = {arm: [] for arm in loops}
        for turn in range(TURNS + 1):
            for arm, loop in loops.items():
                iteration = int((position + 0.5) / POSITIONS * protocol.budget) + turn
                taken = _step_seconds(loop, iteration)
                if turn:  # the first one warms up
                    turns[arm].append(taken)
        for arm, taken in turns.items():
            seconds[arm].append(statistics.median(taken))
    step_s = statistics.mean(seconds[LABELS])
    return {"ratio": round(statistics.mean(seconds[name]) / step_s, 4), "labels_step_s": round(step_s, 5),
            "by_position": [round(one / own, 3) for one, own in zip(seconds[name], seconds[LABELS], strict=True)],
            "date": time.strftime("%Y-%m-%d")}


def _step_seconds(loop: Any, iteration: int) -> float:
    """Processor time of one step, its batch included."""
    loop.state.iteration = iteration
    loop._batches.batch(iteration)
    began = time.process_time()
    loop._one_step(iteration, loop._batches.batch(iteration))
    return time.process_time() - began


def _loop(protocol: Protocol, name: str, work: Path) -> Any:
    """The training loop of an arm, as ``alhvr train`` makes it, before its first step."""
    from alhvr.arguments import build_parser, run_config
    from alhvr.checking.context import RunContext
    from alhvr.checking.run import CheckOptions, Folders, check
    from alhvr.core.progress import SilentReporter
    from alhvr.training.device import choose_compute
    from alhvr.training.run import _build_loop
    from alhvr.training.run_folder import RunFolder
    from alhvr.training.setup import plan_run

    arm, silent = arm_named(name), SilentReporter()
    cell = Cell(ALL if arm.everything else max(protocol.labeled), name, 0)
    cases, run = protocol.link(cell.labeled, cell.draw, work), work / "cost" / protocol.name / name
    run.mkdir(parents=True, exist_ok=True)
    settings_file(run).write_text(json.dumps(settings(protocol, arm)))
    words = command(protocol, cell, cases, run, protocol.budget)
    options = build_parser().parse_args(words[words.index("train"):])
    config = run_config(options)
    compute = choose_compute(config.training)
    archive = tuple(options.unlabeled or ())
    found = check(Folders(options.labeled, archive, options.validation), RunContext(silent, lambda: False),
                  CheckOptions(config.data.not_annotated, config.plan))
    setup = plan_run(found, config, start=None, compute=compute, reporter=silent)
    setup.compute.apply()
    if arm.plain:
        sys.path.insert(0, str(HERE))
        from plain_training import plain_draw

        from alhvr.networks.dropout import Dropout

        Dropout.draw = plain_draw
    return _build_loop(setup, RunFolder(run), silent, lambda: False)
