"""DICOM-SEG: offered where it is possible, with the reason where not, and what is handed over is right.

Slicer's plugin and dcmqi need the application; dicom_seg_recorder.py plays their part here.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scene_worlds import MARK, SHAPE, add_linear_transform, add_volume, labels, moved
from support import shared_data

RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


@pytest.fixture
def series(tmp_path: Path, slicer_app: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An oblique DICOM series that the recorded database knows."""
    pytest.importorskip("highdicom")
    from dicom_files import write_series

    from alhvr.data.geometry import Geometry

    affine = np.eye(4)
    affine[:3, :3] = np.array([[0.8, -0.6, 0.0], [0.48, 0.64, -0.6], [0.36, 0.48, 0.8]]) @ np.diag([1.0, 1.5, 4.0])
    affine[:3, 3] = 10, -20, 30
    array = (np.arange(np.prod(SHAPE)).reshape(SHAPE) % 90).astype(np.int16)
    write_series(tmp_path / "series", array, Geometry.from_affine(SHAPE[::-1], affine))
    return record(tmp_path / "series", monkeypatch)


def record(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put the recorders in the places of plugin and database."""
    import dicom_seg_recorder
    import slicer

    monkeypatch.setitem(sys.modules, "DICOMSegmentationPlugin", dicom_seg_recorder.plugin_module())
    database = dicom_seg_recorder.Database([path for path in folder.iterdir() if path.is_file()])
    monkeypatch.setattr(slicer, "dicomDatabase", database, raising=False)
    return folder


def loaded(folder: Path) -> Any:
    """The series as a volume in a study, as Slicer's DICOM module leaves it."""
    import slicer

    from alhvr.data.reading import dicom_stack, read_scan

    scan, stack = read_scan(folder), dicom_stack(folder)
    node = add_volume(scan.array.astype(np.int16), RAS_TO_LPS @ scan.geometry.affine_lps, "T1")
    uids = {path: uid for uid, path in slicer.dicomDatabase.files.items()}
    node.SetAttribute("DICOM.instanceUIDs", " ".join(uids[str(path)] for path in stack.files))
    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    study = tree.CreateStudyItem(tree.CreateSubjectItem(tree.GetSceneItemID(), "Patient"), "Study")
    tree.SetItemParent(tree.GetItemByDataNode(node), study)
    return node


def segmented(volume: Any, node: Any = None) -> Any:
    """Segments liver at MARK, spleen in a corner, and an empty one."""
    import slicer

    from ALHVRSegmentationLib.results.import_segmentation import put_segments

    array = np.zeros(volume.GetImageData().GetDimensions()[::-1], np.uint8)
    array[MARK], array[0, 0, :2] = 1, 2
    placed = put_segments(array, labels("liver", "spleen", "kidney"), volume, node, "ALHVR test")
    return slicer.mrmlScene.GetNodeByID(placed.segmentation_id)


def reason(node: Any) -> str:
    from ALHVRSegmentationLib.export.dicom_seg import reason_against

    return reason_against(node)


def lps_of_segment(path: Path, number: int) -> np.ndarray:
    """LPS (N, 3) of the voxels of a segment, from the file's own frames."""
    import pydicom

    dataset = pydicom.dcmread(path)
    frames, found = dataset.pixel_array.reshape(-1, dataset.Rows, dataset.Columns), []
    shared = dataset.SharedFunctionalGroupsSequence[0]
    row, column = np.reshape(shared.PlaneOrientationSequence[0].ImageOrientationPatient, (2, 3)).astype(float)
    spacing = [float(value) for value in shared.PixelMeasuresSequence[0].PixelSpacing]
    for frame, group in zip(frames, dataset.PerFrameFunctionalGroupsSequence, strict=True):
        if group.SegmentIdentificationSequence[0].ReferencedSegmentNumber == number:
            origin = np.array(group.PlanePositionSequence[0].ImagePositionPatient, dtype=float)
            found += [origin + row * spacing[1] * i + column * spacing[0] * j for j, i in np.argwhere(frame)]
    return np.array(found)


@pytest.mark.parametrize("above", ["nothing", "both", "user's segmentation"])
def test_segments_arrive_at_the_voxels_of_the_dicom_images(above: str, series: Path, tmp_path: Path) -> None:
    import slicer

    from ALHVRSegmentationLib.export.dicom_seg import write_dicom_seg

    volume, node = loaded(series), None
    expected = (RAS_TO_LPS @ slicer.util.arrayFromVTKMatrix(matrix_of(volume)) @ (*MARK[::-1], 1))[:3]
    if above == "both":
        volume.SetAndObserveTransformNodeID(add_linear_transform(moved()).GetID())
    elif above == "user's segmentation":
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Mine")
        node.SetAndObserveTransformNodeID(add_linear_transform(moved()).GetID())
        node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
        node.GetSegmentation().AddEmptySegment("mine", "Mine")
        give_terms(node, "mine")
    node = segmented(volume, node)
    note = write_dicom_seg(node, tmp_path / "ä.seg.dcm")
    assert "kidney" in note
    assert lps_of_segment(tmp_path / "ä.seg.dcm", 1) == pytest.approx(expected[None], abs=1e-3)
    assert len(lps_of_segment(tmp_path / "ä.seg.dcm", 2)) == 2


def give_terms(node: Any, segment_id: str) -> None:
    from alhvr.formats.terminology import terminology_entry

    segment = node.GetSegmentation().GetSegment(segment_id)
    segment.SetTag(segment.GetTerminologyEntryTagName(), terminology_entry(labels("liver")[0]))


def matrix_of(volume: Any) -> Any:
    import vtk

    matrix = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    return matrix


def test_the_plugin_gets_the_tags_that_it_reads_and_the_scene_is_as_before(series: Path, tmp_path: Path) -> None:
    import dicom_seg_recorder
    import slicer

    from ALHVRSegmentationLib.export.dicom_seg import write_dicom_seg

    node = segmented(loaded(series))
    count = slicer.mrmlScene.GetNumberOfNodes()
    write_dicom_seg(node, tmp_path / "a.seg.dcm")
    assert dicom_seg_recorder.Plugin.tags["SeriesDescription"] == "T1 segmentation"
    assert dicom_seg_recorder.Plugin.tags["ContentCreatorName"] == "ALHVR"
    assert set(dicom_seg_recorder.Plugin.tags) <= set(dicom_seg_recorder.READ_TAGS)
    assert [dataset.Modality for dataset in slicer.dicomDatabase.inserted] == ["SEG"]
    assert slicer.mrmlScene.GetNumberOfNodes() == count
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.seg.dcm", "series"]


def test_a_real_oblique_brain_series_goes_through(
    slicer_app: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("highdicom")
    from ALHVRSegmentationLib.export.dicom_seg import write_dicom_seg

    folder = next(path.parent for path in sorted(shared_data("brain-dicom").rglob("*.dcm")))
    shutil.copytree(folder, tmp_path / "series")
    volume = loaded(record(tmp_path / "series", monkeypatch))
    write_dicom_seg(segmented(volume), tmp_path / "brain.seg.dcm")
    assert len(lps_of_segment(tmp_path / "brain.seg.dcm", 1)) == 1


def test_a_scan_that_was_not_dicom_is_the_reason(series: Path) -> None:
    node = segmented(add_volume(np.zeros(SHAPE, np.int16), np.eye(4), "From NIfTI"))
    assert reason(node) == "DICOM-SEG refers to DICOM images, and the scan From NIfTI was not loaded from DICOM."


def test_files_that_the_database_lacks_are_the_reason(series: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import slicer

    node = segmented(loaded(series))
    assert reason(node) == ""
    next(series.iterdir()).unlink()
    assert "not in Slicer's DICOM database" in reason(node)
    monkeypatch.delattr(slicer, "dicomDatabase")
    assert "not in Slicer's DICOM database" in reason(node)


def test_equal_file_names_are_the_reason(series: Path, tmp_path: Path) -> None:
    import slicer

    node = segmented(loaded(series))
    uid, file = next(iter(slicer.dicomDatabase.files.items()))
    other = next(path for path in series.iterdir() if str(path) != file)
    (tmp_path / "more").mkdir()
    slicer.dicomDatabase.files[uid] = str(shutil.move(file, tmp_path / "more" / other.name))
    assert "equal file names" in reason(node)


def test_a_slicer_without_the_plugin_is_the_reason(series: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    node = segmented(loaded(series))
    monkeypatch.delitem(sys.modules, "DICOMSegmentationPlugin")
    assert "needs Slicer 5.12" in reason(node)


def test_segments_without_terms_or_algorithm_are_the_reason(series: Path) -> None:
    node = segmented(loaded(series))
    node.GetSegmentation().AddEmptySegment("mine", "My lesion")
    node.GetSegmentation().GetSegment("mine").RemoveTag("TerminologyEntry")
    assert "My lesion" in reason(node)
    give_terms(node, "mine")
    assert reason(node) == ""
    node.GetSegmentation().GetSegment("mine").SetTag("DICOM.SegmentAlgorithmType", "SEMIAUTOMATIC")
    assert "DICOM.SegmentAlgorithmName" in reason(node)


def test_no_segments_and_only_empty_ones_are_told(series: Path, tmp_path: Path) -> None:
    import slicer

    from ALHVRLib.scene.errors import SceneError
    from ALHVRSegmentationLib.export.dicom_seg import write_dicom_seg
    from ALHVRSegmentationLib.results.import_segmentation import put_segments

    volume = loaded(series)
    assert reason(None) == reason(slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode"))
    placed = put_segments(np.zeros(SHAPE, np.uint8), labels("liver"), volume, None, "ALHVR")
    with pytest.raises(SceneError, match="empty"):
        write_dicom_seg(slicer.mrmlScene.GetNodeByID(placed.segmentation_id), tmp_path / "a.seg.dcm")


@pytest.mark.parametrize("fault", ["answer", "skip_segments"])
def test_what_the_plugin_refuses_or_leaves_out_is_one_sentence(fault: str, series: Path, tmp_path: Path) -> None:
    import dicom_seg_recorder
    import slicer

    from ALHVRLib.scene.errors import SceneError
    from ALHVRSegmentationLib.export.dicom_seg import write_dicom_seg

    node = segmented(loaded(series))
    count = slicer.mrmlScene.GetNumberOfNodes()
    setattr(dicom_seg_recorder.Plugin, fault, {"answer": "failed.\n\nitkimage2segimage", "skip_segments": 1}[fault])
    with pytest.raises(SceneError, match="failed. itkimage2segimage|2 voxels in 1 segments, not 3 in 2"):
        write_dicom_seg(node, tmp_path / "a.seg.dcm")
    assert slicer.mrmlScene.GetNumberOfNodes() == count
    assert [path.name for path in tmp_path.iterdir()] == ["series"]
