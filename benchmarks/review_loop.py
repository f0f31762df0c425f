"""The review loop, simulated on ACDC: which scans should be corrected next, by our ranking or drawn at random?

    python benchmarks/review_loop.py run --seeds 0 1 2 --iterations 1000 --work RUNS
    python benchmarks/review_loop.py report --work RUNS

Three labelled patients (six volumes) in the beginning; in each of five rounds a model is trained anew, some scans of
the pool are chosen, and their true labels stand for the corrections of a person. The pool are the other patients whose
labels are known, eleven of fourteen. With ``--retraining`` a model goes on from the one of the round before, for so
many iterations, as a person does who has minutes; without it each is trained from nothing. A seed is another choice of
the first three patients and another seed of training and of what is drawn. All arms of a seed begin with the same
model, and none takes two scans of one patient in a round. The Dice is that of the weights of the last step on the 20
validation volumes, on which nothing is chosen.

One JSON line a round is added to WORK/rounds.jsonl; a run that was stopped goes on after the last one. ``report``
writes benchmarks/results/review_loop.md and review_loop.json.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import numpy as np
from accuracy import DATA, HERE, NAMES, machine, spread
from training import labelled_order

FIRST_PATIENTS = 3
ARMS = {
    "rank": "alhvr rank",
    "random": "drawn at random",
    "foreground": "drawn at random among the scans in which the model finds anything",
}
WRITING = Lock()
T_95 = {1: 12.71, 2: 4.30, 3: 3.18, 4: 2.78, 5: 2.57, 6: 2.45, 7: 2.36, 8: 2.31, 9: 2.26}
"""Two-sided 95 % quantile of Student's t by degrees of freedom."""


@dataclass(frozen=True)
class Loop:
    """What is the same for all arms and seeds."""

    work: Path
    iterations: int
    rounds: int
    per_round: int
    pool_patients: int
    archive: bool
    retraining: int | None = None

    @property
    def lines(self) -> Path:
        """One JSON object for each round of each arm and seed."""
        return self.work / "rounds.jsonl"

    def known(self) -> dict[tuple[int, str, int], dict]:
        """What is done, by seed, arm and round."""
        found = {}
        for line in self.lines.read_text().splitlines() if self.lines.exists() else ():
            try:
                entry = json.loads(line)
            except ValueError:
                continue  # cut short by a kill
            found[entry["seed"], entry["arm"], entry["round"]] = entry
        return found

    def add(self, entry: dict) -> None:
        """Keeps a line."""
        with WRITING, self.lines.open("a") as file:
            file.write(json.dumps(entry) + "\n")


def volumes(patients: Sequence[str]) -> list[str]:
    """Names of the volumes of these patients, without ending."""
    names = (path.name.removesuffix(".nii.gz") for path in (DATA / "acdc" / "train" / "images").iterdir())
    return sorted(name for name in names if name.startswith(tuple(patients)))


def link(folder: Path, names: Sequence[str], part: str = "train", kinds: Sequence[str] = ("images", "labels")) -> Path:
    """A cases folder of links to the shared data."""
    for kind in kinds:
        (folder / kind).mkdir(parents=True, exist_ok=True)
        for name in names:
            place = folder / kind / f"{name}.nii.gz"
            with suppress(FileExistsError):
                place.symlink_to(DATA / "acdc" / part / kind / place.name)
    if "labels" in kinds:
        (folder / "labels.json").write_text(json.dumps(NAMES["acdc"]))
    return folder


