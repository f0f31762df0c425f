"""Runs: each cell one training in a process of its own, scored and kept; what was stopped or killed goes on."""

from __future__ import annotations

import ctypes
import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

from accuracy import HERE, machine
from accuracy.arms import Cell, arm_named, command, settings, settings_file
from accuracy.protocols import COMMON, HELD_BACK, Protocol

ROOT = HERE.parent
FOLDER = HERE / "results" / "accuracy"
LAST, CHOSEN = "last", "model"
"""Which weights: the mean ones after the last step, or the finished model, whose weights the held-out cases chose."""
PATIENCE_S = 180.0
"""How long a run that another process holds is waited for: one that lost its benchmark still saves itself."""
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


class Store:
    """PROTOCOL.json: what steps cost, and what every run gave; several processes may add to it."""

    def __init__(self, protocol: Protocol, folder: Path = FOLDER) -> None:
        self.protocol, self.file = protocol, folder / f"{protocol.name}.json"

    def read(self) -> dict[str, Any]:
        """The whole file; its parts are empty before the first result."""
        if self.file.exists():
            return json.loads(self.file.read_text())
        return {"protocol": self.protocol.name, "budget": self.protocol.budget, "machine": machine(), "cost": {},
                "runs": {}}

    def put(self, part: str, key: str, value: dict[str, Any]) -> None:
        """Adds one entry to "cost" or "runs"; the file is old or new, never half of it."""
        import filelock

        self.file.parent.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(f"{self.file}.lock"):
            record = self.read()
            record[part] = dict(sorted({**record[part], key: value}.items()))
            partial = self.file.with_name(f"{self.file.name}.{os.getpid()}.partial")
            with partial.open("w") as file:
                file.write(json.dumps(record, indent=1) + "\n")
                file.flush()
                os.fsync(file.fileno())
            partial.replace(self.file)


