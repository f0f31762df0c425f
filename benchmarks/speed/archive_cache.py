"""Point 5: prepared scans in memory stay within their budget while an archive ten times as large goes by."""

from __future__ import annotations

import torch
from memory_use import resident_gb, watched
from records import Finding, Result, Setting
from scans import LABELS, plan_for, write_scan
from steps import AUGMENT

from alhvr.core.progress import SilentReporter
from alhvr.data.augment import Augmenter
from alhvr.data.batches import TwoStreamBatches
from alhvr.data.case_io import LabelDecoder
from alhvr.data.cases import Case
from alhvr.data.store import ScanStore

THREADS = (1,)
BUDGET_BYTES = 120_000_000
SHAPE = (48, 160, 160)
DISTINCT = 10
PLANS = {"3-D, crops": plan_for((48, 64, 48), network="vnet", batch_size=4),
         "2-D, slices": plan_for((128, 128), batch_size=8)}


def measure(setting: Setting) -> Result:
    """A whole epoch of the archive in 3-D, and a part of it in 2-D, where there are more slices than minutes."""
    torch.set_num_threads(setting.threads)
    labeled = [write_scan(setting.work, f"labelled {n}", SHAPE, label=True) for n in range(2)]
    written = [write_scan(setting.work, f"scan {n}", SHAPE) for n in range(DISTINCT)]
    size = 4 * SHAPE[0] * SHAPE[1] * SHAPE[2]
    count = -(-10 * BUDGET_BYTES // size)
    archive = [_again(written[n % DISTINCT], n) for n in range(count)]
    findings = []
    for title, plan in PLANS.items():
        stores = [ScanStore(cases, plan, names, budget_bytes=BUDGET_BYTES, reporter=SilentReporter())
                  for cases, names in ((labeled, LabelDecoder(LABELS)), (archive, None))]
        batches = TwoStreamBatches(*stores, plan, Augmenter(AUGMENT, plan.dimensions, plan.patch_size), 0)
        steps = 2 * count if plan.dimensions == 3 else count
        findings += _watch(title, batches, stores, steps, count * size)
    return Result(tuple(findings))


def _watch(title: str, batches: TwoStreamBatches, stores: list[ScanStore], steps: int, archive_bytes: int,
           ) -> list[Finding]:
    """Takes ``steps`` batches and looks a hundred times a second at what is held."""
    stream, before = batches.iterate(0), resident_gb()
    with watched(lambda: stores[1].held_bytes / 1e9, resident_gb) as most:
        for _ in range(steps):
            next(stream)
    stream.close()
    held, resident = most
    return [
        Finding(5, f"Scans held of an archive of {archive_bytes / 1e9:.2f} GB, {title}", round(held, 4), "GB",
                BUDGET_BYTES / 1e9, threads=1, detail=f"{steps} batches"),
        Finding(5, f"The process grew meanwhile by, {title}", round(resident - before, 3), "GB",
                threads=1, detail="the labelled scans, those being read, and batches on their way included"),
    ]


def _again(case: Case, number: int) -> Case:
    """The same file under another name: to the store it is another scan."""
    return Case(f"{case.name} {number}", case.image, None)
