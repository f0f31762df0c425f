"""SegmentJob: from an order to nodes in the scene; the engine's child process does the work in between."""

from slicer.i18n import tr as _

from ALHVRSegmentationLib.child.events import progress_of
from ALHVRSegmentationLib.child.process import ChildProcess
from ALHVRSegmentationLib.places import remove_folder, work_folder
from ALHVRSegmentationLib.scene.errors import SceneError
from ALHVRSegmentationLib.segment.inputs import write_inputs
from ALHVRSegmentationLib.segment.results import Outcome, Told, take_results

MOST_WARNINGS = 10
"""In the sentence about the result; the log has all."""


class SegmentJob:
    """One press of *Segment*.

    `onProgress(text, fraction)` tells the stage, fraction 0 to 1 or None where it is not known; `onLog(line)` every
    line of the engine; `onDone(outcome)` comes once, unless the job was discarded. The scene is changed only when the
    engine is done, so a job that is cancelled or fails leaves it as it was.
    """

    def __init__(self, order, *, onProgress, onLog, onDone):
        self._order = order
        self._onProgress, self._onLog, self._onDone = onProgress, onLog, onDone
        self._folder = None
        self._child = None
        self._frames = ()
        self._warnings = []
        self._scans = ()

    def start(self):
        """Write the scan for the engine and start it; raises SceneError and OSError, and has left nothing then."""
        self._folder = work_folder("segment")
        try:
            self._onProgress(_("Handing the scan over"), None)
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

    def cancel(self):
        """Ask the engine to end; it has ended within two seconds."""
        self._onProgress(_("Cancelling"), None)
        self._child.cancel()

    def discard(self):
        """End at once; nothing is heard of the job any more."""
        if self._child is not None:
            self._child.discard()
        self._tidy()

    def _onEvent(self, event):
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

    def _tell(self, progress):
        if progress is None:
            return
        text = _("Segmenting")
        if progress.stage == "scans":
            text = _("Segmented {done} of {total} frames").format(done=progress.done, total=progress.total)
        if progress.seconds_left is not None:
            text = _("{what}, {time} left").format(what=text, time=in_words(progress.seconds_left))
        self._onProgress(text, progress.done / progress.total if progress.total else None)

    def _onEnd(self, ending):
        """The child has ended: take the result, or say why there is none."""
        try:
            if ending.kind == "finished":
                self._onProgress(_("Bringing the result into the scene"), None)
            outcome = self._outcome(ending)
        finally:
            self._tidy()
        self._onDone(outcome)

    def _outcome(self, ending):
        if ending.kind == "cancelled":
            return Outcome("cancelled", _("Cancelled; nothing was changed."))
        if ending.kind != "finished":
            return Outcome("failed", " ".join(part for part in (ending.message, ending.hint) if part))
        try:
            told = Told(self._scans, tuple(text for text in (*self._warnings, ending.message) if text))
            return take_results(self._order, self._frames, self._folder / "out", told)
        except SceneError as error:
            return Outcome("failed", str(error))
        except (OSError, ValueError, RuntimeError) as error:
            return Outcome("failed", _("The result could not be taken over: {why}").format(why=error))

    def _tidy(self):
        """No scan stays on the disk."""
        if self._folder is not None:
            remove_folder(self._folder)
            self._folder = None


def in_words(seconds):
    """A length of time for people, such as "40 s", "12 min" or "3.5 h"."""
    if seconds < 90:
        return _("{n} s").format(n=round(seconds))
    if seconds < 5400:
        return _("{n} min").format(n=round(seconds / 60))
    return _("{n} h").format(n=round(seconds / 3600, 1))
