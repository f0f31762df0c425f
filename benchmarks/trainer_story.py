"""The trainer's window played through on real scans, by its buttons, with the real engine in its child processes.

    python benchmarks/trainer_story.py [--labeled 3] [--archive 30] [--minutes 2] [--pictures DIR]

Hippocampi of the shared data: some are loaded into the scene with a segmentation and added by *From the scene*, one
structure of one of them is called not annotated by its tick, an archive is added, the check is awaited, and *Train* is
pressed. At the end the offered model is kept and segments a scan that nobody has seen in ALHVR Segmentation. Then the
same project is trained by command for some steps, and by the window, and the losses are compared number by number.

Prints what happened as JSON. Slicer's core is real, its widgets are the stand-ins of the tests.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "docs"))

from screenshot_studio import MODULE_FILE, TRAINER_FILE, Studio  # noqa: E402

DATA = ROOT.parent / "shared" / "data" / "hippocampus"
NAMES = {1: "anterior hippocampus", 2: "posterior hippocampus"}
STEPS = 30


def main() -> None:
    """Play, and tell."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--labeled", type=int, default=3)
    parser.add_argument("--archive", type=int, default=30)
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--pictures", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        studio = Studio(folder, options.pictures or folder / "pictures", TRAINER_FILE, "story")
        try:
            told = play(studio, folder, options)
        finally:
            studio.panel.cleanUp()
    print(json.dumps(told, indent=1))


