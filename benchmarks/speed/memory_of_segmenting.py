"""Point 5: peak memory of segmenting a large scan, 5 classes, against what may be taken and what was forecast.

    python benchmarks/speed memory_of_segmenting                           512x512x300, into the written report
    python benchmarks/speed/memory_of_segmenting.py --backend torch --plan 2-D --real --threads 2 --folder /scratch

Each run is a process of its own: a model folder with untrained U-Nets, a generated int16 scan in a NIfTI file, the
engine's own way from reading to written results, largest component on. Where --real does not ask for all, the networks
run on one batch in 20 and the windows do not overlap: that changes the time, not the memory. What the networks say is
replaced by classes painted by intensity, so that masks look like masks and the work after the networks is that of real
ones.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from memory_use import peak_gb, resident_gb
from painted import CT, LABELS, PaintedBackend, write_scan
from records import Finding, Result, Setting

from alhvr.bundle.model import InferenceSettings, ModelDescription, NetworkSpec, read_model, write_model
from alhvr.data.plan import Plan
from alhvr.data.reading import probe, read_scan
from alhvr.export.volumes import write_region_maps, write_segmentation
from alhvr.inference.backends import choose_backend
from alhvr.inference.predictor import Predictor

FINE = "3-D fine"
PLANS = {
    "2-D": Plan(2, "unet", (1.0, 1.0, 1.0), None, (256, 256), 8, 4, "CT", CT),
    "3-D": Plan(3, "unet", (1.0, 1.0, 1.0), None, (96, 96, 96), 2, 1, "CT", CT),
    FINE: Plan(3, "unet", (0.6, 0.6, 0.6), None, (96, 96, 96), 2, 1, "CT", CT),
}
"""In-plane coarser than the scan; isotropic with more planes than the scan; isotropic and finer in every axis."""
SIZE = "512x512x300"
TARGET_GB = 4.0
EVERY = 20
"""The networks see the first batch and then one in so many, where they are not run on all."""
LARGEST_RATIO = 1.15
"""Wanted at most of the forecast to the peak."""
THREADS = (1,)
HEADER = ("scan", "plan", "regions", "backend", "batches", "GB before", "peak GB", "forecast GB", "forecast against",
          "seconds", "processor time besides the networks")
REMARK = """Segmenting a large scan: `alhvr segment`'s own way from the file to the written results, in a process of its
own, Python and its libraries included; five classes, untrained U-Nets of the usual size, an int16 scan in a NIfTI file,
the backend that the engine chooses. The networks run on one batch in {every} and the windows lie side by side, which
changes the time and not the memory; classes are painted by intensity. The forecast is what the engine knows from the
header alone and refuses a scan by, here with what the process held before."""


@dataclass(frozen=True)
class Case:
    """One run."""

    size: str
    plan: str
    regions: bool
    backend: str
    threads: int
    every: int
    """The networks see the first batch and then one in so many; 1: all of them."""


@dataclass(frozen=True)
class Found:
    """What one run took."""

    before_gb: float
    """With the networks loaded, before the scan is read."""
    peak_gb: float
    forecast_gb: float
    """Of the whole process: the forecast, and what it held before."""
    seconds: float
    """Of segmenting."""
    networks_s: float
    """Processor time in the networks."""
    besides_s: float
    """Processor time of segmenting in everything else but the painting."""

    @property
    def ratio(self) -> float:
        """The forecast against the peak; both of the whole process."""
        return self.forecast_gb / self.peak_gb


def measure(setting: Setting) -> Result:
    """Every plan, without and with regions."""
    return result([Case(SIZE, plan, regions, "auto", setting.threads, EVERY) for plan in PLANS
                   for regions in (False, True)], TARGET_GB, setting)


def result(wanted: Sequence[Case], target_gb: float, setting: Setting) -> Result:
    """The peak of every case, and how far the forecast is from it at most."""
    runs = {case: in_child(case, setting.work) for case in wanted}
    findings = [_peak(case, found, target_gb) for case, found in runs.items()]
    what = f"Memory forecast of segmenting {wanted[0].size}"
    ratios = {case: found.ratio for case, found in runs.items()}
    highest = max(ratios, key=ratios.get)
    findings += [
        Finding(5, f"{what} against the peak, lowest", round(min(ratios.values()), 3), "x", 1.0, at_least=True,
                threads=setting.threads, detail="of all rows above: never below what a run takes"),
        Finding(5, f"{what} against the peak, highest", round(ratios[highest], 3), "x", LARGEST_RATIO,
                threads=setting.threads, detail=f"{_name(highest)}; reading counts as twice the scan, which NRRD takes "
                                                "and NIfTI does not")]
    return Result(tuple(findings), remarks=(" ".join(REMARK.format(every=wanted[0].every).split()),))


def _name(case: Case) -> str:
    return f"{case.plan}{', with regions' * case.regions}"


def _peak(case: Case, found: Found, target_gb: float) -> Finding:
    what = f"Segmenting {case.size}, {_name(case)}: peak"
    return Finding(5, what, round(found.peak_gb, 2), "GB", target_gb, threads=case.threads,
                   detail=f"forecast {found.forecast_gb:.2f} GB; {found.before_gb:.2f} GB were there before the scan "
                          "was read")


def write_model_folder(folder: Path, plan: Plan) -> Path:
    """A model with untrained networks of the usual size."""
    import torch

    from alhvr.networks.group import NetworkGroup
    from alhvr.networks.onnx_export import export_networks

    torch.manual_seed(0)
    networks = NetworkGroup(plan.network, plan.dimensions, LABELS.n_classes).eval()
    about = ModelDescription("memory", plan, LABELS, NetworkSpec(plan.network, plan.dimensions, LABELS.n_classes),
                             InferenceSettings(largest_component=True))
    write_model(folder, about, {name: network.state_dict() for name, network in networks.items()},
                export_networks(networks))
    return folder


def run(case: Case, folder: Path) -> Found:
    """The child: segments one scan and writes its results."""
    backend = choose_backend(read_model(folder / case.plan), backend=case.backend, device="cpu", threads=case.threads)
    painted = PaintedBackend(backend, case.every)
    overlap = InferenceSettings.window_overlap if case.every == 1 else 0.0
    settings = InferenceSettings(largest_component=True, window_overlap=overlap)
    predictor = Predictor(painted, PLANS[case.plan], LABELS, settings)
    path = scan_file(folder, case.size)
    before = resident_gb()
    header = probe(path)
    forecast = predictor.forecast(header.geometry, regions=case.regions, voxel_bytes=header.voxel_bytes).total / 1e9
    scan = read_scan(path)
    started, started_cpu = time.monotonic(), time.process_time()
    found = predictor.segment(scan, regions=case.regions)
    seconds, cpu = time.monotonic() - started, time.process_time() - started_cpu
    del scan  # as alhvr segment drops it before it writes
    write_segmentation(folder / "out.seg.nrrd", found.segmentation)
    if found.regions is not None:
        write_region_maps(folder, "out", found.regions)
    peak = peak_gb()
    shares = sum(np.bincount(plane.ravel(), minlength=LABELS.n_classes) for plane in found.segmentation.array)
    if (shares == 0).any():
        raise RuntimeError(f"A class is missing: {shares}.")
    return Found(before, peak, before + forecast, seconds, painted.networks_s,
                 cpu - painted.networks_s - painted.painting_s)


def scan_file(folder: Path, size: str) -> Path:
    """The scan of this size."""
    return folder / f"{size}.nii"


def cases(options: argparse.Namespace) -> Iterable[Case]:
    """Every run that was asked for."""
    for plan in [options.plan] if options.plan else PLANS:
        for regions in (False, True):
            yield Case(SIZE, plan, regions, options.backend, options.threads, 1 if options.real else EVERY)


def main() -> int:
    """Makes the model folders and scans, runs every case in a process of its own, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plan", choices=PLANS, help="only this one")
    parser.add_argument("--backend", default="auto", help="of alhvr segment")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--real", action="store_true", help="run the networks on every window")
    parser.add_argument("--folder", type=Path, help="for scans and results; a temporary one otherwise")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case:
        print(json.dumps(asdict(run(Case(**json.loads(options.case)), options.folder))))
        return 0
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="alhvr-memory-") as folder:
        print(" | ".join(HEADER))
        for case in cases(options):
            print(" | ".join(row(case, in_child(case, Path(folder)))), flush=True)
    return 0


