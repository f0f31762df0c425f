"""RunControl: begins, resumes, pauses, finishes and discards the runs of a project, one at a time; others wait.

All of it is a command line on the project folder and files beside the run, so that a window that comes later, and a
person in a terminal, can do the same. Whoever waits is begun by the process of the run before, which needs no window;
the window begins what is left over, as after a run of a terminal, and follows runs that others begin.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import qt
from slicer.i18n import tr as _

from alhvr.core.errors import UserError
from alhvr.core.files import write_refused
from alhvr.formats.project import PROJECT_FILE
from alhvr.formats.run_state import HEARTBEAT, ask
from ALHVRLib.child_process import LaunchError
from ALHVRTrainerLib.outcome.result import outcome_sentence, stamp_of
from ALHVRTrainerLib.run.detached import EVENTS, end_by_force, start_detached
from ALHVRTrainerLib.run.follower import Follower
from ALHVRTrainerLib.run.reader import RunReader

if TYPE_CHECKING:
    from ALHVRTrainerLib.project_session import ProjectSession

REQUEST = "compare.json"
"""What a run that has begun holds."""
QUEUED = ("minutes", "start_from", "compare", "settings")
"""Entries of the project that a run which waits keeps for itself."""
MAY_RESUME = ("paused", "failed", "lost")
MAY_STOP = ("training", "pausing")
MAY_PAUSE = ("starting", "training")
WATCH_MS = 2000
"""Between two looks at whether another program has changed the project, which cost two questions to the disk."""


class RunControl:
    """The newest run of the open project; is what `session.run` is while there is one.

    Args:
        session: whose project it is.
        onTick: called after each look at the run, with its RunReader.
        python: called at each start; the path of the Python to train with, "" for PythonSlicer.
    """

    def __init__(self, session: ProjectSession, onTick: Callable[[RunReader], None],
                 python: Callable[[], str] = str) -> None:
        self._session, self._onTick, self._python = session, onTick, python
        self._follower = Follower(self._onLook)
        self._seen: tuple[object, ...] = ()
        """What project.json and the folder of the runs were at the last look."""
        self._nextIsDue = False
        """The run is done, and nobody has looked whether another waits."""
        self._timer = qt.QTimer()
        self._timer.setInterval(WATCH_MS)
        self._timer.connect("timeout()", self.look)

    @property
    def state(self) -> str:
        """One of the session's states."""
        return self._follower.reader.state

    @property
    def sentence(self) -> str:
        """The same for people; of a run that is over, what came of it."""
        reader = self._follower.reader
        return (outcome_sentence(reader.folder) if reader.state == "finished" else "") or reader.sentence

    @property
    def reader(self) -> RunReader | None:
        """What is followed; None where there is no run."""
        return self._follower.reader

    @property
    def nWaiting(self) -> int:
        """Runs that wait for this one."""
        return 0 if self._session.project is None else len(self._session.project.queue)

    def may(self, states: tuple[str, ...]) -> bool:
        """Whether there is a run in one of these states that this window may touch."""
        return self.reader is not None and self.state in states and not self._session.isReadOnly

    def attach(self) -> None:
        """Follow the newest run of the project that is open; nothing where there is none."""
        run = self._session.newestRun()
        if run is None or self._follower.folder not in (None, run):
            self._follower.detach()
        self._session.run = None if run is None else self
        if run is not None:
            self._follower.attach(run)
        if self._session.project is None:
            self._timer.stop()
        else:
            self._timer.start()

    def look(self, *_arguments: object) -> None:
        """See whether another program has changed project.json, or begun a run where none goes on."""
        session = self._session
        if session.project is None:
            return
        seen = tuple(stamp_of(path) for path in (session.project.folder / PROJECT_FILE, session.project.runs_folder))
        if seen == self._seen:
            return
        session.reread()
        run = session.newestRun()
        if run != self._follower.folder:
            if session.isBusy or (run is not None and not _has_begun(run)):
                return  # looked at again: that one is not under way yet, or has to wait
            self.attach()
            session.changed()
        self._seen = seen

    def cleanUp(self) -> None:
        """The panel goes; the run goes on."""
        self._timer.stop()
        self._follower.detach()
        self._session.run = None

    def start(self) -> str:
        """Begin a run with what the project says now, or let it wait for the one that goes on; a sentence
        where it waits, "" where it begins.

        Raises UserError where it cannot begin; nothing is left behind then.
        """
        self._requireMine()
        project = self._session.project
        if self._session.isBusy:
            self._session.save(queue=(*project.queue, {name: getattr(project, name) for name in QUEUED}))
            return _("The training waits until the one that goes on is done.")
        run = project.next_run()
        try:
            run.mkdir(parents=True)
        except OSError as error:
            raise write_refused(error, run) from error
        try:
            self._launch(run)
        except UserError:
            shutil.rmtree(run, ignore_errors=True)
            raise
        return ""

    def resume(self) -> None:
        """Let the run go on where it was; raises UserError where it cannot."""
        self._requireMine()
        self._launch(self.reader.folder)

    def pause(self) -> None:
        """Ask the process to save and end after its step."""
        self._ask("pause")

    def finish(self) -> None:
        """Ask for the best model so far."""
        self._ask("finish")

    def discard(self) -> None:
        """End the process and delete the run; raises UserError where it is not ours to end, or stays."""
        self._requireMine()
        run, beat = self.reader.folder, self.reader.look.heartbeat
        if self.reader.look.state == "elsewhere":
            raise UserError(_("The training runs on the computer {host}: pause it first.").format(host=beat.host))
        self._endAll()
        hidden = run.with_name(f".discarded-{run.name}")
        try:
            run.rename(hidden)
        except OSError as error:
            raise write_refused(error, run) from error
        shutil.rmtree(hidden, ignore_errors=True)
        self.attach()
        kept = self._session.project.kept
        if kept is not None and str(kept.run) == run.name:
            self._session.save(kept=None)
        self._startNext()
        self._session.changed()

    def _launch(self, run: Path) -> None:
        """Start the command for a run whose folder is there, and follow it."""
        for_more = ["--resume"] if (run / REQUEST).exists() else []
        arguments = ["compare", "--project", self._session.folder, "--out", run, *for_more, "--then-queued",
                     "--progress", "json"]
        try:
            process = start_detached(arguments, run, self._python())
        except LaunchError as error:
            raise UserError(str(error)) from error
        self._session.run = self
        self._follower.attach(run, process)
        self._session.changed()

    def _endAll(self) -> None:
        """End the processes of the run; one that the system does not tell from another of the same ID is asked only."""
        processes = self.reader.processes()
        if not all(start for _pid, start in processes):
            self._ask("pause")
            raise UserError(_("The training is being paused: discard it when it has ended."))
        if not all(end_by_force(*process) for process in processes):
            raise UserError(_("The training cannot be ended: end it in the system's list of processes."))

    def _ask(self, request: Any) -> None:
        self._requireMine()
        try:
            ask(self.reader.folder, request)
        except OSError as error:
            raise write_refused(error, self.reader.folder) from error
        self._follower.tick()

    def _requireMine(self) -> None:
        if self._session.project is None:
            raise UserError(_("There is no project yet."))
        if self._session.isReadOnly:
            raise UserError(self._session.holderText())

    def _onLook(self, reader: RunReader) -> None:
        """After each look: who waits begins when the run is over and its process is gone without beginning it."""
        news = "state" in reader.changed
        self._onTick(reader)
        if reader is not self.reader:
            return
        if news:
            self._nextIsDue = reader.state == "finished"
            self._session.changed()
        if self._nextIsDue and not reader.isProcessThere:
            self._nextIsDue = False
            self.look()
            if self._session.newestRun() == reader.folder and not reader.isElsewhere:
                self._startNext()
                self._session.changed()

    def _startNext(self) -> None:
        """Begin the run that waits longest; where it cannot begin, it waits on."""
        self._session.reread()
        project = self._session.project
        if not project.queue or self._session.isReadOnly or self._session.isBusy:
            return
        waiting = {name: value for name, value in project.queue[0].items() if name in QUEUED}
        with contextlib.suppress(UserError):
            self._session.save(**waiting)
            self.start()
            self._session.save(queue=project.queue[1:])


def _has_begun(run: Path) -> bool:
    """Whether its process has said anything."""
    stamps = (stamp_of(run / name) for name in (HEARTBEAT, EVENTS))
    return any(stamp is not None and stamp[1] > 0 for stamp in stamps)
