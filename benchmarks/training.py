"""Every claim about training, measured: labels only and the archive, presets and single changes, on patients held back.

    python benchmarks/training.py run --study acdc-3 --arms labels standard --draws 0 1 2 --work RUNS
    python benchmarks/training.py report

A study is a data set, a number of labelled patients and a length. A draw is another choice of the labelled patients and
another seed; draws are nested (1 in 3 in 7 patients). Each run is one ``alhvr train`` in a process of its own with one
CPU thread. Its archive is what nobody labelled; the patients held back are in neither, and are scored with the weights
of the last step (nothing is chosen then) and with those that validation chose, both networks averaged, nothing cleaned.
A run that was stopped goes on, and one that is in benchmarks/results/training.json is not made again.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

import numpy as np
from accuracy import DATA, NAMES, machine, spread

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results" / "training.json"
_RESULTS_LOCK = Lock()


@dataclass(frozen=True)
class Study:
    """A data set, a number of labelled patients, and a length of training."""

    data: str
    labeled: int
    iterations: int
    validations: int
    options: tuple[str, ...] = ()
    plan: dict = field(default_factory=dict)


ACDC = ("--patch-size", "128,128", "--batch-size", "8")
STUDIES = {
    **{f"acdc-{n}-{steps}": Study("acdc", n, steps, validations, ACDC)
       for n in (1, 3, 7) for steps, validations in ((1000, 5), (1400, 5), (1600, 5), (2000, 5))},
    **{f"hippocampus-{n}-{steps}": Study("hippocampus", n, steps, validations, (), {"network": "unet"})
       for n in (3, 10) for steps, validations in ((180, 3), (1500, 5))},
    **{f"hippocampus-{network}-{n}-{steps}": Study("hippocampus", n, steps, validations, (), {"network": network})
       for network in ("vnet", "dynunet") for n in (3, 10) for steps, validations in ((180, 3), (1500, 5))},
}


@dataclass(frozen=True)
class Arm:
    """How a run is trained."""

    archive: bool = True
    preset: str = "standard"
    method: dict = field(default_factory=dict)
    training: dict = field(default_factory=dict)
    augment: dict = field(default_factory=dict)


_BOTH = {"max_weight": 0.1, "teacher_competition": True}
"""Both modules, with the paper's largest lambda."""
_OFF = {**_BOTH, "ce_weight": 0.0, "cosine_weight": 0.0, "mse_weight": 0.0, "entropy_weight": 0.0}
ADAMW = {
    "labels-adamw": Arm(archive=False),
    "standard": Arm(),
    "mixed": Arm(preset="mixed"),
}
"""With our own optimiser; the other arms of our own were trained with SGD before there was another."""
SGD = {"optimizer": "sgd", "learning_rate": 0.01, "learning_rate_warmup": 0.0, "weight_decay": 1e-4}
ARMS = {
    "labels": Arm(archive=False),
    **ADAMW,
    "paper": Arm(preset="paper"),
    "official": Arm(preset="official"),
    "lambda-0": Arm(method={"max_weight": 0.0}),
    "as-before": Arm(method=_BOTH),
    "no-entropy": Arm(method={**_BOTH, "entropy_weight": 0.0}),
    "prototype-ce": Arm(method={**_OFF, "ce_weight": 1.0}),
    "prototype-cosine": Arm(method={**_OFF, "cosine_weight": 1.0}),
    "prototypes": Arm(method={**_OFF, "ce_weight": 1.0, "cosine_weight": 1.0}),
    "teacher-mse": Arm(method={**_OFF, "mse_weight": 1.0}),
    "teacher-mse-normalized": Arm(method={**_OFF, "mse_weight": 1.0, "sharpening": "normalized"}),
    "whole-run": Arm(method={**_BOTH, "warmup_fraction": 1.0}),
    "prototypes-whole-run": Arm(method={"max_weight": 0.1, "warmup_fraction": 1.0}),
    "cross-pseudo-1": Arm(method={**_OFF, "cross_pseudo_regions": [1]}),
    "running-statistics": Arm(archive=False, training={"batch_norm_statistics": "running"}),
    "turned": Arm(archive=False, augment={"rotate_degrees": 180.0, "scale": 0.3}),
    "turned-archive": Arm(augment={"rotate_degrees": 180.0, "scale": 0.3}),
    "scaled": Arm(archive=False, augment={"scale": 0.3}),
}
MEANINGS = {
    "labels": "labels only, SGD",
    "standard": "the archive, our own choices: CG-CPCL alone",
    "mixed": "the archive, labelled scans and those of the archive in one image, AdamW",
    "labels-adamw": "labels only, AdamW",
    "paper": "the archive, the paper's text",
    "official": "the archive, the released code's semantics",
    "lambda-0": "the archive in the batch, no loss on it: it acts through the batch statistics",
    "as-before": "the archive with both modules, CG-CPCL and DTCT",
    "no-entropy": "both modules without the entropy terms",
    "prototypes": "CG-CPCL alone",
    "teacher-mse": "of DTCT the distance from the sharpened teacher alone",
    "running-statistics": "labels only, with the running batch-norm statistics as they are",
    "turned": "labels only, rotation by 180 degrees and size 0.7 to 1.3",
}


