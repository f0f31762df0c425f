"""Partial labels against full ones on real scans: scribbles, a structure missing in some cases, every second slice.

    python benchmarks/partial_labels.py scribbles     (ACDC, 2-D, 7 patients and the archive)
    python benchmarks/partial_labels.py missing       (ACDC, 7 patients, the right ventricle missing in 3, no archive)
    python benchmarks/partial_labels.py hippocampus   (3-D, every second slice annotated, with the archive)

All arms of a setting have the same scans, iterations and seeds; only the labels differ, and what the engine is told
of them. The validation cases are fully labelled. Each run is one ``alhvr train`` with one thread; ``--jobs 2`` runs two
side by side. A finished run in --work is not trained again. Results go to benchmarks/results/partial_NAME.{json,md}.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK
from accuracy import DATA, HERE, NAMES, machine, spread

SEEDS = 3
RIGHT_VENTRICLE = 1
WITHOUT = 3
"""Patients, the last ones of seven, in which nobody annotated the right ventricle."""


@dataclass(frozen=True)
class Arm:
    """One way to give the labels."""

    title: str
    change: Callable[[np.ndarray, str], np.ndarray] | None = None
    """From the full label [K, J, I] and the case's file name to the label given; None for the full one."""
    options: tuple[str, ...] = ()
    """Of ``alhvr train``."""
    missing: Callable[[list[str]], list[str]] = lambda names: []
    """The file names of the cases that cases.json declares to be without the right ventricle."""


def _scribbles(name: str) -> np.ndarray:
    """0 to 3, and 4 where nobody annotated."""
    return SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(DATA / "acdc" / "train" / "scribbles" / name)))


def _without_rv(names: list[str]) -> list[str]:
    """The files of the last WITHOUT patients; both phases of one patient begin alike."""
    patients = sorted({name[:10] for name in names})[-WITHOUT:]
    return [name for name in names if name.startswith(tuple(patients))]


def _second_slices(label: np.ndarray, name: str) -> np.ndarray:
    label = label.copy()
    label[1::2] = 255
    return label


ARMS = {
    "scribbles": {
        "full": Arm("full labels"),
        "scribbles": Arm("scribbles, the rest declared not annotated", lambda _, name: _scribbles(name),
                         ("--not-annotated", "4")),
        "scribbles-as-background": Arm("scribbles, the rest learnt as background",
                                       lambda _, name: np.where(_scribbles(name) == 4, 0, _scribbles(name))),
    },
    "missing": {
        "full": Arm("full labels"),
        "rv-declared": Arm("right ventricle missing in 3 of 7 patients, declared", missing=_without_rv),
        "rv-undeclared": Arm("right ventricle missing in 3 of 7 patients, learnt as background"),
    },
    "hippocampus": {
        "full": Arm("full labels"),
        "half": Arm("every second slice annotated", _second_slices),
    },
}
TITLES = {
    "scribbles": "Scribbles in place of full labels (ACDC, 7 patients and the archive)",
    "missing": "The right ventricle missing in 3 of 7 patients (ACDC)",
    "hippocampus": "Every second slice annotated (hippocampus, 10 cases and the archive)",
}
DATA_OF = {"scribbles": "acdc", "missing": "acdc", "hippocampus": "hippocampus"}
LENGTH = {"scribbles": 600, "missing": 2000, "hippocampus": 180}
VALIDATIONS = {"scribbles": 3, "missing": 8, "hippocampus": 1}
WITH_ARCHIVE = ("scribbles", "hippocampus")


def plan_arguments(setting: str) -> list[str]:
    """Options of ``alhvr train`` that are the same for all arms."""
    return ["--patch-size", "128,128", "--batch-size", "8"] if DATA_OF[setting] == "acdc" else []


def settings_of(setting: str) -> dict:
    """What goes into --config."""
    training = {"training": {"threads": 1, "validations": VALIDATIONS[setting]}}
    return training if DATA_OF[setting] == "acdc" else {**training, "plan": {"network": "unet"}}


