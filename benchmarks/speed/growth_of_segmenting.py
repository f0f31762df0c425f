"""Point 7: seconds and memory of ``alhvr segment`` against the size of the scan, each run in a process of its own.

A 2-D model whose windows are slices of any size from 64x64, run with onnxruntime, which every installation has.
Draws benchmarks/results/speed_growth_segmenting.png, both axes of time logarithmic, so that growth in proportion to
the voxels is a line of slope one. With ALHVR_SPEED_LONG=1 in the environment also 512x512x300.
"""

from __future__ import annotations

import os
from math import prod
from pathlib import Path
from typing import Any

from ready_models import SMALL_SLICES, make_model
from records import RESULTS, Finding, Result, Setting
from scans import write_scan
from segment_process import Stamps, segment_in_process

from alhvr.inference.predictor import BATCH_PIXELS

THREADS = (2,)
BACKEND = "onnxruntime"
SLICES, SIDE = 50, 128
"""Slices of the scans that differ in side, and side of those that differ in slices."""
BY_SIDE = tuple((SLICES, side, side) for side in (64, 128, 256, 512))
BY_SLICES = tuple((slices, SIDE, SIDE) for slices in (50, 100, 200, 500, 1000))
LONG = ((300, 512, 512),)
STANDARD = "segmentation"
WAYS = {STANDARD: (), "with regions": ("--regions",)}
ROWS = {f"64x64 to 512x512, {SLICES} slices": BY_SIDE, f"{SIDE}x{SIDE}, 50 to 1,000 slices": BY_SLICES}
REMARK = f"""Growth of segmenting: the whole command in a process of its own, start and writing included, one run for
each size, with a 2-D model (two U-Nets, four classes), {BACKEND}, int16 scans on their own grid."""
PICTURE = "speed_growth_segmenting.png"
SHOWN = f"![Seconds and memory of segmenting against the size of the scan]({PICTURE})"

Shape = tuple[int, int, int]
Runs = dict[str, dict[Shape, Stamps]]
"""By way and size."""


def measure(setting: Setting) -> Result:
    """Every size once, without and with region maps; and what a million voxels more cost in each row of sizes."""
    model = make_model(SMALL_SLICES, setting.work)
    shapes = dict.fromkeys((*BY_SIDE, *BY_SLICES, *(LONG if os.environ.get("ALHVR_SPEED_LONG") else ())))
    runs: Runs = {way: {} for way in WAYS}
    for shape in shapes:
        scan = write_scan(setting.work, f"scan {_name(shape)}", shape).image
        for way, options in WAYS.items():
            runs[way][shape] = segment_in_process(model, scan, "--backend", BACKEND, *options,
                                                  threads=setting.threads)
        scan.unlink()
    draw(runs, RESULTS / PICTURE)
    findings = [_single(shape, runs, setting.threads) for shape in shapes]
    findings += [finding for row in ROWS for way in WAYS for finding in _growth(row, way, runs[way], setting.threads)]
    return Result(tuple(findings), remarks=(" ".join(REMARK.split()), SHOWN))


def draw(runs: Runs, file: Path) -> None:
    """Seconds and peak memory against million voxels, one line for each row of sizes and way."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (time_axis, memory_axis) = pyplot.subplots(1, 2, figsize=(11, 4.4))
    for row, colour, marker in zip(ROWS, ("#0072b2", "#d55e00"), "os", strict=True):
        for way, style in zip(WAYS, ("-", "--"), strict=True):
            look = {"color": colour, "marker": marker, "linestyle": style, "label": f"{row}, {way}"}
            found = [runs[way][shape] for shape in ROWS[row]]
            voxels = [prod(shape) / 1e6 for shape in ROWS[row]]
            time_axis.plot(voxels, [stamps.total_s for stamps in found], **look)
            memory_axis.plot(voxels, [stamps.peak_gb for stamps in found], **look)
    time_axis.set_yscale("log")
    _finish(time_axis, "seconds, the whole command")
    memory_axis.set_ylim(0)
    _finish(memory_axis, "peak memory of the process, GB")
    time_axis.legend(fontsize=8)
    figure.suptitle(f"alhvr segment with two 2-D U-Nets, four classes, {BACKEND}", fontsize=11)
    figure.tight_layout()
    figure.savefig(file, dpi=110)
    pyplot.close(figure)


def _finish(axis: Any, y_name: str) -> None:
    """Names, grid, and plain numbers instead of powers of ten."""
    axis.set_xscale("log")
    for side in (axis.xaxis, axis.yaxis):
        side.set_major_formatter("{x:g}")
    axis.set_xlabel("size of the scan, million voxels")
    axis.set_ylabel(y_name)
    axis.grid(which="both", alpha=0.25)


def _growth(row: str, way: str, runs: dict[Shape, Stamps], threads: int) -> list[Finding]:
    """From the smallest scan that fills the batches of the networks to the largest."""
    shapes = [shape for shape in ROWS[row] if prod(shape) >= BATCH_PIXELS]
    first, last = runs[shapes[0]], runs[shapes[-1]]
    voxels = (prod(shapes[-1]) - prod(shapes[0])) / 1e6
    what = f"A million voxels more, {way}, {_name(shapes[0])} to {_name(shapes[-1])}"
    seconds, processor = (last.total_s - first.total_s) / voxels, (last.cpu_s - first.cpu_s) / voxels
    memory = 1000 * (last.peak_gb - first.peak_gb) / voxels
    return [
        Finding(7, f"{what}: time", round(seconds, 3), "s", threads=threads,
                detail=f"{first.total_s:.1f} to {last.total_s:.1f} s; processor time {processor:.2f} s"),
        Finding(7, f"{what}: peak memory", round(memory, 2), "MB", threads=threads,
                detail=f"{1000 * first.peak_gb:.0f} to {1000 * last.peak_gb:.0f} MB"),
    ]


def _single(shape: Shape, runs: Runs, threads: int) -> Finding:
    plain, *others = (runs[way][shape] for way in WAYS)
    detail = f"peak memory {plain.peak_gb:.2f} GB, inside the networks {plain.networks_s:.1f} s"
    for way, stamps in zip(list(WAYS)[1:], others, strict=True):
        detail += f"; {way} {stamps.total_s:.1f} s, {stamps.peak_gb:.2f} GB"
    return Finding(7, f"Segmenting {_name(shape)}", round(plain.total_s, 2), "s", threads=threads, detail=detail)


def _name(shape: Shape) -> str:
    slices, rows, columns = shape
    return f"{columns}x{rows}x{slices}"
