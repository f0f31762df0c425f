"""Segmentations written as NRRD and NIfTI are the same when other programs read them, or one sentence says why not."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scene_worlds import GRIDS, MARK, SHAPE, add_linear_transform, add_volume, ijk_to_ras, labels, marked_voxels, moved
from small_disk import mounted_disk

RAS_TO_LPS = np.array([-1, -1, 1])


def segmented(kind: str = "oblique", *, transform: Any = None, array: np.ndarray | None = None) -> tuple[Any, Any]:
    """A scan and its segmentation with label 1 at MARK and label 2 in a corner."""
    import slicer

    from ALHVRSegmentationLib.results.import_segmentation import put_segments

    volume = add_volume(marked_voxels(), ijk_to_ras(kind))
    volume.SetAndObserveTransformNodeID(transform.GetID() if transform else None)
    if array is None:
        array = np.zeros(SHAPE, np.uint8)
        array[MARK], array[0, 0, :2] = 1, 2
    placed = put_segments(array, labels("liver", "spleen"), volume, None, "ALHVR")
    return volume, slicer.mrmlScene.GetNodeByID(placed.segmentation_id)


@pytest.mark.parametrize("above", [False, True])
@pytest.mark.parametrize("kind", [kind for kind in GRIDS if kind != "sheared"])
def test_nifti_has_the_same_voxels_at_the_same_places(kind: str, above: bool, tmp_path: Path) -> None:
    from ALHVRSegmentationLib.export.nifti import write_nifti

    sitk = pytest.importorskip("SimpleITK")
    _volume, node = segmented(kind, transform=add_linear_transform(moved()) if above else None)
    assert write_nifti(node, tmp_path / "a.nii.gz") == ""
    image = sitk.ReadImage(str(tmp_path / "a.nii.gz"))
    array = sitk.GetArrayFromImage(image)
    assert array[MARK] == 1
    assert [int((array == value).sum()) for value in (1, 2)] == [1, 2]
    place = image.TransformIndexToPhysicalPoint(MARK[::-1]) * RAS_TO_LPS
    assert place == pytest.approx((ijk_to_ras(kind) @ (*MARK[::-1], 1))[:3], abs=1e-4)


def test_a_sheared_grid_goes_through_nifti_to_the_engine(tmp_path: Path) -> None:
    from ALHVRSegmentationLib.export.nifti import write_nifti

    reading = pytest.importorskip("alhvr.data.reading")
    _volume, node = segmented("sheared")
    write_nifti(node, tmp_path / "a.nii.gz")
    label = reading.read_label(tmp_path / "a.nii.gz")
    place = label.geometry.index_to_lps([MARK[::-1]])[0] * RAS_TO_LPS
    assert label.array[MARK] == 1
    assert place == pytest.approx((ijk_to_ras("sheared") @ (*MARK[::-1], 1))[:3], abs=1e-4)


def test_the_json_beside_names_the_values(tmp_path: Path) -> None:
    from ALHVRSegmentationLib.export.nifti import write_nifti

    write_nifti(segmented()[1], tmp_path / "Leber Größe.nii.gz")
    record = json.loads((tmp_path / "Leber Größe.json").read_text(encoding="utf-8"))
    assert {value: label["name"] for value, label in record["labels"].items()} == {"1": "liver", "2": "spleen"}
    assert record["labels"]["1"]["terminology"].split("~")[2] == "SCT^1000^liver"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["Leber Größe.json", "Leber Größe.nii.gz"]


def test_overlaps_are_told_where_a_format_cannot_hold_them(tmp_path: Path) -> None:
    import slicer

    from ALHVRSegmentationLib.export.nifti import write_nifti

    volume, node = segmented()
    node.GetSegmentation().AddEmptySegment("mine", "Mine")
    slicer.util.updateSegmentBinaryLabelmapFromArray(np.ones(SHAPE, np.uint8), node, "mine", volume)
    assert "3 voxels" in write_nifti(node, tmp_path / "a.nii.gz")


@pytest.mark.parametrize("above", ["nothing", "both", "scan only"])
def test_nrrd_lies_where_the_scans_own_file_lies(above: str, tmp_path: Path) -> None:
    from ALHVRSegmentationLib.export.nrrd import write_nrrd

    reading = pytest.importorskip("alhvr.data.reading")
    volume, node = segmented("sheared", transform=add_linear_transform(moved()) if above == "both" else None)
    if above == "scan only":
        node.GetSegmentation().RemoveSegment("ALHVR_2")
        move_scan_and_put_again(volume, node)
    write_nrrd(node, tmp_path / "ä.seg.nrrd")
    label = reading.read_label(tmp_path / "ä.seg.nrrd")
    (found,) = np.argwhere(label.array == 1)
    place = label.geometry.index_to_lps([found[::-1]])[0] * RAS_TO_LPS
    assert place == pytest.approx((ijk_to_ras("sheared") @ (*MARK[::-1], 1))[:3], abs=1e-4)
    assert [path.name for path in tmp_path.iterdir()] == ["ä.seg.nrrd"]


def move_scan_and_put_again(volume: Any, node: Any) -> None:
    """The scan alone is moved, and the result is put beside a segment of the user's: another space than the scan's."""
    from ALHVRSegmentationLib.results.import_segmentation import put_segments

    node.GetSegmentation().AddEmptySegment("mine", "Mine")
    volume.SetAndObserveTransformNodeID(add_linear_transform(moved()).GetID())
    array = np.zeros(SHAPE, np.uint8)
    array[MARK] = 1
    put_segments(array, labels("liver"), volume, node, "ALHVR")


def test_nrrd_is_loaded_with_names_colours_terms_and_overlaps(tmp_path: Path) -> None:
    import slicer

    from ALHVRSegmentationLib.export.nrrd import write_nrrd
    from ALHVRSegmentationLib.results.result_segments import tag_of

    volume, node = segmented()
    node.GetSegmentation().AddEmptySegment("mine", "Mine")
    slicer.util.updateSegmentBinaryLabelmapFromArray(np.ones(SHAPE, np.uint8), node, "mine", volume)
    write_nrrd(node, tmp_path / "a.seg.nrrd")
    loaded = slicer.util.loadSegmentation(str(tmp_path / "a.seg.nrrd"))
    segmentation = loaded.GetSegmentation()
    assert [segmentation.GetNthSegment(index).GetName() for index in range(3)] == ["liver", "spleen", "Mine"]
    counts = [int(slicer.util.arrayFromSegmentBinaryLabelmap(loaded, name, volume).sum())
              for name in ("ALHVR_1", "ALHVR_2", "mine")]  # fmt: skip
    assert counts == [1, 2, np.prod(SHAPE)]
    assert "SCT^1000^liver" in tag_of(segmentation.GetSegment("ALHVR_1"), "TerminologyEntry")


def test_segments_on_another_grid_than_the_scan_are_resampled_and_named(tmp_path: Path) -> None:
    import slicer

    from ALHVRSegmentationLib.export.nrrd import write_nrrd

    volume, node = segmented("flipped")
    other = add_volume(np.zeros((8, 8, 8), np.uint8), ijk_to_ras("anisotropic"))
    node.GetSegmentation().AddEmptySegment("mine", "Mine")
    slicer.util.updateSegmentBinaryLabelmapFromArray(np.ones((8, 8, 8), np.uint8), node, "mine", other)
    assert write_nrrd(node, tmp_path / "a.seg.nrrd").startswith("Mine had another grid")
    loaded = slicer.util.loadSegmentation(str(tmp_path / "a.seg.nrrd"))
    found = slicer.util.arrayFromSegmentBinaryLabelmap(loaded, "ALHVR_1", volume)
    assert np.argwhere(found).tolist() == [list(MARK)]


@pytest.mark.parametrize("form", ["nrrd", "nifti"])
def test_a_full_disk_is_one_sentence_and_leaves_nothing(form: str, tmp_path: Path) -> None:
    import slicer

    disk = tmp_path / "disk"
    disk.mkdir()
    noise = np.random.default_rng(3).integers(0, 3, (120, 256, 256)).astype(np.uint8)
    volume = add_volume(noise.astype(np.int16), np.eye(4))
    node = put_noise(volume, noise)
    count = slicer.mrmlScene.GetNumberOfNodes()
    with mounted_disk(disk, 1):
        (disk / "old.seg.nrrd").write_text("old")
        with pytest.raises(error_class(), match="full"):
            writer(form)(node, disk / ("old.seg.nrrd" if form == "nrrd" else "old.nii.gz"))
        assert [path.name for path in disk.iterdir()] == ["old.seg.nrrd"]
        assert (disk / "old.seg.nrrd").read_text() == "old"
    assert slicer.mrmlScene.GetNumberOfNodes() == count


def put_noise(volume: Any, noise: np.ndarray) -> Any:
    import slicer

    from ALHVRSegmentationLib.results.import_segmentation import put_segments

    placed = put_segments(noise, labels("liver", "spleen"), volume, None, "ALHVR")
    return slicer.mrmlScene.GetNodeByID(placed.segmentation_id)


def error_class() -> type[Exception]:
    from ALHVRLib.scene.errors import SceneError

    return SceneError


def writer(form: str) -> Any:
    from ALHVRSegmentationLib.export import nifti, nrrd

    return {"nrrd": nrrd.write_nrrd, "nifti": nifti.write_nifti}[form]


@pytest.mark.parametrize("form", ["nrrd", "nifti"])
def test_a_folder_that_refuses_or_is_gone_is_one_sentence(form: str, tmp_path: Path) -> None:
    _volume, node = segmented()
    name = f"a.{ {'nrrd': 'seg.nrrd', 'nifti': 'nii.gz'}[form] }"
    with pytest.raises(error_class(), match="not there"):
        writer(form)(node, tmp_path / "no" / name)
    disk = tmp_path / "disk"
    disk.mkdir()
    with mounted_disk(disk, 1, "ro"), pytest.raises(error_class(), match="may not write"):
        writer(form)(node, disk / name)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="everything is allowed to root")
def test_a_folder_without_permission_is_one_sentence(tmp_path: Path) -> None:
    _volume, node = segmented()
    tmp_path.chmod(0o500)
    with pytest.raises(error_class(), match="may not write"):
        writer("nrrd")(node, tmp_path / "a.seg.nrrd")


def test_a_segmentation_without_segments_or_scan_is_one_sentence(tmp_path: Path) -> None:
    import slicer

    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Bare")
    for form in ("nrrd", "nifti"):
        with pytest.raises(error_class(), match="no segments"):
            writer(form)(node, tmp_path / "a")
    node.GetSegmentation().AddEmptySegment("mine", "Mine")
    with pytest.raises(error_class(), match="names no scan"):
        writer("nifti")(node, tmp_path / "a.nii.gz")


@pytest.mark.parametrize(("text", "name"), [
    ("Größe 肝", "Größe 肝"), ("a/b\\c:d", "a_b_c_d"), (" .. ", ""), ("nul", "_nul"), ("con.x", "_con.x"),
    ("a" * 300, "a" * 120),
])  # fmt: skip
def test_names_are_those_that_every_system_takes(text: str, name: str) -> None:
    from ALHVRSegmentationLib.export.files import file_name

    assert file_name(text) == name
