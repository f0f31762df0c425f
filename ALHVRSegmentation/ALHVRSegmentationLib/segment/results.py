"""Results: what the engine has written becomes nodes of the scene, all or none of them."""

from dataclasses import dataclass

import slicer
from ALHVRSegmentationLib.scene import sequences
from ALHVRSegmentationLib.scene.labels import labels_of
from ALHVRSegmentationLib.scene.nrrd_in import read_nrrd_array
from ALHVRSegmentationLib.scene.region_nodes import make_region_nodes
from ALHVRSegmentationLib.scene.segmentation_in import new_segmentation, put_segments
from slicer.i18n import tr as _


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
    """Bring the results of an Order into the scene.

    Raises SceneError, OSError and ValueError where that is not possible; the scene is as before then.
    """
    volume = slicer.mrmlScene.GetNodeByID(order.volume_ids[0])
    if volume is None:
        return Outcome("failed", _("The scan was removed while it was being segmented, so nothing was added."))
    segmentation = slicer.mrmlScene.GetNodeByID(order.segmentation_id) if order.segmentation_id else None
    made = segmentation is None
    if made:
        segmentation = new_segmentation(volume)
    try:
        regions = _take(order, frames, folder, volume, segmentation)
    except BaseException:
        if made:
            slicer.mrmlScene.RemoveNode(segmentation)
        raise
    kind = "odd" if told.warnings else "done"
    return Outcome(kind, _sentence(told), segmentation.GetID(), "" if regions is None else regions.GetID())


def _take(order, frames, folder, volume, segmentation):
    """Fill the segmentation; the node of the regions where there are any."""
    labels = labels_of(order.model_folder)
    algorithm = f"ALHVR: {order.model_title}"
    if order.all_frames:
        arrays = (read_nrrd_array(folder / f"{name}.nrrd") for name in frames)
        sequences.write_segmentations(arrays, labels, volume, segmentation, algorithm)
        return None
    (name,) = frames
    put_segments(read_nrrd_array(folder / f"{name}.nrrd"), labels, volume, segmentation, algorithm)
    return make_region_nodes(volume, segmentation, folder, name) if order.with_regions else None


def _sentence(told):
    """What was found, in millilitres where the spacing is real, and what the engine warned of."""
    parts = []
    if len(told.scans) == 1:
        parts.append(_found(told.scans[0]))
    else:
        parts.append(_("{n} frames were segmented.").format(n=len(told.scans)))
    return " ".join([*parts, *told.warnings])


def _found(scan):
    volumes = scan.get("volumes_ml", {})
    found = [name for name, ml in volumes.items() if ml > 0]
    missing = [name for name in volumes if name not in found]
    if not found:
        return _("None of the model's structures was found in this scan.")
    if scan.get("spacing_may_be_nominal"):
        said = _("Found: {what}.").format(what=", ".join(found))
    else:
        amounts = [_("{name} {ml} ml").format(name=name, ml=_amount(volumes[name])) for name in found]
        said = _("Found: {what}.").format(what=", ".join(amounts))
    return said + (" " + _("Not found: {what}.").format(what=", ".join(missing)) if missing else "")


def _amount(ml):
    """Two figures that count for what is small, whole millilitres for what is large."""
    return f"{ml:.2g}" if ml < 10 else f"{ml:,.0f}"
