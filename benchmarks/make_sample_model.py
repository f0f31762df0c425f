"""The small model that ``alhvr sample`` unpacks: trained on generated scans, scored on others, and zipped.

    python benchmarks/make_sample_model.py [--work DIR]

writes alhvr/phantom/model.zip and benchmarks/results/sample_model.json. Every scan comes from the engine's generator,
by the seeds below, and ``alhvr sample`` takes its scans from yet another seed. One thread, fp32; a finished training in
--work is not repeated.
"""

from __future__ import annotations

import argparse
import datetime
import platform
import tempfile
import time
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from alhvr.bundle.model import read_model, write_model
from alhvr.config import PlanConfig, RunConfig, TrainingConfig
from alhvr.core.files import write_json
from alhvr.core.progress import BarReporter, Reporter, SilentReporter
from alhvr.evaluation.report import evaluate_folders
from alhvr.inference.run import SegmentRequest, segment
from alhvr.networks.group import NetworkGroup
from alhvr.phantom.study import LABEL_NAMES, make_phantom, write_phantom_case
from alhvr.training.checked_graphs import checked_graphs
from alhvr.training.run import TrainRequest, train

ROOT = Path(__file__).resolve().parent.parent
ZIP, SCORES = ROOT / "alhvr" / "phantom" / "model.zip", ROOT / "benchmarks" / "results" / "sample_model.json"
NAME = "Generated abdomen"
SCAN_SEED, TRAINING_SEED = 51, 5
"""Of the generated scans, and of weights, batches and augmentation."""
PARTS = {"labeled": 48, "unlabeled": 24, "validation": 6, "test": 12}
"""How many scans each part has; they are numbered through."""
CONFIG = RunConfig(
    training=TrainingConfig(iterations=4500, validations=6, learning_rate=0.03, seed=TRAINING_SEED, threads=1,
                            precision="fp32", device="cpu"),
    plan=PlanConfig(dimensions=2, target_spacing_mm=(5.0, 3.7, 3.7), patch_size=(80, 96), batch_size=8, modality="CT",
                    width=4),
)
LICENCE = "Apache-2.0. Trained on generated scans only: it shows the way through the program and knows no real patient"
_MIDNIGHT = (1980, 1, 1, 0, 0, 0)


def main() -> None:
    """Every step, each into --work."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--work", type=Path, help="folder of the scans and the run; a temporary one without")
    work = parser.parse_args().work
    if work is not None:
        make(work)
        return
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder))


def make(work: Path) -> None:
    """Scans, training, model, zip and scores."""
    write_scans(work)
    run, reporter = work / "run", BarReporter()
    if not (run / "model").exists():
        train(TrainRequest(labeled=work / "labeled", unlabeled=work / "unlabeled", validation=work / "validation",
                           out=run, config=CONFIG), reporter)
    write_small(run / "model", work / "model")
    write_zip(work / "model", ZIP)
    SCORES.parent.mkdir(parents=True, exist_ok=True)
    write_json(SCORES, scores(work, reporter))


def write_scans(work: Path) -> None:
    """The generated scans of each part that is not there yet, with labels but for the archive."""
    index = 0
    for part, count in PARTS.items():
        folder, labeled = work / part, part != "unlabeled"
        for number in range(index, index + count):
            if not (folder / "images" / f"phantom_{number:03d}.nii.gz").exists():
                write_phantom_case(folder, make_phantom(SCAN_SEED, number), labeled=labeled)
        if labeled:
            write_json(folder / "labels.json", LABEL_NAMES)
        index += count


def write_small(source: Path, target: Path) -> None:
    """The trained model with weights of half precision, which take half the place in a zip, and graphs of these."""
    model = read_model(source)
    networks = NetworkGroup.build(model.description.network)
    for name, state in model.load_state().items():
        rounded = {key: value.half().float() if value.is_floating_point() and "running" not in key else value
                   for key, value in state.items()}
        getattr(networks, name).load_state_dict(rounded)
    networks.eval()
    about = replace(model.description, name=NAME, training={**model.description.training, "licence": LICENCE})
    write_model(target, about, {"a": networks.a.state_dict(), "b": networks.b.state_dict()}, checked_graphs(networks))


def write_zip(model: Path, target: Path) -> None:
    """All files of a model folder; the same files give the same bytes."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for path in sorted(file for file in model.rglob("*") if file.is_file()):
            entry = zipfile.ZipInfo(path.relative_to(model).as_posix(), _MIDNIGHT)
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            archive.writestr(entry, path.read_bytes())


def scores(work: Path, reporter: Reporter) -> dict[str, Any]:
    """Dice on the test scans, which no training saw, and how all of it was made."""
    began = time.monotonic()
    segment(SegmentRequest(work / "model", (work / "test" / "images",), work / "found", file_format="nii.gz"),
            SilentReporter())
    seconds = time.monotonic() - began
    report = evaluate_folders(work / "found", work / "test", reporter=reporter)
    record = read_model(work / "model").description.training
    return {
        "date": datetime.date.today().isoformat(), "machine": f"{platform.machine()}, one thread",
        "scan_seed": SCAN_SEED, "training_seed": TRAINING_SEED, "scans": PARTS, "width": CONFIG.plan.width,
        "iterations": CONFIG.training.iterations, "training_minutes": record["minutes"],
        "validation_dice": record["validation_dice"], "test": _rounded(report.summary()),
        "seconds_per_test_scan": round(seconds / PARTS["test"], 2), "zip_bytes": ZIP.stat().st_size,
    }


def _rounded(value: Any) -> Any:
    """Four decimals of every number."""
    if isinstance(value, dict):
        return {name: _rounded(entry) for name, entry in value.items()}
    return round(value, 4) if isinstance(value, float) else value


if __name__ == "__main__":
    main()
