"""A thousand generated scans examined twice: seconds and memory of the first and of the second check, by workers.

    python benchmarks/check_archive.py [--scans 1000]

Results go to benchmarks/results/check_archive.json and .md. Each check is a process of its own, with a cache that the
first one finds empty; its memory is that of the process and its workers together.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
import SimpleITK as sitk

from alhvr.checking import examine as examining
from alhvr.checking.cache import FOLDER_VARIABLE
from alhvr.checking.context import RunContext
from alhvr.data.cases import find_cases

SHAPE = (24, 80, 80)
KINDS = 20
"""Different scans; the others are these, shifted, so that no two are the same."""
WORKERS = (1, 2)
POLL_S = 0.02


def write_archive(folder: Path, n_scans: int) -> None:
    """``n_scans`` smooth scans int16, packed, none like another; settled a minute ago, as an archive is."""
    from scipy import ndimage  # here, because what is measured needs none of it

    rng = np.random.default_rng(0)
    kinds = [ndimage.gaussian_filter(rng.normal(0, 1, SHAPE), 3) * 4000 + rng.normal(100, 4, SHAPE)
             for _ in range(KINDS)]
    folder.mkdir()
    for number in range(n_scans):
        array = np.roll(kinds[number % KINDS], number // KINDS, axis=2).astype(np.int16)
        image = sitk.GetImageFromArray(array)
        image.SetSpacing((1.0, 1.0, 3.0))
        path = folder / f"scan{number:04d}.nii.gz"
        sitk.WriteImage(image, str(path))
        settled = time.time() - 60
        os.utime(path, (settled, settled))


def check_once(folder: Path, workers: int) -> None:
    """In a process of its own: examines all scans with as many workers, and prints what it took."""
    examining.free_cores = lambda: workers
    began = time.monotonic()
    cases = [("unlabeled", case) for case in find_cases(folder, labeled=False).cases]
    facts = examining.examine(cases, not_annotated=255, context=RunContext())
    sys.stdout.write(json.dumps({"seconds": time.monotonic() - began, "scans": len(facts),
                                 "known": sum(f.known for f in facts), "usable": sum(f.usable for f in facts)}) + "\n")


def measure(folder: Path, workers: int, cache: Path) -> dict:
    """What one check took, with the most memory that it and its workers held at a time."""
    command = [sys.executable, __file__, "--once", str(folder), "--workers", str(workers)]
    environment = {**os.environ, FOLDER_VARIABLE: str(cache), "OMP_NUM_THREADS": "1"}
    began, peak = time.monotonic(), 0
    program = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    process = psutil.Process(program.pid)
    while program.poll() is None:
        peak = max(peak, family_bytes(process))
        time.sleep(POLL_S)
    found = json.loads(program.stdout.read())
    return {**found, "seconds_with_start": time.monotonic() - began, "peak_mb": peak / 1e6}


def family_bytes(process: psutil.Process) -> int:
    """Memory of a process and its children; what they share counts for each."""
    total = 0
    try:
        for member in (process, *process.children(recursive=True)):
            total += member.memory_info().rss
    except psutil.NoSuchProcess:
        pass
    return total


def measure_all(n_scans: int) -> dict:
    """First and second check by number of workers, and the check of a copy under other names."""
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "archive"
        write_archive(folder, n_scans)
        n_bytes = sum(path.stat().st_size for path in folder.iterdir())
        for workers in WORKERS:
            cache = Path(name) / f"cache{workers}"
            for which in ("first", "second"):
                rows.append({"check": which, "workers": workers, **measure(folder, workers, cache)})
        copy = Path(name) / "copy"
        shutil.copytree(folder, copy)
        for number, path in enumerate(sorted(copy.iterdir())):
            path.rename(copy / f"other{number}.nii.gz")
        rows.append({"check": "copy under other names", "workers": WORKERS[-1], **measure(copy, WORKERS[-1], cache)})
        kept = sum(path.stat().st_size for path in cache.rglob("*") if path.is_file())
    return {"scans": n_scans, "shape_kji": SHAPE, "archive_mb": n_bytes / 1e6, "cache_mb": kept / 1e6, "checks": rows}


def report(found: dict) -> str:
    size = " x ".join(str(n) for n in reversed(found["shape_kji"]))
    lines = [
        "# Checking an archive", "",
        f"{found['scans']} generated scans of {size} voxels, {found['archive_mb']:.0f} MB packed. Examining reads "
        "each, measures it and draws a thumbnail; what it found out is kept under the digest of the files.", "",
        "| check | workers | seconds | for each scan, ms | peak memory, MB | known before |",
        "|---|---|---|---|---|---|"]
    for row in found["checks"]:
        lines.append(f"| {row['check']} | {row['workers']} | {row['seconds']:.1f} | "
                     f"{1000 * row['seconds'] / row['scans']:.1f} | {row['peak_mb']:.0f} | {row['known']} |")
    lines += [
        "", "Seconds are without the start of Python and its libraries. Memory is that of the process and its workers "
        "together; libraries that they share are counted for each. "
        f"The cache took {found['cache_mb']:.1f} MB.", "",
        f"While this was measured, {found['busy_cores']:.1f} of {found['machine']['cores']} cores were busy with other "
        "work.", "",
        f"Command: `{found['command']}`", "",
        "Machine: " + ", ".join(f"{name} {value}" for name, value in found["machine"].items()) + ".", ""]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scans", type=int, default=1000)
    parser.add_argument("--once", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--workers", type=int, default=1, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.once:
        check_once(options.once, options.workers)
        return
    from accuracy import HERE, machine

    busy = psutil.cpu_percent(interval=3) / 100 * (psutil.cpu_count() or 1)
    found = {**measure_all(options.scans), "busy_cores": busy, "machine": machine(),
             "command": f"python benchmarks/check_archive.py --scans {options.scans}"}
    results = HERE / "results"
    (results / "check_archive.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    (results / "check_archive.md").write_text(report(found), encoding="utf-8")


if __name__ == "__main__":
    main()
