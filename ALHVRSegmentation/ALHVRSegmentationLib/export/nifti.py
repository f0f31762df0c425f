"""NIfTI: a segmentation as a label map in .nii.gz on the scan's grid, with a .json that names the values."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import slicer
from slicer.i18n import tr as _

from alhvr.formats.nifti import ENDING, nifti_parts, write_gzip
from ALHVRLib.scene.errors import SceneError
from ALHVRLib.scene.export_volume import own_ijk_to_ras
from ALHVRLib.scene.segment_masks import masks_of, reference_of, segment_ids
from ALHVRSegmentationLib.export.files import LabelMap, beside, label_map, move
from ALHVRSegmentationLib.results.result_segments import tag_of

NAMES_ENDING = ".json"


def write_nifti(segmentationNode: slicer.vtkMRMLSegmentationNode, path: Path) -> str:
    """Write the segments as values of one volume, and beside it what they mean; read them back.

    The grid is that of the scan's own file, oblique or sheared as it is. Returns a sentence where voxels belong to
    several segments, of which a label map keeps one; else "". Raises SceneError, in one sentence; nothing is left
    behind then.
    """
    volume = _scan(segmentationNode)
    found = label_map(masks_of(segmentationNode, volume))
    matrix = own_ijk_to_ras(volume)
    names = json.dumps(_names(found), indent=1, ensure_ascii=False)
    with beside(path) as folder:
        new, new_names = folder / f"new{ENDING}", folder / f"new{NAMES_ENDING}"
        with new.open("wb") as file:
            write_gzip(file, nifti_parts(found.values, matrix))
        new_names.write_text(names, encoding="utf-8")
        _check(new, found.values, matrix)
        move(new, path)
        move(new_names, path.with_name(path.name.removesuffix(ENDING) + NAMES_ENDING))
    if not found.n_overlapping:
        return ""
    text = _("{count} voxels belong to several segments; NIfTI keeps the last one, NRRD keeps them all.")
    return text.format(count=found.n_overlapping)


def _scan(segmentationNode: slicer.vtkMRMLSegmentationNode) -> slicer.vtkMRMLVolumeNode:
    """The scan whose grid the file gets."""
    volume = reference_of(segmentationNode)
    name = segmentationNode.GetName()
    if not segment_ids(segmentationNode):
        raise SceneError(_("The segmentation {name} has no segments.").format(name=name))
    if volume is None or volume.GetImageData() is None:
        text = _("The segmentation {name} names no scan whose grid the file could have: set its source geometry in "
                 "the module Segmentations, or export it as NRRD.")  # fmt: skip
        raise SceneError(text.format(name=name))
    return volume


def _names(found: LabelMap) -> dict[str, Any]:
    """What each value means."""
    labels = {}
    for value, mask in found.masks.items():
        segment = mask.segment
        labels[str(value)] = {
            "name": segment.GetName(),
            "colour_rgb": [round(part, 4) for part in segment.GetColor()],
            "terminology": tag_of(segment, segment.GetTerminologyEntryTagName()),
        }
    return {"labels": labels, "overlapping_voxels": found.n_overlapping}


def _check(path: Path, values: np.ndarray, matrix: np.ndarray) -> None:
    """Read the file back; SceneError where it is not what was written."""
    try:
        with gzip.open(path) as file:
            same = all(file.read(len(part)) == part for part in nifti_parts(values, matrix)) and not file.read(1)
    except (OSError, EOFError, ValueError):
        same = False
    if not same:
        text = _("The NIfTI file could not be read back as it was written: try another folder.")
        raise SceneError(text)