def give_labels(setting: str, name: str, work: Path) -> Path:
    """A case folder of the arm: links to the images, and its own labels."""
    arm, full, folder = ARMS[setting][name], work / "cases" / "labeled", work / "cases" / f"labeled-{name}"
    files = sorted(path.name for path in (full / "labels").iterdir())
    without = _without_rv(files) if name.startswith("rv-") else []
    for kind in ("images", "labels"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    for file in files:
        if not (folder / "images" / file).exists():
            (folder / "images" / file).symlink_to((full / "images" / file).resolve())
        image = SimpleITK.ReadImage(str(full / "labels" / file))
        label = SimpleITK.GetArrayFromImage(image)
        if arm.change:
            label = arm.change(label, file)
        if file in without:
            label = np.where(label == RIGHT_VENTRICLE, 0, label)
        given = SimpleITK.GetImageFromArray(label.astype(np.uint8))
        given.CopyInformation(image)
        SimpleITK.WriteImage(given, str(folder / "labels" / file))
    (folder / "labels.json").write_text(json.dumps(NAMES[DATA_OF[setting]]))
    declared = {file.split(".")[0]: {"not_annotated": [RIGHT_VENTRICLE]} for file in arm.missing(files)}
    if declared:
        (folder / "cases.json").write_text(json.dumps({"cases": declared}, indent=1))
    return folder


def run_arm(setting: str, name: str, seed: int, work: Path, iterations: int) -> Path:
    """One training in a process of its own; returns its run folder."""
    run, cases = work / f"{name}-{seed}", work / "cases"
    if (run / "model" / "manifest.json").exists():
        return run
    config = work / "settings.json"
    config.write_text(json.dumps(settings_of(setting)))
    command = [sys.executable, "-m", "alhvr", "train", "--labeled", cases / f"labeled-{name}", "--validation",
               cases / "validation", "--out", run, "--config", config, "--seed", seed, "--iterations", iterations,
               *plan_arguments(setting), *ARMS[setting][name].options]
    command += ["--unlabeled", cases / "unlabeled"] if setting in WITH_ARCHIVE else []
    command += ["--resume"] if (run / "run.json").exists() else []
    with open(work / f"{name}-{seed}.log", "a") as log:
        subprocess.run([str(c) for c in command], check=True, stdout=log, stderr=log,
                       env={**os.environ, "OMP_NUM_THREADS": "1"})
    return run


def read_at(run: Path, iteration: int) -> dict:
    """Scores of the mean of both networks after ``iteration``, whether the run is finished or not."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    found = next(line for line in lines if line["iteration"] == iteration and "dice" in line)
    return {"dice": {**found["dice"], "mean": found["mean_dice"]}, "iteration": iteration}


def _named(run: dict, names: dict[str, str]) -> dict:
    """The scores of a run by the names of the structures, also where it knew their values only."""
    called = {f"label {value}": name for value, name in names.items()}
    return {**run, "dice": {called.get(name, name): value for name, value in run["dice"].items()}}


def write_results(setting: str, results: dict, length: str, command: str) -> str:
    """Writes partial_NAME.json and .md; returns the table. ``length``: of the runs, in words."""
    structures = list(NAMES[DATA_OF[setting]].values())
    archive = "with the archive" if setting in WITH_ARCHIVE else "without an archive"
    rows = [f"| labels | seeds | mean Dice | {' | '.join(structures)} | mean Dice minus full, seed by seed |",
            "|---|---|---|" + "---|" * (len(structures) + 1)]
    for name, runs in results.items():
        dice = [statistics.mean(run["dice"][s] for s in structures) for run in runs.values()]
        by_structure = " | ".join(spread([run["dice"][s] for run in runs.values()]) for s in structures)
        minus = [f"{run['dice']['mean'] - results['full'][seed]['dice']['mean']:+.3f}" for seed, run in runs.items()
                 if name != "full" and seed in results.get("full", {})]
        rows.append(f"| {ARMS[setting][name].title} | {len(runs)} | {spread(dice)} | {by_structure} "
                    f"| {', '.join(minus)} |")
    about = machine()
    text = "\n".join([
        f"# {TITLES[setting]}", "",
        f"{length}, {archive}, scored on fully labelled validation cases: Dice, mean ± standard deviation over seeds.",
        "", *rows, "",
        f"Command: `{command}`", "", "Machine: " + ", ".join(f"{k} {v}" for k, v in about.items()) + ".", ""])
    folder = HERE / "results"
    (folder / f"partial_{setting}.md").write_text(text)
    (folder / f"partial_{setting}.json").write_text(json.dumps(
        {"length": length, "machine": about, "command": command, "results": results}, indent=1) + "\n")
    return text


def link_cases(setting: str, work: Path) -> Path:
    """Makes labeled/, unlabeled/ and validation/ case folders of links to the shared data, by its split.json."""
    root = work / "cases"
    split = json.loads((DATA / setting / "split.json").read_text())
    if setting == "hippocampus":
        images = sorted(p.name for p in (DATA / setting / "images").iterdir())
        parts = {"labeled": split["labeled_10"], "validation": split["val"]}
        parts["unlabeled"] = [n for n in images if n not in parts["labeled"] + parts["validation"]]
        sources = dict.fromkeys(parts, DATA / setting)
    else:
        train = DATA / setting / "train"
        first = tuple(split["train_patients_in_order"][:7])
        names = sorted(p.name for p in (train / "images").iterdir())
        parts = {"labeled": [n for n in names if n.startswith(first)],
                 "unlabeled": [n for n in names if not n.startswith(first)],
                 "validation": sorted(p.name for p in (DATA / setting / "val" / "images").iterdir())}
        sources = {"labeled": train, "unlabeled": train, "validation": DATA / setting / "val"}
    for part, names in parts.items():
        for kind in ("images",) if part == "unlabeled" else ("images", "labels"):
            (root / part / kind).mkdir(parents=True, exist_ok=True)
            for name in names:
                link = root / part / kind / name
                if not link.exists():
                    link.symlink_to(sources[part] / kind / name)
        (root / part / "labels.json").write_text(json.dumps(NAMES[setting]))
    return root


def read_run(run: Path) -> dict:
    """Scores of a finished run: the curve of the weight mean, and every way to segment at the best iteration."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    record = json.loads((run / "model" / "alhvr.json").read_text())["training"]
    return {"curve": {line["iteration"]: line["mean_dice"] for line in lines if "mean_dice" in line},
            "dice": record["validation_dice"], "ways": record["validation_dice_by_way"],
            "minutes": record["minutes"], "precision": record["precision"]}


def main() -> None:
    """Trains every arm and seed that is not finished, seed by seed, then writes the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("setting", choices=ARMS)
    parser.add_argument("--work", type=Path, default=None, help="folder for the runs")
    parser.add_argument("--iterations", type=int, default=None)
    parser.add_argument("--jobs", type=int, default=2, help="trainings side by side")
    parser.add_argument("--finished", action="store_true", help="tell of the runs that are finished, train none")
    parser.add_argument("--at", type=int, metavar="N", help="tell of the runs after N iterations, train none")
    options = parser.parse_args()
    setting, iterations = options.setting, options.iterations or LENGTH[options.setting]
    work = options.work or Path("/tmp/alhvr-benchmarks") / f"partial-{setting}"
    work.mkdir(parents=True, exist_ok=True)
    link_cases(DATA_OF[setting], work)
    for name in ARMS[setting]:
        give_labels(setting, name, work)
    wanted = [(name, seed) for seed in range(SEEDS) for name in ARMS[setting]]
    runs = {(name, seed): work / f"{name}-{seed}" for name, seed in wanted}
    length = f"Best state, chosen on the same cases, of {iterations} iterations a run"
    if options.at:
        length = f"State after {options.at} iterations of runs of {iterations}"
    elif options.finished:
        runs = {key: run for key, run in runs.items() if (run / "model").exists()}
    else:
        with ThreadPoolExecutor(options.jobs) as pool:
            list(pool.map(lambda key: run_arm(setting, *key, work, iterations), runs))
    results: dict = {name: {} for name in ARMS[setting]}
    for (name, seed), run in runs.items():
        found = read_at(run, options.at) if options.at else read_run(run)
        results[name][seed] = _named(found, NAMES[DATA_OF[setting]])
    told = ["RUNS" if options.work and Path(word) == options.work else word for word in sys.argv[1:]]
    print(write_results(setting, {name: seeds for name, seeds in results.items() if seeds}, length,
                        "python " + " ".join(["benchmarks/partial_labels.py", *told])))


if __name__ == "__main__":
    main()
