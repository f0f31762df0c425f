"""A recorder in the place of Slicer's DICOM-SEG plugin and DICOM database, which need the application.

It refuses what the plugin of Slicer 5.12 refuses, with its kind of answer, takes label maps from the real segmentation
node as the plugin does, and writes a real DICOM-SEG of them with highdicom where the plugin calls dcmqi. What it
cannot tell is whether dcmqi takes the same: that has to be tried inside Slicer.
"""

from __future__ import annotations

import importlib.machinery
import types
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
import slicer
import vtk

READ_TAGS = ("SeriesNumber", "SeriesDescription", "ContentCreatorName", "ClinicalTrialSeriesID",
             "ClinicalTrialTimePointID", "ClinicalTrialCoordinatingCenterName")  # fmt: skip
LABELMAP = "Binary labelmap"


class Exportable:
    """qSlicerDICOMExportable: these properties, tags of str, nothing else."""

    __slots__ = ("_tags", "confidence", "directory", "name", "pluginClass", "subjectHierarchyItemID", "tooltip")

    def __init__(self) -> None:
        self._tags: dict[str, str] = {}
        self.directory = ""

    def setTag(self, name: str, value: str) -> None:  # noqa: N802
        if not isinstance(name, str) or not isinstance(value, str):
            raise ValueError("setTag takes two str")
        self._tags[name] = value

    def tag(self, name: str) -> str:
        return self._tags.get(name, "")


class Database:
    """slicer.dicomDatabase: files by instance UID."""

    def __init__(self, files: list[Path]) -> None:
        self.files = {str(pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID): str(path) for path in files}
        self.inserted: list[pydicom.Dataset] = []

    def fileForInstance(self, uid: str) -> str:  # noqa: N802
        return self.files.get(uid, "")

    def insert(self, path: str) -> None:
        self.inserted.append(pydicom.dcmread(path))


class Plugin:
    """DICOMSegmentationPluginClass, its export side."""

    answer = ""
    """What export answers instead of exporting."""
    skip_segments = 0
    """How many segments the file is to lack."""
    tags: dict[str, str] = {}
    """Those of the last export that the plugin reads."""

    def examineForExport(self, item: int) -> list[Exportable]:  # noqa: N802
        node = _tree().GetItemDataNode(item)
        if node is None or not node.IsA("vtkMRMLSegmentationNode"):
            return []
        exportable = Exportable()
        exportable.subjectHierarchyItemID = item
        for name, text in {"Modality": "SEG", "SeriesDescription": node.GetName(), "SeriesNumber": "100"}.items():
            exportable.setTag(name, text)
        return [exportable]

    def export(self, exportables: list[Exportable]) -> str:
        if Plugin.answer:
            return Plugin.answer
        for exportable in exportables:
            node = _tree().GetItemDataNode(exportable.subjectHierarchyItemID)
            Plugin.tags = {name: exportable.tag(name) for name in READ_TAGS if exportable.tag(name)}
            path = Path(exportable.directory) / "subject_hierarchy_export.SEG2026-11-23_120000.dcm"
            try:
                self._write(node, path)
            except ValueError as error:
                return str(error)
            slicer.dicomDatabase.insert(str(path))
        return ""

    def _write(self, node: Any, path: Path) -> None:
        segmentation = node.GetSegmentation()
        segments = [segmentation.GetNthSegment(index) for index in range(segmentation.GetNumberOfSegments())]
        for segment in segments:
            scalars = segment.GetRepresentation(LABELMAP).GetPointData().GetArray("ImageScalars")
            if scalars is None or scalars.GetValueRange() == (0, 0):
                pytest.fail("the plugin would show a pop-up: empty segments found")
            _require_terms(segment)
        volume = node.GetNodeReference(node.GetReferenceImageGeometryReferenceRole())
        if volume is None:
            raise ValueError("Referenced volume is not found for the segmentation.")
        uids = (volume.GetAttribute("DICOM.instanceUIDs") or "").split()
        files = [slicer.dicomDatabase.fileForInstance(uid) for uid in uids]
        if not files or not all(files):
            raise ValueError("Referenced volume files were not found in the DICOM database")
        if len({Path(file).name for file in files}) != len(files):
            pytest.fail("the plugin would copy several files to one name")
        _write_seg(node, segments[Plugin.skip_segments :], Path(files[0]).parent, path)


