"""Results: what the engine has written becomes nodes of the scene, all or none of them."""

from dataclasses import dataclass

import slicer
from slicer.i18n import tr as _

from ALHVRSegmentationLib.child.events import finite
from ALHVRSegmentationLib.scene import sequences
from ALHVRSegmentationLib.scene.errors import SceneError
from ALHVRSegmentationLib.scene.labels import labels_of
from ALHVRSegmentationLib.scene.nrrd_in import read_nrrd_array
from ALHVRSegmentationLib.scene.region_nodes import make_region_nodes
from ALHVRSegmentationLib.scene.segmentation_in import new_segmentation, put_segments


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
    """Bring the results of an Order into the scene; without segments the scene stays as it is.

    Raises SceneError, OSError and ValueError where that is not possible.
    """
    volume = slicer.mrmlScene.GetNodeByID(order.volume_ids[0])
    if volume is None:
        return Outcome("failed", _("The scan was removed while it was being segmented, so nothing was added."))
    frame = volume if order.all_frames else sequences.frame_at(volume, order.frame or None)
    if frame is None:
        return Outcome("failed", _("The frame was removed while it was being segmented, so nothing was added."))
    segmentation = slicer.mrmlScene.GetNodeByID(order.segmentation_id) if order.segmentation_id else None
    warnings, regions = [*told.warnings], None
    if order.all_frames:
        segmentation = _take_frames(order, frames, folder, volume, segmentation)
    else:
        array = read_nrrd_array(folder / f"{frames[0]}.nrrd")
        placed = put_segments(array, labels_of(order.model_folder), frame, segmentation, order.algorithm)
        segmentation = slicer.mrmlScene.GetNodeByID(placed.segmentation_id)
        warnings.append(placed.note)
        if order.with_regions:
            try:
                regions = make_region_nodes(frame, segmentation, folder, frames[0])
            except (SceneError, OSError) as error:
                warnings.append(_("Where the model is unsure cannot be shown: {why}").format(why=error))
    sentence = " ".join(text for text in (_found(told.scans), *warnings) if text)
    kind = "odd" if any(warnings) else "done"
    return Outcome(kind, sentence, segmentation.GetID(), "" if regions is None else regions.GetID())


def _take_frames(order, frames, folder, volume, segmentation):
    """The results of all frames as a sequence; the segmentation that shows them."""
    made = segmentation is None
    if made:
        segmentation = new_segmentation(volume)
    try:
        arrays = (read_nrrd_array(folder / f"{frame}.nrrd") for frame in frames)
        labels = labels_of(order.model_folder)
        sequences.write_segmentations(arrays, labels, volume, segmentation, order.algorithm)
    except BaseException:
        if made:
            slicer.mrmlScene.RemoveNode(segmentation)
        raise
    return segmentation


def _found(scans):
    """What was found, in millilitres where the spacing is real."""
    if not scans:
        return ""
    if len(scans) != 1:
        return _("{n} frames were segmented.").format(n=len(scans))
    volumes = scans[0].get("volumes_ml")
    volumes = {name: finite(ml) or 0.0 for name, ml in volumes.items()} if isinstance(volumes, dict) else {}
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
