"""For tests of the trainer's window: run folders as the engine writes them, without a training."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from alhvr.core.process import start_of

STRUCTURES = ("liver", "spleen")
DICE = (0.21, 0.54, 0.60, 0.63, 0.64)
"""Of a training on three hearts."""


def write_heartbeat(run: Path, state: str, *, pid: int | None = None, **changes: Any) -> None:
    """Heartbeat of this process, or of another; ``changes`` replace its entries."""
    pid = os.getpid() if pid is None else pid
    beat = {"pid": pid, "start": start_of(pid), "host": socket.gethostname(), "beat": 7, "state": state,
            "arm": "archive", "message": "", "hint": "", "elapsed_s": 0.0, **changes}
    (run / "heartbeat.json").write_text(json.dumps(beat))


def losses_line(step: int, elapsed_s: float) -> dict[str, Any]:
    """What the engine tells of one step."""
    fall = 2.0 / (1 + step / 100)
    return {"iteration": step, "losses": {"supervised_ce": 0.3 * fall, "supervised_dice": 0.7 * fall,
                                          "prototype_ce": 2.8, "unsupervised": 3.1, "total": fall},
            "weight": 0.1, "learning_rate": 0.01, "gamma": 0.9,
            "regions": {"reliable_stable": 0.9, "reliable_unstable": 0.06, "unreliable_stable": 0.04},
            "elapsed_s": elapsed_s}


def dice_line(step: int, elapsed_s: float, mean: float) -> dict[str, Any]:
    """What the engine tells of one validation."""
    dice = {name: round(mean + offset, 4) for name, offset in zip(STRUCTURES, (0.05, -0.05), strict=True)}
    return {"iteration": step, "dice": dice, "mean_dice": mean, "best_iteration": step, "elapsed_s": elapsed_s}


def metrics_of(dice: Iterable[float] = DICE, *, minutes_each: float = 4.0, steps_each: int = 20) -> list[dict]:
    """Metrics of a training with these validations."""
    lines = []
    for number, mean in enumerate(dice):
        for step in range(1, steps_each + 1):
            at = number + step / steps_each
            lines.append(losses_line(int(at * 100), 60 * minutes_each * at))
        lines.append(dice_line(100 * (number + 1), 60 * minutes_each * (number + 1), mean))
    return lines


def write_lines(path: Path, lines: Iterable[dict], mode: str = "w") -> Path:
    """JSON lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open(mode) as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)
    return path


def write_run(run: Path, state: str = "running", *, arms: tuple[str, ...] = ("labels-only", "archive"),
              **heartbeat: Any) -> Path:
    """A comparison that is at its last arm, with curves; by default this process is the one that trains."""
    run.mkdir(parents=True, exist_ok=True)
    (run / "compare.json").write_text(json.dumps({"format": "alhvr comparison 1", "arms": list(arms)}))
    for arm in arms:
        lower = 0.04 if arm == "labels-only" else 0.0
        write_lines(run / arm / "metrics.jsonl", metrics_of([mean - lower for mean in DICE]))
    write_lines(run / "events.jsonl", [
        {"event": "child", "pid": heartbeat.get("pid", os.getpid()), "start": start_of(heartbeat.get("pid",
                                                                                                      os.getpid()))},
        {"event": "note", "message": "The computer does not go to sleep by itself while this runs."},
        {"event": "progress", "stage": "training (seconds)", "done": 1200, "total": 3600, "seconds_left": 2400.0},
        *([] if state == "running" else [{"event": "ended", "code": 130}])])
    write_heartbeat(run, state, arm=arms[-1], **{"elapsed_s": 1200.0, **heartbeat})
    return run


def write_preview(run: Path, iteration: int, image: Path, *, arm: str = "archive", grow: int = 0) -> Path:
    """Previews of a held-out case, whose file is given, and of the same file as a scan of the archive."""
    import SimpleITK

    folder = run / arm / "previews" / f"{iteration:08d}"
    folder.mkdir(parents=True, exist_ok=True)
    scan = SimpleITK.ReadImage(str(image))
    label = np.zeros(SimpleITK.GetArrayFromImage(scan).shape, np.uint8)
    label[:, 6:20 + grow, 6:14] = 1
    label[:, 6:20 + grow, 14:22] = 3
    regions = np.where(label > 0, 1, 1).astype(np.uint8)
    regions[:, 5:8], regions[:, :, 13:15] = 2, 3
    cases = []
    for name, role in (("case0", "held-out"), ("scan1", "archive")):
        files = {"segmentation": f"{name}.seg.nrrd", "regions": f"{name}.regions.nrrd"}
        for kind, array in (("segmentation", label), ("regions", regions)):
            made = SimpleITK.GetImageFromArray(array)
            made.CopyInformation(scan)
            if kind == "segmentation":
                for number, (value, title) in enumerate(((1, "liver"), (3, "spleen"))):
                    made.SetMetaData(f"Segment{number}_LabelValue", str(value))
                    made.SetMetaData(f"Segment{number}_Name", title)
            SimpleITK.WriteImage(made, str(folder / files[kind]))
        cases.append({"name": name, "role": role, "image": str(image), **files})
    (folder / "preview.json").write_text(json.dumps({"iteration": iteration, "elapsed_s": 2.4 * iteration,
                                                     "cases": cases}))
    return folder


def write_outcome(run: Path, **changes: Any) -> Path:
    """An outcome of two held-out cases on which the archive helped a little."""
    arms = ("labels-only", "archive")
    cases = [{"case": f"case{number}", "patient": f"p{number}",
              "scores": {arm: {name: {"dice": dice + 0.1 * number, "hd95_mm": 4.2, "missed": False} for name, dice in
                               zip(STRUCTURES, (0.7 + 0.04 * better, 0.6 + 0.03 * better), strict=True)}
                         for better, arm in enumerate(arms)},
              "segmentations": {arm: f"held-out/{arm}/case{number}.seg.nrrd" for arm in arms}} for number in range(2)]
    means = {arm: {"dice": {"liver": 0.75 + 0.04 * better, "spleen": 0.65 + 0.03 * better},
                   "hd95_mm": {"liver": 4.2, "spleen": None}, "hd95_missed": {"liver": 1, "spleen": 2},
                   "mean_dice": 0.7 + 0.035 * better, "minutes": 20.0, "iterations": 500, "best_iteration": 400,
                   "is_done": True, "model": f"{arm}/model"} for better, arm in enumerate(arms)}
    values = {"format": "alhvr outcome 1", "structures": list(STRUCTURES), "cases": cases, "arms": means,
              "change": {"of": "archive", "from": "labels-only", "dice": 0.035, "low": 0.01, "high": 0.06,
                         "by_structure": {"liver": {"dice": 0.04, "low": 0.01, "high": 0.07},
                                          "spleen": {"dice": 0.03, "low": None, "high": None}}},
              "change_from_start": None, "n_patients": 2, "too_few": True, "verdict": "archive",
              "sentence": "With the archive: +3.5 Dice (95 %: +1.0 to +6.0) on 2 held-out patients.",
              "worst": {"case": "case0", "structure": "spleen", "dice": 0.6, "arm": "labels-only"},
              "distance_unit": "mm", "offered": "archive", **changes}
    run.mkdir(parents=True, exist_ok=True)
    (run / "outcome.json").write_text(json.dumps(values))
    (run / "outcome.html").write_text("<p>outcome</p>")
    return run