def _require_terms(segment: Any) -> None:
    """As the plugin: coded category and type, a proper algorithm type, a name of what is not manual."""
    text, entry = vtk.mutable(""), slicer.vtkSlicerTerminologyEntry()
    segment.GetTag(segment.GetTerminologyEntryTagName(), text)
    slicer.modules.terminologies.logic().DeserializeTerminologyEntry(text, entry)
    for code in (entry.GetCategoryObject(), entry.GetTypeObject()):
        if code is None or not code.GetCodeValue():
            raise ValueError(f"Segment {segment.GetName()} has missing attributes. Make sure to set terminology.")
    made, name = vtk.mutable(""), vtk.mutable("")
    kind = str(made) if segment.GetTag("DICOM.SegmentAlgorithmType", made) else "MANUAL"
    if kind not in ("MANUAL", "SEMIAUTOMATIC", "AUTOMATIC"):
        raise ValueError(f"Segment {segment.GetName()} has invalid attribute for SegmentAlgorithmType.")
    if kind != "MANUAL" and not (segment.GetTag("DICOM.SegmentAlgorithmName", name) and str(name)):
        raise ValueError(f"Segment {segment.GetName()} has missing SegmentAlgorithmName")


def _write_seg(node: Any, segments: list[Any], series: Path, path: Path) -> None:
    """The segments where their label maps lie, on the grid of the series."""
    from alhvr.data.reading import read_scan
    from alhvr.data.scan import Segmentation
    from alhvr.export.dicom_seg import write_dicom_seg
    from alhvr.formats.labels import LabelSet

    geometry = read_scan(series).geometry
    array = np.zeros(geometry.shape_kji, np.uint8)
    for value, segment in enumerate(segments, start=1):
        for point in _label_points(node, segment):
            index = geometry.lps_to_index([point * (-1, -1, 1)])[0]
            assert np.abs(index - np.rint(index)).max() < 0.01, "a voxel lies between those of the DICOM images"
            array[tuple(np.rint(index).astype(int)[::-1])] = value
    names = LabelSet.from_names({value: segment.GetName() for value, segment in enumerate(segments, start=1)})
    write_dicom_seg(path, Segmentation(path.stem, array, geometry, names), series)


def _label_points(node: Any, segment: Any) -> np.ndarray:
    """RAS (N, 3) of the voxels of the label map that the plugin would hand to dcmqi; parent transforms do not count."""
    merged, ids = slicer.vtkOrientedImageData(), vtk.vtkStringArray()
    ids.InsertNextValue(node.GetSegmentation().GetSegmentIdBySegment(segment))
    node.GenerateMergedLabelmapForAllSegments(merged, 0, None, ids)
    label = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode")
    assert slicer.modules.segmentations.logic().CreateLabelmapVolumeFromOrientedImageData(merged, label)
    matrix = vtk.vtkMatrix4x4()
    label.GetIJKToRASMatrix(matrix)
    kji = np.argwhere(slicer.util.arrayFromVolume(label) != 0)
    slicer.mrmlScene.RemoveNode(label)
    homogeneous = np.column_stack([kji[:, ::-1], np.ones(len(kji))])
    return (homogeneous @ slicer.util.arrayFromVTKMatrix(matrix).T)[:, :3]


def _tree() -> Any:
    return slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)


def plugin_module() -> types.ModuleType:
    """What `import DICOMSegmentationPlugin` gives."""
    module = types.ModuleType("DICOMSegmentationPlugin")
    module.__spec__ = importlib.machinery.ModuleSpec("DICOMSegmentationPlugin", None)
    module.DICOMSegmentationPluginClass = Plugin
    Plugin.answer, Plugin.skip_segments, Plugin.tags = "", 0, {}
    return module
