"""Order: what is to be segmented, with what and into what; the files and the arguments that the engine gets."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import slicer
from slicer.i18n import tr as _

from ALHVRLib.scene.errors import SceneError
from ALHVRLib.scene.export_volume import export_volume
from ALHVRSegmentationLib.parameters import Fusion, RunOn
from ALHVRSegmentationLib.results import sequences

SCAN = "scan"
"""Name of the scan in the job's folder: no name of the patient's leaves the scene."""


@dataclass(frozen=True)
class Order:
    """A job to be done. Nodes by ID: any of them may be gone when the result comes."""

    volume_ids: tuple
    """The scan, then its other channels."""
    segmentation_id: str
    """Where the result goes; "" for a new one."""
    model_folder: Path
    model_title: str
    frame: str
    """Index value of the frame that is shown, where the scan is a sequence; "" otherwise."""
    all_frames: bool
    with_regions: bool
    run_on: RunOn
    fusion: Fusion
    temperature: float

    @property
    def algorithm(self) -> str:
        """What DICOM is to name as the maker of the segments."""
        return f"ALHVR: {self.model_title}"

    def arguments(self, inputs: Path, results: Path) -> list[str]:
        """The command line of the engine, for scans in the folder `inputs` and results in the folder `results`."""
        found = ["segment", str(inputs), "--model", str(self.model_folder), "--out", str(results)]
        found += ["--format", "nrrd", "--progress", "json", "--device", _device(self.run_on)]
        if self.fusion is not Fusion.AS_TRAINED:
            found += ["--fusion", self.fusion.value]
        if self.with_regions:
            found += ["--regions", "--uncompressed", "--temperature", f"{self.temperature:g}"]
        return found


def frame_name(number: int) -> str:
    """Name of a frame of a sequence in the job's folder, in the order of the numbers."""
    return f"{SCAN}-{number:05d}"


def channel_file(name: str, channel: int, n_channels: int) -> str:
    """File name of a channel of a scan; several channels are numbered as the engine expects them."""
    return f"{name}.nrrd" if n_channels == 1 else f"{name}_{channel:04d}.nrrd"


def _device(run_on: RunOn) -> str:
    """What the engine calls the place to run."""
    if run_on is RunOn.GPU:
        return "mps" if sys.platform == "darwin" else "cuda"
    return run_on.value


def write_inputs(order: Order, folder: Path) -> tuple[str, ...]:
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


def _write_channels(volumes: Sequence[slicer.vtkMRMLVolumeNode], folder: Path, name: str) -> None:
    """One scan with all its channels."""
    for channel, volume in enumerate(volumes):
        export_volume(volume, folder / channel_file(name, channel, len(volumes)))