def alhvr(log: Path, *arguments: object) -> None:
    """One command in a process of its own; raises CalledProcessError where it fails, and the log says why."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(HERE.parent)}
    with log.open("a") as file:
        subprocess.run([sys.executable, "-m", "alhvr", *map(str, arguments)], check=True, stdout=file, stderr=file,
                       env=environment)


def train(loop: Loop, seed: int, run: Path, labelled: Sequence[str], start: Path | None) -> dict:
    """Trains on these volumes, from the model ``start`` on or from nothing, and scores on the validation volumes."""
    run.parent.mkdir(parents=True, exist_ok=True)
    cases = link(run.with_name(f"{run.name}-cases"), labelled)
    validation = sorted(path.name.removesuffix(".nii.gz") for path in (DATA / "acdc" / "val" / "images").iterdir())
    config = run.with_suffix(".json")
    config.write_text(json.dumps({
        "training": {"threads": 1, "validations": 1}, "segmenting": {"fusion": "mean", "largest_component": "off"},
        "method": {} if loop.archive else {"name": "labels-only"}}))
    command = ["train", "--labeled", cases, "--validation", link(loop.work / "validation", validation, "val"),
               "--out", run, "--config", config, "--seed", seed, "--iterations",
               loop.retraining if start else loop.iterations]
    command += ["--from", start] if start else ["--patch-size", "128,128", "--batch-size", "8"]
    if loop.archive:
        known = labelled_order("acdc", 0)
        others = [n for n in volumes(["patient"]) if not n.startswith(tuple(known))]
        command += ["--unlabeled", link(loop.work / "archive", others, kinds=("images",))]
    if not (run / "model" / "manifest.json").exists():
        alhvr(run.with_suffix(".log"), *command, *(["--resume"] if (run / "run.json").exists() else []))
    record = json.loads((run / "model" / "alhvr.json").read_text())["training"]
    return {"dice": record["validation_dice"], "minutes": record["minutes"]}


def choose(loop: Loop, arm: str, seed: int, number: int, run: Path) -> tuple[list[str], dict[str, str], dict]:
    """The scans of the next round, why (ours alone says), and the Dice of their drafts against the true labels."""
    review = run.with_name(f"{run.name}-review")
    pool = link(loop.work / f"pool-{seed}", pool_of(loop, seed), kinds=("images",))
    alhvr(run.with_suffix(".log"), "rank", pool, "--model", run / "model", "--out", review / "ranking.json", "--known",
          run.with_name(f"{run.name}-cases"), "--count", loop.per_round, "--round", number + 1, "--seed", seed)
    record = json.loads((review / "ranking.json").read_text())
    drafts = {path.name.removesuffix(".score.json"): json.loads(path.read_text())["structures"]
              for path in (review / "drafts").glob("*.score.json")}
    if arm == "rank":
        reasons = {scan["case"]: scan["reason"] for scan in record["scans"]}
    else:
        able = sorted(drafts) if arm == "random" else sorted(
            name for name, structures in drafts.items() if any(found["voxels"] for found in structures.values()))
        order = np.random.default_rng([seed, number, list(ARMS).index(arm)]).permutation(len(able))
        reasons = dict.fromkeys(one_of_each_patient([able[i] for i in order], loop.per_round), "")
    return list(reasons), reasons, {name: draft_dice(review / "drafts", name) for name in reasons}


def pool_of(loop: Loop, seed: int) -> list[str]:
    """The volumes that can be chosen."""
    return volumes(labelled_order("acdc", seed)[FIRST_PATIENTS:FIRST_PATIENTS + loop.pool_patients])


def one_of_each_patient(names: Sequence[str], count: int) -> list[str]:
    """The first names of different patients."""
    return list({name[:10]: name for name in reversed(names)}.values())[::-1][:count]


def draft_dice(drafts: Path, name: str) -> float:
    """Mean Dice over the structures of a draft: what a person would have to correct."""
    from alhvr.data.reading import read_label
    from alhvr.evaluation.metrics import dice_by_class

    found, true = (read_label(path).array for path in (
        drafts / f"{name}.seg.nrrd", DATA / "acdc" / "train" / "labels" / f"{name}.nii.gz"))
    return round(float(np.mean(dice_by_class(found, true, len(NAMES["acdc"]) + 1))), 4)


def run_arm(loop: Loop, arm: str, seed: int, first: Lock) -> None:
    """All rounds of one arm and seed that are not done yet."""
    labelled = volumes(labelled_order("acdc", seed)[:FIRST_PATIENTS])
    known = loop.known()
    for number in range(loop.rounds + 1):
        if (seed, arm, number) in known:
            labelled = labelled + known[seed, arm, number]["chosen"]
            continue
        began = time.monotonic()
        run = loop.work / (f"seed-{seed}-first" if number == 0 else f"seed-{seed}-{arm}-{number}")
        chosen, reasons, drafts = [], {}, {}
        with first if number == 0 else nullcontext():  # the first model of a seed is that of all its arms
            trained = train(loop, seed, run, labelled, _model_before(loop, arm, seed, number))
            if number < loop.rounds:
                chosen, reasons, drafts = choose(loop, arm, seed, number, run)
        loop.add({"seed": seed, "arm": arm, "round": number, "labelled": len(labelled), "chosen": chosen,
                  "reasons": reasons, "draft_dice": drafts, **trained, "iterations": loop.iterations,
                  "retraining": loop.retraining, "archive": loop.archive,
                  "seconds": round(time.monotonic() - began, 1)})
        labelled = labelled + chosen


def _model_before(loop: Loop, arm: str, seed: int, number: int) -> Path | None:
    """The model of the round before, where training goes on from it."""
    if loop.retraining is None or number == 0:
        return None
    return loop.work / (f"seed-{seed}-first" if number == 1 else f"seed-{seed}-{arm}-{number - 1}") / "model"


def report(loop: Loop, target: Path) -> str:
    """Writes the tables of what is done by now; returns them."""
    entries = list(loop.known().values())
    if not entries:
        raise SystemExit(f"There is nothing in {loop.lines} yet.")
    rounds = sorted({entry["round"] for entry in entries})
    score = {(e["seed"], e["arm"], e["round"]): e["dice"]["mean"] for e in entries}
    arms = [arm for arm in ARMS if any(e["arm"] == arm for e in entries)]
    n_labelled = {number: next(e["labelled"] for e in entries if e["round"] == number) for number in rounds}
    rows = [f"| arm | seeds | {' | '.join(f'{n_labelled[n]} labelled' for n in rounds)} | mean of the rounds |",
            f"|---|---|{'---|' * (len(rounds) + 1)}"]
    means = {}
    for arm in arms:
        seeds = sorted({s for s, a, _ in score if a == arm})
        cells = [[score[s, arm, n] for s in seeds if (s, arm, n) in score] for n in rounds]
        done = {s: statistics.mean(score[s, arm, n] for n in rounds[1:]) for s in seeds
                if len(rounds) > 1 and all((s, arm, n) in score for n in rounds)}
        means[arm] = done
        rows.append(f"| {ARMS[arm]} | {len(seeds)} | {' | '.join(spread(c) if c else '' for c in cells)} | "
                    f"{spread(list(done.values())) if done else ''} |")
    gains = {arm: _gain(means.get("rank", {}), means[arm]) for arm in arms if arm != "rank"}
    drafts = {arm: [d for e in entries if e["arm"] == arm for d in e["draft_dice"].values()] for arm in arms}
    about, first = machine(), entries[0]
    text = "\n".join([
        "# The review loop, simulated", "",
        f"ACDC, 2-D, 128x128, batch 8, {first['iterations']} iterations "
        f"{_lengths(first)} "
        f"({'with the archive' if first['archive'] else 'labels only'}), {FIRST_PATIENTS} labelled patients in the "
        f"beginning; mean foreground Dice on the validation volumes, mean ± standard deviation over seeds. Each seed "
        "has other first patients.", "", *rows, "", *(_sentence(arm, gain) for arm, gain in gains.items()), "",
        "Mean Dice of the drafts that were chosen, before correction: "
        + ", ".join(f"{ARMS[arm]} {statistics.mean(d):.3f}" for arm, d in drafts.items() if d) + ".", "",
        f"{_verdict(gains)}", "",
        "Machine: " + ", ".join(f"{k} {v}" for k, v in about.items()) + "; one thread a training.", ""])
    target.mkdir(parents=True, exist_ok=True)
    (target / "review_loop.md").write_text(text)
    (target / "review_loop.json").write_text(json.dumps({"machine": about, "rounds": entries}, indent=1) + "\n")
    return text


def _lengths(entry: dict) -> str:
    if entry.get("retraining") is None:
        return "a training"
    return f"for the first model and {entry['retraining']} more on from it in each round"


def _gain(ours: dict[int, float], others: dict[int, float]) -> tuple[float, float] | None:
    """Mean gain in Dice over the seeds that both have, and half of its 95 % interval; None for fewer than two."""
    gains = [ours[seed] - others[seed] for seed in sorted(ours.keys() & others.keys())]
    if len(gains) < 2:
        return None
    half = T_95.get(len(gains) - 1, 1.96) * statistics.stdev(gains) / len(gains) ** 0.5
    return statistics.mean(gains), half


def _sentence(arm: str, gain: tuple[float, float] | None) -> str:
    if gain is None:
        return f"Against {ARMS[arm]}: fewer than two seeds are done."
    return (f"Our ranking minus {ARMS[arm]}, mean of the rounds: {100 * gain[0]:+.1f} points of Dice (95 %: "
            f"{100 * (gain[0] - gain[1]):+.1f} to {100 * (gain[0] + gain[1]):+.1f}).")


def _verdict(gains: dict[str, tuple[float, float] | None]) -> str:
    if gains and all(gain is not None and gain[0] - gain[1] > 0 for gain in gains.values()):
        return "Labelling in the order of our ranking was better than drawing at random."
    return "It is not shown that labelling in the order of our ranking is better than drawing at random."


def main() -> None:
    """Runs what is not done, or writes the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["run", "report"])
    parser.add_argument("--work", type=Path, default=Path("/tmp/alhvr-benchmarks/review_loop"),
                        help="folder for the runs")
    parser.add_argument("--arms", nargs="+", choices=list(ARMS), default=list(ARMS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--iterations", type=int, default=1000, help="of each training")
    parser.add_argument("--retraining", type=int, help="iterations of each round, on from the model before; left out: "
                                                       "each training begins anew")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--per-round", type=int, default=2, help="scans that are corrected in a round")
    parser.add_argument("--pool-patients", type=int, default=11, help="patients of the pool; fewer for a quick try")
    parser.add_argument("--archive", action="store_true", help="train with the archive; left out: labels only")
    parser.add_argument("--jobs", type=int, default=1, help="arms and seeds side by side")
    parser.add_argument("--results", type=Path, default=HERE / "results", help="folder of the report")
    options = parser.parse_args()
    loop = Loop(options.work.absolute(), options.iterations, options.rounds, options.per_round, options.pool_patients,
                options.archive, options.retraining)
    if options.what == "report":
        print(report(loop, options.results))
        return
    loop.work.mkdir(parents=True, exist_ok=True)
    locks = {seed: Lock() for seed in options.seeds}
    with ThreadPoolExecutor(options.jobs) as pool:
        jobs = [pool.submit(run_arm, loop, arm, seed, locks[seed]) for seed in options.seeds for arm in options.arms]
        for job in jobs:
            job.result()
            print(f"{sum(j.done() for j in jobs)} of {len(jobs)} arms and seeds are done.", flush=True)


if __name__ == "__main__":
    main()
