"""EngineJob: one short command of the engine for the panel, with its progress, and what it said at its end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from slicer.i18n import tr as _

from alhvr.core.progress import in_words
from ALHVRLib import paths
from ALHVRLib.child_events import Event, ExitStatus
from ALHVRLib.child_process import ChildProcess, Surroundings


@dataclass(frozen=True)
class JobEnd:
    """What became of a command."""

    kind: str
    """As ExitStatus.kind."""
    text: str
    """Why it failed, for the panel; "" when it finished."""
    summary: dict[str, Any]
    """What it said with its event "finished"."""


class EngineJob:
    """A command whose folder of temporary files is gone when it ends.

    Args:
        arguments: of ``alhvr``, without --progress.
        title: what is going on, for the panel.
        onProgress: called with a text and a fraction, or None where it is unknown.
        onEnd: called once with a JobEnd; not after discard().
        python: path of a Python of the user's own; "" for PythonSlicer.
    """

    def __init__(self, arguments: Sequence[str], title: str, *, onProgress: Callable[[str, float | None], None],
                 onEnd: Callable[[JobEnd], None], python: str = "") -> None:
        self._around = Surroundings(python=python)
        self._arguments, self._title = [*map(str, arguments), "--progress", "json"], title
        self._onProgress, self._onEnd = onProgress, onEnd
        self._child: ChildProcess | None = None
        self._folder = None
        self._summary: dict[str, Any] = {}

    def start(self) -> None:
        """Begin."""
        self._onProgress(self._title, None)
        try:
            self._folder = paths.work_folder("trainer")
        except OSError as error:
            text = _("Slicer's temporary folder cannot be written: {reason}.")
            self._onEnd(JobEnd("failed", text.format(reason=error.strerror or error), {}))
            return
        self._child = ChildProcess(self._arguments, onEvent=self._onEvent, onLog=_forget, onEnd=self._onExit,
                                   workFolder=self._folder, around=self._around)
        self._child.start()

    def cancel(self) -> None:
        """Stop as soon as possible; onEnd is still called."""
        if self._child is not None:
            self._child.cancel()

    def discard(self) -> None:
        """Stop at once, without a word."""
        if self._child is not None:
            self._child.discard()
        self._tidy()

    def _onEvent(self, event: Event) -> None:
        if event.kind == "finished":
            self._summary = event.fields
        elif event.kind == "progress" and self._child.progress is not None and self._child.progress.total:
            progress = self._child.progress
            seconds = progress.seconds_left
            left = "" if seconds is None else _(", {time} left").format(time=in_words(seconds))
            text = _("{title}: {stage} {done} of {total}{left}").format(
                title=self._title, stage=progress.stage, done=progress.done, total=progress.total, left=left)
            self._onProgress(text, progress.done / progress.total)

    def _onExit(self, status: ExitStatus) -> None:
        self._tidy()
        text = "" if status.kind == "finished" else status.text
        self._onEnd(JobEnd(status.kind, text, self._summary))

    def _tidy(self) -> None:
        if self._folder is not None:
            paths.remove_folder(self._folder)
            self._folder = None


def _forget(_line: str) -> None:
    """What libraries say is not for the panel."""