def labelled_order(data: str, draw: int) -> list[str]:
    """Patients with labels that are known to us, in the order of this draw; 0 is the data set's own order."""
    split = json.loads((DATA / data / "split.json").read_text())
    names = split["train_patients_in_order"][:14] if data == "acdc" else _hippocampus_cases(split)
    return names if draw == 0 else [names[i] for i in np.random.default_rng(draw).permutation(len(names))]


def _hippocampus_cases(split: dict) -> list[str]:
    return list(split["labeled_20"] if "labeled_20" in split else split["labeled_10"])


def link_study(study: Study, draw: int, work: Path) -> Path:
    """Makes labeled/, unlabeled/, validation/ and held_back/ of links to the shared data."""
    root = work / f"cases-{study.data}-{study.labeled}-{draw}"
    order, split = labelled_order(study.data, draw), json.loads((DATA / study.data / "split.json").read_text())
    if study.data == "acdc":
        train, val = DATA / "acdc" / "train", DATA / "acdc" / "val"
        every = sorted(p.name for p in (train / "images").iterdir())
        parts = {"labeled": (train, [n for n in every if n.startswith(tuple(order[:study.labeled]))]),
                 "held_back": (train, [n for n in every if n.startswith(tuple(order[study.labeled:]))]),
                 "unlabeled": (train, [n for n in every if not n.startswith(tuple(order))]),
                 "validation": (val, sorted(p.name for p in (val / "images").iterdir()))}
    else:
        source = DATA / study.data
        every = sorted(p.name for p in (source / "images").iterdir())
        known = set(order) | set(split["val"])
        rest = [n for n in every if n not in known]
        parts = {"labeled": (source, order[:study.labeled]), "validation": (source, split["val"][:8]),
                 "held_back": (source, split["val"][8:] + order[study.labeled:]), "unlabeled": (source, rest)}
    for part, (source, names) in parts.items():
        for kind in ("images",) if part == "unlabeled" else ("images", "labels"):
            (root / part / kind).mkdir(parents=True, exist_ok=True)
            for name in names:
                if not (root / part / kind / name).exists():
                    (root / part / kind / name).symlink_to(source / kind / name)
        (root / part / "labels.json").write_text(json.dumps(NAMES[study.data]))
    return root


def run_one(name: str, arm: str, draw: int, work: Path) -> None:
    """One training in a process of its own, scored on the patients held back, added to the results."""
    study, how = STUDIES[name], ARMS[arm]
    key = f"{name}/{arm}/{draw}"
    if key in read_results():
        return
    run, cases = work / name / f"{arm}-{draw}", link_study(study, draw, work)
    run.parent.mkdir(parents=True, exist_ok=True)
    config = run.with_suffix(".json")
    training = {"threads": 1, "validations": study.validations, **how.training}
    if how.preset == "standard" and arm not in ADAMW:
        training = SGD | training
    if how.preset != "official":
        training["precision"] = "bf16"
    if how.augment:
        training["augment"] = how.augment
    settings = {"method": {"preset": how.preset, **how.method}, "training": training, "plan": study.plan}
    config.write_text(json.dumps(settings))
    command = [sys.executable, "-m", "alhvr", "train", "--labeled", cases / "labeled", "--validation",
               cases / "validation", "--out", run, "--config", config, "--seed", draw,
               "--iterations", study.iterations, *study.options]
    command += ["--unlabeled", cases / "unlabeled"] if how.archive else []
    command += ["--resume"] if (run / "run.json").exists() else []
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(HERE.parent)}
    with open(run.with_suffix(".log"), "a") as log:
        if not (run / "model" / "manifest.json").exists():
            subprocess.run([str(c) for c in command], check=True, stdout=log, stderr=log, env=environment)
        score = subprocess.run([sys.executable, __file__, "score", run, cases / "held_back"], check=True,
                               env=environment, stdout=subprocess.PIPE, stderr=log, text=True)
    add_result(key, {**json.loads(score.stdout), **_curve(run)})


