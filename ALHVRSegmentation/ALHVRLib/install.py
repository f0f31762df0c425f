"""Installation: fetches a package, tries whether it can be loaded, and only then puts it in its place.

Everything happens in a folder beside the place, which is removed in any case; Slicer's own Python is never changed.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from slicer.i18n import tr as _

from alhvr.core.process import is_alive
from ALHVRLib import paths
from ALHVRLib.child_events import Event, ExitStatus
from ALHVRLib.child_process import ChildProcess, Surroundings
from ALHVRLib.requirements import MB, Requirement

TRIES, PAUSE_S = 4, 0.2
FULL = ("No space left", "Errno 28", "WinError 112", "not enough space", "Disk quota", "Errno 122")
PROXY = ("ProxyError", "Cannot connect to proxy", "Unable to connect to proxy", "Tunnel connection failed")
CERTIFICATE = ("CERTIFICATE_VERIFY_FAILED", "SSLError", "SSLCertVerificationError")
NO_NETWORK = ("NewConnectionError", "ConnectTimeout", "Read timed out", "Max retries", "name resolution",
              "getaddrinfo failed", "Connection refused", "Connection broken", "Network is unreachable",
              "Connection aborted", "NameResolutionError", "connection timed out", "Failed to connect")
NO_WHEEL = ("No matching distribution found", "Could not find a version", "is not a supported wheel")
DAMAGED = ("BadZipFile", "is invalid", "not a zip file", "invalid metadata", "do not match the hash",
           "DO NOT MATCH THE HASHES", "Bad CRC", "zlib.error", "bad magic number", "has an invalid", "Bad magic",
           "is missing in", "InvalidWheel", "UnsupportedWheel", "inconsistent", "_check_metadata_consistency")
FORBIDDEN = ("Permission denied", "Errno 13", "WinError 5", "Read-only file system", "Access is denied")
STAGING = ".install-"
DOWNLOADED = re.compile(r"Progress (\d+) of (\d+)")
RAW_PROGRESS_SINCE = (24, 1)
OPTIONS = ("--no-deps", "--only-binary=:all:", "--no-input", "--no-cache-dir", "--disable-pip-version-check",
           "--no-warn-script-location", "--no-compile", "--timeout", "15", "--retries", "2")


def move_in(requirement: Requirement, new: Path, target: Path, aside: Path) -> None:
    """Move a package from the folder ``new`` to ``target`` on the same disk; an older one goes to ``aside``.

    Raises OSError where that is not possible; ``target`` is then as it was.
    """
    made = not target.exists()
    target.mkdir(parents=True, exist_ok=True)
    aside.mkdir()
    moves = [(old, aside / old.name) for old in _parts(requirement, target)]
    moves += [(part, target / part.name) for part in _parts(requirement, new)]
    done = []
    try:
        for source, place in moves:
            _rename(source, place)
            done.append((source, place))
    except OSError:
        for source, place in reversed(done):
            _rename(place, source)
        if made:
            with contextlib.suppress(OSError):
                target.rmdir()
        raise


def _rename(source: Path, place: Path) -> None:
    """Windows refuses for a moment while a virus scanner reads new files."""
    for _try in range(TRIES):
        with contextlib.suppress(PermissionError):
            os.rename(source, place)
            return
        time.sleep(PAUSE_S)
    os.rename(source, place)


def version_in(package: str, folder: Path) -> str:
    """The version of a package in a folder; "" when it is unknown."""
    names = [path.name for path in folder.glob(f"{package}-*.dist-info")]
    return names[0].removeprefix(f"{package}-").removesuffix(".dist-info") if names else ""


def _parts(requirement: Requirement, folder: Path) -> list[Path]:
    """The package and what tells of its version; not the commands that come with it."""
    infos = folder.glob(f"{requirement.package}-*.dist-info")
    return [path for path in (folder / requirement.folder, *infos) if path.exists()]


def no_room(requirement: Requirement, folder: Path) -> str:
    """The disk is full."""
    text = _("the disk with {folder} is full; {mb} MB are needed.")
    return text.format(folder=folder, mb=_disk_mb(requirement))


def _disk_mb(requirement: Requirement) -> int:
    """Space for the wheel and what is in it."""
    wheel = requirement.wheel()
    return wheel.installed_mb + wheel.download_mb


def not_writable(folder: Path, why: str) -> str:
    """Nothing can be written there."""
    return _("{folder} cannot be written ({why}).").format(folder=folder, why=why)


def no_wheel_in(package: str, folder: Path) -> str:
    """No file in the folder will do."""
    found = sorted(path.name for path in folder.glob(f"{package}-*.whl"))
    if not found:
        return _("{folder} has no wheel of the package. \"What to fetch?\" shows which one.").format(folder=folder)
    return _("{files} does not fit this Python and system. \"What to fetch?\" shows which one does.").format(
        files=", ".join(found[:3]))


def why_pip_failed(requirement: Requirement, log: list[str], target: Path, wheels: Path | None) -> str:
    """What stands behind "PACKAGE was not installed: "."""
    text = "\n".join(log)
    if _has(text, FULL):
        return no_room(requirement, target)
    if wheels is None and (_has(text, PROXY) or (_has(text, NO_NETWORK) and _has_proxy())):
        return _("the package server was not reached through the proxy. Check HTTPS_PROXY, or install from a folder "
                 "of wheels.")
    if wheels is None and _has(text, CERTIFICATE):
        return _("the package server's certificate was refused. Ask your network's administrator, or install from a "
                 "folder of wheels.")
    if wheels is None and _has(text, NO_NETWORK):
        return _("the package server was not reached. Check the network, or install from a folder of wheels.")
    if _has(text, DAMAGED):
        return _("the wheel is damaged. Fetch it again.")
    if _has(text, NO_WHEEL):
        return no_wheel_in(requirement.package, wheels) if wheels is not None else _(
            "the package server has none for this Python and system. Install from a folder of wheels.")
    if _has(text, FORBIDDEN):
        return not_writable(target, _("permission denied"))
    return _("{reason} The log has the details.").format(reason=_last_error(log))


def _has(text: str, signs: tuple[str, ...]) -> bool:
    return any(sign in text for sign in signs)


def _last_error(log: list[str]) -> str:
    """pip's own last complaint; where it has failed itself, that is the end of the story."""
    errors = [line.partition(":")[2].strip() for line in log if line.lower().startswith("error:")]
    if errors[-1:] == ["Exception:"]:
        return log[-1].strip()
    return errors[-1] if errors else _("pip ended with an error.")


