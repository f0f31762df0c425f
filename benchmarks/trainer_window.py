"""The trainer's window on a long run: processor milliseconds to draw a metrics event, memory while a day is replayed.

    python benchmarks/trainer_window.py [--events 100000]

Runs the section Training on the stand-in for Slicer (pip install .[slicer]); drawing is what the module does, up to
the nodes that the plot view shows. Results go to benchmarks/results/trainer_window.json.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / name) for name in ("Testing/support", "Testing", "ALHVRSegmentation", "ALHVRTrainer", ".")]
EVENTS_A_VALIDATION = 2000
LIVE_EVENTS = 60


def main() -> int:
    """Measure, and write what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=100_000)
    n_events = parser.parse_args().events
    with tempfile.TemporaryDirectory() as made:
        found = measured(Path(made), n_events)
    (ROOT / "benchmarks" / "results" / "trainer_window.json").write_text(json.dumps(found, indent=1) + "\n")
    sys.stdout.write(json.dumps(found, indent=1) + "\n")
    return 0


def measured(folder: Path, n_events: int) -> dict[str, Any]:
    """A day is written, read by a window that comes later, and then goes on for some events."""
    from slicer_stand_in.boot import boot

    boot(folder / "slicer")
    import slicer
    from slicer_stand_in.module_widgets import load_module, unload_module

    run = written_project(folder / "project", n_events)
    module = load_module(ROOT / "ALHVRTrainer" / "ALHVRTrainer.py")
    representation = module.widgetRepresentation()
    representation.show()
    representation.enter()
    widget = representation.self()
    before = memory_mb()
    widget.logic.session.open(run.parents[1])
    section = training_section(widget)
    ticks, at_half = replayed(section, n_events)
    after = memory_mb()
    live = [drawn_event(section, run, n_events + number) for number in range(LIVE_EVENTS)]
    points = [len(curve) for arm in section.control.reader.arms.values()
              for curve in (*arm.losses.values(), *arm.regions.values(), *arm.dice.values())]
    unload_module(module.name)
    slicer.app.processEvents()
    return {"events": n_events, "replay_s": round(sum(ticks) / 1000, 2), "first_tick_ms": round(ticks[0], 1),
            "longest_later_tick_ms": round(max(ticks[1:]), 1),
            "event_ms_median": round(statistics.median(live), 2), "event_ms_max": round(max(live), 2),
            "memory_mb": {"before": before, "half": at_half, "after": after, "after_live_events": memory_mb()},
            "most_points_of_a_curve": max(points)}


def written_project(folder: Path, n_events: int) -> Path:
    """A project whose run has that many events in its second training."""
    from run_worlds import dice_line, losses_line, write_heartbeat, write_lines, write_run

    from alhvr.formats.project import create_project

    create_project(folder, "day")
    run = write_run(folder / "runs" / "1")
    each_s = 24 * 3600 / n_events
    lines = (losses_line(step, each_s * step) if step % EVENTS_A_VALIDATION else
             dice_line(step, each_s * step, 0.9 - 0.5 / (1 + step / n_events)) for step in range(1, n_events + 1))
    write_lines(run / "archive" / "metrics.jsonl", lines)
    progress = ({"event": "progress", "stage": "training (seconds)", "done": step, "total": n_events,
                 "seconds_left": 1.0} for step in range(n_events))
    write_lines(run / "events.jsonl", progress, "a")
    write_heartbeat(run, "running", elapsed_s=24 * 3600.0)
    return run


def training_section(widget: Any) -> Any:
    from ALHVRTrainerLib.training.section import TrainingSection

    section = widget.panel.section(TrainingSection)
    section.frame.collapsed = False
    return section


def replayed(section: Any, n_events: int) -> tuple[list[float], float]:
    """Milliseconds of every look until all was read, and the memory when half was."""
    ticks, half = [], 0.0
    while section.control.reader.curves.iteration < n_events - 1:
        ticks.append(timed_ms(section.control._follower.tick))
        if not half and section.control.reader.curves.iteration > n_events / 2:
            half = memory_mb()
    return ticks, half


def drawn_event(section: Any, run: Path, step: int) -> float:
    """Milliseconds from a new line in the file to the nodes that show it; every second one is a validation."""
    from run_worlds import dice_line, losses_line, write_lines

    line = dice_line(step, 24 * 3600.0 + step, 0.8) if step % 2 else losses_line(step, 24 * 3600.0 + step)
    write_lines(run / "archive" / "metrics.jsonl", [line], "a")
    section.ui.chartBox.currentIndex = 0 if step % 2 else 1
    section._drawnAt.invalidate()
    return timed_ms(section.control._follower.tick)


def timed_ms(action: Any) -> float:
    began_at = time.process_time()
    action()
    return 1000 * (time.process_time() - began_at)


def memory_mb() -> float:
    """What this process has in memory now."""
    with open("/proc/self/statm") as file:
        return round(int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6, 1)


if __name__ == "__main__":
    sys.exit(main())