def play(studio: Studio, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """The story; what it showed."""
    split = {part: [name.removesuffix(".nii.gz") for name in names]
             for part, names in json.loads((DATA / "split.json").read_text()).items()}
    session, began = studio.panel.logic.session, time.monotonic()
    session.new(folder / "hippocampi")
    for name in split["labeled_10"][:options.labeled]:
        add_from_scene(studio, name)
    call_not_annotated(studio, 0, NAMES[2])
    archive = folder / "archive"
    archive.mkdir()
    for name in split["unlabeled"][:options.archive]:
        shutil.copy(DATA / "images" / f"{name}.nii.gz", archive)
    session.save(archive=session.project.with_archive(archive).archive, minutes=options.minutes)
    studio.wait(lambda: session.state == "ready", f"a checked project ({session.sentence})")
    told: dict[str, Any] = {"cases": [row.name for row in session.caseTable()], "ready_s": seconds(began)}
    studio.panel.showSection("SettingsSection")
    studio.section("Settings").ui.trainButton.click()
    studio.wait(lambda: session.state == "training", f"a training ({session.sentence})")
    told["training_s"] = seconds(began)
    studio.wait(lambda: session.state in ("finished", "failed"), "the end of the training")
    told |= {"state": session.state, "sentence": session.sentence, "finished_s": seconds(began)}
    told |= {"open_section": studio.panel.openSection, "model": keep(studio)}
    told["dice_of_an_unseen_scan"] = segment(studio, split["val"][10], told["model"])
    told |= compare_with_command(studio, folder)
    return told


def seconds(began: float) -> float:
    """Since then."""
    return round(time.monotonic() - began, 1)


def add_from_scene(studio: Studio, name: str) -> None:
    """Load scan and label as a user has them, and press *From the scene*."""
    import slicer

    volume = slicer.util.loadVolume(str(DATA / "images" / f"{name}.nii.gz"))
    label = slicer.util.loadLabelVolume(str(DATA / "labels" / f"{name}.nii.gz"))
    segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", f"{name} labels")
    segmentation.CreateDefaultDisplayNodes()
    segmentation.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    slicer.modules.segmentations.logic().ImportLabelmapToSegmentationNode(label, segmentation)
    contained = segmentation.GetSegmentation()
    for number, structure in enumerate(NAMES.values()):
        contained.GetNthSegment(number).SetName(structure)
    slicer.mrmlScene.RemoveNode(label)
    ui, before = studio.section("Cases").ui, len(studio.panel.logic.session.caseTable())
    ui.sceneButton.click()
    studio.parameters.caseVolume, studio.parameters.caseSegmentation = volume, segmentation
    ui.addPairButton.click()
    studio.wait(lambda: len(studio.panel.logic.session.caseTable()) > before, "a case from the scene")


def call_not_annotated(studio: Studio, row: int, structure: str) -> None:
    """Choose the cell of a case and a structure, and press *Change the tick*."""
    ui = studio.section("Cases").ui
    titles = [ui.caseTable.horizontalHeaderItem(column).toolTip() for column in range(ui.caseTable.columnCount)]
    ui.caseTable.setCurrentCell(row, titles.index(structure))
    ui.tickButton.click()
    name = studio.panel.logic.session.caseTable()[row].name
    studio.wait(lambda: studio.panel.logic.session.caseTable()[row].structures[structure] == "not annotated",
                f"a changed tick of {name}")


def keep(studio: Studio) -> str:
    """Press the offered Keep; the model's folder."""
    from ALHVRLib import paths

    studio.panel.showSection("OutcomeSection")
    ui = studio.section("Outcome").ui
    button = ui.keepLabelsButton if ui.keepLabelsButton.enabled else ui.keepArchiveButton
    button.click()
    studio.wait(lambda: studio.panel.logic.session.project.kept is not None, "a kept model")
    return str(paths.models_folder() / studio.panel.logic.session.project.kept.model)


def segment(studio: Studio, name: str, model: str) -> dict[str, float]:
    """ALHVR Segmentation with the kept model; Dice by structure."""
    import slicer
    from slicer_stand_in.module_widgets import load_module

    widget = load_module(MODULE_FILE).widgetRepresentation()
    widget.show()
    widget.enter()
    panel = widget.self().panel
    volume = slicer.util.loadVolume(str(DATA / "images" / f"{name}.nii.gz"))
    panel.parameters.inputVolume, panel.parameters.model = volume, Path(model).name
    panel.follow(panel.parameters)
    section = next(one for one in panel.sections if type(one).__name__ == "SegmentSection")
    section.ui.segmentButton.click()
    studio.wait(lambda: not section.isRunning, f"a segmentation ({panel.message})")
    truth = slicer.util.arrayFromVolume(slicer.util.loadLabelVolume(str(DATA / "labels" / f"{name}.nii.gz")))
    node, found = panel.parameters.segmentation, {}
    for value, structure in NAMES.items():
        identity = node.GetSegmentation().GetSegmentIdBySegmentName(structure)
        mask = slicer.util.arrayFromSegmentBinaryLabelmap(node, identity, volume) > 0
        true = truth == value
        found[structure] = round(float(2 * (mask & true).sum() / max(1, mask.sum() + true.sum())), 3)
    panel.cleanUp()
    return found


def compare_with_command(studio: Studio, folder: Path) -> dict[str, Any]:
    """The same project for a few steps by the window and by `alhvr train`, one thread: the losses are equal."""
    session = studio.panel.logic.session
    training = {"iterations": STEPS, "validations": 1, "threads": 1, "precision": "fp32", "device": "cpu"}
    session.save(minutes=None, compare=False, settings={"training": training})
    studio.wait(lambda: not session.isBusy and session.state in ("ready", "finished"), f"{session.sentence}")
    studio.panel.showSection("SettingsSection")
    studio.wait(lambda: studio.section("Settings").ui.trainButton.enabled, "Train")
    runs = len(session.runs())
    studio.section("Settings").ui.trainButton.click()
    studio.wait(lambda: len(session.runs()) > runs and session.state in ("finished", "failed"), "the short training")
    config = folder / "config.json"
    config.write_text(json.dumps({"training": training}))
    project = replace(session.project)
    command = [sys.executable, "-m", "alhvr", "train", "--labeled", project.cases_folder, "--out", folder / "run",
               "--config", config]
    for archive in project.archive_folders:
        command += ["--unlabeled", archive]
    done = subprocess.run([*map(str, command)], cwd=ROOT, capture_output=True, text=True, check=False)
    by_window, by_command = losses(session.runs()[-1] / "archive"), losses(folder / "run")
    return {"exit_code_of_train": done.returncode, "steps_compared": len(by_command),
            "equal_by_window_and_by_command": by_window == by_command and bool(by_command)}


def losses(run: Path) -> list[Any]:
    """Every loss and score of a run, without its times."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "elapsed_s"} for line in lines]


if __name__ == "__main__":
    np.seterr(all="ignore")
    main()
