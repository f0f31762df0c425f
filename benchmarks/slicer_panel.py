"""How long the panel takes to open, and from the click to the result against `alhvr segment` alone.

    python benchmarks/slicer_panel.py SCAN MODEL [--turns 5]

The module runs on Slicer's real core with stand-ins for its widgets (Testing/slicer_stand_in) and the real engine as
its child; command and click take turns. Results go to benchmarks/results/slicer_panel.json and .md.
Needs `pip install .[slicer]`.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
OPENING = """
import sys, time, pathlib
sys.path[:0] = {folders!r}
from slicer_stand_in.boot import boot
boot(pathlib.Path(sys.argv[1]))
from slicer_stand_in.module_widgets import load_module
import slicer
began = time.perf_counter()
module = load_module(pathlib.Path({module!r}))
loaded = time.perf_counter()
widget = module.widgetRepresentation()
widget.show()
widget.enter()
slicer.app.processEvents()
print(loaded - began, time.perf_counter() - loaded)
"""
MODULE = ROOT / "ALHVRSegmentation" / "ALHVRSegmentation.py"
FOLDERS = [str(ROOT / "Testing" / "support"), str(ROOT / "Testing"), str(MODULE.parent)]


def opening(folder: Path, turns: int) -> dict[str, list[float]]:
    """Seconds to load the module's file and to make and show its panel, each time in a new process."""
    script = folder / "opening.py"
    script.write_text(OPENING.format(folders=FOLDERS, module=str(MODULE)))
    runs = []
    for turn in range(turns):
        command = [sys.executable, script, folder / f"home{turn}"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        runs.append([float(word) for word in done.stdout.split()[-2:]])
    return {"load": [run[0] for run in runs], "show": [run[1] for run in runs]}


def clicks(folder: Path, scan: Path, model: Path, turns: int) -> dict[str, list[float]]:
    """Seconds of the command, and from the click to the result in the scene, in turns."""
    panel, section = _panel(folder, scan, model)
    found: dict[str, list[float]] = {"command": [], "click": []}
    for turn in range(turns):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-m", "alhvr", "segment", scan, "--model", model, "--regions",
                        "--out", folder / f"out{turn}"], capture_output=True, check=True)
        found["command"].append(time.perf_counter() - began)
        panel.parameters.segmentation = None
        began = time.perf_counter()
        section.ui.segmentButton.click()
        _wait(section)
        found["click"].append(time.perf_counter() - began)
        if panel.parameters.segmentation is None:
            raise SystemExit(f"no segmentation: {panel.message}")
    return found


def _panel(folder: Path, scan: Path, model: Path) -> tuple:
    """The panel with scan and model chosen, and its Segment section."""
    sys.path[:0] = FOLDERS
    launcher = folder / "PythonSlicer"
    launcher.write_text(f'#!/bin/sh\n"{sys.executable}" "$@"\nexit $?\n')
    launcher.chmod(0o755)
    os.environ["PATH"] = f"{folder}{os.pathsep}{os.environ['PATH']}"
    from slicer_stand_in.boot import boot

    boot(folder / "home")
    import slicer
    from slicer_stand_in.module_widgets import load_module

    from ALHVRLib import paths
    from ALHVRSegmentationLib.segment.section import SegmentSection

    shutil.copytree(model, paths.models_folder() / "model")
    widget = load_module(MODULE).widgetRepresentation()
    widget.show()
    widget.enter()
    panel = widget.self().panel
    panel.parameters.inputVolume = slicer.util.loadVolume(str(scan))
    panel.parameters.model = "model"
    panel.follow(panel.parameters)
    return panel, panel.section(SegmentSection)


def _wait(section: object) -> None:
    import slicer

    while section.isRunning:
        slicer.app.processEvents()
        time.sleep(0.002)


def report(found: dict[str, dict[str, list[float]]], scan: Path, command: str) -> str:
    """The results for people."""
    opened = [load + show for load, show in zip(found["opening"]["load"], found["opening"]["show"], strict=True)]
    click, alone = (found["clicks"][kind] for kind in ("click", "command"))
    more = [a - b for a, b in zip(click, alone, strict=True)]
    rows = [
        ("module loaded and panel shown, new process", opened),
        ("the command `alhvr segment --regions`", alone),
        ("from the click to segmentation and regions in the scene", click),
        ("the click minus the command, turn by turn", more),
    ]
    lines = [f"| {name} | {statistics.median(v):.2f} | {min(v):.2f} | {max(v):.2f} |" for name, v in rows]
    date = datetime.datetime.now(datetime.UTC).date()
    return "\n".join([
        "# The panel in 3D Slicer", "",
        "On Slicer's real core, with stand-ins for the widgets and the real engine as child process; command and click "
        f"took turns, {len(click)} each, on `{scan.name}`. Seconds.", "",
        "| | median | least | most |", "|---|---|---|---|", *lines, "", f"Command: `{command}`", "",
        f"Machine: {platform.machine()}, cores {os.cpu_count()}, python {platform.python_version()}, date {date}.", ""])


def main() -> None:
    """Measure, write, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scan", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("--turns", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ALHVR-panel-") as name:
        folder = Path(name)
        found = {"opening": opening(folder, options.turns),
                 "clicks": clicks(folder, options.scan, options.model, options.turns)}
    text = report(found, options.scan, f"python benchmarks/slicer_panel.py SCAN MODEL --turns {options.turns}")
    (RESULTS / "slicer_panel.json").write_text(json.dumps(found, indent=1) + "\n")
    (RESULTS / "slicer_panel.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
