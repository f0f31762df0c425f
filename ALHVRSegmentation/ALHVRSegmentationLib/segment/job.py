"""SegmentJob: from an order to nodes in the scene; the engine's child process does the work in between."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import slicer
from slicer.i18n import tr as _

from alhvr.core.progress import in_words
from ALHVRLib.child_events import Event, ExitStatus, Progress, finite, progress_of
from ALHVRLib.child_process import ChildProcess
from ALHVRLib.paths import remove_folder, work_folder
from ALHVRLib.scene.errors import SceneError
from ALHVRLib.scene.label_images import labels_of, read_nrrd
from ALHVRSegmentationLib.results import sequences
from ALHVRSegmentationLib.results.import_segmentation import new_segmentation, put_segments
from ALHVRSegmentationLib.results.region_nodes import make_region_nodes
from ALHVRSegmentationLib.segment.order import Order, write_inputs

MOST_WARNINGS = 10
"""In the sentence about the result; the log has all."""


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
class EngineReport:
    """What the engine said of its results."""

    scans: tuple
    """Of each scan: volumes_ml by structure, spacing_may_be_nominal."""
    warnings: tuple
    """Sentences."""


def take_results(order: Order, frames: Sequence[str], folder: Path, told: EngineReport) -> Outcome:
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
        array = read_nrrd(folder / f"{frames[0]}.nrrd")
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


def _take_frames(order: Order, frames: Sequence[str], folder: Path, volume: slicer.vtkMRMLVolumeNode,
                 segmentation: slicer.vtkMRMLSegmentationNode | None) -> slicer.vtkMRMLSegmentationNode:
    """The results of all frames as a sequence; the segmentation that shows them."""
    made = segmentation is None
    if made:
        segmentation = new_segmentation(volume)
    try:
        arrays = (read_nrrd(folder / f"{frame}.nrrd") for frame in frames)
        labels = labels_of(order.model_folder)
        sequences.write_segmentations(arrays, labels, volume, segmentation, order.algorithm)
    except BaseException:
        if made:
            slicer.mrmlScene.RemoveNode(segmentation)
        raise
    return segmentation


def _found(scans: Sequence[dict]) -> str:
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


def _amount(ml: float) -> str:
    """Two figures of what is small, whole millilitres of what is large."""
    return f"{ml:.2g}" if ml < 10 else f"{ml:,.0f}"


class SegmentJob:
    """One press of *Segment*.

    `onProgress(text, fraction)` tells the stage, fraction 0 to 1 or None where it is not known; `onLog(line)` every
    line of the engine; `onDone(outcome)` comes once, unless the job was discarded. The scene is changed only when the
    engine is done, so a job that is cancelled or fails leaves it as it was.
    """

    def __init__(self, order: Order, *, onProgress: Callable[[str, float | None], None], onLog: Callable[[str], None],
                 onDone: Callable[[Outcome], None]) -> None:
        self._order = order
        self._onProgress, self._onLog, self._onDone = onProgress, onLog, onDone
        self._folder = None
        self._child = None
        self._frames = ()
        self._warnings = []
        self._scans = ()

    def start(self) -> None:
        """Write the scan for the engine and start it; raises SceneError and OSError, and has left nothing then."""
        self._folder = work_folder("segment")
        try:
            self._onProgress(_("Exporting the scan"), None)
            self._frames = write_inputs(self._order, self._folder / "in")
            self._child = ChildProcess(
                self._order.arguments(self._folder / "in", self._folder / "out"),
                onEvent=self._onEvent,
                onLog=self._onLog,
                onEnd=self._onEnd,
                workFolder=self._folder,
            )
            self._child.start()
        except BaseException:
            self._tidy()
            raise

    def cancel(self) -> None:
        """Ask the engine to end; it has ended within two seconds."""
        self._onProgress(_("Cancelling"), None)
        self._child.cancel()

    def discard(self) -> None:
        """End at once; nothing is heard of the job any more."""
        if self._child is not None:
            self._child.discard()
        self._tidy()

    def _onEvent(self, event: Event) -> None:
        """What the engine says on its way."""
        if event.kind == "progress":
            self._tell(progress_of(event))
        elif event.kind == "finished":
            self._scans = event.objects("scans")
        elif event.kind in ("warning", "note"):
            message = event.shown("message")
            self._onLog(message)
            if event.kind == "warning" and len(self._warnings) < MOST_WARNINGS:
                self._warnings.append(message)

    def _tell(self, progress: Progress | None) -> None:
        if progress is None:
            return
        text = _("Segmenting")
        if progress.stage == "scans":
            text = _("Segmented {done} of {total} frames").format(done=progress.done, total=progress.total)
        if progress.seconds_left is not None:
            text = _("{what}, {time} left").format(what=text, time=in_words(progress.seconds_left))
        self._onProgress(text, progress.done / progress.total if progress.total else None)

    def _onEnd(self, exit_status: ExitStatus) -> None:
        """The child has ended: take the result, or say why there is none."""
        try:
            if exit_status.kind == "finished":
                self._onProgress(_("Importing the result"), None)
            outcome = self._outcome(exit_status)
        finally:
            self._tidy()
        self._onDone(outcome)

    def _outcome(self, exit_status: ExitStatus) -> Outcome:
        if exit_status.kind == "cancelled":
            return Outcome("cancelled", _("Cancelled; nothing was changed."))
        if exit_status.kind != "finished":
            return Outcome("failed", " ".join(part for part in (exit_status.message, exit_status.hint) if part))
        try:
            told = EngineReport(self._scans, tuple(text for text in (*self._warnings, exit_status.message) if text))
            return take_results(self._order, self._frames, self._folder / "out", told)
        except SceneError as error:
            return Outcome("failed", str(error))
        except (OSError, ValueError, RuntimeError) as error:
            return Outcome("failed", _("The result could not be imported: {why}").format(why=error))

    def _tidy(self) -> None:
        """No scan stays on the disk."""
        if self._folder is not None:
            remove_folder(self._folder)
            self._folder = None