def score_run(run: Path, held_back: Path) -> dict:
    """Dice on the patients held back with the weights of the last step and with those chosen on validation."""
    import torch

    from alhvr.bundle.model import InferenceSettings
    from alhvr.core.progress import SilentReporter
    from alhvr.data.cases import find_cases
    from alhvr.networks.group import NetworkGroup
    from alhvr.training.run_folder import load_checkpoint
    from alhvr.training.setup import RunSetup
    from alhvr.training.validation import ScoringBackends, Validator

    torch.set_num_threads(1)
    setup = RunSetup.from_dict(json.loads((run / "run.json").read_text()))
    settings = InferenceSettings(fusion="mean", mirror=False, largest_component=False, beta=0.8, perturbation_seed=0)
    cases = find_cases(held_back, labeled=True)
    cases = getattr(cases, "cases", cases)
    validator = Validator(cases, setup.plan, setup.annotation, settings, lambda: False, SilentReporter())
    found = {"held_back_cases": len(cases)}
    for state in ("last", "best"):
        networks = NetworkGroup.build(setup.network)
        networks.load_state_dict(load_checkpoint(run / "checkpoints" / f"{state}.pt")["average"])
        score = validator.score(ScoringBackends(setup.compute, SilentReporter()).of(networks))["mean"]
        found[state] = {"mean": score.mean, **score.by_class}
    return found


def measure_statistics_of(run: Path) -> dict:
    """Validation Dice of a finished run by the number of batches on which batch-norm statistics are measured.

    And what a batch costs, in steps of the same run, both in processor time of one thread.
    """

    from alhvr.core.progress import SilentReporter
    from alhvr.methods.registry import build_method
    from alhvr.networks.group import NetworkGroup
    from alhvr.training.loop import measure_statistics
    from alhvr.training.run import _batches, _validator
    from alhvr.training.run_folder import load_checkpoint
    from alhvr.training.setup import RunSetup
    from alhvr.training.step import TrainingStep
    from alhvr.training.validation import ScoringBackends

    setup, silent = RunSetup.from_dict(json.loads((run / "run.json").read_text())), SilentReporter()
    setup.compute.apply()
    networks = NetworkGroup.build(setup.network)
    networks.load_state_dict(load_checkpoint(run / "checkpoints" / "last.pt")["average"])
    networks = networks.to(memory_format=networks.memory_format).eval()
    learning = NetworkGroup.build(setup.network).to(memory_format=networks.memory_format)
    step = TrainingStep(learning, build_method(setup.config.method, 0), setup.config.training, setup.compute)
    stream, validator = _batches(setup, silent), _validator(setup, silent, lambda: False)
    batches = [stream.batch(n) for n in range(48)]
    for n in range(3):
        step.run(batches[n], n, weight=0.05, learning_rate=0.001)
    began = time.process_time()
    for n in range(10):
        step.run(batches[n], n, weight=0.05, learning_rate=0.001)
    step_s, rows = (time.process_time() - began) / 10, {}
    for count in (1, 2, 4, 8, 16, 24, 48):
        began = time.process_time()
        images = (step.to_device(batch.images) for batch in batches[:count])
        measure_statistics((networks.a, networks.b), images, setup.compute.autocast())
        cost = (time.process_time() - began) / count / step_s
        dice = validator.score(ScoringBackends(setup.compute, silent).of(networks))["mean"].mean
        rows[count] = {"dice": dice, "steps_per_batch": round(cost, 3)}
    return {"run": run.name, "step_s": round(step_s, 3), "by_batches": rows}


