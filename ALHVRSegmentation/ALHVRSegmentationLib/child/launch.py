"""Launch: starts PythonSlicer for a job, and the files in its work folder through which both sides speak."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path
from subprocess import Popen

import slicer
from slicer.i18n import tr as _

from ALHVRSegmentationLib import places
from ALHVRSegmentationLib.child.processes import WORK_VARIABLE


class LaunchError(Exception):
    """There is no process; the text is one sentence for the panel."""


class Launch:
    """One command of ALHVRChild.py in a work folder of its own.

    Args:
        arguments: of ALHVRChild.py.
        folder: the child ends when it is removed; what has it in its environment belongs to this job.
        environment: variables over those that Slicer was started with, and over those of every child.
    """

    def __init__(self, arguments: list[str], folder: Path, environment: dict[str, str]) -> None:
        self._arguments, self.folder = arguments, folder
        self._environment = {**_environment(folder), **environment}
        self._cancelFile = folder / "cancel"
        self._exitCodeFile = folder / "exit-code"

    def start(self) -> Popen:
        """Start the launcher; raises LaunchError."""
        command, script = shutil.which("PythonSlicer"), places.child_script()
        if command is None:
            raise LaunchError(_("PythonSlicer, which comes with Slicer, was not found."))
        if not script.is_file():
            raise LaunchError(_("A file of the extension is missing: {file}.").format(file=script))
        try:
            for file in (self._cancelFile, self._exitCodeFile):
                file.unlink(missing_ok=True)
            return slicer.util.launchConsoleProcess(
                [command, str(script), *self._arguments], updateEnvironment=self._environment)
        except OSError as error:
            text = _("PythonSlicer could not be started: {reason}.")
            raise LaunchError(text.format(reason=error.strerror or error)) from error

    def ask_to_stop(self) -> bool:
        """Leave word for the child, also for a Python that has not even begun; False where nothing can be written."""
        with contextlib.suppress(OSError):
            self._cancelFile.touch()
            return True
        return False

    def written_exit_code(self) -> int | None:
        """The exit code that the child wrote, whether its output was heard or not; None without one."""
        try:
            with self._exitCodeFile.open(encoding="ascii") as file:
                return int(file.read(20))
        except (OSError, ValueError):
            return None


def _environment(work_folder: Path) -> dict[str, str]:
    """What the child is told; nothing of the user's other Pythons reaches it."""
    return {
        "ALHVR_OWNER_PID": str(os.getpid()),
        WORK_VARIABLE: str(work_folder),
        "ALHVR_ENGINE": str(places.engine_root()),
        "ALHVR_PACKAGES": str(places.packages_folder()),
        "PYTHONPATH": "",
        "PYTHONNOUSERSITE": "1",
        "PYTHONUNBUFFERED": "1",
        "PYTHONUTF8": "1",
    }