@dataclass
class Runner:
    """Makes the runs of a protocol."""

    protocol: Protocol
    work: Path
    store: Store
    say: Callable[[str], None] = print

    def measure(self, arms: Sequence[str]) -> None:
        """What a step of each arm costs, where it is not known yet."""
        known = self.store.read()["cost"]
        unknown = [arm for arm in dict.fromkeys(arms) if arm not in known]
        if not unknown:
            return
        self.say(f"Measuring what a step of {', '.join(unknown)} costs ...")
        for line in self._lines(["cost-of", self.protocol.name, *unknown], self.work / "cost.log"):
            found = json.loads(line)
            arm = found.pop("arm")
            self.store.put("cost", arm, {**found, "code": code_version()})
            self.say(f"A step of {arm} costs {found['ratio']:.2f} steps of labels.")

    def steps(self, arm: str) -> int:
        """How many steps of an arm the budget buys, one at least."""
        return max(1, round(self.protocol.budget / self.store.read()["cost"][arm]["ratio"]))

    def open(self, wanted: Sequence[Cell], *, again: bool = False) -> list[Cell]:
        """The cells that are not done; with ``again`` also those that failed."""
        runs = self.store.read()["runs"]
        return [cell for cell in wanted if cell.key not in runs or (again and "failed" in runs[cell.key])]

    def forecast(self, wanted: Sequence[Cell], jobs: int) -> str:
        """What is to come: by the finished runs where there are any, else by what the steps cost."""
        left, record = self.open(wanted), self.store.read()
        whole = [run["processor_s"] for run in record["runs"].values() if run.get("sittings") == 1]
        steps = [self.protocol.budget * entry["labels_step_s"] for entry in record["cost"].values()]
        known, what = (whole, "as the finished ones took") if whole else (
            steps, "for their steps; reading, validations and scoring come on top")
        hours = len(left) * (sum(known) / len(known) if known else math.nan) / 3600
        side = f", {hours / min(jobs, len(left)):.2g} hours with {jobs} side by side" if jobs > 1 and left else ""
        return (f"{len(left)} runs to make, {len(wanted) - len(left)} are done: about {hours:.2g} hours of processor "
                f"time{side}, {what}.")

    def make(self, wanted: Sequence[Cell], *, jobs: int = 1, again: bool = False) -> None:
        """Every run that is not done; Ctrl-C lets the ones that are under way save themselves."""
        stop = Event()
        with ThreadPoolExecutor(jobs) as pool:
            futures = [pool.submit(self._unless, stop, cell) for cell in self.open(wanted, again=again)]
            try:
                for future in futures:
                    future.result()
            except BaseException:
                stop.set()
                raise

    def _unless(self, stop: Event, cell: Cell) -> None:
        if not stop.is_set():
            self.run(cell)

    def run(self, cell: Cell) -> None:
        """Trains and scores one cell, or goes on with it, and keeps what it gave; a failure is kept too."""
        steps, run = self.steps(cell.arm), self.run_folder(cell)
        cases = self.protocol.link(cell.labeled, cell.draw, self.work)
        run.parent.mkdir(parents=True, exist_ok=True)
        wanted, file = settings(self.protocol, arm_named(cell.arm)), settings_file(run)
        if file.exists() and json.loads(file.read_text()) != wanted:
            raise ValueError(f"{run} was begun with other settings. Remove it, or give another --work.")
        file.write_text(json.dumps(wanted))
        words = command(self.protocol, cell, cases, run, steps)
        record = {"steps": steps, "cost_per_step": self.store.read()["cost"][cell.arm]["ratio"], "settings": wanted,
                  "command": [word.replace(str(self.work), "RUNS").replace(f"{ROOT}/", "") for word in words],
                  "code": code_version(), "machine": machine()}
        reason = self._train(words, run)
        if reason:
            self.store.put("runs", cell.key, {**record, "failed": reason})
            self.say(f"{cell.key}: failed: {reason}")
            return
        groups = [name for name in (COMMON, HELD_BACK)
                  if any((cases / name.replace(" ", "_") / "labels").glob("*"))]
        words = ["score", run, cases, CHOSEN if cell.chosen else LAST, "--groups", *groups]
        words += ["--paper"] if self.protocol.paper_metrics else []
        scores = json.loads(list(self._lines(words, run.with_name(f"{run.name}.log")))[-1])
        self.store.put("runs", cell.key, {**record, "scores": scores, **_from_run(run)})
        dice = [one["dice"] for case in scores[COMMON].values() for one in case.values() if one["dice"] is not None]
        self.say(f"{cell.key}: Dice {sum(dice) / max(1, len(dice)):.3f}, {steps} steps")

    def run_folder(self, cell: Cell) -> Path:
        """Where a cell is trained."""
        return self.work / self.protocol.name / cell.key.replace("/", "-")

    def _train(self, words: list[str], run: Path) -> str:
        """Trains to the end; returns why it could not, or "".

        Raises KeyboardInterrupt where it was paused, RuntimeError where a signal ended it: neither is a failure.
        """
        if (run / "model" / "manifest.json").exists():
            return ""
        _wait_until_free(run)
        log = run.with_name(f"{run.name}.log")
        began = time.monotonic()
        with log.open("a") as file:
            child = subprocess.Popen([sys.executable, *words, *(["--resume"] if (run / "run.json").exists() else [])],
                                     stdout=file, stderr=file, env=_environment(), preexec_fn=_die_with_parent)
            _, status, used = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
        spent = run.with_name(f"{run.name}.spent.jsonl")
        with spent.open("a") as file:
            file.write(json.dumps({"processor_s": round(used.ru_utime + used.ru_stime, 1),
                                   "clock_s": round(time.monotonic() - began, 1), "code": child.returncode}) + "\n")
        if child.returncode == 130:
            raise KeyboardInterrupt
        if child.returncode < 0:
            raise RuntimeError(f"{run.name} was ended by signal {-child.returncode}. The same command goes on with it.")
        return "" if child.returncode == 0 else f"exit code {child.returncode}: {_last_line(log)}"

    def _lines(self, words: Sequence[Any], log: Path) -> Iterator[str]:
        """The lines that a command of this benchmark prints, run with one thread in a process of its own."""
        log.parent.mkdir(parents=True, exist_ok=True)
        arguments = [sys.executable, "-m", "benchmarks", "accuracy", *map(str, words), "--work", str(self.work)]
        with log.open("a") as file:
            child = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=file, env=_environment(), cwd=ROOT,
                                     text=True, preexec_fn=_die_with_parent)
            yield from child.stdout
            if child.wait():
                raise RuntimeError(f"{' '.join(map(str, words[:3]))} ended with {child.returncode}: {_last_line(log)}")


