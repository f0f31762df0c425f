"""Point 7: seconds and memory of training against the number of scans in the archive, 10 to 1,000."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from memory_use import peak_gb
from records import Finding, Result, Series, Setting
from scans import write_scan
from steps import AUGMENT

from alhvr.checking.context import RunContext
from alhvr.checking.run import Folders, check
from alhvr.config import PlanConfig
from alhvr.core.progress import SilentReporter
from alhvr.data.augment import Augmenter
from alhvr.data.batches import TwoStreamBatches
from alhvr.data.case_io import LabelDecoder
from alhvr.data.plan import make_plan
from alhvr.data.store import ScanStore
from alhvr.training.setup import CaseSelection, survey

THREADS = (1,)
SCANS = (10, 30, 100, 300, 1000)
SHAPE = (16, 96, 96)
BUDGET_BYTES = 50_000_000
"""For the archive's scans: 1,000 of them take twelve times as much, 30 fit."""
BATCHES = 200
"""A little more than the slices of half the budget, which is what is read ahead at a time."""
X_NAME = "scans in the archive"


@dataclass(frozen=True)
class Costs:
    """What one archive costs."""

    survey_s: float
    """The check of all scans, nothing of it known from before, and what the plan needs to know of them."""
    plan_s: float
    start_s: float
    """From the plan to the first batch: every header, the first scans, the first patches."""
    batch_ms: float
    """Processor time of one batch later on, reading scans that are not in memory included."""
    peak_gb: float
    held_gb: float


def measure(setting: Setting) -> Result:
    """Writes the largest archive once; the smaller ones are links to its first scans. One process for each size."""
    folder = setting.work
    for number in range(4):
        write_scan(folder / "labeled", f"labelled {number}", SHAPE, label=True, ending=".nii.gz")
    files = [write_scan(folder / "all", f"scan {n:04d}", SHAPE, ending=".nii.gz").image for n in range(SCANS[-1])]
    costs = []
    for count in SCANS:
        archive = folder / f"archive {count}"
        archive.mkdir()
        for file in files[:count]:
            (archive / file.name).symlink_to(file)
        done = subprocess.run([sys.executable, __file__, str(folder / "labeled"), str(archive)], check=True,
                              capture_output=True, text=True, env={**os.environ, "ALHVR_CACHE": ""})
        costs.append(Costs(**json.loads(done.stdout.splitlines()[-1])))
    return Result(_findings(costs, setting.threads), _series(costs))


def _series(costs: list[Costs]) -> tuple[Series, ...]:
    lines = {"Start of training": ("seconds", {"looking through the archive": [c.survey_s for c in costs],
                                               "plan": [c.plan_s for c in costs],
                                               "first batch": [c.start_s for c in costs]}),
             "Preparing a batch": ("ms of processor time", {"8 slices 96x96": [c.batch_ms for c in costs]}),
             "Memory of training without the networks": (
                 "GB", {"whole process at its peak": [c.peak_gb for c in costs],
                        "scans held (budget 0.05)": [c.held_gb for c in costs]})}
    return tuple(Series(title, label, X_NAME, y_name, tuple(map(float, SCANS)), tuple(y))
                 for title, (y_name, curves) in lines.items() for label, y in curves.items())


def _findings(costs: list[Costs], threads: int) -> tuple[Finding, ...]:
    first, last = costs[0], costs[-1]
    what = f"{SCANS[-1]:,} scans of {'x'.join(map(str, SHAPE))} in the archive"

    def against(unit: str, field: str) -> str:
        return f"{SCANS[0]} scans: {getattr(first, field):.3g} {unit}"

    found = [("Looking through", "survey_s", "s", None), ("First batch,", "start_s", "s", None),
             ("Processor time of preparing a batch,", "batch_ms", "ms", None),
             ("Scans held,", "held_gb", "GB", BUDGET_BYTES / 1e9),
             ("Peak of the process without networks,", "peak_gb", "GB", None)]
    return tuple(Finding(7, f"{title} {what}", float(f"{getattr(last, field):.4g}"), unit, target, threads=threads,
                         detail=against(unit, field)) for title, field, unit, target in found)


def _costs(labeled: Path, archive: Path) -> Costs:
    torch.set_num_threads(1)
    started = time.perf_counter()
    checked = check(Folders(labeled, archive), RunContext())
    found = survey(checked, PlanConfig(), seed=0, reporter=SilentReporter())
    surveyed = time.perf_counter()
    config = PlanConfig(dimensions=2, patch_size=(96, 96), batch_size=8, modality="MR")
    plan = make_plan(list(found.labeled_prints), list(found.unlabeled_prints), config, memory_gb=4)
    planned = time.perf_counter()
    store, batches = _batches(found, plan)
    stream = batches.iterate(0)
    next(stream)
    begun = time.perf_counter()
    _wait_for_readers(store)
    processor, held = time.process_time(), 0
    for _ in range(BATCHES):
        next(stream)
        held = max(held, store.held_bytes)
    _wait_for_readers(store)
    batch_s = (time.process_time() - processor) / BATCHES
    stream.close()
    return Costs(surveyed - started, planned - surveyed, begun - planned, 1000 * batch_s, peak_gb(), held / 1e9)


def _wait_for_readers(store: ScanStore) -> None:
    """Until nothing more has been read for a third of a second."""
    held = -1
    while held != store.held_bytes:
        held = store.held_bytes
        time.sleep(0.3)


def _batches(found: CaseSelection, plan) -> tuple[ScanStore, TwoStreamBatches]:
    """The archive's store, and the batches from it and the labelled one."""
    labeled = ScanStore(found.labeled, plan, LabelDecoder(found.labels), budget_bytes=BUDGET_BYTES,
                        reporter=SilentReporter())
    archive = ScanStore(found.unlabeled, plan, None, budget_bytes=BUDGET_BYTES, reporter=SilentReporter())
    augmenter = Augmenter(AUGMENT, plan.dimensions, plan.patch_size)
    return archive, TwoStreamBatches(labeled, archive, plan, augmenter, 0)


if __name__ == "__main__":
    print(json.dumps(asdict(_costs(Path(sys.argv[1]), Path(sys.argv[2])))))
