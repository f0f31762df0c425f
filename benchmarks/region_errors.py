"""How well the high-value regions find errors, on scans that no training saw.

    python benchmarks/region_errors.py --runs RUNS

RUNS holds the folders STUDY/ARM-DRAW/model and cases-... that benchmarks/training.py makes; the sample model segments
generated scans. Each model is looked at by ``alhvr evaluate --regions``. Results go to
benchmarks/results/region_errors.json and .md.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from accuracy import HERE, machine

from alhvr.evaluation.region_cases import RegionRequest, regions_of_model
from alhvr.phantom.sample import make_sample
from alhvr.phantom.study import LABEL_NAMES, make_phantom, write_phantom_case

STUDIES = {
    "acdc-3-1000": ("ACDC, 2-D, 3 labelled patients", "cases-acdc-3-{draw}"),
    "acdc-7-1000": ("ACDC, 2-D, 7 labelled patients", "cases-acdc-7-{draw}"),
    "hippocampus-3-180": ("hippocampus, 3-D, 3 labelled cases", "cases-hippocampus-3-{draw}"),
}
ARMS = {"labels": "labels only", "prototypes": "with the archive (CG-CPCL)"}
GENERATED = "generated scans, the installed sample model"
GENERATED_SEED, N_GENERATED = 77, 8


def models(runs: Path) -> Iterator[tuple[str, Path, Path]]:
    """What it is, model folder and labelled cases that it did not see, for every run that there is."""
    for study, (title, cases) in STUDIES.items():
        for arm, words in ARMS.items():
            for draw in range(5):
                model = runs / study / f"{arm}-{draw}" / "model"
                if (model / "manifest.json").exists():
                    yield f"{title}, {words}", model, runs / cases.format(draw=draw) / "held_back"


def generated(folder: Path) -> tuple[str, Path, Path]:
    """The sample model and scans of another archive than the one that it learnt from."""
    from alhvr.core.progress import SilentReporter

    seeds = json.loads((HERE / "results" / "sample_model.json").read_text())
    if GENERATED_SEED in (seeds["scan_seed"], seeds.get("test_seed")):
        raise SystemExit("The sample model has seen these scans.")
    for index in range(N_GENERATED):
        write_phantom_case(folder / "cases", make_phantom(GENERATED_SEED, index), labeled=True)
    (folder / "cases" / "labels.json").write_text(json.dumps(LABEL_NAMES))
    return GENERATED, make_sample(folder / "sample", SilentReporter()).model, folder / "cases"


def write(found: dict[str, list[dict]]) -> str:
    """The tables as JSON and Markdown; a mean is over models, in each over its cases."""
    folder, command = HERE / "results", "python benchmarks/region_errors.py --runs RUNS"
    (folder / "region_errors.json").write_text(json.dumps(
        {"machine": machine(), "command": command, "models": found}, indent=1) + "\n")
    lines = ["# How well the regions find errors", "",
             "In percent: what regions 2 and 3 take of the volume, what they hold of the wrongly segmented voxels, and "
             "what as many voxels hold that are taken by the highest entropy, or by the lowest largest probability, of "
             "the mean of both networks. Means over the cases of a model, then over models (draws of the labelled "
             "patients); the worst case is that of all of them. No model was trained on these cases, and none was "
             "chosen by them.", ""]
    for title, reports in found.items():
        lines += [f"## {title}", "", f"{len(reports)} model{'s' if len(reports) > 1 else ''}, "
                  f"{reports[0]['n_cases']} scans each.", "",
                  "| beta | volume | errors found | by entropy | by 1 - max p | wrong in region 1 | worst case |",
                  "|---|---|---|---|---|---|---|"]
        for beta in reports[0]["summary"]:
            rows = [report["summary"][beta] for report in reports]
            cells = [f"{100 * np.mean([row[name] for row in rows]):.{digits}f}" for name, digits in
                     (("volume", 2), ("found", 1), ("found_by_entropy", 1), ("found_by_probability", 1),
                      ("error_rate_region_1", 2))]
            lines.append(f"| {beta} | {' | '.join(cells)} | {100 * min(row['worst_found'] for row in rows):.1f} |")
        lines.append("")
    about = ", ".join(f"{name} {value}" for name, value in machine().items())
    lines += [f"Command: `{command}`, ran once. Machine: {about}.", ""]
    (folder / "region_errors.md").write_text("\n".join(lines))
    return "\n".join(lines)


def main() -> None:
    """Looks at every model that there is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, required=True)
    options = parser.parse_args()
    found: dict[str, list[dict]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for title, model, cases in [*models(options.runs), generated(Path(folder))]:
            report = regions_of_model(model, RegionRequest(cases))
            found.setdefault(title, []).append({"model": f"{model.parent.parent.name}/{model.parent.name}",
                                                "n_cases": len(report.cases), "not_counted": report.skipped,
                                                "summary": report.summary()})
            print(title, report.summary()["0.8"], flush=True)
    print(write(found))


if __name__ == "__main__":
    main()
