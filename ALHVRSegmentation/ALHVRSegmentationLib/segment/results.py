"""Results: what the engine has written becomes nodes of the scene, all or none of them."""

from dataclasses import dataclass

import slicer
from slicer.i18n import tr as _

from ALHVRSegmentationLib.scene import sequences
from ALHVRSegmentationLib.scene.labels import labels_of
from ALHVRSegmentationLib.scene.nrrd_in import read_nrrd_array
from ALHVRSegmentationLib.scene.segmentation_in import put_segments
from ALHVRSegmentationLib.segment.region_results import region_nodes


@dataclass(frozen=True)
class Outcome:
    """How a job ended."""

    kind: str
    """"done", "odd" (done, with a warning), "failed" or "cancelled"."""
    sentence: str
    """For the user."""
    segmentation_id: str = ""
    regions_id: str = ""


@dataclass(frozen=True)
class Told:
    """What the engine said of its results."""

    scans: tuple
    """Of each scan: volumes_ml by structure, spacing_may_be_nominal."""
    warnings: tuple
    """Sentences."""


def take_results(order, frames, folder, told):
    """Bring the results of an Order into the scene; all of them, or the scene stays as it is.

    Raises SceneError, OSError and ValueError where that is not possible.
    """
    volume = slicer.mrmlScene.GetNodeByID(order.volume_ids[0])
    if volume is None:
        return Outcome("failed", _("The scan was removed while it was being segmented, so nothing was added."))
    segmentation = slicer.mrmlScene.GetNodeByID(order.segmentation_id) if order.segmentation_id else None
    labels, algorithm = labels_of(order.model_folder), f"ALHVR: {order.model_title}"
    if order.all_frames:
        arrays = [read_nrrd_array(folder / f"{name}.nrrd") for name in frames]
        placed = sequences.put_frames(arrays, labels, volume, segmentation, algorithm)
    else:
        array = read_nrrd_array(folder / f"{frames[0]}.nrrd")
        placed = put_segments(array, labels, volume, segmentation, algorithm)
    regions = ""
    if order.with_regions and not order.all_frames:
        regions = region_nodes(volume, placed.segmentation_id, folder, frames[0])
    warnings = [*told.warnings, placed.note]
    sentence = " ".join(text for text in (_found(told.scans), *warnings) if text)
    return Outcome("odd" if any(warnings) else "done", sentence, placed.segmentation_id, regions)


def _found(scans):
    """What was found, in millilitres where the spacing is real."""
    if len(scans) != 1:
        return _("{n} frames were segmented.").format(n=len(scans))
    volumes = scans[0].get("volumes_ml", {})
    found = [name for name, ml in volumes.items() if ml > 0]
    missing = [name for name in volumes if name not in found]
    if not found:
        return _("None of the model's structures was found in this scan.")
    amounts = found
    if not scans[0].get("spacing_may_be_nominal"):
        amounts = [_("{name} {ml} ml").format(name=name, ml=_amount(volumes[name])) for name in found]
    said = _("Found: {what}.").format(what=", ".join(amounts))
    return said + (" " + _("Not found: {what}.").format(what=", ".join(missing)) if missing else "")


def _amount(ml):
    """Two figures of what is small, whole millilitres of what is large."""
    return f"{ml:.2g}" if ml < 10 else f"{ml:,.0f}"
