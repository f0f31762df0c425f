"""The worst case: a held-out scan, its label and what the model made of it, as nodes of the user's."""

from __future__ import annotations

from pathlib import Path

import slicer
from slicer.i18n import tr as _

from ALHVRLib.models.untrusted_files import one_line
from ALHVRLib.scene.errors import SceneError
from ALHVRLib.scene.segment_masks import hide_segmentations


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
