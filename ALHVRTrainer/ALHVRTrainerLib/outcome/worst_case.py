"""Opening what a model made: the worst held-out case with its label, and one scan of the archive with its result."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import slicer
from slicer.i18n import tr as _

from ALHVRLib.models.untrusted_files import one_line
from ALHVRLib.scene.errors import SceneError
from ALHVRLib.scene.label_images import fingerprint
from ALHVRLib.scene.segment_masks import hide_segmentations, segment_ids
from ALHVRTrainerLib.training.preview_files import ARCHIVE, PreviewCase, read_preview


def load_case(image: Path, label: Path, segmentation: Path | None) -> None:
    """Load a case and show it; the label is filled, the model's segmentation an outline.

    Raises SceneError, in one sentence, where a file cannot be loaded; the scan stays where only that failed.
    """
    scan = _loaded(slicer.util.loadVolume, image)
    hide_segmentations()
    slicer.util.setSliceViewerLayers(background=scan, fit=True)
    _addSegments(label, _("{scan} label"), scan, filled=True)
    if segmentation is None:
        raise SceneError(_("The segmentation of {name} was not kept.").format(name=scan.GetName()))
    _addSegments(segmentation, _("{scan} as the model found it"), scan, filled=False)


class ShownResult:
    """A scan of the archive with its result in the scene; the next one takes its place, but not that of edits."""

    def __init__(self) -> None:
        self._ids: tuple[str, ...] = ()
        self._content: dict[str, str] = {}
        """Of the result as it was loaded."""

    def show(self, name: str, image: Path, segmentation: Path, allowed: Sequence[Path]) -> None:
        """Load and show both; SceneError, in one sentence, where a file cannot be loaded, with nothing changed.

        allowed: folders in which the scan may lie.
        """
        data = read_preview(PreviewCase(name, ARCHIVE, image, segmentation, None), allowed)
        if data.image is None:
            raise SceneError(data.problem)
        result = _loaded(slicer.util.loadSegmentation, segmentation)
        self._removeFormer()
        scan = slicer.util.addVolumeFromArray(data.image.voxels, data.image.ijk_to_ras, name)
        hide_segmentations(but=(result.GetID(),))
        result.SetName(_("{scan} as the model found it").format(scan=name))
        result.SetReferenceImageGeometryParameterFromVolumeNode(scan)
        slicer.util.setSliceViewerLayers(background=scan, fit=True, rotateToVolumePlane=True)
        self._ids, self._content = (scan.GetID(), result.GetID()), _content(result)

    def forget(self) -> None:
        """The scene goes."""
        self._ids = ()

    def _removeFormer(self) -> None:
        nodes = [slicer.mrmlScene.GetNodeByID(node_id) for node_id in self._ids]
        result = nodes[-1] if nodes else None
        if result is not None and _content(result) != self._content:
            return
        for node in nodes:
            if node is not None:
                slicer.mrmlScene.RemoveNode(node)


def _content(result: slicer.vtkMRMLSegmentationNode) -> dict[str, str]:
    """What tells an edited segmentation: name and voxels of each segment, by ID."""
    segmentation = result.GetSegmentation()
    found = {one: segmentation.GetSegment(one) for one in segment_ids(result)}
    return {one: f"{segment.GetName()} {fingerprint(segment)}" for one, segment in found.items()}


def _addSegments(path: Path, title: str, scan: slicer.vtkMRMLVolumeNode, *, filled: bool) -> None:
    node = _loaded(slicer.util.loadSegmentation, path)
    node.SetName(title.format(scan=scan.GetName()))
    node.SetReferenceImageGeometryParameterFromVolumeNode(scan)
    node.GetDisplayNode().SetVisibility2DFill(filled)


def _loaded(load: object, path: Path) -> slicer.vtkMRMLNode:
    try:
        return load(str(path))
    except RuntimeError as error:
        raise SceneError(_("{name} cannot be loaded.").format(name=one_line(path.name))) from error