@dataclass(frozen=True)
class Outcome:
    """How an installation ended."""

    kind: str
    """installed, failed or cancelled."""
    sentence: str


class Installation:
    """One attempt.

    Args:
        requirement: what is installed.
        onProgress: called with a text and the fraction that is done, None when unknown.
        onLog: called with each line of pip's.
        onDone: called once with the Outcome; never after discard().
        wheels: a folder to install from, without any network; None: the package server.
    """

    def __init__(self, requirement: Requirement, *, onProgress: Callable[[str, float | None], None],
                 onLog: Callable[[str], None], onDone: Callable[[Outcome], None], wheels: Path | None = None) -> None:
        self._onProgress, self._onLog, self._onDone = onProgress, onLog, onDone
        self._requirement, self._package = requirement, requirement.package
        self._wheels = wheels
        self._target = paths.packages_folder()
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
        self._onProgress(_("Looking for {package}...").format(package=self._package), None)
        source = () if self._wheels is None else ("--no-index", "--find-links", str(self._wheels))
        self._run(["--pip", "install", *OPTIONS, "--progress-bar", _progress_bar(), *source,
                   "--target", str(self._new), self._requirement.text], self._onInstalled)

    def cancel(self) -> None:
        """Ask it to stop."""
        if self._child is not None:
            self._child.cancel()

    def discard(self) -> None:
        """End it at once, without any callback."""
        if self._child is not None:
            self._child.discard()
        self._tidy()

    @property
    def _new(self) -> Path:
        return self._staging / "new"

    def _prepare(self) -> str:
        """Make the folder to work in; returns what is in the way."""
        if self._wheels is not None and not any(self._wheels.glob(f"{self._package}-*.whl")):
            return no_wheel_in(self._package, self._wheels)
        parent = self._target.parent
        try:
            parent.mkdir(parents=True, exist_ok=True)
            _remove_left_behind(parent)
            room = shutil.disk_usage(parent).free
            if self._wheels is None and room < _disk_mb(self._requirement) * MB:
                return no_room(self._requirement, parent)
            self._staging = Path(tempfile.mkdtemp(prefix=f"{STAGING}{os.getpid()}-", dir=parent))
            for name in ("work", "temporary", "new"):
                (self._staging / name).mkdir()
        except OSError as error:
            return not_writable(parent, error.strerror or str(error))
        return ""

    def _run(self, arguments: list[str], onEnd: Callable[[ExitStatus], None]) -> None:
        temporary = str(self._staging / "temporary")
        environment = {"TMPDIR": temporary, "TEMP": temporary, "TMP": temporary, "PIP_USER": "0",
                       "PIP_REQUIRE_VIRTUALENV": "0"}
        self._child = ChildProcess(arguments, onEvent=self._onEvent, onLog=self._onLine, onEnd=onEnd,
                                   workFolder=self._staging / "work", around=Surroundings(environment))
        self._child.start()

    def _onEvent(self, event: Event) -> None:
        if event.kind == "error":
            self._broken = event.text("message")

    def _onLine(self, line: str) -> None:
        found = DOWNLOADED.search(line)
        if found:
            done, total = int(found[1]), max(int(found[2]), 1)
            self._onProgress(_("Fetching {package}: {done} of {total} MB").format(
                package=self._package, done=done // MB, total=total // MB), done / total)
            return
        if line.startswith("Installing collected packages"):
            self._onProgress(_("Unpacking {package}...").format(package=self._package), None)
        self._log.append(line)
        self._onLog(line)

    def _onInstalled(self, exit_status: ExitStatus) -> None:
        """pip has ended: whether the package can be loaded is tried before it gets its place."""
        if exit_status.kind == "cancelled":
            self._end("cancelled", _("Installing was cancelled; nothing was changed."))
        elif exit_status.kind in ("died", "not started"):
            self._fail(exit_status.text)
        elif exit_status.kind != "finished":
            self._fail(self._broken or why_pip_failed(self._requirement, self._log, self._target.parent, self._wheels))
        else:
            self._onProgress(_("Trying {package}...").format(package=self._package), None)
            self._run(["--import", self._requirement.module, str(self._new)], self._onTried)

    def _onTried(self, exit_status: ExitStatus) -> None:
        if exit_status.kind == "cancelled":
            self._end("cancelled", _("Installing was cancelled; nothing was changed."))
            return
        if exit_status.kind != "finished":
            self._fail(_("it does not work on this computer. {why}").format(why=exit_status.message))
            return
        try:
            version = version_in(self._package, self._new)
            move_in(self._requirement, self._new, self._target, self._staging / "old")
        except OSError as error:
            self._fail(not_writable(self._target, error.strerror or str(error)))
            return
        self._end("installed", _("{package} {version} is installed.").format(package=self._package, version=version))

    def _fail(self, reason: str) -> None:
        self._end("failed", _("{package} was not installed, and nothing was changed: {reason}").format(
            package=self._package, reason=reason))

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


def _has_proxy() -> bool:
    """Whether the system or the environment names a proxy."""
    from urllib.request import getproxies  # slow to load, and seldom needed

    return bool(getproxies())