def in_child(case: Case, folder: Path) -> Found:
    """What a process of its own finds; makes the scan and the model where they are not there yet."""
    if not (folder / case.plan).exists():
        write_model_folder(folder / case.plan, PLANS[case.plan])
    if not scan_file(folder, case.size).exists():
        write_scan(scan_file(folder, case.size), tuple(int(n) for n in case.size.split("x")))
    environment = {**os.environ, "OMP_NUM_THREADS": str(case.threads)}
    done = subprocess.run([sys.executable, __file__, "--folder", str(folder), "--case", json.dumps(asdict(case))],
                          env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    return Found(**json.loads(done.stdout.splitlines()[-1]))


def row(case: Case, found: Found) -> list[str]:
    """One line of the table."""
    return [case.size, case.plan, "yes" if case.regions else "no", case.backend,
            "all" if case.every == 1 else f"1 in {case.every}", f"{found.before_gb:.2f}", f"{found.peak_gb:.2f}",
            f"{found.forecast_gb:.2f}", f"{found.ratio - 1:+.0%}", f"{found.seconds:.0f}",
            f"{found.besides_s:.1f} s" + ("" if case.every > 1 else f" = {found.besides_s / found.networks_s:.1%}")]


if __name__ == "__main__":
    sys.exit(main())
