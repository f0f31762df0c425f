"""Checker: runs `alhvr check --project` after every change, then its forecast, and is the session's check reporter."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import qt
from slicer.i18n import tr as _

from alhvr.core.progress import in_words
from ALHVRLib import requirements
from ALHVRLib.child_events import finite
from ALHVRTrainerLib.cases.case_table import stamp_of
from ALHVRTrainerLib.engine_job import EngineJob, JobEnd
from ALHVRTrainerLib.header_section import counts_text
from ALHVRTrainerLib.python_setup import chosen_python

if TYPE_CHECKING:
    from ALHVRTrainerLib.project_session import ProjectSession

WAIT_MS = 2000
"""From the last change to the beginning of a check."""


class Checker:
    """At most one check runs. `state` and `sentence` are what the session shows.

    Args:
        session: the open project.
        onProgress: called with a text and a fraction or None.
        onChange: called when a check begins, ends, or brings news.
    """

    def __init__(self, session: ProjectSession, *, onProgress: Callable[[str, float | None], None],
                 onChange: Callable[[], None]) -> None:
        self._session, self._onProgress, self._onChange = session, onProgress, onChange
        self.state, self.sentence = "checking", ""
        self.trouble = ""
        """Why the last check came to no result; "" where it did."""
        self.isForecasting = False
        self._job: EngineJob | None = None
        self._checked: tuple | None = None
        """What was there when the last check began."""
        self._forecast: tuple | None = None
        """The same for the last forecast, with the settings."""
        self._before = 0
        """Stamp of the report when the last check began."""
        self._cancelled = False
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(WAIT_MS)
        self._timer.connect("timeout()", self.start)

    @property
    def isRunning(self) -> bool:
        """Whether a check or a forecast runs."""
        return self._job is not None

    @property
    def isWaiting(self) -> bool:
        """Whether a check begins soon."""
        return self._timer.isActive()

    def look(self) -> None:
        """See whether anything has changed; what is due begins after a moment."""
        session = self._session
        if session.project is None or session.isReadOnly:
            self._timer.stop()
        elif self._inputs() != self._checked:
            self._cancelled, self.trouble = False, ""
            self._stop()
            if session.caseTable():
                self._timer.start()
        elif not self.isRunning and not self._cancelled and self._wantsForecast():
            self._timer.start()
        self._say()

    def again(self) -> None:
        """Check now, whether anything has changed or not."""
        self._stop()
        self._checked = self._forecast = None
        self._cancelled = False
        self.start()

    def start(self, *_arguments: object) -> None:
        """Begin what is due: the check, or else the forecast."""
        session = self._session
        if session.project is None or session.isReadOnly or self.isRunning:
            return
        if session.isBusy:  # the computer trains; the check waits until it is done
            self._timer.start()
        elif self._inputs() != self._checked:
            self._checked, self._before, self.trouble = self._inputs(), session.table().report.stamp, ""
            self._run(["--no-forecast"], _("Checking"), self._onChecked)
        elif self._wantsForecast():
            self._forecast, self.isForecasting = self._settings(), True
            self._run([], _("Trying a few steps, for the forecast"), self._onForecast)

    def cancel(self) -> None:
        """Stop what runs; it begins again with the next change, or with again()."""
        self._cancelled = True
        self._timer.stop()
        if self._job is not None:
            self._job.cancel()

    def discard(self) -> None:
        """Stop at once: another project, or the panel goes."""
        self._stop()
        self._checked = self._forecast = None
        self._cancelled, self.trouble = False, ""

    def _stop(self) -> None:
        self._timer.stop()
        if self._job is not None:
            self._job.discard()
        self._job, self.isForecasting = None, False

    def _run(self, options: list[str], title: str, onEnd: Callable[[JobEnd], None]) -> None:
        arguments = ["check", "--project", str(self._session.folder), *options]
        self._job = EngineJob(arguments, title, onProgress=self._onProgress, onEnd=partial(self._onEnd, onEnd),
                              python=chosen_python())
        self._say()
        self._onChange()
        self._job.start()

    def _onEnd(self, then: Callable[[JobEnd], None], end: JobEnd) -> None:
        self._job, self.isForecasting = None, False
        then(end)
        self.look()
        self._onChange()

    def _onChecked(self, end: JobEnd) -> None:
        if end.kind == "cancelled":
            self.trouble = _("the check was cancelled: press Check again")
        elif self._session.table().report.stamp == self._before:
            self.trouble = end.text or _("the check wrote no report")

    def _onForecast(self, end: JobEnd) -> None:
        self._cancelled = end.kind == "cancelled"

    def _say(self) -> None:
        """Let the session know how things stand."""
        session = self._session
        session.check, session.faults = None, ()
        if session.project is None or not session.caseTable():
            return
        session.check, report = self, session.table().report
        faults = tuple(found.seen for found in report.findings if found.severity == "fault")
        if (self.isRunning or self.isWaiting) and not self.isForecasting and self._isDue():
            self.state, self.sentence = "checking", _("looking at {counts}").format(counts=counts_text(session))
            session.faults = (_("The check is not done yet."),)
        elif self.trouble or not report.stamp:
            self.state, self.sentence = "blocked", self.trouble or _("not checked yet")
            session.faults = (self.sentence,)
        elif faults:
            self.state, session.faults = "blocked", faults
            self.sentence = (_("1 fault stops training") if len(faults) == 1
                             else _("{n} faults stop training").format(n=len(faults)))
        else:
            self.state, self.sentence = "ready", ready_text(report.forecast)

    def _isDue(self) -> bool:
        """Whether the check itself is under way or about to begin, and not the forecast alone."""
        return self.isRunning or self._inputs() != self._checked

    def _inputs(self) -> tuple:
        """What a check depends on."""
        project = self._session.project
        *cases, _report = stamp_of(project.folder)
        return (*cases, project.archive, project.missing_archive_folders)

    def _settings(self) -> tuple:
        """What a forecast depends on."""
        project = self._session.project
        settings = {part: values for part, values in project.settings.items() if part != "preview"}
        return (self._inputs(), repr(settings), project.minutes, project.start_from)

    def _wantsForecast(self) -> bool:
        report = self._session.table().report
        clean = report.stamp and not self.trouble and not any(f.severity == "fault" for f in report.findings)
        can = requirements.has_torch() or bool(chosen_python())
        return bool(clean) and self._settings() != self._forecast and can


def ready_text(forecast: dict[str, object]) -> str:
    """What is said in state ready."""
    minutes = finite(forecast.get("minutes"))
    if minutes is None:
        return _("nothing stops training")
    return _("about {time}").format(time=in_words(60 * minutes))
