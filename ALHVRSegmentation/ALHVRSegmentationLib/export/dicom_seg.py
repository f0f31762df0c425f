"""DICOM-SEG: when it is possible, what Slicer's own plugin is given, and whether the file holds just that.

Facts of Slicer 5.12: the plugin takes the series' files from the attribute DICOM.instanceUIDs of the reference volume
and copies them by their base names; it demands coded terms, an algorithm name for what is not manual, and asks with a
pop-up whether an image without any voxel is to be left out; it answers with "" or the text of an error.
"""

from __future__ import annotations

import importlib.util
import pathlib
from collections import Counter
from collections.abc import Sequence

import numpy as np
import slicer
from slicer.i18n import tr as _

from ALHVRLib.scene.errors import SceneError
from ALHVRLib.scene.segment_masks import Mask, masks_of, reference_of, segment_ids
from ALHVRSegmentationLib.export.draft import draft_on_scan
from ALHVRSegmentationLib.export.files import beside, move
from ALHVRSegmentationLib.results.result_segments import tag_of

PLUGIN = "DICOMSegmentationPlugin"
INSTANCES = "DICOM.instanceUIDs"
TAGS = {"SeriesNumber": "300", "ContentCreatorName": "ALHVR", "ClinicalTrialCoordinatingCenterName": "none"}
"""Tags that the plugin reads besides SeriesDescription; its own defaults name a project that has no part in this."""
ENDING = ".seg.dcm"
LONGEST_DESCRIPTION = 64


def has_plugin() -> bool:
    """Whether this Slicer has the plugin; nothing is loaded to find out."""
    return importlib.util.find_spec(PLUGIN) is not None


def instance_uids(volumeNode: slicer.vtkMRMLVolumeNode) -> list[str]:
    """UIDs of the DICOM images that a volume was loaded from."""
    return (volumeNode.GetAttribute(INSTANCES) or "").split()


def missing_files(volumeNode: slicer.vtkMRMLVolumeNode) -> str:
    """A sentence where the DICOM database cannot give the files of the volume's images; else ""."""
    database = getattr(slicer, "dicomDatabase", None)
    files = [] if database is None else [str(database.fileForInstance(uid) or "") for uid in instance_uids(volumeNode)]
    gone = sum(not file or not pathlib.Path(file).is_file() for file in files)
    if database is None or gone:
        text = _("The DICOM images of the scan {name} are not in Slicer's DICOM database: import them there first.")
        return text.format(name=volumeNode.GetName())
    twice = [name for name, count in Counter(pathlib.Path(file).name for file in files).items() if count > 1]
    if twice:
        text = _("The DICOM images of the scan {name} have equal file names in several folders ({file}), which "
                 "Slicer's exporter would mix up: import them into the DICOM database as copies.")  # fmt: skip
        return text.format(name=volumeNode.GetName(), file=twice[0])
    return ""


def run_plugin(draft: slicer.vtkMRMLSegmentationNode, description: str, folder: pathlib.Path) -> pathlib.Path:
    """Have the plugin write a segmentation node into a folder, and into the DICOM database; returns the file.

    Args:
        draft: segmentation in the study of its scan, no segment of it empty.
        description: becomes the series description.

    Raises SceneError with what the plugin said.
    """
    import DICOMSegmentationPlugin

    plugin = DICOMSegmentationPlugin.DICOMSegmentationPluginClass()
    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    exportables = plugin.examineForExport(tree.GetItemByDataNode(draft))
    if not exportables:
        raise SceneError(_("Slicer's DICOM exporter does not take this segmentation: a DICOM file of it is gone."))
    for exportable in exportables:
        exportable.directory = str(folder)
        for name, text in {**TAGS, "SeriesDescription": description}.items():
            exportable.setTag(name, text)
    answer = plugin.export(exportables)
    if answer:
        reason = " ".join(str(answer).split())[:400]
        raise SceneError(_("Slicer's DICOM exporter refused: {reason}").format(reason=reason))
    files = sorted(pathlib.Path(folder).glob("*.dcm"))
    if len(files) != 1:
        raise SceneError(_("Slicer's DICOM exporter reported no error and wrote no file: see Slicer's error log."))
    return files[0]


