"""Forecaster: what the training will take with the settings as they are, tried anew when they change.

The check makes the first forecast. A change of a setting needs no new check: the same command runs quietly beside, with
what it knows of the scans from before, and only its forecast is read.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import qt
from slicer.i18n import tr as _

from ALHVRLib import paths
from ALHVRTrainerLib.check_report import FILE, read_report
from ALHVRTrainerLib.engine_job import EngineJob, JobEnd
from ALHVRTrainerLib.python_setup import chosen_python

if TYPE_CHECKING:
    from ALHVRTrainerLib.project_session import ProjectSession

WAIT_MS = 2000
"""From the last change to the trial."""
MOST_SENTENCES, LONGEST_SENTENCE = 5, 300
WITH = ("settings", "minutes", "start_from")
"""Entries of the project that a forecast depends on."""


class Forecaster:
    """At most one trial at a time.

    Args:
        session: whose project it is.
        onNews: called when the words are others.
    """

    def __init__(self, session: ProjectSession, onNews: Callable[[], None]) -> None:
        self._session, self._onNews = session, onNews
        self._job: EngineJob | None = None
        self._folder: Path | None = None
        self._trying = ""
        """What the trial that runs is of."""
        self._known: dict[str, str] = {}
        """Sentences by what they were made of; the newest ones."""
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(WAIT_MS)
        self._timer.connect("timeout()", self.start)

    @property
    def words(self) -> str:
        """What the training will take, or that this is being looked at; "" where nobody knows."""
        if self._job is not None or self._timer.isActive():
            return _("Trying what these settings take...")
        return self._known.get(self._key(), "")

    @property
    def isRunning(self) -> bool:
        """Whether a trial runs."""
        return self._job is not None

    def look(self) -> None:
        """After any change of the project: take what the check has found, and try anew where that is of other settings.

        Nothing is tried while the project cannot be trained.
        """
        key, stamp = self._key(), self._checked()
        if key in self._known or key == self._trying or self._timer.isActive() or stamp is None:
            return
        if not any(known.startswith(f"{stamp} ") for known in self._known):
            self._known = {key: words_of(read_report(self._session.folder).forecast)}
        elif self._session.state in ("ready", "finished") and not self._session.isReadOnly:
            self._end()
            self._timer.start()

    def start(self) -> None:
        """Begin the trial."""
        if self._session.project is None or self._session.isBusy:
            return
        self._end()
        key = self._trying = self._key()
        try:
            self._folder = paths.work_folder("forecast")
        except OSError:
            return
        arguments = ["check", "--project", self._session.folder, "--out", self._folder / FILE]
        self._job = EngineJob(arguments, "", onProgress=lambda _text, _fraction: None,
                              onEnd=lambda end: self._onEnd(key, end), python=chosen_python())
        self._job.start()
        self._onNews()

    def discard(self) -> None:
        """Try no more."""
        self._timer.stop()
        self._end()

    def _onEnd(self, key: str, _end: JobEnd) -> None:
        """A check with faults has failed, and may have a forecast all the same."""
        self._job = None
        self._known[key] = words_of(read_report(self._folder).forecast)
        self._end()
        self._onNews()

    def _end(self) -> None:
        self._trying = ""
        if self._job is not None:
            self._job.discard()
            self._job = None
        if self._folder is not None:
            paths.remove_folder(self._folder)
            self._folder = None

    def _checked(self) -> int | None:
        """When the last check was written; None without one."""
        try:
            return (self._session.folder / FILE).stat().st_mtime_ns
        except OSError:
            return None

    def _key(self) -> str:
        """What a forecast is made of, as text."""
        project = self._session.project
        if project is None:
            return ""
        return f"{self._checked()} {json.dumps([getattr(project, name) for name in WITH], sort_keys=True)}"


def words_of(forecast: dict[str, Any]) -> str:
    """The sentences of a forecast, as one text of sane length."""
    sentences = forecast.get("sentences")
    texts = [text for text in sentences if isinstance(text, str)] if isinstance(sentences, list) else []
    return " ".join(text[:LONGEST_SENTENCE] for text in texts[:MOST_SENTENCES])
