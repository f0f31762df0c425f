"""ProjectSession: the project folder that the panel shows, whether this window may write to it, and its one state.

The folder is the truth: what is not in it is not known here after a restart. Two reporters say what goes on: `check`
(the section Check) and `run` (the section Training); each is an object with a `state` and a `sentence`, or None.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from slicer.i18n import tr as _

from alhvr.core.errors import UserError
from alhvr.core.process import ProcessMark
from alhvr.formats.project import Project, create_project, read_project
from alhvr.formats.window_lock import release_window, take_window
from ALHVRTrainerLib.cases.case_table import CaseRow, CaseTable, read_table, stamp_of

STATES = ("empty", "checking", "blocked", "ready", "starting", "training", "pausing", "paused", "finishing", "finished",
          "failed", "lost")
OF_CHECK = STATES[1:4]
BUSY = ("starting", "training", "pausing", "finishing")
"""While a process trains, or is about to."""


class Reporter(Protocol):
    """What `session.check` and `session.run` are."""

    state: str
    """One of STATES."""
    sentence: str
    """The same for people, in one sentence."""


def nothing() -> None:
    """Who listens to a session that has no panel."""


class ProjectSession:
    """At most one project is open. Whoever changes something calls `changed()`, or `save()`, which does."""

    def __init__(self) -> None:
        self.project: Project | None = None
        self.holder: ProcessMark | None = None
        """The other window that may write to the project; None where there is none."""
        self.refusal = ""
        """Why the system lets nobody write to the project here, in one sentence; "" where it does."""
        self.check: Reporter | None = None
        self.run: Reporter | None = None
        self.faults: tuple[str, ...] = ()
        """Sentences of the check that stop training."""
        self.onChange: Callable[[], None] = nothing
        """Called after every change; the panel's refresh."""
        self.onOpened: list[Callable[[], None]] = []
        """Called when another project is open, or none any more, before onChange."""
        self.onLook: list[Callable[[], None]] = []
        """Called after every change before onChange, by those whose news the others show."""
        self._table: tuple[tuple, CaseTable] | None = None

    @property
    def folder(self) -> Path | None:
        """The project folder; None without a project."""
        return None if self.project is None else self.project.folder

    @property
    def isReadOnly(self) -> bool:
        """Whether another window holds the project, or the system refuses: nothing may be written to it here."""
        return self.holder is not None or bool(self.refusal)

    def new(self, folder: Path | str, name: str = "") -> None:
        """Begin a project in a folder that may exist, and open it; raises UserError."""
        create_project(Path(folder), name)
        self.open(folder)

    def open(self, folder: Path | str, *, evenFrom: ProcessMark | None = None) -> None:
        """Open the project in a folder: to write unless another window does. Raises UserError, changing nothing.

        evenFrom: a holder to take it from all the same, such as a computer that will not come back.
        """
        project, refusal, holder = read_project(Path(folder)), "", None
        try:
            holder = take_window(project.folder, even_from=evenFrom)
        except UserError as error:  # a disk that may only be read can be looked at
            refusal = _("{why} Here the project can only be looked at.").format(why=error.message)
        if project.folder != self.folder:
            self._leave()
        self.project, self.refusal = project, refusal
        self.holder = None if holder == ProcessMark.of_this_process() else holder
        self._opened()

    def close(self) -> None:
        """Show no project any more, and let others write to it; a run goes on."""
        if self.project is not None:
            self._leave()
            self._opened()

    def save(self, **changes: Any) -> None:
        """Write entries of project.json, such as minutes=60.0, and tell the panel; raises UserError.

        What another program wrote meanwhile is kept: the file is read again first.
        """
        if self.project is None or self.isReadOnly:
            raise UserError(self.holderText() or _("There is no project yet."))
        project = replace(read_project(self.project.folder), **changes)
        project.write()
        self.project = project
        self.changed()

    def reread(self) -> None:
        """Take over what another program has written into project.json; a damaged file changes nothing here."""
        if self.project is None:
            return
        with contextlib.suppress(UserError):
            project, before = read_project(self.project.folder), self.project
            self.project = project
            if project != before:
                self.changed()

    def changed(self) -> None:
        """Something in the project or about it is different now."""
        for look in list(self.onLook):
            look()
        self.onChange()

    def runs(self) -> tuple[Path, ...]:
        """Folders of all runs, the oldest first."""
        return () if self.project is None else tuple(map(self.project.run_folder, self.project.runs()))

    def newestRun(self) -> Path | None:
        """Folder of the last run; None before the first."""
        return None if self.project is None else self.project.newest_run()

    @property
    def isBusy(self) -> bool:
        """Whether a process trains now, or is about to."""
        return self.run is not None and self.run.state in BUSY

    @property
    def state(self) -> str:
        """One of STATES: what the run says while it is not over, else the check, else how the last run ended."""
        return self._reporter().state

    @property
    def sentence(self) -> str:
        """The state for people, in one sentence."""
        return self._reporter().sentence

    def hasFault(self) -> tuple[str, ...]:
        """Sentences that stop training, the worst first; () when nothing does."""
        if self.project is None:
            return (_("There is no project yet."),)
        if self.isReadOnly:
            return (self.holderText(),)
        if not self.caseTable():
            return (_("Add a labelled case."),)
        return self.faults

    def holderText(self) -> str:
        """Why the project can only be looked at, in one sentence; "" where it can be written to."""
        if self.holder is None:
            return self.refusal
        holder = self.holder
        where = _("on this computer") if holder.is_here else _("on the computer {host}").format(host=holder.host)
        text = _("Another window {where} (process {pid}) has this project open: here it can only be looked at.")
        return text.format(where=where, pid=holder.pid)

    def caseTable(self) -> tuple[CaseRow, ...]:
        """The labelled cases by name; () where there are none."""
        return self.table().rows

    def table(self) -> CaseTable:
        """The labelled cases with all that is known of them; read again when a file has changed."""
        if self.project is None:
            return CaseTable()
        stamp = stamp_of(self.project.folder)
        if self._table is None or self._table[0] != stamp:
            self._table = (stamp, read_table(self.project.folder))
        return self._table[1]

    def _reporter(self) -> Reporter:
        if self.run is not None and self.run.state != "finished":
            return self.run
        if self.check is not None and self.check.state in OF_CHECK[:2]:
            return self.check
        return self.run or self.check or _Said("empty", self._emptySentence())

    def _emptySentence(self) -> str:
        if self.project is None:
            return _("Open a project, begin one, or try the sample.")
        return _("Add a labelled case.")

    def _leave(self) -> None:
        if self.project is not None and not self.isReadOnly:
            release_window(self.project.folder)
        self.project = self.holder = self.check = self.run = self._table = None
        self.faults, self.refusal = (), ""

    def _opened(self) -> None:
        for listener in list(self.onOpened):
            listener()
        self.changed()


class _Said:
    """A state that nobody reports."""

    def __init__(self, state: str, sentence: str) -> None:
        self.state, self.sentence = state, sentence