def _environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}


def _die_with_parent() -> None:
    """In the child: it pauses, with all saved, when this process is killed and cannot tell it so."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _wait_until_free(run: Path) -> None:
    """Returns when no other process trains in a folder; raises RuntimeError after PATIENCE_S."""
    from alhvr.core.errors import UserError
    from alhvr.training.run_folder import RunFolder

    until = time.monotonic() + PATIENCE_S
    while run.exists():
        try:
            with RunFolder(run).locked():
                return
        except UserError as error:
            if time.monotonic() > until:
                raise RuntimeError(str(error)) from error
            time.sleep(1.0)


def _last_line(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1][:300] if lines else "nothing was said"


def _from_run(run: Path) -> dict[str, Any]:
    """What a finished run tells of itself: its curve, its time, its plan."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    about = json.loads((run / "model" / "alhvr.json").read_text())["training"]
    file = run.with_name(f"{run.name}.spent.jsonl")
    spent = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    return {"curve": {str(line["iteration"]): line["mean_dice"] for line in lines if "mean_dice" in line},
            "minutes": about["minutes"], "precision": about["precision"],
            "processor_s": round(sum(entry["processor_s"] for entry in spent), 1), "sittings": len(spent)}


def code_version() -> dict[str, Any]:
    """The commit, whether files of the engine differ from it, and the version of the package."""
    from alhvr import __version__

    def git(*words: str) -> str:
        done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)
        return done.stdout.strip() if done.returncode == 0 else ""

    return {"version": __version__, "commit": git("rev-parse", "HEAD") or "unknown",
            "changed": bool(git("status", "--porcelain", "--", "alhvr"))}


def score(run: Path, cases: Path, state: str, groups: Sequence[str], *, paper_metrics: bool) -> dict[str, Any]:
    """Dice and HD95 by group, case and structure: {"common": {case: {structure: {dice, hd95, missed}}}}.

    A structure that is in one of prediction and reference only is missed, and has no distance; None where there is no
    figure. Both networks averaged, nothing cleaned, for LAST; as users segment with the model for CHOSEN.
    """
    import numpy as np

    from alhvr.core.progress import SilentReporter
    from alhvr.data.case_io import read_case
    from alhvr.data.cases import find_cases
    from alhvr.evaluation import metrics
    from alhvr.formats.labels import NOT_ANNOTATED
    from alhvr.training.setup import RunSetup

    setup = RunSetup.from_dict(json.loads((run / "run.json").read_text()))
    setup.compute.apply()
    predictor, found = _predictor(run, setup, state, SilentReporter()), {}
    for group in groups:
        found[group] = {}
        for case in find_cases(cases / group.replace(" ", "_"), labeled=True).cases:
            scan = read_case(case)
            seen = predictor.segment(scan).segmentation.array
            truth = setup.annotation.read(case, scan.geometry)
            known = truth != NOT_ANNOTATED
            true = setup.labels.to_values(np.where(known, truth, 0))
            scores = metrics.score(seen * known, true, setup.labels, scan.geometry.spacing_mm[::-1],
                                   paper_metrics=paper_metrics)
            found[group][case.name] = {name: {"dice": _number(one.dice), "hd95": _number(one.hd95_mm),
                                              "missed": one.missing} for name, one in scores.items()}
    return found


def _predictor(run: Path, setup: Any, state: str, reporter: Any) -> Any:
    from alhvr.bundle.model import InferenceSettings, read_model
    from alhvr.inference.predictor import Predictor
    from alhvr.networks.group import NetworkGroup
    from alhvr.training.run_folder import load_checkpoint
    from alhvr.training.validation import ScoringBackends

    if state == CHOSEN:
        return Predictor.from_model(read_model(run / "model"), device=setup.compute.device, threads=1)
    networks = NetworkGroup.build(setup.network)
    saved = load_checkpoint(run / "checkpoints" / "last.pt")["average"]
    networks.load_state_dict({name: saved[name] for name in networks.state_dict()})
    plain = InferenceSettings(fusion="mean", mirror=False, largest_component=False, beta=0.8, perturbation_seed=0)
    return Predictor(ScoringBackends(setup.compute, reporter).of(networks), setup.plan, setup.labels, plain)


def _number(value: float) -> float | None:
    return round(value, 5) if math.isfinite(value) else None