def reason_against(segmentationNode: slicer.vtkMRMLSegmentationNode | None) -> str:
    """Why a segmentation cannot become DICOM-SEG, in one sentence; "" where it can."""
    if segmentationNode is None or not segment_ids(segmentationNode):
        return _("There are no segments to export.")
    volume = reference_of(segmentationNode)
    if volume is None:
        return _("DICOM-SEG refers to DICOM images, and this segmentation names no scan that it belongs to.")
    if not instance_uids(volume):
        text = _("DICOM-SEG refers to DICOM images, and the scan {name} was not loaded from DICOM.")
        return text.format(name=volume.GetName())
    if not has_plugin():
        return _("DICOM-SEG needs Slicer 5.12 or newer, which brings the exporter.")
    return missing_files(volume) or _reason_of_terms(segmentationNode)


def write_dicom_seg(segmentationNode: slicer.vtkMRMLSegmentationNode, path: pathlib.Path) -> str:
    """Write the segments that have a voxel with Slicer's own plugin, and read the file back.

    Returns a sentence where empty segments were left out; else "". Raises SceneError, in one sentence.
    """
    reason = reason_against(segmentationNode)
    if reason:
        raise SceneError(reason)
    volume = reference_of(segmentationNode)
    masks = masks_of(segmentationNode, volume)
    full = [mask for mask in masks if mask.voxels.any()]
    if not full:
        raise SceneError(_("All segments are empty, and DICOM-SEG holds no empty ones."))
    with draft_on_scan(segmentationNode, volume, full) as draft, beside(path) as folder:
        description = segmentationNode.GetName()[:LONGEST_DESCRIPTION]
        file = run_plugin(draft, description, folder)
        _check(file, full)
        move(file, path)
    left_out = [mask.segment.GetName() for mask in masks if not mask.voxels.any()]
    return _("Left out as empty: {names}.").format(names=", ".join(left_out)) if left_out else ""


def _reason_of_terms(segmentationNode: slicer.vtkMRMLSegmentationNode) -> str:
    """A sentence on the segments that lack what DICOM demands; "" where all have it."""
    segmentation = segmentationNode.GetSegmentation()
    segments = [segmentation.GetSegment(segment_id) for segment_id in segment_ids(segmentationNode)]
    bare = [segment.GetName() for segment in segments if not _has_terms(segment)]
    if bare:
        text = _("DICOM-SEG needs a coded term for every segment: set one for {names} by a double click on its colour.")
        return text.format(names=", ".join(bare))
    nameless = [segment.GetName() for segment in segments if not _has_algorithm(segment)]
    if nameless:
        text = _("DICOM-SEG needs the name of the algorithm that made {names}: its tag DICOM.SegmentAlgorithmName.")
        return text.format(names=", ".join(nameless))
    return ""


def _has_terms(segment: slicer.vtkSegment) -> bool:
    """Whether category and type have scheme, value and meaning."""
    parts = tag_of(segment, segment.GetTerminologyEntryTagName()).split("~")
    codes = [part.split("^") for part in parts[1:3]]
    return len(codes) == 2 and all(len(code) == 3 and all(code) for code in codes)


def _has_algorithm(segment: slicer.vtkSegment) -> bool:
    made = tag_of(segment, "DICOM.SegmentAlgorithmType") or "MANUAL"
    return made == "MANUAL" or bool(tag_of(segment, "DICOM.SegmentAlgorithmName"))


def _check(file: pathlib.Path, masks: Sequence[Mask]) -> None:
    """SceneError where the file does not hold these segments, voxel for voxel in number."""
    import pydicom

    try:
        dataset = pydicom.dcmread(file)
        found = [segment for segment in dataset.SegmentSequence if int(segment.SegmentNumber) != 0]  # 0: background
        size, count = (int(dataset.Rows), int(dataset.Columns)), int(np.count_nonzero(dataset.pixel_array))
    except (OSError, AttributeError, KeyError, ValueError, TypeError, RuntimeError, NotImplementedError) as error:
        text = _("The DICOM-SEG that Slicer wrote cannot be read back ({reason}); it was discarded.")
        raise SceneError(text.format(reason=type(error).__name__)) from error
    expected = sum(int(np.count_nonzero(mask.voxels)) for mask in masks)
    if len(found) != len(masks) or count != expected or size != masks[0].voxels.shape[1:]:
        text = _("The DICOM-SEG that Slicer wrote holds {count} voxels in {segments} segments, not {expected} in "
                 "{wanted}; it was discarded, and its copy in the DICOM database should be removed.")  # fmt: skip
        raise SceneError(text.format(count=count, segments=len(found), expected=expected, wanted=len(masks)))
