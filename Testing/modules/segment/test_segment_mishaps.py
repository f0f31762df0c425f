"""What can go wrong while a scan is segmented: each ends in one sentence in the panel and an intact scene."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import pathlib
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from module_worlds import install_sample_model, wait_until
from small_disk import mounted_disk


@pytest.fixture
def disk(slicer_app: Any, tmp_path: pathlib.Path) -> Iterator[pathlib.Path]:
    """An empty folder in which Slicer keeps its temporary files."""
    folder, before = tmp_path / "disk", slicer_app.temporaryPath
    folder.mkdir()
    slicer_app.temporaryPath = str(folder)
    yield folder
    slicer_app.temporaryPath = before


def start(segment: Any) -> None:
    """Press the button and wait until the engine is at work."""
    segment.ui.segmentButton.click()
    wait_until(lambda: segment._job is None or segment._job._child.pid is not None)


def end(segment: Any) -> str:
    """Wait for the end; what the panel says."""
    wait_until(lambda: not segment.isRunning)
    return segment.panel.message


def nodes() -> set[str]:
    import slicer

    scene = slicer.mrmlScene
    return {scene.GetNthNode(number).GetID() for number in range(scene.GetNumberOfNodes())}


def test_a_model_whose_networks_are_rubbish_fails_with_a_sentence(segment: Any, scan: Any) -> None:
    model = install_sample_model("rubbish")
    for graph in (model / "models").glob("*.onnx"):
        graph.write_bytes(b"no network")
    _forge_manifest(model)
    segment.panel.parameters.model = "rubbish"
    segment.panel.follow(segment.panel.parameters)
    before = nodes()
    start(segment)
    assert "network" in end(segment).lower() or "model" in end(segment).lower()
    assert nodes() == before


def test_a_model_that_was_changed_is_refused_with_a_sentence(segment: Any, scan: Any) -> None:
    model = install_sample_model("changed")
    next((model / "models").glob("*.onnx")).write_bytes(b"changed")
    segment.panel.parameters.model = "changed"
    segment.panel.follow(segment.panel.parameters)
    before = nodes()
    if segment.ui.segmentButton.enabled:
        start(segment)
        said = end(segment)
    else:
        said = segment.ui.statusLabel.text
    assert "onnx" in said or "changed" in said
    assert nodes() == before


def test_a_child_that_is_killed_is_told_in_a_sentence(segment: Any, big_scan: Any) -> None:
    before = nodes()
    start(segment)
    os.kill(segment._job._child.pid, signal.SIGKILL)
    assert "exited unexpectedly" in end(segment)
    assert nodes() == before
    assert segment.ui.segmentButton.text == "Segment"


def test_a_full_disk_is_told_before_the_engine_starts(segment: Any, big_scan: Any, disk: pathlib.Path) -> None:
    before = nodes()
    with mounted_disk(disk, 1):
        segment.ui.segmentButton.click()
        assert not segment.isRunning
        assert "the disk is full" in segment.panel.message
        assert not list(disk.iterdir())
    assert nodes() == before


def test_a_disk_that_fills_while_the_engine_writes_is_told(segment: Any, scan: Any, disk: pathlib.Path) -> None:
    before = nodes()
    with mounted_disk(disk, 8):
        segment.ui.segmentButton.click()
        assert segment.isRunning, segment.panel.message
        with contextlib.suppress(OSError), open(disk / "filler", "wb") as filler:
            while True:
                filler.write(bytes(1 << 16))
        assert "disk" in end(segment).lower() or "space" in segment.panel.message.lower()
    assert nodes() == before


def test_a_scan_removed_meanwhile_gets_no_result(segment: Any, scan: Any) -> None:
    import slicer

    start(segment)
    slicer.mrmlScene.RemoveNode(scan)
    before = nodes()
    assert "removed" in end(segment)
    assert nodes() == before


def test_a_segmentation_removed_meanwhile_is_made_anew(segment: Any, scan: Any) -> None:
    import slicer

    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    segment.panel.parameters.segmentation = node
    start(segment)
    slicer.mrmlScene.RemoveNode(node)
    end(segment)
    assert segment.panel.parameters.segmentation is not None


def test_a_scene_closed_meanwhile_ends_the_engine(segment: Any, big_scan: Any) -> None:
    import slicer

    start(segment)
    slicer.mrmlScene.Clear(0)
    assert not segment.isRunning
    assert "scene was closed" in segment.panel.message
    assert not slicer.util.getNodesByClass("vtkMRMLSegmentationNode")


def test_a_scene_saved_meanwhile_does_not_disturb(segment: Any, scan: Any, tmp_path: pathlib.Path) -> None:
    import slicer

    start(segment)
    assert slicer.util.saveScene(str(tmp_path / "meanwhile.mrb"))
    end(segment)
    assert segment.panel.parameters.segmentation is not None


def test_a_module_reloaded_meanwhile_leaves_no_child(segment: Any, big_scan: Any) -> None:
    import slicer

    start(segment)
    slicer.modules.ALHVRSegmentationWidget.onReload()
    assert slicer.modules.ALHVRSegmentationWidget.panel is not segment.panel


def test_another_panel_shown_meanwhile_does_not_disturb(segment: Any, scan: Any) -> None:
    import slicer

    start(segment)
    slicer.modules.ALHVRSegmentationWidget.exit()
    wait_until(lambda: not segment.isRunning)
    slicer.modules.ALHVRSegmentationWidget.enter()
    assert segment.panel.parameters.segmentation is not None


def test_a_scan_without_voxels_is_refused_with_a_sentence(segment: Any) -> None:
    import slicer

    segment.panel.parameters.inputVolume = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "empty")
    segment.ui.segmentButton.click()
    assert not segment.isRunning
    assert "holds no voxels" in segment.panel.message


def test_thirty_panels_made_and_destroyed_leave_nothing(load_panel: Callable, module_file: pathlib.Path,
                                                        own_settings: pathlib.Path) -> None:
    from slicer_stand_in.module_widgets import unload_module

    for _ in range(30):
        load_panel(module_file)
        unload_module("ALHVRSegmentation")


def _forge_manifest(model: pathlib.Path) -> None:
    """Make the manifest fit the files again, as somebody would who means harm."""
    path = model / "manifest.json"
    manifest = json.loads(path.read_text())
    for name, entry in manifest["files"].items():
        content = (model / name).read_bytes()
        entry.update(bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
    path.write_text(json.dumps(manifest))
