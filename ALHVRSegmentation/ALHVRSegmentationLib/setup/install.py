"""Installation: fetches the package, tries whether it can be loaded, and only then puts it in its place.

Everything happens in a folder beside the place, which is removed whatever comes; Slicer's own Python is never changed.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import re
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from slicer.i18n import tr as _

from ALHVRSegmentationLib import places
from ALHVRSegmentationLib.child.ending import Ending
from ALHVRSegmentationLib.child.events import Event
from ALHVRSegmentationLib.child.process import ChildProcess
from ALHVRSegmentationLib.child.processes import is_alive
from ALHVRSegmentationLib.setup import reasons
from ALHVRSegmentationLib.setup.moving import move_in, version_in
from ALHVRSegmentationLib.setup.needs import PACKAGE, REQUIREMENT
from ALHVRSegmentationLib.setup.wheels import MB, this_system

STAGING = ".install-"
DOWNLOADED = re.compile(r"Progress (\d+) of (\d+)")
RAW_PROGRESS_SINCE = (24, 1)
OPTIONS = ("--no-deps", "--only-binary=:all:", "--no-input", "--no-cache-dir", "--disable-pip-version-check",
           "--no-warn-script-location", "--no-compile", "--timeout", "15", "--retries", "2")


@dataclass(frozen=True)
class Outcome:
    """How an installation ended."""

    kind: str
    """installed, failed or cancelled."""
    sentence: str


class Installation:
    """One attempt.

    Args:
        onProgress: called with a text and the fraction that is done, None when nobody knows.
        onLog: called with each line of pip's.
        onDone: called once with the Outcome; never after discard().
        wheels: a folder to install from, without any network; None: the package server.
    """

    def __init__(self, *, onProgress: Callable[[str, float | None], None], onLog: Callable[[str], None],
                 onDone: Callable[[Outcome], None], wheels: Path | None = None) -> None:
        self._onProgress, self._onLog, self._onDone = onProgress, onLog, onDone
        self._wheels = wheels
        self._target = places.packages_folder()
        self._staging: Path | None = None
        self._child: ChildProcess | None = None
        self._log: list[str] = []
        self._broken = ""

    def start(self) -> None:
        """Begin; also what is in the way at once is told through onDone."""
        problem = self._prepare()
        if problem:
            self._fail(problem)
            return
        self._onProgress(_("Looking for {package}...").format(package=PACKAGE), None)
        source = () if self._wheels is None else ("--no-index", "--find-links", str(self._wheels))
        self._run(["--pip", "install", *OPTIONS, "--progress-bar", _progress_bar(), *source,
                   "--target", str(self._new), REQUIREMENT], self._onInstalled)

    def cancel(self) -> None:
        """Ask it to stop."""
        if self._child is not None:
            self._child.cancel()

    def discard(self) -> None:
        """End it at once and tell nobody."""
        if self._child is not None:
            self._child.discard()
        self._tidy()

    @property
    def _new(self) -> Path:
        return self._staging / "new"

    def _prepare(self) -> str:
        """Make the folder to work in; returns what is in the way."""
        if self._wheels is not None and not any(self._wheels.glob(f"{PACKAGE}-*.whl")):
            return reasons.no_wheel_in(self._wheels)
        parent = self._target.parent
        try:
            parent.mkdir(parents=True, exist_ok=True)
            _remove_left_behind(parent)
            room = shutil.disk_usage(parent).free
            if self._wheels is None and room < (this_system().installed_mb + this_system().download_mb) * MB:
                return reasons.no_room(parent)
            self._staging = Path(tempfile.mkdtemp(prefix=f"{STAGING}{os.getpid()}-", dir=parent))
            for name in ("work", "temporary", "new"):
                (self._staging / name).mkdir()
        except OSError as error:
            return reasons.not_writable(parent, error.strerror or str(error))
        return ""

    def _run(self, arguments: list[str], onEnd: Callable[[Ending], None]) -> None:
        temporary = str(self._staging / "temporary")
        environment = {"TMPDIR": temporary, "TEMP": temporary, "TMP": temporary, "PIP_USER": "0",
                       "PIP_REQUIRE_VIRTUALENV": "0"}
        self._child = ChildProcess(arguments, onEvent=self._onEvent, onLog=self._onLine, onEnd=onEnd,
                                   workFolder=self._staging / "work", environment=environment)
        self._child.start()

    def _onEvent(self, event: Event) -> None:
        if event.kind == "error":
            self._broken = event.text("message")

    def _onLine(self, line: str) -> None:
        found = DOWNLOADED.search(line)
        if found:
            done, total = int(found[1]), max(int(found[2]), 1)
            self._onProgress(_("Fetching {package}: {done} of {total} MB").format(
                package=PACKAGE, done=done // MB, total=total // MB), done / total)
            return
        if line.startswith("Installing collected packages"):
            self._onProgress(_("Unpacking {package}...").format(package=PACKAGE), None)
        self._log.append(line)
        self._onLog(line)

    def _onInstalled(self, ending: Ending) -> None:
        """pip has ended: whether the package can be loaded is tried before it gets its place."""
        if ending.kind == "cancelled":
            self._end("cancelled", _("Installing was cancelled; nothing was changed."))
        elif ending.kind in ("died", "not started"):
            self._fail(ending.text)
        elif ending.kind != "finished":
            self._fail(self._broken or reasons.why_pip_failed(self._log, self._target.parent, self._wheels))
        else:
            self._onProgress(_("Trying {package}...").format(package=PACKAGE), None)
            self._run(["--import", PACKAGE, str(self._new)], self._onTried)

    def _onTried(self, ending: Ending) -> None:
        if ending.kind == "cancelled":
            self._end("cancelled", _("Installing was cancelled; nothing was changed."))
            return
        if ending.kind != "finished":
            self._fail(_("it does not work on this computer. {why}").format(why=ending.message))
            return
        try:
            version = version_in(self._new)
            move_in(self._new, self._target, self._staging / "old")
        except OSError as error:
            self._fail(reasons.not_writable(self._target, error.strerror or str(error)))
            return
        self._end("installed", _("{package} {version} is installed.").format(package=PACKAGE, version=version))

    def _fail(self, reason: str) -> None:
        self._end("failed", _("{package} was not installed, and nothing was changed: {reason}").format(
            package=PACKAGE, reason=reason))

    def _end(self, kind: str, sentence: str) -> None:
        self._tidy()
        self._onDone(Outcome(kind, sentence))

    def _tidy(self) -> None:
        self._child = None
        if self._staging is not None:
            shutil.rmtree(self._staging, ignore_errors=True)


def _progress_bar() -> str:
    """How pip is to tell how far it is: in lines of numbers where it can."""
    with contextlib.suppress(importlib.metadata.PackageNotFoundError, ValueError):
        if tuple(map(int, importlib.metadata.version("pip").split(".")[:2])) >= RAW_PROGRESS_SINCE:
            return "raw"
    return "off"


def _remove_left_behind(parent: Path) -> None:
    """What an installation left whose Slicer was killed."""
    for folder in parent.glob(f"{STAGING}*"):
        owner = folder.name.removeprefix(STAGING).partition("-")[0]
        if owner.isdigit() and not is_alive(int(owner)):
            shutil.rmtree(folder, ignore_errors=True)
