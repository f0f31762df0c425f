"""WorstCase: loads the held-out scan with the lowest score, its label, and what the model makes of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import slicer
from slicer.i18n import tr as _

from ALHVRLib import paths
from ALHVRLib.child_events import progress_of
from ALHVRLib.child_process import ChildProcess
from ALHVRLib.models.untrusted_files import one_line, reason

if TYPE_CHECKING:
    from ALHVRLib.child_events import Event, ExitStatus


class WorstCase:
    """One scan on its way into the scene; for a BusyBar.

    Args:
        image, label: files of the case.
        model: folder of the model to segment with.
        onDone: called once with a sentence, "" where all was loaded.
    """

    def __init__(self, image: Path, label: Path, model: Path, *, onProgress: Callable[[str, float | None], None],
                 onDone: Callable[[str], None]) -> None:
        self._image, self._label, self._model = image, label, model
        self._onProgress, self._onDone = onProgress, onDone
        self._child: ChildProcess | None = None
        self._folder: Path | None = None

    def start(self) -> None:
        """Segment the scan in a child process."""
        try:
            self._folder = paths.work_folder("worst")
        except OSError as error:
            self._onDone(_("The scan cannot be segmented: {why}.").format(why=reason(error)))
            return
        arguments = ["segment", str(self._image), "--model", str(self._model), "--out", str(self._folder / "out"),
                     "--format", "nrrd", "--progress", "json"]
        self._onProgress(_("Segmenting {name}").format(name=one_line(self._image.name)), None)
        self._child = ChildProcess(arguments, onEvent=self._onEvent, onLog=lambda line: None, onEnd=self._onEnd,
                                   workFolder=self._folder)
        self._child.start()

    def cancel(self) -> None:
        """Stop as soon as possible; onDone is still called."""
        if self._child is not None:
            self._child.cancel()

    def discard(self) -> None:
        """Stop at once, without any callback."""
        if self._child is not None:
            self._child.discard()
        self._tidy()

    def _onEvent(self, event: Event) -> None:
        progress = progress_of(event)
        if progress is not None and progress.total:
            text = _("Segmenting {name}").format(name=one_line(self._image.name))
            self._onProgress(text, progress.done / progress.total)

    def _onEnd(self, exit_status: ExitStatus) -> None:
        sentence = exit_status.text if exit_status.kind != "finished" else self._load()
        self._tidy()
        self._onDone(sentence)

    def _load(self) -> str:
        """Scan, label and segmentation as nodes of the user's; returns what went wrong."""
        found = sorted((self._folder / "out").rglob("*.seg.nrrd"))
        if not found:
            return _("The scan was segmented, but no result was written.")
        try:
            scan = slicer.util.loadVolume(str(self._image))
            for path, title, filled in ((self._label, _("{scan} label"), True), (found[0], _("{scan} model"), False)):
                node = slicer.util.loadSegmentation(str(path))
                node.SetName(title.format(scan=scan.GetName()))
                node.SetReferenceImageGeometryParameterFromVolumeNode(scan)
                node.GetDisplayNode().SetVisibility2DFill(filled)
                if node.GetStorageNode() is not None and not filled:
                    slicer.mrmlScene.RemoveNode(node.GetStorageNode())  # its file goes with the work folder
        except RuntimeError as error:
            return _("The scan cannot be loaded: {why}.").format(why=reason(error))
        slicer.util.setSliceViewerLayers(background=scan, fit=True)
        return ""

    def _tidy(self) -> None:
        if self._folder is not None:
            paths.remove_folder(self._folder)