def _curve(run: Path) -> dict:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    record = json.loads((run / "model" / "alhvr.json").read_text())["training"]
    return {"curve": {line["iteration"]: line["mean_dice"] for line in lines if "mean_dice" in line},
            "minutes": record["minutes"], "precision": record["precision"], "ways": record["validation_dice_by_way"],
            "archive": record.get("archive"), "date": time.strftime("%Y-%m-%d")}


def read_results() -> dict:
    """All results so far, by STUDY/ARM/DRAW."""
    return json.loads(RESULTS.read_text())["runs"] if RESULTS.exists() else {}


def add_result(key: str, result: dict) -> None:
    """Adds one result to the file, which another process may be adding to as well."""
    import filelock

    with _RESULTS_LOCK, filelock.FileLock(str(RESULTS) + ".lock"):
        runs = read_results() | {key: result}
        partial = RESULTS.with_suffix(".partial")
        partial.write_text(json.dumps({"machine": machine(), "runs": dict(sorted(runs.items()))}, indent=1) + "\n")
        partial.replace(RESULTS)
    print(f"{key}: held back {result['last']['mean']:.3f} (last), {result['best']['mean']:.3f} (chosen); "
          f"curve {', '.join(f'{v:.3f}' for v in result['curve'].values())}", flush=True)


def report() -> str:
    """A table for every study: each arm's curve, and Dice on the patients held back, draw by draw."""
    runs, parts = read_results(), ["# What training gives, on patients held back", ""]
    for study in dict.fromkeys(key.split("/")[0] for key in runs):
        parts += [f"## {study}", "", "| arm | draws | validation by iteration | held back, last step | by draw | "
                  "held back, chosen on validation | minutes |", "|---|---|---|---|---|---|---|"]
        arms = dict.fromkeys(key.split("/")[1] for key in runs if key.startswith(f"{study}/"))
        for arm in sorted(arms, key=list(ARMS).index):
            found = [runs[key] for key in sorted(runs) if key.startswith(f"{study}/{arm}/")]
            curve = ", ".join(f"{step}: {spread([r['curve'][step] for r in found])}" for step in found[0]["curve"])
            last, best = ([r[state]["mean"] for r in found] for state in ("last", "best"))
            parts.append(f"| {arm} | {len(found)} | {curve} | {spread(last)} | "
                         f"{', '.join(f'{value:.3f}' for value in last)} | {spread(best)} | "
                         f"{np.mean([r['minutes'] for r in found]):.1f} |")
        parts.append("")
    seen = {key.split("/")[1] for key in runs}
    parts += ["Arms: " + "; ".join(f"{name}: {text}" for name, text in MEANINGS.items() if name in seen) + ".", ""]
    parts += ["Command: `python benchmarks/training.py run ...`, one thread a run, beside other work: minutes of "
              "different arms cannot be compared.", ""]
    text = "\n".join(parts)
    RESULTS.with_suffix(".md").write_text(text)
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run")
    run.add_argument("--study", nargs="+", choices=STUDIES, required=True)
    run.add_argument("--arms", nargs="+", choices=ARMS, required=True)
    run.add_argument("--draws", nargs="+", type=int, default=[0, 1, 2])
    run.add_argument("--work", type=Path, default=Path("/tmp/alhvr-training"))
    run.add_argument("--jobs", type=int, default=1)
    score = commands.add_parser("score")
    score.add_argument("run", type=Path)
    score.add_argument("held_back", type=Path)
    statistics = commands.add_parser("statistics", help="how many batches batch-norm statistics need")
    statistics.add_argument("run", type=Path)
    commands.add_parser("report")
    options = parser.parse_args()
    if options.command == "score":
        print(json.dumps(score_run(options.run, options.held_back)))
    elif options.command == "statistics":
        found = json.dumps(measure_statistics_of(options.run), indent=1)
        (RESULTS.parent / "training_statistics.json").write_text(found + "\n")
        print(found)
    elif options.command == "report":
        print(report())
    else:
        with ThreadPoolExecutor(options.jobs) as pool:
            jobs = [pool.submit(run_one, study, arm, draw, options.work)
                    for draw in options.draws for study in options.study for arm in options.arms]
            for job in jobs:
                job.result()


if __name__ == "__main__":
    main()
