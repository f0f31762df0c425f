"""How long a move of the beta slider takes in the Slicer module, at 512 x 512 x 100 voxels with three slice views.

    python benchmarks/slicer_beta.py      (Slicer's core and Qt: pip install .[slicer])

Results go to benchmarks/results/slicer_beta.json and .md. The slider is the panel's own; what it redraws is compared
with the engine's region map voxel by voxel, so that a fast wrong answer does not count.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "Testing" / "support"), str(ROOT / "Testing"), str(ROOT / "ALHVRSegmentation")]

import numpy as np  # noqa: E402
from accuracy import machine  # noqa: E402
from slicer_stand_in.boot import boot  # noqa: E402

SHAPE = (100, 512, 512)
SPACING_MM = (0.7, 0.7, 1.5)
VIEW_SIZES = ((400, 400), (800, 600))
"""Width and height of each of the three slice views in pixels."""
BETAS = tuple(round(0.3 + 0.01 * step, 2) for step in range(60))
TARGET_MS = 50
RESULTS = ROOT / "benchmarks" / "results"
ROWS = {
    "move_ms": "the move itself (regions, numbers in the panel)",
    "draw_ms": "drawing the three views afterwards",
    "both_ms": "both",
    "still_ms": "drawing the three views when nothing changed, for comparison",
}


def smooth_confidences() -> tuple[np.ndarray, np.ndarray]:
    """Two uint16 maps: sure nearly everywhere, less so in the shells of a few balls, as around organs."""
    k, j, i = np.ogrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    generator = np.random.default_rng(5)
    maps = []
    for shift in (0.0, 1.5):
        confidence = 65535 - generator.integers(0, 300, SHAPE, dtype=np.int32)
        for centre, radius in (((50, 250, 250), 90), ((40, 150, 380), 50), ((60, 380, 160), 60)):
            distance = np.sqrt(4.6 * (k - centre[0]) ** 2 + (j - centre[1]) ** 2 + (i - centre[2]) ** 2) - radius
            confidence -= (30000 * np.exp(-(((distance - shift) / 4) ** 2))).astype(np.int32)
        maps.append(np.clip(confidence, 0, 65535).astype(np.uint16))
    return maps[0], maps[1]


def make_world() -> Any:
    """The result in the scene, with the counts that the engine writes."""
    from region_worlds import make_result

    from alhvr.formats.region_tables import GammaCurve, parse_table

    arrays = smooth_confidences()
    world = make_result(ijk_to_ras=np.diag([*SPACING_MM, 1.0]), arrays=arrays)
    table = json.loads(world.node.GetAttribute("ALHVR.RegionTable"))
    counts, levels = GammaCurve(*arrays), parse_table(json.dumps(table)).level
    table["voxels_by_beta"] = {f"{step / 100:.2f}": counts.voxels(level) for step, level in enumerate(levels)}
    world.node.SetAttribute("ALHVR.RegionTable", json.dumps(table))
    return world


def open_panel(world: Any) -> Any:
    """The section of the regions, showing the world in the slice views."""
    import slicer
    from one_section import OneSectionPanel

    from ALHVRSegmentationLib.regions.section import RegionsSection

    panel = OneSectionPanel(ROOT / "ALHVRSegmentation", RegionsSection)
    parameters = panel.follow_new()
    parameters.regions, parameters.showRegions = world.node, True
    slicer.util.setSliceViewerLayers(background=world.node.GetNodeReference("ALHVR.Scan"), fit=True)
    return panel


def slice_views(size: tuple[int, int], turned: bool) -> list[Any]:
    """The three slice views in a size; turned: oblique to the volume."""
    import slicer
    import vtk

    views = [slicer.app.layoutManager()._views()[name] for name in ("Red", "Green", "Yellow")]
    for number, (view, orientation) in enumerate(zip(views, ("Axial", "Coronal", "Sagittal"), strict=True)):
        view.node.SetOrientation(orientation)
        view.window.SetSize(*size)
        view.fit()
        if turned:
            turn = vtk.vtkTransform()
            turn.SetMatrix(view.node.GetSliceToRAS())
            turn.RotateWXYZ(25, 1, number, 0.5)
            view.node.GetSliceToRAS().DeepCopy(turn.GetMatrix())
            view.node.UpdateMatrices()
        view.render()
    return views


def measure_moves(panel: Any, world: Any, views: list[Any]) -> dict:
    """Drag through all betas; milliseconds of each part of a move, the first move apart."""
    handle = panel.shown.ui.betaSlider.findChild("ctkDoubleSlider", "Slider")
    parts: dict[str, list[float]] = {"move_ms": [], "draw_ms": []}
    handle.sliderPressed.emit()
    for beta in BETAS:
        parts["move_ms"].append(timed(lambda value=beta: handle.setValue(value)))
        parts["draw_ms"].append(timed(lambda: [view.render() for view in views]))
    parts["both_ms"] = [sum(pair) for pair in zip(parts["move_ms"], parts["draw_ms"], strict=True)]
    handle.sliderReleased.emit()
    release = timed(panel.shown.finishMove)
    if not np.array_equal(world.shown(), world.engine_regions(BETAS[-1])):
        raise SystemExit("the regions differ from the engine's")
    parts["still_ms"] = [timed(lambda: [view.render() for view in views]) for _ in BETAS]
    found = {name: summary(values) for name, values in parts.items()}
    return {**found, "release_ms": round(release, 1)}


def summary(values: list[float]) -> dict[str, float]:
    """First, and median, 95th percentile and largest of the others, in ms."""
    others = np.array(values[1:])
    numbers = {"first": values[0], "median": np.median(others), "p95": np.percentile(others, 95), "max": others.max()}
    return {name: round(float(number), 1) for name, number in numbers.items()}


def timed(work: Callable[[], object]) -> float:
    """Milliseconds on the clock."""
    start = time.perf_counter()
    work()
    return (time.perf_counter() - start) * 1000


def measure_list(panel: Any) -> float:
    """Seconds from the end of a move to the filled list of places, found on another thread."""
    from one_section import wait_until

    start = time.perf_counter()
    wait_until(lambda: panel.shown.ui.placesTable.rowCount > 0, 120)
    return round(time.perf_counter() - start, 2)


def report(record: dict) -> Iterator[str]:
    """The lines of the .md file."""
    yield "# A move of the beta slider in Slicer\n"
    yield (f"{SHAPE[2]} x {SHAPE[1]} x {SHAPE[0]} voxels, three slice views, {len(BETAS)} moves of 0.01 by the panel's "
           f"own slider; every move rewrites the regions in all visible slices. Wanted: {TARGET_MS} ms. Drawing is by "
           "software (no graphics card), so that it is slower than on a desktop. After the last move the whole volume "
           "was compared with the engine's region map: equal, voxel by voxel.\n")  # fmt: skip
    yield "| views | part | first, ms | median, ms | 95 %, ms | largest, ms |"
    yield "|---|---|---|---|---|---|"
    for name, found in record["views"].items():
        for part, words in ROWS.items():
            numbers = " | ".join(str(found[part][column]) for column in ("first", "median", "p95", "max"))
            yield f"| {name} | {words} | {numbers} |"
    releases = ", ".join(str(found["release_ms"]) for found in record["views"].values())
    yield f"\nThe whole volume on release: {releases} ms. List of the worst places, on another thread: "
    yield f"{record['list_s']} s. Slicer's core: {record['slicer_core']}.\n"
    yield "Command: `python benchmarks/slicer_beta.py`\n"
    yield f"Machine: {', '.join(f'{key} {value}' for key, value in record['machine'].items())}."


def main() -> int:
    """Measures and writes both files."""
    boot(Path(tempfile.mkdtemp()))
    import slicer

    world = make_world()
    panel = open_panel(world)
    version = f"{slicer.app.majorVersion}.{slicer.app.minorVersion}"
    record: dict = {"shape_kji": SHAPE, "moves": len(BETAS), "slicer_core": version, "views": {}}
    for size in VIEW_SIZES:
        for turned in (False, True):
            name = f"{size[0]} x {size[1]}{', oblique' if turned else ''}"
            record["views"][name] = measure_moves(panel, world, slice_views(size, turned))
    record["list_s"] = measure_list(panel)
    record["machine"] = {**machine(), "load": " ".join(f"{load:.1f}" for load in os.getloadavg())}
    panel.close()
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "slicer_beta.json").write_text(json.dumps(record, indent=1) + "\n")
    (RESULTS / "slicer_beta.md").write_text("\n".join(report(record)) + "\n")
    print("\n".join(report(record)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
