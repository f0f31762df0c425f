"""A scan and its segmentation between the scene and the project: out as a case, in to be looked at and edited."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import slicer
from slicer.i18n import tr as _

from alhvr.formats.labels import folded
from ALHVRLib.scene.errors import SceneError
from ALHVRLib.scene.export_volume import export_volume, ijk_to_ras, voxels
from ALHVRLib.scene.label_images import BINARY_LABELMAP, label_image
from ALHVRLib.scene.segment_masks import Mask, hide_segmentations, masks_of, show_segmentations
from ALHVRTrainerLib.cases.case_store import RESERVED_VALUE
from ALHVRTrainerLib.cases.case_table import CaseRow

CASE_ATTRIBUTE = "ALHVRTrainer.Case"
"""A node that was loaded from a case carries the path of its file."""
LABEL_ENDING, IMAGE_ENDING = ".seg.nrrd", ".nrrd"
BACKUPS = "labels before editing"
"""Folder of a project with the first label of every case whose label was edited."""


@dataclass(frozen=True)
class Written:
    """What became of a segmentation."""

    names: tuple[str, ...]
    """Of its segments."""
    overlapping: int
    """Voxels of several segments, which belong to the last of these in the file."""


def check_pair(volume: slicer.vtkMRMLVolumeNode | None, segmentation: slicer.vtkMRMLSegmentationNode | None) -> str:
    """Why a pair cannot become a case, in one sentence; "" where it can."""
    if volume is None or segmentation is None:
        return _("Choose a scan and its segmentation.")
    names = segment_names(segmentation)
    if not names:
        return _("{name} has no segments.").format(name=segmentation.GetName())
    twice = next((name for name in names if [folded(other) for other in names].count(folded(name)) > 1), None)
    if twice is not None:
        text = _('{name} has two segments called "{twice}": rename or merge them.')
        return text.format(name=segmentation.GetName(), twice=twice)
    return ""


def segment_names(segmentation: slicer.vtkMRMLSegmentationNode) -> list[str]:
    """Names of the segments in their order."""
    segments = segmentation.GetSegmentation()
    return [segments.GetNthSegment(index).GetName().strip() for index in range(segments.GetNumberOfSegments())]


def write_scan(volume: slicer.vtkMRMLVolumeNode, path: Path) -> None:
    """Write a scan of the scene as a case's image; raises SceneError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    export_volume(volume, path)


def write_label(segmentation: slicer.vtkMRMLSegmentationNode, volume: slicer.vtkMRMLVolumeNode, path: Path,
                values: dict[str, int], *, openVoxels: np.ndarray | None = None) -> Written:
    """Write segments on the scan's exact grid, one value a segment, with their names and colours; raises SceneError.

    values: of each folded name, as labels.json has them; segments without a value are left out. openVoxels: bool
    [K, J, I], voxels that are not annotated. The file is replaced when the new one is whole.
    """
    shape = voxels(volume).shape
    masks = [mask for mask in masks_of(segmentation, volume) if folded(mask.segment.GetName()) in values]
    array, overlapping = np.zeros(shape, np.uint8), np.zeros(shape, bool)
    for mask in masks:
        overlapping |= mask.voxels & (array != 0)
        array[mask.voxels] = values[folded(mask.segment.GetName())]
    if openVoxels is not None:
        array[openVoxels] = RESERVED_VALUE
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".part-{path.name}")
    try:
        if not _write(masks, array, volume, part, values):
            text = _("The label could not be written to {folder}: check its free space and permissions.")
            raise SceneError(text.format(folder=path.parent))
        os.replace(part, path)
    except OSError as error:
        text = _("The label could not be written to {folder}: {reason}.")
        raise SceneError(text.format(folder=path.parent, reason=error.strerror or error)) from error
    finally:
        part.unlink(missing_ok=True)
    return Written(tuple(mask.segment.GetName().strip() for mask in masks), int(np.count_nonzero(overlapping)))


