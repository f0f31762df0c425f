"""Labels only against labels and archive on real scans: several seeds, equal iterations, mean and spread.

    python benchmarks/accuracy.py acdc          (2-D, first 7 patients labelled, 128x128, batch 8, 2,000 iterations)
    python benchmarks/accuracy.py hippocampus   (3-D, 10 labelled cases)

Each run is one ``alhvr train`` in a process of its own with one CPU thread; ``--jobs 2`` runs two side by side.
Results go to benchmarks/results/NAME.json and NAME.md. A finished run in --work is not trained again.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
DATA = Path(os.environ.get("ALHVR_TEST_DATA", HERE.parent.parent / "shared" / "data"))


@dataclass(frozen=True)
class Setting:
    """One comparison: which cases, which arms, how long."""

    name: str
    title: str
    arguments: tuple[str, ...]
    arms: dict[str, int]
    """Arm to number of seeds: labels, archive, official (the archive with the released code's semantics), or plain
    (the archive trained without the engine's short cuts, see plain_training.py)."""
    settings: dict
    """What goes into --config."""
    remark: str = ""
    """What a reader of the table should know."""


SETTINGS = {
    "acdc": Setting("acdc", "ACDC, 2-D, 7 labelled patients (14 volumes), 126 unlabelled volumes, 128x128, batch 8",
                    ("--patch-size", "128,128", "--batch-size", "8", "--iterations", "2000"),
                    {"labels": 3, "archive": 3, "plain": 1, "official": 1},
                    {"training": {"threads": 1, "validations": 8}},
                    "For comparison: the authors' released code, run once in this setting (seed 1337), had a mean "
                    "foreground Dice of 0.607, 0.745, 0.790, 0.806 after 500, 1,000, 1,500, 2,000 iterations (its "
                    "first network); with labels only 0.582, 0.508, 0.772, 0.799."),
    "hippocampus": Setting("hippocampus", "Hippocampus, 3-D U-Net, 10 labelled cases, 180 unlabelled cases",
                           ("--iterations", "180"), {"labels": 3, "archive": 3, "plain": 3},
                           {"training": {"threads": 1, "validations": 1}, "plan": {"network": "unet"}}),
}


PLAIN = {"method": {"perturb_labeled": True}, "training": {"precision": "fp32"}}
"""Settings of the arm "plain"."""

NAMES = {
    "acdc": {"1": "right ventricle", "2": "myocardium", "3": "left ventricle"},
    "hippocampus": {"1": "anterior hippocampus", "2": "posterior hippocampus"},
}


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


def run_arm(setting: Setting, arm: str, seed: int, work: Path) -> Path:
    """One training in a process of its own; returns its run folder."""
    run, cases = work / f"{arm}-{seed}", work / "cases"
    config = work / f"settings{'-plain' if arm == 'plain' else ''}.json"
    config.write_text(json.dumps(_merged(setting.settings, PLAIN) if arm == "plain" else setting.settings))
    if (run / "model" / "manifest.json").exists():
        return run
    program = [HERE / "plain_training.py"] if arm == "plain" else ["-m", "alhvr"]
    command = [sys.executable, *program, "train", "--labeled", cases / "labeled", "--validation",
               cases / "validation", "--out", run, "--config", config, "--seed", seed, *setting.arguments]
    command += [] if arm == "labels" else ["--unlabeled", cases / "unlabeled"]
    command += ["--preset", "official"] if arm == "official" else []
    command += ["--resume"] if (run / "run.json").exists() else []
    with open(work / f"{arm}-{seed}.log", "a") as log:
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        subprocess.run([str(c) for c in command], check=True, stdout=log, stderr=log, env=environment)
    return run


def _merged(settings: dict, more: dict) -> dict:
    """Both, one level deep; ``more`` wins."""
    return {part: {**settings.get(part, {}), **more.get(part, {})} for part in settings.keys() | more.keys()}


def read_run(run: Path) -> dict:
    """Scores of a finished run: the curve of the weight mean, and every way to segment at the best iteration."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    record = json.loads((run / "model" / "alhvr.json").read_text())["training"]
    return {"curve": {line["iteration"]: line["mean_dice"] for line in lines if "mean_dice" in line},
            "dice": record["validation_dice"], "ways": record["validation_dice_by_way"],
            "minutes": record["minutes"], "precision": record["precision"]}


def machine() -> dict:
    """What the figures were measured on."""
    model = next((line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")), platform.processor())
    return {"processor": model, "cores": os.cpu_count(), "python": platform.python_version(),
            "system": platform.platform(), "date": time.strftime("%Y-%m-%d")}


def spread(values: list[float]) -> str:
    """Mean and, of several seeds, standard deviation, as text."""
    mean = f"{statistics.mean(values):.3f}"
    return mean if len(values) == 1 else f"{mean} ± {statistics.stdev(values):.3f}"


def write_results(setting: Setting, results: dict, command: str) -> str:
    """Writes NAME.json and NAME.md; returns the table."""
    rows = ["| arm | seeds | Dice, chosen way | Dice, network a alone | by iteration (both networks) | minutes a run |",
            "|---|---|---|---|---|---|"]
    for arm, runs in results.items():
        curve = ", ".join(f"{i}: {spread([r['curve'][i] for r in runs.values()])}"
                          for i in next(iter(runs.values()))["curve"])
        rows.append(f"| {arm} | {len(runs)} | {spread([r['dice']['mean'] for r in runs.values()])} "
                    f"| {spread([r['ways']['a'] for r in runs.values()])} | {curve} "
                    f"| {statistics.mean(r['minutes'] for r in runs.values()):.1f} |")
    gains = [results["archive"][seed]["dice"]["mean"] - run["dice"]["mean"] for seed, run in results["labels"].items()]
    by_seed = f"Archive minus labels only, seed by seed: {', '.join(f'{gain:+.3f}' for gain in gains)}."
    if "plain" in results:
        cost = [results["archive"][seed]["dice"]["mean"] - run["dice"]["mean"]
                for seed, run in results["plain"].items()]
        by_seed += (" Archive minus plain (the same training in fp32, with torch's dropout and every image decoded "
                    f"under perturbation), seed by seed: {', '.join(f'{part:+.3f}' for part in cost)}.")
    about = machine()
    text = "\n".join([f"# {setting.title}", "", "Mean foreground Dice on the validation cases, mean ± standard "
                      "deviation over seeds. The best of the validated states is kept, on these same cases.",
                      "", *rows, "", by_seed, "", *([setting.remark, ""] if setting.remark else []),
                      f"Command: `{command}`", "",
                      "Machine: " + ", ".join(f"{k} {v}" for k, v in about.items()) + "; one thread a run, beside "
                      "other work: the minutes of different arms cannot be compared.", ""])
    folder = HERE / "results"
    folder.mkdir(exist_ok=True)
    (folder / f"{setting.name}.md").write_text(text)
    (folder / f"{setting.name}.json").write_text(json.dumps(
        {"setting": setting.title, "arguments": setting.arguments, "machine": about, "command": command,
         "results": results}, indent=1) + "\n")
    return text


def main() -> None:
    """Runs every arm and seed that is not finished, then writes the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("setting", choices=SETTINGS)
    parser.add_argument("--work", type=Path, default=None, help="folder for the runs")
    parser.add_argument("--arms", nargs="+", help="only these arms")
    parser.add_argument("--jobs", type=int, default=2, help="trainings side by side")
    options = parser.parse_args()
    setting = SETTINGS[options.setting]
    work = options.work or Path("/tmp/alhvr-benchmarks") / setting.name
    work.mkdir(parents=True, exist_ok=True)
    link_cases(setting.name, work)
    with ThreadPoolExecutor(options.jobs) as pool:
        jobs = {(arm, seed): pool.submit(run_arm, setting, arm, seed, work)
                for arm, seeds in setting.arms.items() if arm in (options.arms or setting.arms)
                for seed in range(seeds)}
    results: dict = {}
    for (arm, seed), job in jobs.items():
        results.setdefault(arm, {})[seed] = read_run(job.result())
    told = ["RUNS" if options.work and Path(word) == options.work else word for word in sys.argv[1:]]
    print(write_results(setting, results, "python " + " ".join(["benchmarks/accuracy.py", *told])))


if __name__ == "__main__":
    main()
