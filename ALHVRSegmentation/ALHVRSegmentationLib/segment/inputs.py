"""Inputs: the scan, or every frame of it, as files for the engine."""

import slicer
from slicer.i18n import tr as _

from ALHVRSegmentationLib.scene import sequences
from ALHVRSegmentationLib.scene.errors import SceneError
from ALHVRSegmentationLib.scene.volume_out import write_volume
from ALHVRSegmentationLib.segment.order import SCAN, channel_file, frame_name


def write_inputs(order, folder):
    """Write what an Order asks for into a new folder; returns the names of the scans there, one a frame.

    Raises SceneError where a volume is gone or cannot be segmented, and OSError where the disk refuses.
    """
    folder.mkdir(parents=True)
    volumes = [slicer.mrmlScene.GetNodeByID(node_id) for node_id in order.volume_ids]
    if None in volumes:
        raise SceneError(_("The scan is not in the scene any more."))
    if not order.all_frames:
        _write_channels(volumes, folder, SCAN)
        return (SCAN,)
    channels = [list(sequences.frames(volume)) for volume in volumes]
    counts = [len(frames) for frames in channels]
    if len(set(counts)) > 1:
        text = _("The channels have {counts} frames: all have to have equally many.")
        raise SceneError(text.format(counts=_(" and ").join(map(str, counts))))
    names = tuple(frame_name(number) for number in range(counts[0]))
    for name, frame in zip(names, zip(*channels, strict=True), strict=True):
        _write_channels(frame, folder, name)
    return names


def _write_channels(volumes, folder, name):
    """One scan with all its channels."""
    for channel, volume in enumerate(volumes):
        write_volume(volume, folder / channel_file(name, channel, len(volumes)))