def save_edited(row: CaseRow, project: Path, segmentation: slicer.vtkMRMLSegmentationNode,
                volume: slicer.vtkMRMLVolumeNode, values: dict[str, int]) -> Written:
    """Write the edited label of a case; its first label is kept in BACKUPS as .bak. Raises SceneError."""
    backup = project / BACKUPS / f"{row.label.name}.bak"
    target = row.label.with_name(f"{row.name}{LABEL_ENDING}")
    try:
        if not backup.exists():
            backup.parent.mkdir(exist_ok=True)
            backup.write_bytes(row.label.read_bytes())
    except OSError as error:
        text = _("The label of {case} was not changed, as it could not be copied to {folder} first: {reason}.")
        raise SceneError(text.format(case=row.name, folder=backup.parent, reason=error.strerror or error)) from error
    written = write_label(segmentation, volume, target, values)
    if target != row.label:
        row.label.unlink(missing_ok=True)
    return written


def load_case(row: CaseRow, names: dict[int, str]) -> tuple[slicer.vtkMRMLVolumeNode, slicer.vtkMRMLSegmentationNode]:
    """The nodes of a case, loaded where they are not yet, shown in the views; raises SceneError.

    names: of the values, for label files that name none.
    """
    try:
        volume = loaded(row.image) or _load(row.image, f"{row.name}", slicer.util.loadVolume)
        label = loaded(row.label) or _load(row.label, _("{case} label").format(case=row.name),
                                           slicer.util.loadSegmentation)
    except RuntimeError as error:
        text = _("{case} could not be loaded: check the files {image} and {label}.")
        raise SceneError(text.format(case=row.name, image=row.image.name, label=row.label.name)) from error
    label.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    segmentation = label.GetSegmentation()
    for index in range(segmentation.GetNumberOfSegments()):
        segment = segmentation.GetNthSegment(index)
        if segment.GetNameAutoGenerated() and segment.GetLabelValue() in names:
            segment.SetName(names[segment.GetLabelValue()])
    hide_segmentations(but=(label.GetID(),))
    show_segmentations([label.GetID()])
    slicer.util.setSliceViewerLayers(background=volume, fit=True)
    return volume, label


def loaded(path: Path) -> slicer.vtkMRMLNode | None:
    """The node of the scene that was loaded from a file of a case."""
    nodes = slicer.util.getNodesByClass("vtkMRMLDisplayableNode")
    return next((node for node in nodes if node.GetAttribute(CASE_ATTRIBUTE) == str(path)), None)


def _load(path: Path, name: str, load: object) -> slicer.vtkMRMLNode:
    node = load(str(path))
    node.SetName(name)
    node.SetAttribute(CASE_ATTRIBUTE, str(path))
    return node


def _write(masks: Sequence[Mask], array: np.ndarray, volume: slicer.vtkMRMLVolumeNode, path: Path,
           values: dict[str, int]) -> bool:
    """All segments share one image on the scan's whole grid, so that the file has one layer of the scan's size."""
    scene = slicer.vtkMRMLScene()  # its nodes do not keep it
    node = scene.AddNode(slicer.vtkMRMLSegmentationNode())
    matrix = ijk_to_ras(volume)
    image = label_image(array, matrix, whole=True)
    convert = slicer.vtkSegmentationConverter
    node.GetSegmentation().SetConversionParameter(convert.GetReferenceImageGeometryParameterName(),
                                                  convert.SerializeImageGeometry(image))
    for mask in masks:
        segment = slicer.vtkSegment()
        segment.DeepCopyMetadata(mask.segment)
        segment.SetName(mask.segment.GetName().strip())
        segment.SetLabelValue(values[folded(mask.segment.GetName())])
        segment.AddRepresentation(BINARY_LABELMAP, image)
        node.GetSegmentation().AddSegment(segment, mask.segment_id)
    storage = scene.AddNode(slicer.vtkMRMLSegmentationStorageNode())
    storage.SetFileName(str(path))
    storage.SetUseCompression(True)
    return bool(storage.WriteData(node))
