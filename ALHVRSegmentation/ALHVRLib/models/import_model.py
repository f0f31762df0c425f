"""Importing: takes a model from a folder or zip file into the installed ones, checked by the engine, window alive."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from slicer.i18n import tr as _

from alhvr.core.errors import ModelError
from ALHVRLib import paths
from ALHVRLib.child_process import ChildProcess
from ALHVRLib.models import store
from ALHVRLib.models.copy_model import CopiedModel, ModelCopy, Stopped
from ALHVRLib.models.untrusted_files import one_line, reason
from ALHVRLib.watched_thread import WatchedThread

if TYPE_CHECKING:
    from ALHVRLib.child_events import ExitStatus

TICK_MS = 40
TURN_S = 0.02
"""What the thread gets of each tick."""
COPYING = 0.9
"""Part of the bar that copying gets; the rest is checking."""


@dataclass(frozen=True)
class ImportResult:
    """What became of an import."""

    kind: str
    """added, known (the same model was installed already), failed or cancelled."""
    sentence: str
    """One sentence for the panel."""
    name: str = ""
    """Name of the installed model's folder; "" where there is none."""


class ModelImport:
    """One model on its way into the list. A thread copies, a child process of the engine checks, then it is moved."""

    def __init__(self, path: Path | str, *, onDone: Callable[[ImportResult], None],
                 onProgress: Callable[[str, float | None], None] | None = None, name: str = "") -> None:
        self._arrival = ModelCopy(path, name)
        self._onDone, self._onProgress = onDone, onProgress or (lambda text, fraction: None)
        self._thread = WatchedThread(self._onTick, TICK_MS, TURN_S)
        self._outcome = None
        self._arrived = None
        self._child = None
        self._workFolder = None
        self._title = one_line(self._arrival.path.name)

    def start(self) -> None:
        """Begin; onDone is called once, later, with an ImportResult."""
        store.sweep()
        self._thread.start(self._copy)

    def cancel(self) -> None:
        """Stop as soon as possible; onDone is still called."""
        self._arrival.stopped = True
        if self._child is not None:
            self._child.cancel()

    def discard(self) -> None:
        """Stop at once, leave nothing behind, without any callback."""
        self._thread.unwatch()
        self._arrival.stopped = True
        if self._child is not None:
            self._child.discard()
        self._thread.join()
        self._arrived = self._arrived or self._outcome
        self._tidy()

    def _copy(self) -> None:
        """In the thread: no Qt, no scene."""
        try:
            self._outcome = self._arrival.run()
        except (ModelError, Stopped) as error:
            self._outcome = error

    def _onTick(self) -> None:
        if not self._thread.isOver:
            total = self._arrival.total
            fraction = COPYING * self._arrival.done / total if total else None
            self._onProgress(_("Copying {name}").format(name=self._title), fraction)
            return
        self._thread.unwatch()
        if isinstance(self._outcome, Stopped) or self._arrival.stopped:
            self._arrived = self._outcome
            self._end("cancelled", _("Adding {name} was cancelled.").format(name=self._title))
        elif isinstance(self._outcome, ModelError):
            self._fail(str(self._outcome))
        elif self._outcome is None:
            self._fail(_("It could not be copied."))
        elif self._outcome.folder is None:
            text = _("The model {title} is installed already.")
            self._end("known", text.format(title=_title_of(self._outcome.name)), self._outcome.name)
        else:
            self._check(self._outcome)

    def _check(self, arrived: CopiedModel) -> None:
        """Let the engine verify and read the whole of it, in a process of its own."""
        self._arrived = arrived
        self._onProgress(_("Checking {name}").format(name=self._title), COPYING)
        try:
            self._workFolder = paths.work_folder("model")
        except OSError as error:
            self._fail(_("It could not be checked: {why}.").format(why=reason(error)))
            return
        self._child = ChildProcess(["describe", str(arrived.folder)], onEvent=lambda event: None,
                                   onLog=lambda line: None, onEnd=self._onChecked, workFolder=self._workFolder)
        self._child.start()

    def _onChecked(self, exit_status: ExitStatus) -> None:
        if exit_status.kind == "cancelled" or self._arrival.stopped:
            self._end("cancelled", _("Adding {name} was cancelled.").format(name=self._title))
        elif exit_status.kind != "finished":
            self._fail(exit_status.message.replace(str(self._arrived.folder), self._title))
        else:
            self._move()

    def _move(self) -> None:
        try:
            store.take_in(self._arrived.folder, self._arrived.name)
        except ModelError as error:
            self._fail(str(error))
            return
        text = _("The model {title} was added.")
        self._end("added", text.format(title=_title_of(self._arrived.name)), self._arrived.name)

    def _fail(self, why: str) -> None:
        self._end("failed", _("{name} was not added: {why}").format(name=self._title, why=why))

    def _end(self, kind: str, sentence: str, name: str = "") -> None:
        self._tidy()
        self._onDone(ImportResult(kind, sentence, name))

    def _tidy(self) -> None:
        """Remove what is not needed any more; a model that was moved is not there under this name."""
        folder = getattr(self._arrived, "folder", None)
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
        if self._workFolder is not None:
            paths.remove_folder(self._workFolder)


def _title_of(name: str) -> str:
    """What the list calls a model."""
    model = store.find(name)
    return name if model is None else model.title
