"""NRRD: a segmentation as Slicer's own .seg.nrrd, in the space of the scan's file."""

from __future__ import annotations

from pathlib import Path

import slicer
from slicer.i18n import tr as _

from ALHVRLib.scene.errors import SceneError
from ALHVRLib.scene.label_images import fingerprint
from ALHVRLib.scene.segment_masks import reference_of, segment_ids
from ALHVRSegmentationLib.export.draft import draft_segmentation, put_in_scene, segments_off_grid
from ALHVRSegmentationLib.export.files import beside, check_space, move

ENDING = ".seg.nrrd"
SMALLEST_FILE = 1 << 16


def write_nrrd(segmentationNode: slicer.vtkMRMLSegmentationNode, path: Path) -> str:
    """Write all segments with names, colours, coded terms and overlaps, and read them back.

    They lie where the scan's own file has the voxels: a transform above both is not part of the file, as it is not
    part of the scan's. Returns a sentence where segments had to be resampled, as a file has one grid; else "". Raises
    SceneError, in one sentence; nothing is left behind then.
    """
    if not segment_ids(segmentationNode):
        raise SceneError(_("The segmentation {name} has no segments.").format(name=segmentationNode.GetName()))
    with draft_segmentation(segmentationNode, reference_of(segmentationNode)) as draft, beside(path) as folder:
        check_space(path, SMALLEST_FILE)
        new = folder / f"new{ENDING}"
        expected = _content(draft)
        if not _write(draft, new) or _read_back(new) != expected:
            check_space(path, new.stat().st_size if new.is_file() else SMALLEST_FILE)
            text = _("{name} was not written: Slicer could not write it whole to {folder}; look into its error log.")
            raise SceneError(text.format(name=path.name, folder=path.parent))
        move(new, path)
    others = segments_off_grid(segmentationNode)
    if not others:
        return ""
    text = _("{names} had another grid than the scan and were resampled to it: a file has one grid.")
    return text.format(names=", ".join(others))


def _write(node: slicer.vtkMRMLSegmentationNode, path: Path) -> bool:
    return bool(_storage(node, path).WriteData(node))


def _read_back(path: Path) -> list[tuple[str, str]] | None:
    """What is in the file, or None where it cannot be read."""
    scene = slicer.vtkMRMLScene()
    node = put_in_scene(slicer.vtkMRMLSegmentationNode(), "ALHVR check", scene)
    return _content(node) if _storage(node, path).ReadData(node) else None


def _storage(node: slicer.vtkMRMLSegmentationNode, path: Path) -> slicer.vtkMRMLSegmentationStorageNode:
    storage = put_in_scene(slicer.vtkMRMLSegmentationStorageNode(), "ALHVR file", node.GetScene())
    storage.SetFileName(str(path))
    storage.SetUseCompression(True)
    return storage


def _content(node: slicer.vtkMRMLSegmentationNode) -> list[tuple[str, str]]:
    """Name and voxels of each segment."""
    segmentation = node.GetSegmentation()
    segments = [segmentation.GetSegment(segment_id) for segment_id in segment_ids(node)]
    return [(segment.GetName(), fingerprint(segment)) for segment in segments]
